//! The read model of verification codes: projector and queries.

pub(crate) mod rows;

use muniment_domain::verification_code::{Purpose, VerificationCodeEvent};
use muniment_domain::{Millis, ProjectId, SecretHash, UserId, VerificationCodeId};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::read_models::registry::{ReadModels, RowsToLoad};
use muniment_event_store::LedgerError;

pub use rows::VerificationCodeRow;

/// The codes of a project that end like the one submitted: normally one, or none.
pub async fn by_tail(
    pool: &PgPool,
    project: &ProjectId,
    tail: SecretHash,
) -> Result<Vec<VerificationCodeRow>, LedgerError> {
    let rows = sqlx::query_as!(
        VerificationCodeRow,
        "SELECT * FROM verification_codes WHERE project_id = $1 AND tail_hash = $2",
        project.as_str(),
        tail.to_hex(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The open codes of that purpose that are about a user.
pub async fn open_about(
    pool: &PgPool,
    project: &ProjectId,
    purpose: Purpose,
    user: UserId,
) -> Result<Vec<VerificationCodeRow>, LedgerError> {
    let rows = sqlx::query_as!(
        VerificationCodeRow,
        "SELECT * FROM verification_codes
         WHERE project_id = $1 AND purpose = $2 AND subject = $3 AND redeemed_at IS NULL",
        project.as_str(),
        purpose.as_str(),
        user.0,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The open sign-in codes that were sent to an address.
pub async fn open_sign_ins(
    pool: &PgPool,
    project: &ProjectId,
    address: &str,
) -> Result<Vec<VerificationCodeId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM verification_codes
         WHERE project_id = $1 AND purpose = 'sign_in' AND email = $2 AND redeemed_at IS NULL",
        project.as_str(),
        address,
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(VerificationCodeId).collect())
}

/// Codes that expired before `before`, at most `limit`: project and id.
pub async fn expired(
    pool: &PgPool,
    before: Millis,
    limit: i64,
) -> Result<Vec<(ProjectId, VerificationCodeId)>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT project_id, id FROM verification_codes WHERE expires_at < $1
         ORDER BY expires_at LIMIT $2",
        before.0,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let of_row = |row: (String, Uuid)| (ProjectId::from_caller(&row.0), VerificationCodeId(row.1));
    Ok(rows
        .into_iter()
        .map(|row| of_row((row.project_id, row.id)))
        .collect())
}

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: Uuid, event: &VerificationCodeEvent) {
    match event {
        VerificationCodeEvent::CodeAttempted {} | VerificationCodeEvent::CodeRedeemed { .. } => {
            rows.codes.insert(id);
        }
        VerificationCodeEvent::CodeIssued(_) | VerificationCodeEvent::CodeDiscarded {} => {}
    }
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: VerificationCodeEvent) {
    match event {
        VerificationCodeEvent::CodeIssued(issued) => {
            let details = issued.personal.or_erased();
            models.codes.put(VerificationCodeRow {
                id,
                project_id: issued.project_id.to_string(),
                purpose: issued.purpose.as_str().to_owned(),
                code_hash: issued.code_hash.to_hex(),
                tail_hash: issued.tail_hash.to_hex(),
                issued_at: issued.issued_at.0,
                expires_at: issued.expires_at.0,
                redeemed_at: None,
                attempts: 0,
                subject: issued.subject.map(|user| user.0),
                email: details.email,
                redirect_url: details.redirect_url,
                // In JSON rows, `null` would be SQL's null.
                data: Some(details.data)
                    .filter(|data| !data.is_null())
                    .unwrap_or_else(|| json!({})),
            });
        }
        VerificationCodeEvent::CodeAttempted {} => {
            if let Some(row) = models.codes.change(&id) {
                row.attempts += 1;
            }
        }
        VerificationCodeEvent::CodeRedeemed { at } => {
            if let Some(row) = models.codes.change(&id) {
                row.redeemed_at = Some(at.0);
            }
        }
        VerificationCodeEvent::CodeDiscarded {} => models.codes.remove(id),
    }
}
