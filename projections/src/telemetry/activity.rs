//! When sessions and users were last active, and where from.
//!
//! Kept in memory, written in batches at most once a minute per session, and lost up to that minute
//! in a crash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muniment_domain::{Millis, SessionId, UserId};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use muniment_event_store::LedgerError;

/// How often a session's row is written, at most.
const WRITE_EVERY_MILLIS: i64 = 60_000;
/// How often the table is looked through for something to write.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// The last activities that this process knows of.
#[derive(Clone)]
pub struct Activity {
    pool: PgPool,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    sessions: HashMap<SessionId, SessionActivity>,
    users: HashMap<UserId, i64>,
}

#[derive(Clone)]
struct SessionActivity {
    user: UserId,
    last_active_at: i64,
    written_at: i64,
    ip_info: Option<Value>,
}

impl Activity {
    /// Starts with nothing seen.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            seen: Arc::default(),
        }
    }

    /// A token was issued for the session.
    pub fn note(&self, session: SessionId, user: UserId, now: Millis, ip_info: Option<Value>) {
        let mut seen = self.seen();
        let entry = seen.sessions.entry(session).or_insert(SessionActivity {
            user,
            last_active_at: now.0,
            written_at: 0,
            ip_info: None,
        });
        entry.last_active_at = entry.last_active_at.max(now.0);
        entry.ip_info = ip_info.or(entry.ip_info.take());
        let last = seen.users.entry(user).or_insert(now.0);
        *last = (*last).max(now.0);
    }

    /// When the user was last active: what is stored, or what this process has seen since.
    #[must_use]
    pub fn of_user(&self, user: UserId, stored: Option<i64>) -> Option<i64> {
        stored.max(self.seen().users.get(&user).copied())
    }

    /// The users this process has seen last, the latest first, of whatever project.
    #[must_use]
    pub fn latest(&self, limit: usize) -> Vec<UserId> {
        let mut seen: Vec<(i64, UserId)> = {
            let seen = self.seen();
            seen.users.iter().map(|(user, at)| (*at, *user)).collect()
        };
        if seen.len() > limit {
            seen.select_nth_unstable_by_key(limit, |(at, _)| std::cmp::Reverse(*at));
            seen.truncate(limit);
        }
        seen.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        seen.into_iter().map(|(_, user)| user).collect()
    }

    /// When and where the session was last active: stored, or seen since.
    #[must_use]
    pub fn of_session(
        &self,
        session: SessionId,
        stored: (Option<i64>, Option<Value>),
    ) -> (Option<i64>, Option<Value>) {
        match self.seen().sessions.get(&session) {
            Some(entry) if Some(entry.last_active_at) >= stored.0 => (
                Some(entry.last_active_at),
                entry.ip_info.clone().or(stored.1),
            ),
            _ => stored,
        }
    }

    /// Writes what is due, for ever.
    pub async fn keep_writing(self, now: impl Fn() -> Millis) {
        loop {
            tokio::time::sleep(FLUSH_EVERY).await;
            if let Err(error) = self.flush(now()).await {
                tracing::warn!(%error, "last-active times could not be written; trying again");
            }
        }
    }

    /// Writes what is due and forgets what was written and has been quiet since.
    ///
    /// # Errors
    /// When the database fails; then everything is still to be written.
    pub async fn flush(&self, now: Millis) -> Result<(), LedgerError> {
        self.write(|entry| now.0 - entry.written_at >= WRITE_EVERY_MILLIS, now)
            .await
    }

    /// Writes everything, before the process ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn flush_all(&self, now: Millis) -> Result<(), LedgerError> {
        self.write(|_| true, now).await
    }

    async fn write(
        &self,
        is_due: impl Fn(&SessionActivity) -> bool,
        now: Millis,
    ) -> Result<(), LedgerError> {
        let due: Vec<(SessionId, SessionActivity)> = self
            .seen()
            .sessions
            .iter()
            .filter(|(_, entry)| entry.last_active_at > entry.written_at && is_due(entry))
            .map(|(id, entry)| (*id, entry.clone()))
            .collect();
        if !due.is_empty() {
            write_rows(&self.pool, &due).await?;
        }
        let mut seen = self.seen();
        for (id, written) in due {
            if let Some(entry) = seen.sessions.get_mut(&id) {
                entry.written_at = written.last_active_at;
            }
        }
        let quiet = |last: i64| now.0 - last >= WRITE_EVERY_MILLIS;
        seen.sessions.retain(|_, entry| {
            entry.last_active_at > entry.written_at || !quiet(entry.last_active_at)
        });
        seen.users.retain(|_, last| !quiet(*last));
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows of sessions and users that are gone by now are not written.
async fn write_rows(
    pool: &PgPool,
    due: &[(SessionId, SessionActivity)],
) -> Result<(), LedgerError> {
    let sessions: Vec<Uuid> = due.iter().map(|(id, _)| id.0).collect();
    let users: Vec<Uuid> = due.iter().map(|(_, entry)| entry.user.0).collect();
    let times: Vec<i64> = due.iter().map(|(_, entry)| entry.last_active_at).collect();
    let places: Vec<Option<Value>> = due.iter().map(|(_, entry)| entry.ip_info.clone()).collect();
    sqlx::query!(
        "INSERT INTO session_activity (session_id, last_active_at, ip_info)
         SELECT seen.id, seen.at, seen.place
         FROM unnest($1::uuid[], $2::bigint[], $3::jsonb[]) AS seen (id, at, place)
         JOIN sessions s ON s.id = seen.id
         ON CONFLICT (session_id) DO UPDATE
         SET last_active_at = greatest(session_activity.last_active_at, EXCLUDED.last_active_at),
             ip_info = coalesce(EXCLUDED.ip_info, session_activity.ip_info)",
        &sessions,
        &times,
        &places as &[Option<Value>],
    )
    .execute(pool)
    .await?;
    sqlx::query!(
        "INSERT INTO user_activity (user_id, last_active_at)
         SELECT seen.id, max(seen.at)
         FROM unnest($1::uuid[], $2::bigint[]) AS seen (id, at)
         JOIN users u ON u.id = seen.id
         GROUP BY seen.id
         ON CONFLICT (user_id) DO UPDATE
         SET last_active_at = greatest(user_activity.last_active_at, EXCLUDED.last_active_at)",
        &users,
        &times,
    )
    .execute(pool)
    .await?;
    Ok(())
}
