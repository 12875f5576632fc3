//! The read model of command-line logins: projector and queries.

pub(crate) mod rows;

use muniment_domain::cli_login::CliLoginEvent;
use muniment_domain::{CliLoginId, ProjectId, SecretHash};
use sqlx::PgPool;
use uuid::Uuid;

use crate::read_models::registry::{ReadModels, RowsToLoad};
use muniment_event_store::LedgerError;

pub(crate) use rows::CliLoginRow;

/// The login that a program asks for.
pub async fn by_polling_code(
    pool: &PgPool,
    project: &ProjectId,
    code: SecretHash,
) -> Result<Option<CliLoginId>, LedgerError> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM cli_logins WHERE project_id = $1 AND polling_hash = $2",
        project.as_str(),
        code.to_hex(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(id.map(CliLoginId))
}

/// The login that a browser answers to.
pub async fn by_login_code(
    pool: &PgPool,
    project: &ProjectId,
    code: SecretHash,
) -> Result<Option<CliLoginId>, LedgerError> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM cli_logins WHERE project_id = $1 AND login_hash = $2",
        project.as_str(),
        code.to_hex(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(id.map(CliLoginId))
}

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(_rows: &mut RowsToLoad, _: Uuid, event: &CliLoginEvent) {
    match event {
        CliLoginEvent::CliLoginStarted(_)
        | CliLoginEvent::AnonymousSessionClaimed {}
        | CliLoginEvent::CliLoginCompleted { .. }
        | CliLoginEvent::CliLoginFetched {} => {}
    }
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: CliLoginEvent) {
    if let CliLoginEvent::CliLoginStarted(started) = event {
        models.cli_logins.put(CliLoginRow {
            id,
            project_id: started.project_id.to_string(),
            polling_hash: started.polling_hash.to_hex(),
            login_hash: started.login_hash.to_hex(),
            started_at: started.started_at.0,
            expires_at: started.expires_at.0,
        });
    }
}
