//! A unit of work on its way into the log.

use std::collections::HashSet;

use cqrs_es::persist::SerializedEvent;
use muniment_domain::ProjectId;
use serde_json::Value;

use crate::aggregates::LedgerEvent;
use crate::commit::commit_outcome::CommitOutcome;
use crate::event::EventEnvelope;
use crate::listing::Listed;
use crate::looked_at::LookedAt;
use crate::sealing::sealed_event::PersonalMetadata;

/// A snapshot is taken whenever a stream has grown by so many events.
pub(crate) const SNAPSHOT_EVERY: usize = 100;

/// A unit of work, decided and serialised.
pub(crate) struct PreparedUnit {
    /// The project that it belongs to.
    pub(crate) project_id: ProjectId,
    /// What the metadata of its events say about a person.
    pub(crate) personal: Option<PersonalMetadata>,
    /// What happened, in the order in which it was decided: aggregate and event.
    pub(crate) decided: Vec<(String, LedgerEvent)>,
    /// The same as rows of the log, not sealed yet.
    pub(crate) events: Vec<SerializedEvent>,
    pub(crate) snapshots: Vec<Snapshot>,
    /// Units without which this one has no ground to stand on.
    pub(crate) depends_on: Vec<CommitOutcome>,
    /// What it was decided on but does not change.
    pub(crate) looked_at: Vec<LookedAt>,
    /// What it was decided on that read models said.
    pub(crate) listed: Vec<Listed>,
    /// Streams whose ids it drew.
    pub(crate) newborn: HashSet<String>,
}

impl PreparedUnit {
    /// What happened, for projectors.
    pub(crate) fn envelopes(&self) -> impl Iterator<Item = EventEnvelope> {
        self.decided.iter().map(|(id, event)| EventEnvelope {
            project_id: self.project_id.clone(),
            aggregate_id: id.clone(),
            event: event.clone(),
        })
    }

    /// The streams that the unit appends to, once per event.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &str> {
        self.decided.iter().map(|(id, _)| id.as_str())
    }
}

/// A snapshot that is due.
pub(crate) struct Snapshot {
    pub(crate) aggregate_type: &'static str,
    pub(crate) aggregate_id: String,
    pub(crate) last_sequence: usize,
    pub(crate) number: usize,
    pub(crate) state: Value,
}
