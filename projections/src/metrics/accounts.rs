//! How many users there are, of which kind, and which came and were seen last.

use muniment_domain::{ProjectId, UserId};
use sqlx::PgPool;

use super::{Anonymous, Daily, Window};
use muniment_event_store::LedgerError;

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All users.
    pub users: i64,
    /// Those who have not signed up.
    pub anonymous: i64,
    /// Those who have, and have a verified email address.
    pub verified: i64,
    /// Teams.
    pub teams: i64,
}

impl Counts {
    /// Users who have signed up, but not verified an email address.
    #[must_use]
    pub fn unverified(&self) -> i64 {
        self.users - self.anonymous - self.verified
    }

    /// All users, or those who have signed up.
    #[must_use]
    pub fn total(&self, anonymous: Anonymous) -> i64 {
        match anonymous {
            Anonymous::Included => self.users,
            Anonymous::Excluded => self.users - self.anonymous,
        }
    }
}

/// Counts users and teams.
///
/// # Errors
/// When the database fails.
pub async fn counts(pool: &PgPool, project: &ProjectId) -> Result<Counts, LedgerError> {
    let counts = sqlx::query_as!(
        Counts,
        r#"SELECT count(*) AS "users!",
                  count(*) FILTER (WHERE is_anonymous) AS "anonymous!",
                  count(*) FILTER (WHERE NOT is_anonymous AND EXISTS (
                      SELECT FROM contact_channels c WHERE c.user_id = users.id AND c.is_verified
                  )) AS "verified!",
                  (SELECT count(*) FROM teams WHERE project_id = $1) AS "teams!"
           FROM users WHERE project_id = $1"#,
        project.as_str(),
    )
    .fetch_one(pool)
    .await?;
    Ok(counts)
}

/// How many users signed up on each day.
///
/// # Errors
/// When the database fails.
pub async fn daily_sign_ups(
    pool: &PgPool,
    project: &ProjectId,
    window: Window,
    anonymous: Anonymous,
) -> Result<Daily<i64>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT signed_up_at / 86400000 AS "day!", count(*) AS "count!" FROM users
           WHERE project_id = $1 AND signed_up_at >= $2 AND signed_up_at < $3
             AND ($4 OR NOT is_anonymous)
           GROUP BY 1"#,
        project.as_str(),
        window.start().0,
        window.end().0,
        anonymous.are_included(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.day, row.count)).collect())
}

/// How many users can sign in in which way: `password`, `otp`, `passkey`, or an OAuth provider by its
/// id in the project's configuration.
///
/// # Errors
/// When the database fails.
pub async fn login_methods(
    pool: &PgPool,
    project: &ProjectId,
) -> Result<Vec<(String, i64)>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT lower(ways.method) AS "method!", count(*) AS "count!"
           FROM users u
           CROSS JOIN LATERAL (
               SELECT 'password' AS method WHERE u.password_hash IS NOT NULL
               UNION ALL SELECT 'otp' WHERE u.otp_enabled
               UNION ALL SELECT 'passkey' WHERE u.passkey_enabled
               UNION ALL SELECT coalesce(account ->> 'provider_config_id', 'other')
                         FROM jsonb_array_elements(u.oauth_accounts) AS account
           ) AS ways
           WHERE u.project_id = $1
           GROUP BY 1 ORDER BY 1"#,
        project.as_str(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.method, row.count))
        .collect())
}

/// The users who were seen last according to the tables, and those who signed up last: who was
/// active last is among them, if nobody was seen since the tables were written.
///
/// # Errors
/// When the database fails.
pub async fn recently_active(
    pool: &PgPool,
    project: &ProjectId,
    anonymous: Anonymous,
    limit: i64,
) -> Result<Vec<UserId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        r#"(SELECT u.id AS "id!" FROM user_activity a JOIN users u ON u.id = a.user_id
            WHERE u.project_id = $1 AND ($2 OR NOT u.is_anonymous)
            ORDER BY a.last_active_at DESC LIMIT $3)
           UNION
           (SELECT u.id FROM users u
            WHERE u.project_id = $1 AND ($2 OR NOT u.is_anonymous)
            ORDER BY u.signed_up_at DESC, u.id DESC LIMIT $3)"#,
        project.as_str(),
        anonymous.are_included(),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}
