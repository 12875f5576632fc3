//! The read model of outgoing mail: the queue. Projector and queries.

pub(crate) mod rows;

use muniment_domain::outgoing_email::OutgoingEmailEvent;
use muniment_domain::{Millis, OutgoingEmailId, ProjectId};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::read_models::registry::{ReadModels, RowsToLoad};
use muniment_event_store::LedgerError;

pub use rows::OutgoingEmailRow;

/// The emails to be tried at that time, the longest due first, at most `limit`.
pub async fn due(
    connection: &mut PgConnection,
    now: Millis,
    limit: i64,
) -> Result<Vec<(ProjectId, OutgoingEmailId)>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT project_id, id FROM outgoing_emails WHERE next_attempt_at <= $1
         ORDER BY next_attempt_at, id LIMIT $2",
        now.0,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                ProjectId::from_caller(&row.project_id),
                OutgoingEmailId(row.id),
            )
        })
        .collect())
}

/// How many emails wait to be sent.
pub async fn waiting(pool: &PgPool) -> Result<i64, LedgerError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM outgoing_emails WHERE next_attempt_at IS NOT NULL"#
    )
    .fetch_one(pool)
    .await?;
    Ok(count)
}

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: Uuid, event: &OutgoingEmailEvent) {
    match event {
        OutgoingEmailEvent::EmailSent { .. } | OutgoingEmailEvent::EmailFailed(_) => {
            rows.emails.insert(id);
        }
        OutgoingEmailEvent::EmailRequested(_) => {}
    }
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: OutgoingEmailEvent) {
    match event {
        OutgoingEmailEvent::EmailRequested(request) => models.emails.put(OutgoingEmailRow {
            id,
            project_id: request.project_id.to_string(),
            template: request.template.as_str().to_owned(),
            subject: request.subject.map(|user| user.0),
            status: "pending".to_owned(),
            requested_at: request.requested_at.0,
            next_attempt_at: Some(request.requested_at.0),
            finished_at: None,
            failures: 0,
            last_failure: None,
        }),
        OutgoingEmailEvent::EmailSent { at } => {
            if let Some(row) = models.emails.change(&id) {
                "sent".clone_into(&mut row.status);
                row.next_attempt_at = None;
                row.finished_at = Some(at.0);
            }
        }
        OutgoingEmailEvent::EmailFailed(failure) => {
            if let Some(row) = models.emails.change(&id) {
                row.failures += 1;
                row.last_failure = Some(failure.kind);
                row.next_attempt_at = failure.retry_at.map(|at| at.0);
                if failure.retry_at.is_none() {
                    "failed".clone_into(&mut row.status);
                    row.finished_at = Some(failure.at.0);
                }
            }
        }
    }
}
