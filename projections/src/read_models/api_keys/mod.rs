//! The read model of API keys of users and teams: projector and queries.

pub(crate) mod rows;

use muniment_domain::api_key::{ApiKeyEvent, ApiKeyIssued, ApiKeyKind, ApiKeyOwner};
use muniment_domain::{ApiKeyId, ProjectId, SecretHash};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::read_models::registry::{ReadModels, RowsToLoad};
use muniment_event_store::LedgerError;

pub use rows::ApiKeyRow;
use rows::{PUBLIC, SECRET};

/// The key of that id, if the project has one.
pub async fn by_id(
    pool: &PgPool,
    project: &ProjectId,
    id: ApiKeyId,
) -> Result<Option<ApiKeyRow>, LedgerError> {
    let row = sqlx::query_as!(
        ApiKeyRow,
        "SELECT * FROM api_keys WHERE id = $1 AND project_id = $2",
        id.0,
        project.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The key whose secret has that hash, in any project, expired and revoked ones included.
pub async fn by_secret(
    pool: &PgPool,
    secret: SecretHash,
) -> Result<Option<ApiKeyRow>, LedgerError> {
    let row = sqlx::query_as!(
        ApiKeyRow,
        "SELECT * FROM api_keys WHERE secret_hash = $1",
        secret.to_hex(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The keys of an owner, newest first, expired and revoked ones included.
pub async fn of_owner(
    executor: impl PgExecutor<'_>,
    project: &ProjectId,
    owner: ApiKeyOwner,
) -> Result<Vec<ApiKeyRow>, LedgerError> {
    let rows = match owner {
        ApiKeyOwner::User { user_id } => {
            sqlx::query_as!(
                ApiKeyRow,
                "SELECT * FROM api_keys WHERE user_id = $1 AND project_id = $2
                 ORDER BY created_at DESC, id",
                user_id.0,
                project.as_str(),
            )
            .fetch_all(executor)
            .await?
        }
        ApiKeyOwner::Team { team_id } => {
            sqlx::query_as!(
                ApiKeyRow,
                "SELECT * FROM api_keys WHERE team_id = $1 AND project_id = $2
                 ORDER BY created_at DESC, id",
                team_id.0,
                project.as_str(),
            )
            .fetch_all(executor)
            .await?
        }
    };
    Ok(rows)
}

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: Uuid, event: &ApiKeyEvent) {
    match event {
        ApiKeyEvent::ApiKeyDescribed { .. } | ApiKeyEvent::ApiKeyRevoked { .. } => {
            rows.api_keys.insert(id);
        }
        ApiKeyEvent::ApiKeyIssued(_) | ApiKeyEvent::ApiKeyDeleted { .. } => {}
    }
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: ApiKeyEvent) {
    match event {
        ApiKeyEvent::ApiKeyIssued(issued) => models.api_keys.put(issued_row(id, *issued)),
        ApiKeyEvent::ApiKeyDescribed { personal, .. } => {
            if let Some(row) = models.api_keys.change(&id) {
                row.description = personal.or_erased().description;
            }
        }
        ApiKeyEvent::ApiKeyRevoked { revoked_at, .. } => {
            if let Some(row) = models.api_keys.change(&id) {
                row.revoked_at = Some(revoked_at.0);
            }
        }
        ApiKeyEvent::ApiKeyDeleted { .. } => models.api_keys.remove(id),
    }
}

fn issued_row(id: Uuid, issued: ApiKeyIssued) -> ApiKeyRow {
    let (user_id, team_id) = match issued.owner {
        ApiKeyOwner::User { user_id } => (Some(user_id.0), None),
        ApiKeyOwner::Team { team_id } => (None, Some(team_id.0)),
    };
    let kind = match issued.kind {
        ApiKeyKind::Secret => SECRET,
        ApiKeyKind::Public => PUBLIC,
    };
    ApiKeyRow {
        id,
        project_id: issued.project_id.to_string(),
        user_id,
        team_id,
        kind: kind.to_owned(),
        description: issued.personal.or_erased().description,
        secret_hash: issued.key.hash.to_hex(),
        last_four: issued.key.last_four,
        created_at: issued.created_at.0,
        expires_at: issued.expires_at.map(|at| at.0),
        revoked_at: None,
    }
}
