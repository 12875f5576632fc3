//! Collecting what cqrs-es would persist: the events of several aggregates commit in one transaction.

use std::sync::{Arc, Mutex, PoisonError};

use cqrs_es::Aggregate;
use cqrs_es::persist::{
    PersistedEventRepository, PersistenceError, ReplayStream, SerializedEvent, SerializedSnapshot,
};
use serde_json::Value;

use crate::EventLog;
use crate::commit::prepared_unit::{SNAPSHOT_EVERY, Snapshot};

/// What a unit of work is about to write.
#[derive(Default)]
pub(crate) struct CollectedEvents {
    pub(crate) events: Vec<SerializedEvent>,
    pub(crate) snapshots: Vec<Snapshot>,
}

/// A repository whose `persist` only collects: several aggregates commit in one transaction.
#[derive(Clone)]
pub(crate) struct EventCollector {
    log: EventLog,
    collected: Arc<Mutex<CollectedEvents>>,
}

impl EventCollector {
    pub(crate) fn new(log: EventLog) -> Self {
        Self {
            log,
            collected: Arc::default(),
        }
    }

    pub(crate) fn take(&self) -> CollectedEvents {
        std::mem::take(
            &mut self
                .collected
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl PersistedEventRepository for EventCollector {
    async fn get_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        self.log.get_events::<A>(aggregate_id).await
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        self.log
            .get_last_events::<A>(aggregate_id, last_sequence)
            .await
    }

    async fn get_snapshot<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        self.log.get_snapshot::<A>(aggregate_id).await
    }

    /// A snapshot's state is that of the last full multiple of [`SNAPSHOT_EVERY`], which need not
    /// be the last event of the batch; cqrs-es does not say, so it is computed again here.
    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        snapshot: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        let last = events.last().map_or(0, |event| event.sequence);
        let mut collected = self
            .collected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        collected.events.extend_from_slice(events);
        if let Some((aggregate_id, state, number)) = snapshot {
            collected.snapshots.push(Snapshot {
                aggregate_type: A::TYPE,
                aggregate_id,
                last_sequence: last - last % SNAPSHOT_EVERY,
                number,
                state,
            });
        }
        Ok(())
    }

    async fn stream_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<ReplayStream, PersistenceError> {
        self.log.stream_events::<A>(aggregate_id).await
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        self.log.stream_all_events::<A>().await
    }
}
