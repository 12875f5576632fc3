//! Sessions that ended, as the log tells: rows of `sessions` are gone by then.

use muniment_domain::SessionId;
use muniment_event_store::LedgerError;
use sqlx::PgPool;

/// How far the log was read: every transaction below it was finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedUntil(i64);

/// The sessions that ended in the last seconds, by the database's clock, and from where to go on.
pub async fn ended_lately(
    pool: &PgPool,
    seconds: f64,
) -> Result<(Vec<SessionId>, EndedUntil), LedgerError> {
    let row = sqlx::query!(
        r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "xmin!",
                  ARRAY(SELECT aggregate_id FROM events
                        WHERE event_type = 'SessionEnded'
                          AND recorded_at > now() - make_interval(secs => $1)) AS "ids!""#,
        seconds,
    )
    .fetch_one(pool)
    .await?;
    Ok((parsed(&row.ids), EndedUntil(row.xmin)))
}

/// The sessions that ended since, some of them perhaps seen already: transactions that were running
/// then are looked at again.
pub async fn ended_since(
    pool: &PgPool,
    seen: EndedUntil,
) -> Result<(Vec<SessionId>, EndedUntil), LedgerError> {
    let row = sqlx::query!(
        r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "xmin!",
                  ARRAY(SELECT aggregate_id FROM events
                        WHERE event_type = 'SessionEnded'
                          AND transaction >= $1::bigint::text::xid8) AS "ids!""#,
        seen.0,
    )
    .fetch_one(pool)
    .await?;
    Ok((parsed(&row.ids), EndedUntil(row.xmin)))
}

fn parsed(ids: &[String]) -> Vec<SessionId> {
    let ids = ids.iter().filter_map(|id| id.parse().ok());
    ids.map(SessionId).collect()
}
