//! Sessions that ended, as the log tells: rows of `sessions` are gone by then.

use muniment_domain::SessionId;
use muniment_event_store::LedgerError;
use sqlx::PgPool;

use crate::read_models::seen_until::SeenUntil;

/// The sessions that ended in the last seconds, by the database's clock, and from where to go on.
pub async fn ended_lately(
    pool: &PgPool,
    seconds: f64,
) -> Result<(Vec<SessionId>, SeenUntil), LedgerError> {
    let row = sqlx::query!(
        r#"SELECT log_epoch() AS "epoch!",
                  pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "transaction!",
                  ARRAY(SELECT aggregate_id FROM events
                        WHERE event_type = 'SessionEnded'
                          AND recorded_at > now() - make_interval(secs => $1)) AS "ids!""#,
        seconds,
    )
    .fetch_one(pool)
    .await?;
    Ok((
        parsed(&row.ids),
        SeenUntil {
            epoch: row.epoch,
            transaction: row.transaction,
        },
    ))
}

/// The sessions that ended since, some of them perhaps seen already: transactions that were running
/// then are looked at again.
pub async fn ended_since(
    pool: &PgPool,
    seen: SeenUntil,
) -> Result<(Vec<SessionId>, SeenUntil), LedgerError> {
    let row = sqlx::query!(
        r#"SELECT log_epoch() AS "epoch!",
                  pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "transaction!",
                  ARRAY(SELECT aggregate_id FROM events
                        WHERE event_type = 'SessionEnded'
                          AND (epoch, transaction) >= ($2, $1::bigint::text::xid8)) AS "ids!""#,
        seen.transaction,
        seen.epoch,
    )
    .fetch_one(pool)
    .await?;
    Ok((
        parsed(&row.ids),
        SeenUntil {
            epoch: row.epoch,
            transaction: row.transaction,
        },
    ))
}

fn parsed(ids: &[String]) -> Vec<SessionId> {
    let ids = ids.iter().filter_map(|id| id.parse().ok());
    ids.map(SessionId).collect()
}
