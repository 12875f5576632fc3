//! Work that one process at a time does, by a Postgres advisory lock.

use std::fmt::Display;
use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};

use crate::LedgerError;

/// Takes the lock of that name. Returns the connection that holds it, as long as it lives; `None`
/// if another process does. The lock belongs to the connection, so that is not one of the pool's
/// any more.
pub async fn try_lead(pool: &PgPool, name: &str) -> Result<Option<PgConnection>, LedgerError> {
    let mut connection = pool.acquire().await?.detach();
    let is_ours = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS "locked!""#,
        name
    )
    .fetch_one(&mut connection)
    .await?;
    if is_ours {
        return Ok(Some(connection));
    }
    connection.close().await?;
    Ok(None)
}

/// Runs `work` whenever this process gets the lock of that name, with the connection that holds
/// it. Tries again after `pause` when another process holds the lock, and when the work has failed,
/// which is logged with the words of `trouble`. Never returns.
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
        let led = match try_lead(pool, name).await {
            Ok(Some(connection)) => work(connection).await,
            Ok(None) => Ok(()),
            Err(error) => Err(E::from(error)),
        };
        if let Err(error) = led {
            tracing::warn!(%error, "{trouble}");
        }
        tokio::time::sleep(pause).await;
    }
}
