//! The subscriber that keeps the store up to date.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::tables::{Tables, synchronize};
use crate::analytics::AnalyticsStore;
use crate::analytics::sync::affected_rows::AffectedRows;
use muniment_event_store::LedgerError;
use muniment_event_store::event::RecordedEvent;
use muniment_event_store::subscription::{BatchPolicy, EventView, Subscriber};

/// The subscription's name.
pub(super) const NAME: &str = "analytics";
/// The lock that deliveries share, and that is held alone while tables change places.
pub(super) const LOCK: &str = "muniment analytics tables";

/// ClickHouse makes a part of every insert and table, so batches are few and large. After an
/// outage the store is asked every few seconds.
pub const BATCH_POLICY: BatchPolicy = BatchPolicy {
    batch: 10_000,
    poll: Duration::from_secs(1),
    linger: Duration::from_millis(25),
    interval: Duration::from_millis(250),
    attempts: 8,
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_secs(5),
};

/// Keeps the synced tables up to date with the log.
pub struct Synchronizer {
    pool: PgPool,
    tables: Tables,
}

impl Synchronizer {
    /// From the database of that log to that store.
    #[must_use]
    pub fn new(pool: PgPool, store: &AnalyticsStore) -> Self {
        Self {
            pool,
            tables: Tables::live(store.owner()),
        }
    }
}

impl Subscriber for Synchronizer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn view(&self) -> EventView {
        EventView::Bare
    }

    async fn accept(
        &self,
        connection: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        share_tables(&mut *connection).await?;
        synchronize(
            &self.pool,
            connection,
            &self.tables,
            AffectedRows::by(batch),
        )
        .await
    }
}

/// Keeps the tables in their places until the transaction ends.
pub(super) async fn share_tables(connection: &mut PgConnection) -> Result<(), LedgerError> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))",
        LOCK
    )
    .execute(connection)
    .await?;
    Ok(())
}
