//! Work that one process at a time does, by a Postgres advisory lock.
//!
//! The lock belongs to a connection, and what the leader writes goes through it. But a lock lives as
//! long as its connection does, and the connection of a process that is stopped, or whose network is
//! cut, lives on. So leaders send heartbeats. Who waits for the lock of a leader that has been silent for
//! [`SILENCE`] ends that connection, and with it whatever was begun on it. Should the old leader wake up,
//! it finds that out at its next statement: its connection is its fencing token.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;

use crate::LedgerError;

/// How often a leader is heard of.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A leader that has not been heard of for so long is replaced.
const SILENCE: Duration = Duration::from_secs(3);
/// How often a lock is tried at least that another process holds: together with [`SILENCE`], work is
/// taken over within five seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Takes the lock of that name. Returns the connection that holds it, as long as it lives; `None`
/// if another process does. The lock belongs to the connection, so that is not one of the pool's
/// any more.
///
/// # Errors
/// When the database fails.
pub async fn try_lead(pool: &PgPool, name: &str) -> Result<Option<PgConnection>, LedgerError> {
    let mut connection = pool.acquire().await?;
    let is_ours = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS "locked!""#,
        name
    )
    .fetch_one(&mut *connection)
    .await?;
    Ok(is_ours.then(|| connection.detach()))
}

/// Runs `work` whenever this process gets the lock of that name, with the connection that holds
/// it. Tries again after `pause`, or sooner, when another process holds the lock; after `pause` when
/// the work has ended or failed, which is logged with the words of `trouble`. Never returns.
pub async fn run_as_leader<W, F, E>(
    pool: &PgPool,
    name: &str,
    pause: Duration,
    trouble: &str,
    work: W,
) where
    W: Fn(PgConnection) -> F,
    F: Future<Output = Result<(), E>>,
    E: Display + From<LedgerError>,
{
    loop {
        match lead(pool, name, &work).await {
            Ok(Led::Worked) => tokio::time::sleep(pause).await,
            Ok(Led::Waiting) => tokio::time::sleep(pause.min(LONGEST_WAIT)).await,
            Err(error) => {
                tracing::warn!(%error, "{trouble}");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// What became of trying to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Led {
    /// This process led, and the work has ended.
    Worked,
    /// Another one leads.
    Waiting,
}

/// Runs `work` if this process gets the lock of that name, and has the leader heard of meanwhile. A
/// leader of another process that has fallen silent loses the lock.
///
/// # Errors
/// What `work` fails with; [`LedgerError::LeadershipLost`] when another process took over, because this
/// one was not heard of.
pub async fn lead<W, F, E>(pool: &PgPool, name: &str, work: W) -> Result<Led, E>
where
    W: Fn(PgConnection) -> F,
    F: Future<Output = Result<(), E>>,
    E: From<LedgerError>,
{
    let connection = match try_lead(pool, name).await? {
        Some(connection) => Some(connection),
        None if end_silent(pool, name).await? => try_lead(pool, name).await?,
        None => None,
    };
    let Some(mut connection) = connection else {
        return Ok(Led::Waiting);
    };
    let mut heartbeat = Heartbeat::start(pool, &mut connection, name).await?;
    tokio::select! {
        done = work(connection) => done.map(|()| Led::Worked),
        () = heartbeat.lost() => Err(LedgerError::LeadershipLost(name.to_owned()).into()),
    }
}

/// Ends the connection of a leader that has fallen silent. Says whether there was one.
async fn end_silent(pool: &PgPool, name: &str) -> Result<bool, LedgerError> {
    let ended = sqlx::query_scalar!(
        r#"SELECT pg_terminate_backend(l.pid) AS "ended!"
           FROM leaders l
           JOIN pg_stat_activity a ON a.pid = l.pid AND a.backend_start = l.backend_start
           JOIN pg_locks k ON k.pid = l.pid AND k.locktype = 'advisory' AND k.granted
            AND k.objsubid = 1
            AND ((k.classid::bigint << 32) | k.objid::bigint) = hashtextextended(l.name, 0)
           WHERE l.name = $1 AND l.beat_at < clock_timestamp() - make_interval(secs => $2)"#,
        name,
        SILENCE.as_secs_f64(),
    )
    .fetch_optional(pool)
    .await?;
    if ended.is_some() {
        tracing::warn!(
            leader_of = name,
            "the leader has not been heard of; its connection is ended, and another one takes over"
        );
        wait_until_gone(pool, name).await?;
    }
    Ok(ended.is_some())
}

/// A process of Postgres that is told to end does so at once, unless the machine is very busy: then
/// somebody tries again a moment later.
async fn wait_until_gone(pool: &PgPool, name: &str) -> Result<(), LedgerError> {
    for _ in 0..20 {
        let is_gone = sqlx::query_scalar!(
            r#"SELECT NOT EXISTS (
                   SELECT FROM leaders l JOIN pg_stat_activity a
                   ON a.pid = l.pid AND a.backend_start = l.backend_start WHERE l.name = $1
               ) AS "is_gone!""#,
            name
        );
        if is_gone.fetch_one(pool).await? {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Has a leader heard of, until it is dropped.
struct Heartbeat(JoinHandle<()>);

impl Heartbeat {
    /// The heartbeats go through the pool: the leader's own connection may be busy for long.
    async fn start(
        pool: &PgPool,
        connection: &mut PgConnection,
        name: &str,
    ) -> Result<Self, LedgerError> {
        let pid = sqlx::query_scalar!(
            r#"INSERT INTO leaders (name, pid, backend_start, beat_at)
               SELECT $1, pid, backend_start, clock_timestamp() FROM pg_stat_activity
               WHERE pid = pg_backend_pid()
               ON CONFLICT (name) DO UPDATE SET pid = EXCLUDED.pid,
                   backend_start = EXCLUDED.backend_start, beat_at = EXCLUDED.beat_at
               RETURNING pid"#,
            name
        )
        .fetch_one(connection)
        .await?;
        let (pool, name) = (pool.clone(), name.to_owned());
        Ok(Self(tokio::spawn(async move {
            while beat(&pool, &name, pid).await {
                tokio::time::sleep(HEARTBEAT).await;
            }
        })))
    }

    /// Waits until somebody else leads.
    async fn lost(&mut self) {
        // It ends by itself only when it finds another leader.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Says whether the process still leads, as far as is known: while the database is away, nobody else
/// can take over.
async fn beat(pool: &PgPool, name: &str, pid: i32) -> bool {
    let beat = sqlx::query!(
        "UPDATE leaders SET beat_at = clock_timestamp() WHERE name = $1 AND pid = $2",
        name,
        pid
    );
    match beat.execute(pool).await {
        Ok(done) => done.rows_affected() > 0,
        Err(error) => {
            tracing::debug!(leader_of = name, %error, "a heartbeat failed");
            true
        }
    }
}
