//! When sessions were last used. That is telemetry, of which the log says nothing, so the rows of
//! sessions that were used are written again from time to time.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use super::subscriber::share_tables;
use super::tables::{Tables, synchronize};
use crate::analytics::AnalyticsStore;
use crate::analytics::sync::affected_rows::AffectedRows;
use muniment_event_store::LedgerError;
use muniment_event_store::leader_lock::run_as_leader;

/// The name of the lock that the following process holds.
const LOCK: &str = "muniment analytics usage";
/// How often it is done, and how long to wait while another process holds the lock.
const EVERY: Duration = Duration::from_secs(5);
/// By how much times may reach the database late: they are kept in memory for up to a minute.
const LATE_MILLIS: i64 = 70_000;
/// How far back one who takes over looks, for what others had no time for: an hour.
const LOOK_BACK_MILLIS: i64 = 60 * 60 * 1000;

/// Follows the use of sessions whenever this process is the leader. Never returns.
pub async fn follow_use(pool: PgPool, store: AnalyticsStore) {
    let tables = Tables::live(store.owner());
    let trouble = "the analytics store does not learn which sessions are used; trying again";
    let lead = |lock| lead(lock, &pool, &tables);
    run_as_leader(&pool, LOCK, EVERY, trouble, lead).await;
}

async fn lead(mut lock: PgConnection, pool: &PgPool, tables: &Tables) -> Result<(), LedgerError> {
    let latest = sqlx::query_scalar!(
        r#"SELECT coalesce(max(last_active_at), 0) AS "latest!" FROM session_activity"#
    );
    let mut latest = latest.fetch_one(pool).await?;
    let mut since = latest - LOOK_BACK_MILLIS;
    let mut written: HashMap<Uuid, i64> = HashMap::new();
    loop {
        let used = sqlx::query!(
            "SELECT session_id, last_active_at FROM session_activity WHERE last_active_at > $1",
            since
        );
        let mut used: HashMap<Uuid, i64> = used
            .fetch_all(pool)
            .await?
            .into_iter()
            .map(|row| (row.session_id, row.last_active_at))
            .collect();
        used.retain(|session, at| written.get(session) != Some(at));
        write(pool, tables, used.keys().copied().collect()).await?;
        latest = used.values().copied().fold(latest, i64::max);
        since = latest - LATE_MILLIS;
        written.extend(used);
        written.retain(|_, at| *at > since);
        tokio::time::sleep(EVERY).await;
        // The lock is lost with its connection.
        lock.ping().await?;
    }
}

async fn write(
    pool: &PgPool,
    tables: &Tables,
    sessions: BTreeSet<Uuid>,
) -> Result<(), LedgerError> {
    if sessions.is_empty() {
        return Ok(());
    }
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    share_tables(&mut transaction).await?;
    let affected = AffectedRows {
        sessions,
        ..AffectedRows::default()
    };
    synchronize(pool, &mut transaction, tables, affected).await?;
    transaction.commit().await?;
    Ok(())
}
