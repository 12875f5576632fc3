//! An event: as the log stores it, as it is read, and as it is projected.

use std::collections::HashMap;

use cqrs_es::persist::SerializedEvent;
use muniment_domain::{Millis, ProjectId};
use serde_json::Value;

use crate::aggregates::LedgerEvent;

/// A place in the log: everything up to and including it has been seen.
///
/// The order is that of epochs, then of the appending transactions, then of the events within one. See
/// [`crate::epoch`], and the comments of `migrations/postgres/0001_event_log.sql`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The stay of the log in a cluster of Postgres, from 1.
    pub epoch: i32,
    /// The 64-bit id of the appending transaction.
    pub transaction: i64,
    /// The event's position.
    pub position: i64,
}

/// An event as the log holds it, opened and upcast.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    /// Where it stands.
    pub cursor: Cursor,
    /// Whose it is.
    pub project_id: ProjectId,
    /// The stream it is on.
    pub aggregate_id: String,
    /// Its number on that stream, from 1.
    pub sequence: i64,
    /// Its type's name.
    pub event_type: String,
    /// When it was appended, by the database's clock.
    pub recorded_at: Millis,
    /// Who caused it, and in which request. The personal part is opened if its key exists.
    pub metadata: HashMap<String, String>,
    /// What happened.
    pub event: LedgerEvent,
}

impl RecordedEvent {
    /// What happened, without its circumstances.
    #[must_use]
    pub fn envelope(&self) -> EventEnvelope {
        EventEnvelope {
            project_id: self.project_id.clone(),
            aggregate_id: self.aggregate_id.clone(),
            event: self.event.clone(),
        }
    }
}

/// What happened, for those who do not ask when or by whom: what projectors fold.
#[derive(Clone, Debug)]
pub struct EventEnvelope {
    /// The project that the event belongs to.
    pub project_id: ProjectId,
    /// The stream it is on.
    pub aggregate_id: String,
    /// What happened.
    pub event: LedgerEvent,
}

/// Whether events are read with their metadata: who caused them, and in which request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeMetadata {
    Yes,
    No,
}

/// A row of `events`, as stored.
#[derive(Debug)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct StoredEvent {
    pub position: i64,
    pub epoch: i32,
    pub transaction: i64,
    pub project_id: String,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: i64,
    pub event_type: String,
    pub event_version: String,
    pub payload: Value,
    pub metadata: Value,
    pub recorded_at: i64,
}

impl StoredEvent {
    /// Its place in the log.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            transaction: self.transaction,
            position: self.position,
        }
    }

    /// The form in which it is upcast. Payload and metadata, which are large, are moved there.
    pub(crate) fn take_serialized(&mut self) -> SerializedEvent {
        SerializedEvent::new(
            self.aggregate_id.clone(),
            usize::try_from(self.sequence).unwrap_or(usize::MAX),
            self.aggregate_type.clone(),
            self.event_type.clone(),
            self.event_version.clone(),
            self.payload.take(),
            self.metadata.take(),
        )
    }
}
