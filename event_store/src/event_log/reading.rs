//! Reading the log: in its order, by stream, and by project and time.

use std::collections::HashMap;

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use muniment_domain::{Millis, ProjectId};
use serde_json::Value;

use super::EventLog;
use crate::aggregates::LedgerEvent;
use crate::error::LedgerError;
use crate::event::{Cursor, EventEnvelope, IncludeMetadata, RecordedEvent, StoredEvent};
use crate::sealing::DataKey;
use crate::sealing::sealed_event::{open_metadata, open_payload, sealed_subject, subjects};
use crate::subscription::EventView;
use crate::unreadable::{Page, Why};
use crate::upcasting::{is_newer, upcast, upcasters};

impl EventLog {
    /// The events after `cursor`, at most `limit`, in order; none that could still be overtaken by
    /// an append that has not committed yet.
    pub async fn read_after(
        &self,
        cursor: Cursor,
        limit: i64,
    ) -> Result<Page<RecordedEvent>, LedgerError> {
        let stored = self
            .stored_after(cursor, limit, IncludeMetadata::Yes)
            .await?;
        self.open(stored).await
    }

    /// Like [`EventLog::read_after`], with everything that is sealed left out.
    pub async fn read_sealed_after(
        &self,
        cursor: Cursor,
        limit: i64,
    ) -> Result<Page<RecordedEvent>, LedgerError> {
        let stored = self
            .stored_after(cursor, limit, IncludeMetadata::Yes)
            .await?;
        Ok(recorded(stored, &HashMap::new()))
    }

    async fn stored_after(
        &self,
        cursor: Cursor,
        limit: i64,
        include_metadata: IncludeMetadata,
    ) -> Result<Vec<StoredEvent>, LedgerError> {
        let horizon = self.horizon().await?;
        let rows = sqlx::query_as!(
            StoredEvent,
            r#"SELECT position, epoch, transaction::text::bigint AS "transaction!", project_id,
                      aggregate_type, aggregate_id, sequence, event_type, event_version,
                      payload, CASE WHEN $4 THEN metadata ELSE '{}'::jsonb END AS "metadata!",
                      (extract(epoch FROM recorded_at) * 1000)::bigint AS "recorded_at!"
               FROM events
               WHERE (epoch, transaction, position) > ($5, $1::bigint::text::xid8, $2)
                 AND (epoch, transaction) < ($6, $7::bigint::text::xid8)
               ORDER BY epoch, transaction, position
               LIMIT $3"#,
            cursor.transaction,
            cursor.position,
            limit,
            include_metadata == IncludeMetadata::Yes,
            cursor.epoch,
            horizon.epoch,
            horizon.transaction,
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows)
    }

    /// The whole stream of one aggregate, in order.
    pub async fn stream(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
    ) -> Result<Page<RecordedEvent>, LedgerError> {
        self.streams(aggregate_type, &[aggregate_id.to_owned()])
            .await
    }

    /// Whole streams of aggregates of one type, each in order.
    pub async fn streams(
        &self,
        aggregate_type: &str,
        aggregate_ids: &[String],
    ) -> Result<Page<RecordedEvent>, LedgerError> {
        let stored = sqlx::query_as!(
            StoredEvent,
            r#"SELECT position, epoch, transaction::text::bigint AS "transaction!", project_id,
                      aggregate_type, aggregate_id, sequence, event_type, event_version,
                      payload, metadata,
                      (extract(epoch FROM recorded_at) * 1000)::bigint AS "recorded_at!"
               FROM events
               WHERE aggregate_type = $1 AND aggregate_id = ANY($2)
               ORDER BY aggregate_id, sequence"#,
            aggregate_type,
            aggregate_ids,
        )
        .fetch_all(self.pool())
        .await?;
        self.open(stored).await
    }

    /// The events of a project that were recorded from `since` until before `until`, at most
    /// `limit` of them after a position. Everything that is sealed is left out.
    pub async fn read_sealed_stretch(
        &self,
        project: &ProjectId,
        (since, until): (Millis, Millis),
        after: i64,
        limit: i64,
    ) -> Result<Page<RecordedEvent>, LedgerError> {
        let stored = sqlx::query_as!(
            StoredEvent,
            r#"SELECT position, epoch, transaction::text::bigint AS "transaction!", project_id,
                      aggregate_type, aggregate_id, sequence, event_type, event_version,
                      payload, metadata,
                      (extract(epoch FROM recorded_at) * 1000)::bigint AS "recorded_at!"
               FROM events
               WHERE project_id = $1 AND position > $2
                 AND recorded_at >= to_timestamp($3::float8 / 1000)
                 AND recorded_at < to_timestamp($4::float8 / 1000)
               ORDER BY position
               LIMIT $5"#,
            project.as_str(),
            after,
            epoch_millis(since),
            epoch_millis(until),
            limit,
        )
        .fetch_all(self.pool())
        .await?;
        Ok(recorded(stored, &HashMap::new()))
    }

    /// Like [`EventLog::read_sealed_after`], without the metadata as well.
    pub async fn read_bare_after(
        &self,
        cursor: Cursor,
        limit: i64,
    ) -> Result<Page<RecordedEvent>, LedgerError> {
        let stored = self
            .stored_after(cursor, limit, IncludeMetadata::No)
            .await?;
        Ok(recorded(stored, &HashMap::new()))
    }

    /// What happened after `cursor`, at most `limit` events, for projectors: like
    /// [`EventLog::read_after`], without the circumstances, which rows do not depend on.
    pub async fn envelopes_after(
        &self,
        cursor: Cursor,
        limit: i64,
    ) -> Result<Page<EventEnvelope>, LedgerError> {
        let stored = self
            .stored_after(cursor, limit, IncludeMetadata::No)
            .await?;
        self.envelopes(stored).await
    }

    /// Opens, upcasts and decodes stored events, but not their metadata.
    pub async fn envelopes(
        &self,
        stored: Vec<StoredEvent>,
    ) -> Result<Page<EventEnvelope>, LedgerError> {
        let subjects = stored.iter().filter_map(|row| sealed_subject(&row.payload));
        let subjects = subjects.map(str::to_owned).collect();
        let keys = self.sealer().existing_keys(subjects).await?;
        let steps = upcasters();
        Ok(Page::read(stored, |row| {
            let event = opened(row, &keys, &steps)?;
            Ok(EventEnvelope {
                project_id: ProjectId::from_caller(&row.project_id),
                event: decoded(&event.aggregate_type, event.payload)?,
                aggregate_id: event.aggregate_id,
            })
        }))
    }

    /// Reads stored events as far as `view` shows them.
    pub(crate) async fn open_for(
        &self,
        view: EventView,
        stored: Vec<StoredEvent>,
    ) -> Result<Page<RecordedEvent>, LedgerError> {
        match view {
            EventView::Full => self.open(stored).await,
            EventView::Sealed | EventView::Bare => Ok(recorded(stored, &HashMap::new())),
        }
    }

    /// Opens, upcasts and decodes stored events.
    pub async fn open(&self, stored: Vec<StoredEvent>) -> Result<Page<RecordedEvent>, LedgerError> {
        let subjects = stored
            .iter()
            .flat_map(subjects)
            .map(str::to_owned)
            .collect();
        Ok(recorded(
            stored,
            &self.sealer().existing_keys(subjects).await?,
        ))
    }
}

/// Opens, upcasts and decodes stored events. What there is no key for stays closed.
fn recorded(stored: Vec<StoredEvent>, keys: &HashMap<String, DataKey>) -> Page<RecordedEvent> {
    let steps = upcasters();
    Page::read(stored, |row| {
        let event = opened(row, keys, &steps)?;
        Ok(RecordedEvent {
            cursor: row.cursor(),
            project_id: ProjectId::from_caller(&row.project_id),
            recorded_at: Millis(row.recorded_at),
            sequence: row.sequence,
            metadata: open_metadata(&event, keys).map_err(|_| Why::Sealed)?,
            event_type: event.event_type,
            event: decoded(&event.aggregate_type, event.payload)?,
            aggregate_id: event.aggregate_id,
        })
    })
}

/// Opens what is sealed in a row's payload, and brings it to the current shape.
fn opened(
    row: &mut StoredEvent,
    keys: &HashMap<String, DataKey>,
    steps: &[Box<dyn EventUpcaster>],
) -> Result<SerializedEvent, Why> {
    if is_newer(&row.event_version) {
        return Err(Why::Newer);
    }
    let mut event = row.take_serialized();
    open_payload(&mut event, keys).map_err(|_| Why::Sealed)?;
    Ok(upcast(event, steps))
}

fn decoded(aggregate_type: &str, payload: Value) -> Result<LedgerEvent, Why> {
    LedgerEvent::decode(aggregate_type, payload).map_err(|_| Why::Unknown)
}

/// Postgres' own type for times is counted in floats.
#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are exact in a float for 200,000 years"
)]
fn epoch_millis(at: Millis) -> f64 {
    at.0 as f64
}
