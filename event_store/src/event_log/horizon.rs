//! How far the log is settled: no append will come before what a reader has seen.
//!
//! Appends that are running are found by their locks, which they take before their transactions have
//! ids and give back after they have become visible. So a transaction that is open in another database,
//! or that appends nothing, holds no reader up. The order of the steps matters: first the end of all
//! ids, then the locks, and only then, in a later snapshot, the events. Whoever is not among the locks
//! has either ended, and is visible by then, or begins with an id behind that end.

use sqlx::PgPool;

use super::EventLog;
use crate::error::LedgerError;

/// The first place of the log that may still be overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon {
    /// Epochs before are over.
    pub(crate) epoch: i32,
    /// Of this epoch, transactions before are over.
    pub(crate) transaction: i64,
}

impl EventLog {
    /// The horizon now. What is read before it must be read in a later statement.
    pub(crate) async fn horizon(&self) -> Result<Horizon, LedgerError> {
        let row = sqlx::query!(
            r#"SELECT (SELECT max(epoch) FROM log_epochs) AS "epoch!",
                      pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS "end!",
                      ARRAY(SELECT transaction::text::bigint FROM log_appenders) AS "running!""#
        )
        .fetch_one(self.pool())
        .await?;
        let running = row.running.iter().map(|id| whole(*id, row.end));
        Ok(Horizon {
            epoch: row.epoch,
            transaction: running.fold(row.end, i64::min),
        })
    }
}

/// The 64-bit id of a running transaction, which is near `end`.
fn whole(id: i64, end: i64) -> i64 {
    const AROUND: i64 = 1 << 32;
    let distance = (id - end).rem_euclid(AROUND);
    let signed = if distance < AROUND / 2 {
        distance
    } else {
        distance - AROUND
    };
    end + signed
}

/// An append that has been running for long, and that all readers wait for.
#[derive(Clone, Debug)]
pub struct SlowAppender {
    /// The process of Postgres that carries it out; none for a prepared transaction.
    pub pid: Option<i32>,
    /// What the client calls itself, or the name of the prepared transaction.
    pub client: String,
    /// For how long.
    pub seconds: f64,
}

/// Appends that have been running for longer than `seconds`, the oldest first.
pub async fn slow_appenders(pool: &PgPool, seconds: f64) -> Result<Vec<SlowAppender>, LedgerError> {
    let rows = sqlx::query_as!(
        SlowAppender,
        r#"WITH appenders AS MATERIALIZED (SELECT * FROM log_appenders),
                running AS (
                    SELECT DISTINCT a.pid, coalesce(a.application_name, '') AS client,
                           extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
                    FROM pg_stat_activity a JOIN appenders USING (pid)
                    UNION ALL
                    SELECT NULL, 'prepared ' || p.gid,
                           extract(epoch FROM clock_timestamp() - p.prepared)::float8
                    FROM pg_prepared_xacts p JOIN appenders USING (transaction))
           SELECT pid, client AS "client!", seconds AS "seconds!" FROM running
           WHERE seconds > $1 ORDER BY seconds DESC"#,
        seconds,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_whole_on_both_sides_of_the_end_and_of_an_overflow() {
        let full = 1 << 32;
        assert_eq!(whole(7, 10), 7);
        assert_eq!(whole(12, 10), 12);
        assert_eq!(whole(full - 1, full + 5), full - 1);
        assert_eq!(whole(3, full + 5), full + 3);
        assert_eq!(whole(2, full - 1), full + 2);
    }
}
