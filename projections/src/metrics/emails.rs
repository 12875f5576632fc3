//! What became of a project's mail, by the queue of outgoing emails.
//!
//! Mail servers report nothing after they have taken a letter: what was sent counts as delivered, and
//! neither bounces nor clicks are known. What a letter is about is sealed in the log.

use muniment_domain::{Millis, ProjectId};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Daily, Window};
use muniment_event_store::LedgerError;

/// How many letters there are, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// They were sent.
    pub ok: i64,
    /// They were given up.
    pub error: i64,
    /// They are waiting.
    pub in_progress: i64,
}

impl Outcomes {
    /// All letters.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.ok + self.error + self.in_progress
    }

    /// Those that nothing more will happen to.
    #[must_use]
    pub fn finished(&self) -> i64 {
        self.ok + self.error
    }
}

/// What became of all letters ever.
///
/// # Errors
/// When the database fails.
pub async fn outcomes(pool: &PgPool, project: &ProjectId) -> Result<Outcomes, LedgerError> {
    let outcomes = sqlx::query_as!(
        Outcomes,
        r#"SELECT count(*) FILTER (WHERE status = 'sent') AS "ok!",
                  count(*) FILTER (WHERE status = 'failed') AS "error!",
                  count(*) FILTER (WHERE status NOT IN ('sent', 'failed')) AS "in_progress!"
           FROM outgoing_emails WHERE project_id = $1"#,
        project.as_str(),
    )
    .fetch_one(pool)
    .await?;
    Ok(outcomes)
}

/// What became of the letters that were asked for on each day.
///
/// # Errors
/// When the database fails.
pub async fn daily_outcomes(
    pool: &PgPool,
    project: &ProjectId,
    window: Window,
) -> Result<Daily<Outcomes>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT requested_at / 86400000 AS "day!",
                  count(*) FILTER (WHERE status = 'sent') AS "ok!",
                  count(*) FILTER (WHERE status = 'failed') AS "error!",
                  count(*) FILTER (WHERE status NOT IN ('sent', 'failed')) AS "in_progress!"
           FROM outgoing_emails
           WHERE project_id = $1 AND requested_at >= $2 AND requested_at < $3
           GROUP BY 1"#,
        project.as_str(),
        window.start().0,
        window.end().0,
    )
    .fetch_all(pool)
    .await?;
    let outcomes = rows.into_iter().map(|row| {
        let outcomes = Outcomes {
            ok: row.ok,
            error: row.error,
            in_progress: row.in_progress,
        };
        (row.day, outcomes)
    });
    Ok(outcomes.collect())
}

/// A letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentEmail {
    /// Its id.
    pub id: Uuid,
    /// How it stands, by the names of the API's email statuses.
    pub status: &'static str,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// The latest letters, newest first.
///
/// # Errors
/// When the database fails.
pub async fn recent(
    pool: &PgPool,
    project: &ProjectId,
    now: Millis,
    limit: i64,
) -> Result<Vec<RecentEmail>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT id, status, requested_at, next_attempt_at FROM outgoing_emails
         WHERE project_id = $1 ORDER BY requested_at DESC, id DESC LIMIT $2",
        project.as_str(),
        limit,
    )
    .fetch_all(pool)
    .await?;
    let emails = rows.into_iter().map(|row| RecentEmail {
        id: row.id,
        status: match row.status.as_str() {
            "sent" => "SENT",
            "failed" => "SERVER_ERROR",
            _ if row.next_attempt_at.is_some_and(|at| at > now.0) => "SCHEDULED",
            _ => "QUEUED",
        },
        created_at: row.requested_at,
    });
    Ok(emails.collect())
}
