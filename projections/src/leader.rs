//! Loops that one process at a time runs: the leader, by a Postgres advisory lock.

use std::fmt::Display;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::{LedgerError, sole_holder};

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
        let led = match sole_holder(pool, name).await {
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
