//! Takes telemetry. What browsers send is on disk before they are told so; what the server observes
//! of itself is collected for a moment and written in one statement, so that issuing a token never
//! waits for it. In a crash, that moment is lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;

use super::event::TelemetryEvent;
use super::spool;
use muniment_event_store::LedgerError;

/// How long observations are collected.
const COLLECTING: Duration = Duration::from_millis(20);
/// How long to wait after the database failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Observations that are kept in memory while the database is away. The latest beyond them are
/// dropped.
const CAPACITY: usize = 200_000;
/// Observations written in one statement.
const STATEMENT: usize = 5_000;

/// What becomes of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// It goes to an analytics store, by way of the spool.
    Store,
    /// There is no store, and so nothing is kept.
    Nowhere,
}

/// Takes telemetry. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    pool: PgPool,
    destination: Destination,
    observed: Arc<Mutex<Vec<TelemetryEvent>>>,
    wake: Arc<Notify>,
    spooled: Arc<Notify>,
}

impl Recorder {
    /// A recorder with nothing observed.
    #[must_use]
    pub fn new(pool: PgPool, destination: Destination) -> Self {
        Self {
            pool,
            destination,
            observed: Arc::default(),
            wake: Arc::default(),
            spooled: Arc::default(),
        }
    }

    /// What becomes of what it takes.
    #[must_use]
    pub fn destination(&self) -> Destination {
        self.destination
    }

    /// Notes an observation of the server's own, soon to be on disk.
    pub fn observe(&self, event: impl Into<TelemetryEvent>) {
        if self.destination == Destination::Nowhere {
            return;
        }
        let mut observed = self.observed();
        if observed.len() >= CAPACITY {
            metrics::counter!("muniment_telemetry_dropped").increment(1);
            return;
        }
        observed.push(event.into());
        drop(observed);
        self.wake.notify_one();
    }

    /// Keeps what a caller sent. It is on disk when this returns.
    ///
    /// # Errors
    /// When the database fails; then none is kept.
    pub async fn keep(&self, events: &[TelemetryEvent]) -> Result<(), LedgerError> {
        if self.destination == Destination::Nowhere {
            return Ok(());
        }
        spool::append(&self.pool, events).await?;
        self.spooled.notify_one();
        Ok(())
    }

    /// Writes what was observed, for ever.
    pub async fn keep_writing(self) {
        loop {
            self.wake.notified().await;
            tokio::time::sleep(COLLECTING).await;
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "telemetry could not be written; trying again");
                tokio::time::sleep(PAUSE).await;
                self.wake.notify_one();
            }
        }
    }

    /// Writes what was observed so far.
    ///
    /// # Errors
    /// When the database fails; then it is still to be written.
    pub async fn flush(&self) -> Result<(), LedgerError> {
        let mut taken = std::mem::take(&mut *self.observed());
        while !taken.is_empty() {
            let next = taken.len().min(STATEMENT);
            if let Err(error) = self.keep(&taken[..next]).await {
                self.observed().splice(..0, taken);
                return Err(error);
            }
            taken.drain(..next);
        }
        Ok(())
    }

    /// Waits until something was spooled by this process.
    pub(super) async fn spooled(&self) {
        self.spooled.notified().await;
    }

    fn observed(&self) -> MutexGuard<'_, Vec<TelemetryEvent>> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
