//! From serialised events to rows, inside the appending transaction.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use cqrs_es::Aggregate;
use cqrs_es::persist::{
    PersistedEventRepository, PersistenceError, ReplayStream, SerializedEvent, SerializedSnapshot,
};
use data_encoding::BASE64;
use muniment_domain::project::Project;
use serde_json::Value;
use sqlx::PgConnection;

use crate::context::PersonalMetadata;
use crate::event_log::{event_binding, metadata_binding, seal_value, snapshot_binding};
use crate::group_commit::Prepared;
use crate::sealing::{DataKey, FreshKeys, Sealer};
use crate::unit_of_work::SNAPSHOT_EVERY;
use crate::{EventLog, LedgerError};

/// What a unit of work is about to write.
#[derive(Default)]
pub(crate) struct Staged {
    pub(crate) events: Vec<SerializedEvent>,
    pub(crate) snapshots: Vec<Snapshot>,
}

/// A snapshot that is due.
pub(crate) struct Snapshot {
    aggregate_type: &'static str,
    aggregate_id: String,
    last_sequence: usize,
    number: usize,
    state: Value,
}

/// A repository whose `persist` only collects: several aggregates commit in one transaction.
#[derive(Clone)]
pub(crate) struct Staging {
    log: EventLog,
    staged: Arc<Mutex<Staged>>,
}

impl Staging {
    pub(crate) fn new(log: EventLog) -> Self {
        Self {
            log,
            staged: Arc::default(),
        }
    }

    pub(crate) fn take(&self) -> Staged {
        std::mem::take(&mut self.staged.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PersistedEventRepository for Staging {
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
        let mut staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        staged.events.extend_from_slice(events);
        if let Some((aggregate_id, state, number)) = snapshot {
            staged.snapshots.push(Snapshot {
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

/// Seals and inserts the events and snapshots of several units of work. Returns the keys it made,
/// for after the commit.
pub(crate) async fn append(
    connection: &mut PgConnection,
    sealer: &Sealer,
    units: &[&Prepared],
) -> Result<FreshKeys, LedgerError> {
    let (mut subjects, mut newborn) = (HashSet::new(), HashSet::new());
    for unit in units {
        note_subjects(unit, &mut subjects, &mut newborn);
    }
    let (keys, fresh) = sealer
        .keys_for_writing(connection, subjects, &newborn)
        .await?;
    let mut rows = EventColumns::default();
    for unit in units {
        let personal = unit.context.personal_metadata();
        for event in &unit.events {
            let mut event = event.clone();
            seal_payload(&mut event, &keys)?;
            if let Some(personal) = &personal {
                seal_metadata(&mut event, personal, &keys)?;
            }
            rows.push(home_of(&event, unit), event);
        }
    }
    rows.insert(connection).await?;
    for snapshot in units.iter().flat_map(|unit| &unit.snapshots) {
        write_snapshot(connection, snapshot, &keys).await?;
    }
    Ok(fresh)
}

/// The project that an event belongs to. What happens to a project belongs to itself, also when a
/// unit of another one, such as `internal`, brings it about.
fn home_of(event: &SerializedEvent, unit: &Prepared) -> String {
    if event.aggregate_type == Project::TYPE {
        return event.aggregate_id.clone();
    }
    unit.context.project_id.to_string()
}

/// Notes whose data a unit seals, and which of them come into being with it.
fn note_subjects(unit: &Prepared, subjects: &mut HashSet<String>, newborn: &mut HashSet<String>) {
    let personal = unit.context.personal_metadata();
    for event in &unit.events {
        subjects.extend(payload_subject(event).map(str::to_owned));
        subjects.extend(
            personal
                .as_ref()
                .map(|personal| metadata_owner(event, personal)),
        );
        if event.sequence == 1 {
            newborn.insert(event.aggregate_id.clone());
        }
    }
    let snapshots = unit.snapshots.iter();
    subjects.extend(snapshots.map(|snapshot| snapshot.aggregate_id.clone()));
}

/// Whose key seals the payload's personal part, if there is one.
fn payload_subject(event: &SerializedEvent) -> Option<&str> {
    event
        .payload
        .get("personal")
        .filter(|personal| !personal.is_null())?;
    let named = event.payload.get("subject").and_then(Value::as_str);
    Some(named.unwrap_or(&event.aggregate_id))
}

/// Whose key seals the metadata's personal part: the actor's; or, when a stranger signs up or in,
/// that of the user whom the event is about.
fn metadata_owner(event: &SerializedEvent, personal: &PersonalMetadata) -> String {
    if let Some(owner) = personal.owner {
        return owner.to_string();
    }
    let named = event.payload.get("user_id").and_then(Value::as_str);
    named.unwrap_or(&event.aggregate_id).to_owned()
}

fn key_of<'k>(
    keys: &'k HashMap<String, DataKey>,
    subject: &str,
) -> Result<&'k DataKey, LedgerError> {
    keys.get(subject).ok_or(LedgerError::Unsealing)
}

fn seal_payload(
    event: &mut SerializedEvent,
    keys: &HashMap<String, DataKey>,
) -> Result<(), LedgerError> {
    let Some(subject) = payload_subject(event).map(str::to_owned) else {
        return Ok(());
    };
    let key = key_of(keys, &subject)?;
    let sealed = seal_value(
        &event.payload["personal"],
        &subject,
        key,
        &event_binding(event),
    )?;
    event.payload["personal"] = sealed;
    Ok(())
}

/// The metadata stays a flat map of strings, as cqrs-es wants it.
fn seal_metadata(
    event: &mut SerializedEvent,
    personal: &PersonalMetadata,
    keys: &HashMap<String, DataKey>,
) -> Result<(), LedgerError> {
    let owner = metadata_owner(event, personal);
    let mut plain = HashMap::new();
    if let Some(ip) = &personal.ip {
        plain.insert("ip", ip);
    }
    if let Some(user_agent) = &personal.user_agent {
        plain.insert("user_agent", user_agent);
    }
    let plain = serde_json::to_vec(&plain)?;
    let sealed = key_of(keys, &owner)?.seal(&plain, &metadata_binding(event))?;
    event.metadata["personal"] = Value::String(BASE64.encode(&sealed));
    event.metadata["personal_subject"] = Value::String(owner);
    Ok(())
}

/// Rows for `events`, column by column.
#[derive(Default)]
struct EventColumns {
    projects: Vec<String>,
    types: Vec<String>,
    ids: Vec<String>,
    sequences: Vec<i64>,
    names: Vec<String>,
    versions: Vec<String>,
    payloads: Vec<Value>,
    metadata: Vec<Value>,
}

impl EventColumns {
    fn push(&mut self, project: String, event: SerializedEvent) {
        self.projects.push(project);
        self.types.push(event.aggregate_type);
        self.ids.push(event.aggregate_id);
        self.sequences
            .push(i64::try_from(event.sequence).unwrap_or(i64::MAX));
        self.names.push(event.event_type);
        self.versions.push(event.event_version);
        self.payloads.push(event.payload);
        self.metadata.push(event.metadata);
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<(), LedgerError> {
        sqlx::query!(
            "INSERT INTO events (project_id, aggregate_type, aggregate_id, sequence, event_type,
                                 event_version, payload, metadata)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[],
                                  $6::text[], $7::jsonb[], $8::jsonb[])",
            &self.projects,
            &self.types,
            &self.ids,
            &self.sequences,
            &self.names,
            &self.versions,
            &self.payloads,
            &self.metadata,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

async fn write_snapshot(
    connection: &mut PgConnection,
    snapshot: &Snapshot,
    keys: &HashMap<String, DataKey>,
) -> Result<(), LedgerError> {
    let id = &snapshot.aggregate_id;
    let binding = snapshot_binding(snapshot.aggregate_type, id, snapshot.last_sequence);
    let sealed = seal_value(&snapshot.state, id, key_of(keys, id)?, &binding)?;
    sqlx::query!(
        "INSERT INTO snapshots (aggregate_type, aggregate_id, last_sequence, current_snapshot, payload)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE
         SET last_sequence = EXCLUDED.last_sequence,
             current_snapshot = EXCLUDED.current_snapshot,
             payload = EXCLUDED.payload",
        snapshot.aggregate_type,
        id,
        i64::try_from(snapshot.last_sequence).unwrap_or(i64::MAX),
        i64::try_from(snapshot.number).unwrap_or(i64::MAX),
        sealed,
    )
    .execute(connection)
    .await?;
    Ok(())
}
