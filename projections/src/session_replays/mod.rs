//! Recordings of what users saw, and the chunks they arrive in.
//!
//! Telemetry: browsers send it, the log has nothing of it, `replay` and `verify` leave it alone. It
//! goes when its user or project goes: at once from every listing, which knows users only, and for
//! good with the subscriber that erases.
//!
//! - this file: which recording a chunk belongs to, and keeping both;
//! - [`listing`]: recordings of a project, and chunks of a recording.

pub mod listing;

use muniment_domain::{Millis, ProjectId, SessionId, UserId};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::objects::private_objects::{self, PrivateObject};
use muniment_event_store::LedgerError;

/// A recording ends when nothing was uploaded for so long, by our clock.
const IDLE_MILLIS: i64 = 3 * 60 * 1000;
/// The longest recording, from its start by the browser's clock.
const LONGEST_MILLIS: i64 = 12 * 60 * 60 * 1000;

/// Whose recording it is.
#[derive(Clone, Debug)]
pub struct Recorded<'r> {
    /// The project.
    pub project: &'r ProjectId,
    /// The user.
    pub user: UserId,
    /// The session, all of whose tabs are recorded together.
    pub session: SessionId,
}

/// From the first to the last event, by the browser's clock, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

/// The recording of a session that is going on, if one is.
///
/// # Errors
/// When the database fails.
pub async fn live<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    project: &ProjectId,
    session: SessionId,
    now: Millis,
) -> Result<Option<Uuid>, LedgerError> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM session_replays
         WHERE project_id = $1 AND session_id = $2 AND updated_at >= $3 AND started_at >= $4
         ORDER BY updated_at DESC, id LIMIT 1",
        project.as_str(),
        session.0,
        now.0 - IDLE_MILLIS,
        now.0 - LONGEST_MILLIS,
    )
    .fetch_optional(executor)
    .await?;
    Ok(id)
}

/// Extends the recording that is going on over `span`, or begins one under the id `fresh`. Returns
/// its id, or nothing if the user was deleted in the meantime.
///
/// # Errors
/// When the database fails.
pub async fn extend(
    pool: &PgPool,
    recorded: &Recorded<'_>,
    span: Span,
    fresh: Uuid,
    now: Millis,
) -> Result<Option<Uuid>, LedgerError> {
    let mut transaction = pool.begin().await?;
    take_turn(&mut transaction, recorded.session).await?;
    if !hold_user(&mut transaction, recorded).await? {
        return Ok(None);
    }
    let id = live(&mut *transaction, recorded.project, recorded.session, now).await?;
    let id = id.unwrap_or(fresh);
    sqlx::query!(
        "INSERT INTO session_replays
             (id, project_id, user_id, session_id, started_at, last_event_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
         ON CONFLICT (id) DO UPDATE
         SET started_at = least(session_replays.started_at, EXCLUDED.started_at),
             last_event_at = greatest(session_replays.last_event_at, EXCLUDED.last_event_at),
             updated_at = greatest(session_replays.updated_at, EXCLUDED.updated_at)",
        id,
        recorded.project.as_str(),
        recorded.user.0,
        recorded.session.0,
        span.first,
        span.last,
        now.0,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Some(id))
}

/// Uploads of one session take turns, so that two at once do not begin two recordings.
async fn take_turn(connection: &mut PgConnection, session: SessionId) -> Result<(), LedgerError> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('session replay ' || $1, 0))",
        session.0.to_string(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the user is there, who then stays until the transaction ends: whoever deletes the user
/// afterwards also erases the recording.
async fn hold_user(
    connection: &mut PgConnection,
    recorded: &Recorded<'_>,
) -> Result<bool, LedgerError> {
    let held = sqlx::query_scalar!(
        r#"SELECT 1 AS "one!" FROM users WHERE id = $1 AND project_id = $2 FOR KEY SHARE"#,
        recorded.user.0,
        recorded.project.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(held.is_some())
}

/// A chunk that was uploaded.
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// Its id.
    pub id: Uuid,
    /// The recording it belongs to.
    pub replay: Uuid,
    /// The browser's id of the upload, by which a repetition is recognised.
    pub batch_id: String,
    /// The tab.
    pub segment_id: String,
    /// The browser's own idea of a session.
    pub browser_session_id: String,
    /// Where its events are kept.
    pub object_key: String,
    /// How many.
    pub event_count: i32,
    /// From when to when.
    pub span: Span,
    /// When it arrived.
    pub created_at: Millis,
}

/// Where a chunk's events are kept, if the recording has it.
///
/// # Errors
/// When the database fails.
pub async fn key_of_batch(
    pool: &PgPool,
    replay: Uuid,
    batch_id: &str,
) -> Result<Option<String>, LedgerError> {
    let key = sqlx::query_scalar!(
        "SELECT object_key FROM session_replay_chunks WHERE replay_id = $1 AND batch_id = $2",
        replay,
        batch_id,
    )
    .fetch_optional(pool)
    .await?;
    Ok(key)
}

/// Whether a chunk was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was, and is kept.
    New,
    /// The recording has it already; what was kept stays.
    Repeated,
}

/// Keeps a chunk and its events.
///
/// # Errors
/// `Conflict` when the recording was erased in the meantime; when the database fails.
pub async fn add_chunk(
    pool: &PgPool,
    chunk: &NewChunk,
    events: &PrivateObject,
) -> Result<Added, LedgerError> {
    let mut transaction = pool.begin().await?;
    let added = sqlx::query!(
        "INSERT INTO session_replay_chunks
             (id, replay_id, batch_id, segment_id, browser_session_id, object_key, event_count,
              byte_length, first_event_at, last_event_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (replay_id, batch_id) DO NOTHING",
        chunk.id,
        chunk.replay,
        chunk.batch_id,
        chunk.segment_id,
        chunk.browser_session_id,
        chunk.object_key,
        chunk.event_count,
        i32::try_from(events.body.len()).unwrap_or(i32::MAX),
        chunk.span.first,
        chunk.span.last,
        chunk.created_at.0,
    )
    .execute(&mut *transaction)
    .await?;
    if added.rows_affected() == 0 {
        return Ok(Added::Repeated);
    }
    let now = chunk.created_at;
    private_objects::put(&mut transaction, &chunk.object_key, events, now).await?;
    transaction.commit().await?;
    Ok(Added::New)
}

/// Erases the recordings of a deleted user.
pub(crate) async fn delete_of_user(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<(), LedgerError> {
    let ids = sqlx::query_scalar!("SELECT id FROM session_replays WHERE user_id = $1", user.0)
        .fetch_all(&mut *connection)
        .await?;
    delete(connection, &ids).await
}

/// Erases the recordings of a deleted project.
pub(crate) async fn delete_of_project(
    connection: &mut PgConnection,
    project: &str,
) -> Result<(), LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM session_replays WHERE project_id = $1",
        project
    )
    .fetch_all(&mut *connection)
    .await?;
    delete(connection, &ids).await
}

async fn delete(connection: &mut PgConnection, replays: &[Uuid]) -> Result<(), LedgerError> {
    sqlx::query!(
        "DELETE FROM private_objects USING session_replay_chunks
         WHERE key = object_key AND replay_id = ANY($1)",
        replays,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM session_replays WHERE id = ANY($1)", replays)
        .execute(connection)
        .await?;
    Ok(())
}
