//! Appending: from serialised events to rows, inside the transaction of a commit.

use std::collections::{HashMap, HashSet};

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use muniment_domain::project::Project;
use serde_json::Value;
use sqlx::PgConnection;

use crate::aggregates::snapshot_shape;
use crate::commit::prepared_unit::{PreparedUnit, Snapshot};
use crate::error::LedgerError;
use crate::sealing::sealed_event::{
    SHAPE, metadata_owner, payload_subject, seal_metadata, seal_payload, seal_value,
    snapshot_binding,
};
use crate::sealing::{DataKey, FreshKeys, Sealer};

/// Seals and inserts the events and snapshots of several units of work. Returns the keys it made,
/// for after the commit.
pub(crate) async fn append(
    connection: &mut PgConnection,
    sealer: &Sealer,
    units: &[&PreparedUnit],
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
        for event in &unit.events {
            let mut event = event.clone();
            seal_payload(&mut event, &keys)?;
            if let Some(personal) = &unit.personal {
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
fn home_of(event: &SerializedEvent, unit: &PreparedUnit) -> String {
    if event.aggregate_type == Project::TYPE {
        return event.aggregate_id.clone();
    }
    unit.project_id.to_string()
}

/// Notes whose data a unit seals, and which of them come into being with it.
fn note_subjects(
    unit: &PreparedUnit,
    subjects: &mut HashSet<String>,
    newborn: &mut HashSet<String>,
) {
    for event in &unit.events {
        subjects.extend(payload_subject(event).map(str::to_owned));
        subjects.extend(
            unit.personal
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

    /// The epoch is read by the statement itself, after it had the lock of the table: whoever begins
    /// a new epoch holds that lock.
    async fn insert(self, connection: &mut PgConnection) -> Result<(), LedgerError> {
        sqlx::query!(
            "INSERT INTO events (epoch, project_id, aggregate_type, aggregate_id, sequence, event_type,
                                 event_version, payload, metadata)
             SELECT (SELECT max(epoch) FROM log_epochs), * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[],
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
    let Some(key) = keys.get(id) else {
        // Erased meanwhile: there is nothing to load faster any more.
        return Ok(());
    };
    let mut sealed = seal_value(&snapshot.state, id, key, &binding)?;
    sealed[SHAPE] = snapshot_shape(snapshot.aggregate_type).into();
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
