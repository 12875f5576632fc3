//! How much of what users saw was recorded.

use muniment_domain::ProjectId;
use sqlx::PgPool;

use super::Window;
use muniment_event_store::LedgerError;

/// How many session replays there are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recordings {
    /// All of them.
    pub total: i64,
    /// Those that began within the days shown.
    pub recent: i64,
    /// How long those are on average, in milliseconds.
    pub average_millis: f64,
}

/// Counts session replays.
///
/// # Errors
/// When the database fails.
pub async fn recordings(
    pool: &PgPool,
    project: &ProjectId,
    window: Window,
) -> Result<Recordings, LedgerError> {
    let recordings = sqlx::query_as!(
        Recordings,
        r#"SELECT count(*) AS "total!",
                  count(*) FILTER (WHERE started_at >= $2) AS "recent!",
                  coalesce(avg(greatest(last_event_at - started_at, 0))
                               FILTER (WHERE started_at >= $2), 0)::double precision
                      AS "average_millis!"
           FROM session_replays r
           WHERE project_id = $1 AND EXISTS (SELECT FROM users WHERE id = r.user_id)"#,
        project.as_str(),
        window.start().0,
    )
    .fetch_one(pool)
    .await?;
    Ok(recordings)
}
