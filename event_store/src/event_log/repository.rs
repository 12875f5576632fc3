//! Loading aggregates: the log as a repository of cqrs-es.

use std::collections::HashSet;

use cqrs_es::Aggregate;
use cqrs_es::persist::{
    PersistedEventRepository, PersistenceError, ReplayStream, SerializedEvent, SerializedSnapshot,
};
use serde_json::Value;

use super::EventLog;
use crate::LedgerError;
use crate::aggregates::snapshot_shape;
use crate::sealing::DataKey;
use crate::sealing::sealed_event::{
    SHAPE, open_payload, open_value, sealed_subject, snapshot_binding,
};
use crate::unreadable::Why;
use crate::upcasting::is_newer;

/// Reads delegate to postgres-es and open what is sealed. Appending is another matter: see
/// [`crate::unit_of_work`].
impl PersistedEventRepository for EventLog {
    async fn get_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let events = self.0.stock.get_events::<A>(aggregate_id).await?;
        self.open_for_loading(events).await
    }

    /// Not delegated: postgres-es writes the sequence into the text of the query, so that every
    /// sequence would be another prepared statement.
    async fn get_last_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let rows = sqlx::query!(
            "SELECT sequence, event_type, event_version, payload, metadata FROM events
             WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3 ORDER BY sequence",
            A::TYPE,
            aggregate_id,
            i64::try_from(last_sequence).unwrap_or(i64::MAX),
        )
        .fetch_all(self.pool())
        .await
        .map_err(unknown)?;
        let events = rows.into_iter().map(|row| {
            SerializedEvent::new(
                aggregate_id.to_owned(),
                usize::try_from(row.sequence).unwrap_or(usize::MAX),
                A::TYPE.to_owned(),
                row.event_type,
                row.event_version,
                row.payload,
                row.metadata,
            )
        });
        self.open_for_loading(events.collect()).await
    }

    /// A snapshot that cannot be opened any more, because its subject was erased, is none; nor is one
    /// of an older shape, or one that is damaged: the log says the same.
    async fn get_snapshot<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        let Some(mut snapshot) = self.0.stock.get_snapshot::<A>(aggregate_id).await? else {
            return Ok(None);
        };
        let keys = self
            .sealer()
            .existing_keys(HashSet::from([aggregate_id.to_owned()]))
            .await
            .map_err(unknown)?;
        let Some(key) = keys.get(aggregate_id) else {
            return Ok(None);
        };
        let shape = snapshot.aggregate[SHAPE].as_u64().unwrap_or(1);
        if shape != u64::from(snapshot_shape(A::TYPE)) {
            return Ok(None);
        }
        let binding = snapshot_binding(A::TYPE, aggregate_id, snapshot.current_sequence);
        match open_snapshot::<A>(&snapshot.aggregate, key, &binding) {
            Ok(state) => {
                snapshot.aggregate = state;
                Ok(Some(snapshot))
            }
            Err(error) => {
                tracing::warn!(
                    aggregate_type = A::TYPE,
                    aggregate_id,
                    %error,
                    "a snapshot cannot be read; the stream is read whole, until the next one is taken"
                );
                Ok(None)
            }
        }
    }

    /// Refused: events are appended together with their read models, by a unit of work.
    async fn persist<A: Aggregate>(
        &self,
        _events: &[SerializedEvent],
        _snapshot: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        Err(unknown(LedgerError::Refused(
            "events are appended through a unit of work only".to_owned(),
        )))
    }

    async fn stream_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<ReplayStream, PersistenceError> {
        let events = self.get_events::<A>(aggregate_id).await?;
        let (mut feed, stream) = ReplayStream::new(events.len().max(1));
        for event in events {
            feed.push(Ok(event)).await?;
        }
        Ok(stream)
    }

    /// Refused: read models of all aggregates are rebuilt by the replay of the projections, in pages.
    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        Err(unknown(LedgerError::Refused(
            "use `muniment replay` to read the whole log".to_owned(),
        )))
    }
}

impl EventLog {
    async fn open_for_loading(
        &self,
        mut events: Vec<SerializedEvent>,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let subjects = events
            .iter()
            .filter_map(|event| sealed_subject(&event.payload));
        let subjects = subjects.map(str::to_owned).collect();
        let keys = self
            .sealer()
            .existing_keys(subjects)
            .await
            .map_err(unknown)?;
        for event in &mut events {
            if is_newer(&event.event_version) {
                let newer = format!("{}: {}", event.event_type, Why::Newer);
                return Err(unknown(LedgerError::Refused(newer)));
            }
            open_payload(event, &keys).map_err(unknown)?;
        }
        Ok(events)
    }
}

/// The state, if it is one.
fn open_snapshot<A: Aggregate>(
    sealed: &Value,
    key: &DataKey,
    binding: &str,
) -> Result<Value, LedgerError> {
    let state = open_value(sealed, key, binding)?;
    A::deserialize(&state)?;
    Ok(state)
}

fn unknown(error: impl std::error::Error + Send + Sync + 'static) -> PersistenceError {
    PersistenceError::UnknownError(Box::new(error))
}
