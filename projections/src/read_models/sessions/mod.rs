//! The read model of sessions: projector and queries.

pub mod ended;
pub(crate) mod rows;

use muniment_domain::session::SessionEvent;
use muniment_domain::{ProjectId, SecretHash, SessionId, UserId};
use serde_json::Value;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::read_models::registry::{ReadModels, RowsToLoad};
use muniment_event_store::LedgerError;

pub use rows::SessionRow;

/// A session as a listing shows it.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// The session's id.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// When it was opened.
    pub created_at: i64,
    /// An operator acts as the user.
    pub is_impersonation: bool,
    /// When a token was last issued for it.
    pub last_active_at: Option<i64>,
    /// Where the end user was seen last.
    pub ip_info: Option<Value>,
}

/// The session that a refresh token stands for, whether it has expired or not.
pub async fn by_token(
    pool: &PgPool,
    project: &ProjectId,
    token: SecretHash,
) -> Result<Option<SessionRow>, LedgerError> {
    let row = sqlx::query_as!(
        SessionRow,
        "SELECT * FROM sessions WHERE token_hash = $1 AND project_id = $2",
        token.to_hex(),
        project.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The session of that id, if the project has one.
pub async fn by_id(
    pool: &PgPool,
    project: &ProjectId,
    id: SessionId,
) -> Result<Option<SessionRow>, LedgerError> {
    let row = sqlx::query_as!(
        SessionRow,
        "SELECT * FROM sessions WHERE id = $1 AND project_id = $2",
        id.0,
        project.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The sessions of a user, newest first.
pub async fn of_user(
    pool: &PgPool,
    project: &ProjectId,
    user: UserId,
) -> Result<Vec<SessionRecord>, LedgerError> {
    let rows = sqlx::query_as!(
        SessionRecord,
        r#"SELECT s.id, s.user_id, s.created_at, s.is_impersonation,
                  a.last_active_at AS "last_active_at?", a.ip_info
           FROM sessions s LEFT JOIN session_activity a ON a.session_id = s.id
           WHERE s.user_id = $1 AND s.project_id = $2
           ORDER BY s.created_at DESC, s.id"#,
        user.0,
        project.as_str(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The ids of all sessions of a user.
pub async fn ids_of_user(
    executor: impl PgExecutor<'_>,
    user: UserId,
) -> Result<Vec<SessionId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM sessions WHERE user_id = $1 ORDER BY id",
        user.0
    )
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(SessionId).collect())
}

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(_rows: &mut RowsToLoad, _: Uuid, event: &SessionEvent) {
    match event {
        SessionEvent::SessionStarted(_) | SessionEvent::SessionEnded { .. } => {}
    }
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: SessionEvent) {
    match event {
        SessionEvent::SessionStarted(started) => models.sessions.put(SessionRow {
            id,
            project_id: started.project_id.to_string(),
            user_id: started.user_id.0,
            token_hash: started.token_hash.to_hex(),
            created_at: started.created_at.0,
            expires_at: started.expires_at.map(|at| at.0),
            is_impersonation: started.is_impersonation,
        }),
        SessionEvent::SessionEnded { .. } => models.sessions.remove(id),
    }
}
