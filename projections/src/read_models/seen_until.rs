//! How far those have read who follow one kind of event by themselves, beside the subscriptions.

use muniment_event_store::LedgerError;
use sqlx::PgPool;

/// Where a follower stands: every transaction of that epoch before it has been seen, and all of the
/// epochs before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenUntil {
    pub(crate) epoch: i32,
    pub(crate) transaction: i64,
}

/// Where the log stands now.
///
/// # Errors
/// When the database fails.
pub async fn seen_now(pool: &PgPool) -> Result<SeenUntil, LedgerError> {
    let now = sqlx::query_as!(
        SeenUntil,
        r#"SELECT log_epoch() AS "epoch!",
                  pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "transaction!""#
    )
    .fetch_one(pool)
    .await?;
    Ok(now)
}
