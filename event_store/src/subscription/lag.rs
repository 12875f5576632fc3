//! How far subscriptions are behind the log.

use sqlx::PgPool;

use crate::LedgerError;

/// How far a subscription is behind.
#[derive(Clone, Debug)]
pub struct Lag {
    /// The subscription's name.
    pub name: String,
    /// Events it has not taken yet; counted up to 10,000.
    pub events: i64,
    /// The age of the oldest of them, in seconds; 0 if there is none.
    pub seconds: f64,
}

/// The lag of every subscription.
pub async fn lags(pool: &PgPool) -> Result<Vec<Lag>, LedgerError> {
    let rows = sqlx::query_as!(
        Lag,
        r#"SELECT s.name, count(e.recorded_at) AS "events!",
                  coalesce(extract(epoch FROM now() - min(e.recorded_at)), 0)::float8 AS "seconds!"
           FROM subscriptions s
           LEFT JOIN LATERAL (
               SELECT recorded_at FROM events
               WHERE (events.epoch, events.transaction, events.position)
                     > (s.epoch, s.transaction, s.position)
               ORDER BY epoch, transaction, position LIMIT 10000
           ) e ON true
           GROUP BY s.name ORDER BY s.name"#
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}
