//! The event log: reading streams, and appending through units of work.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate;
use cqrs_es::persist::{
    EventUpcaster, PersistedEventRepository, PersistenceError, ReplayStream, SerializedEvent,
    SerializedSnapshot,
};
use data_encoding::BASE64;
use muniment_domain::{Millis, ProjectId};
use postgres_es::PostgresEventRepository;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::aggregates::{LedgerEvent, Ledgered, WarmAggregates};
use crate::group_commit::{Answer, Committer};
use crate::notifier::Notifier;
use crate::queues::Queues;
use crate::sealing::{DataKey, MasterKey, Sealer};
use crate::unit_of_work::{Freshness, UnitOfWork};
use crate::upcasting::{upcast, upcasters};
use crate::{EventContext, LedgerError};

/// How often a unit of work is decided anew when other writers are faster.
const ATTEMPTS: u32 = 12;
/// The longest pause between two attempts grows from here.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// The channel on which appends are announced.
pub(crate) const CHANNEL: &str = "muniment_events";

/// A place in the log: everything up to and including it has been seen.
///
/// The order is that of the appending transactions, then of the events within one. See the
/// comments of `migrations/postgres/0001_event_log.sql`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The 64-bit id of the appending transaction.
    pub transaction: i64,
    /// The event's position.
    pub position: i64,
}

/// An event as the log holds it, opened and upcast.
#[derive(Clone, Debug)]
pub struct Recorded {
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

/// What happened, for those who do not ask when or by whom.
pub(crate) struct Occurrence {
    pub(crate) cursor: Cursor,
    pub(crate) project_id: ProjectId,
    pub(crate) aggregate_id: String,
    pub(crate) event: LedgerEvent,
}

/// Whether it is read by whom an event was caused, and in which request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Circumstances {
    Read,
    LeftOut,
}

/// A row of `events`, as stored.
pub(crate) struct StoredEvent {
    pub(crate) position: i64,
    pub(crate) transaction: i64,
    pub(crate) project_id: String,
    pub(crate) aggregate_type: String,
    pub(crate) aggregate_id: String,
    pub(crate) sequence: i64,
    pub(crate) event_type: String,
    pub(crate) event_version: String,
    pub(crate) payload: Value,
    pub(crate) metadata: Value,
    pub(crate) recorded_at: i64,
}

/// The log. Cheap to clone; one per process and database.
#[derive(Clone)]
pub struct EventLog(Arc<Inner>);

struct Inner {
    pool: PgPool,
    stock: PostgresEventRepository,
    sealer: Sealer,
    warm: WarmAggregates,
    notifier: Arc<Notifier>,
    committer: Committer,
    /// Units that were decided on what others changed in the meantime, by their first stream.
    losers: Queues<String>,
}

/// A command that was carried out in memory and waits for its transaction.
pub struct HandedIn(Option<Answer>);

impl HandedIn {
    /// Waits until it is in the log for good. It gets there, or not, without being waited for.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when it was decided on what did not come to pass; when the
    /// database fails.
    pub async fn settled(self) -> Result<(), LedgerError> {
        match self.0 {
            Some(answer) => answer.wait().await,
            None => Ok(()),
        }
    }
}

impl EventLog {
    /// The log of a database. Starts the task that announces appends, and those that commit, so a
    /// runtime must be there.
    #[must_use]
    pub fn new(pool: PgPool, master: MasterKey) -> Self {
        let sealer = Sealer::new(pool.clone(), master);
        let notifier = Arc::new(Notifier::start(pool.clone()));
        Self(Arc::new(Inner {
            stock: PostgresEventRepository::new(pool.clone()),
            committer: Committer::start(&pool, &sealer, &notifier),
            sealer,
            warm: WarmAggregates::default(),
            losers: Queues::default(),
            notifier,
            pool,
        }))
    }

    /// The database.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// The keys of the subjects.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    pub(crate) fn warm(&self) -> &WarmAggregates {
        &self.0.warm
    }

    pub(crate) fn committer(&self) -> &Committer {
        &self.0.committer
    }

    /// Changes with every append that this process knows of, its own and others'.
    #[must_use]
    pub fn appends(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.notifier.watch()
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.0.notifier
    }

    /// Runs `work` and commits what it did: all of it, or nothing.
    ///
    /// `work` may run several times, because it is decided anew when another writer changed what
    /// it was decided on; so it must not have effects of its own.
    ///
    /// # Errors
    /// What `work` refuses; [`LedgerError::Taken`] when a unique value is in use; `Conflict` when
    /// other writers were faster too many times in a row.
    pub async fn transact<T, E, F, W>(&self, context: &EventContext, work: F) -> Result<T, E>
    where
        F: Fn(UnitOfWork) -> W,
        W: Future<Output = Result<(UnitOfWork, T), E>>,
        E: From<LedgerError>,
    {
        let mut freshness = Freshness::Warm;
        let mut turn = None;
        for attempt in 0..ATTEMPTS {
            let unit = UnitOfWork::new(self.clone(), context.clone(), freshness);
            let reliance = unit.reliance();
            let outcome = work(unit).await;
            // What was refused, or left undone, on remembered state is decided anew on the log's.
            let settled = match &outcome {
                Ok((unit, _)) => !unit.has_idle_slots(),
                Err(_) => false,
            };
            if !settled && reliance.used_memory() {
                freshness = Freshness::Log;
                continue;
            }
            let (unit, value) = outcome?;
            let stream = unit.first_stream().map(str::to_owned);
            match unit.commit().await {
                Ok(()) => return Ok(value),
                Err(LedgerError::Conflict) => {
                    freshness = Freshness::Log;
                    metrics::counter!("muniment_append_conflicts_total").increment(1);
                    // Most likely somebody in this process was faster, so queue up behind them;
                    // other processes are given way to.
                    match (&turn, stream) {
                        (None, Some(stream)) => turn = Some(self.0.losers.wait(stream).await),
                        _ => pause(attempt).await,
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Conflict.into())
    }

    /// Carries out a command on one aggregate, on the state that those before it will leave behind,
    /// without waiting for their transactions: so a stream that many write to grows by many
    /// events per transaction. Should one of those before fail, then so does this one, with
    /// [`LedgerError::Conflict`], and may be tried again.
    ///
    /// Callers for one stream take turns, which end when this returns. Nothing has happened before
    /// [`HandedIn::settled`] says so.
    ///
    /// # Errors
    /// What the aggregate refuses, on what the log says: a refusal is never based on what might not
    /// come to pass.
    pub async fn hand_in<A>(
        &self,
        context: &EventContext,
        id: &A::Id,
        command: A::Command,
    ) -> Result<HandedIn, LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
        A::Command: Clone,
    {
        let stream = id.to_string();
        let mut unit = UnitOfWork::new(self.clone(), context.clone(), Freshness::Foreseen);
        let decided = unit.execute::<A>(id, command.clone()).await;
        let is_sure = !unit.reliance().used_memory();
        if is_sure || (decided.is_ok() && !unit.has_idle_slots()) {
            decided?;
            return Ok(HandedIn(unit.hand_in(&stream).await?));
        }
        unit.foundations_settled().await;
        let mut unit = UnitOfWork::new(self.clone(), context.clone(), Freshness::Log);
        unit.execute::<A>(id, command).await?;
        Ok(HandedIn(unit.hand_in(&stream).await?))
    }

    /// The events after `cursor`, at most `limit`, in order; none that could still be overtaken by
    /// an append that has not committed yet.
    pub async fn read_after(
        &self,
        cursor: Cursor,
        limit: i64,
    ) -> Result<Vec<Recorded>, LedgerError> {
        let stored = self
            .stored_after(cursor, limit, Circumstances::Read)
            .await?;
        self.open(stored).await
    }

    /// Like [`EventLog::read_after`], with everything that is sealed left out.
    pub async fn read_sealed_after(
        &self,
        cursor: Cursor,
        limit: i64,
    ) -> Result<Vec<Recorded>, LedgerError> {
        let stored = self
            .stored_after(cursor, limit, Circumstances::Read)
            .await?;
        recorded(stored, &HashMap::new())
    }

    async fn stored_after(
        &self,
        cursor: Cursor,
        limit: i64,
        circumstances: Circumstances,
    ) -> Result<Vec<StoredEvent>, LedgerError> {
        let rows = sqlx::query_as!(
            StoredEvent,
            r#"SELECT position, transaction::text::bigint AS "transaction!", project_id,
                      aggregate_type, aggregate_id, sequence, event_type, event_version,
                      payload, CASE WHEN $4 THEN metadata ELSE '{}'::jsonb END AS "metadata!",
                      (extract(epoch FROM recorded_at) * 1000)::bigint AS "recorded_at!"
               FROM events
               WHERE (transaction, position) > ($1::bigint::text::xid8, $2)
                 AND transaction < pg_snapshot_xmin(pg_current_snapshot())
               ORDER BY transaction, position
               LIMIT $3"#,
            cursor.transaction,
            cursor.position,
            limit,
            circumstances == Circumstances::Read,
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
    ) -> Result<Vec<Recorded>, LedgerError> {
        self.streams(aggregate_type, &[aggregate_id.to_owned()])
            .await
    }

    /// Whole streams of aggregates of one type, each in order.
    pub(crate) async fn streams(
        &self,
        aggregate_type: &str,
        aggregate_ids: &[String],
    ) -> Result<Vec<Recorded>, LedgerError> {
        let stored = sqlx::query_as!(
            StoredEvent,
            r#"SELECT position, transaction::text::bigint AS "transaction!", project_id,
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
    ) -> Result<Vec<Recorded>, LedgerError> {
        let stored = sqlx::query_as!(
            StoredEvent,
            r#"SELECT position, transaction::text::bigint AS "transaction!", project_id,
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
        recorded(stored, &HashMap::new())
    }

    /// Like [`EventLog::read_sealed_after`], with the circumstances left out as well.
    pub async fn read_bare_after(
        &self,
        cursor: Cursor,
        limit: i64,
    ) -> Result<Vec<Recorded>, LedgerError> {
        let stored = self
            .stored_after(cursor, limit, Circumstances::LeftOut)
            .await?;
        recorded(stored, &HashMap::new())
    }

    /// What happened after `cursor`, at most `limit` events, for projectors: like
    /// [`EventLog::read_after`], without the circumstances, which rows do not depend on.
    pub(crate) async fn occurrences_after(
        &self,
        cursor: Cursor,
        limit: i64,
    ) -> Result<Vec<Occurrence>, LedgerError> {
        let stored = self
            .stored_after(cursor, limit, Circumstances::LeftOut)
            .await?;
        self.occurrences(stored).await
    }

    /// Opens, upcasts and decodes stored events, but not their metadata.
    pub(crate) async fn occurrences(
        &self,
        stored: Vec<StoredEvent>,
    ) -> Result<Vec<Occurrence>, LedgerError> {
        let subjects = stored.iter().filter_map(|row| sealed_subject(&row.payload));
        let subjects = subjects.map(str::to_owned).collect();
        let keys = self.sealer().existing_keys(subjects).await?;
        let steps = upcasters();
        stored
            .into_iter()
            .map(|row| {
                let cursor = row.cursor();
                let project_id = ProjectId::from_caller(&row.project_id);
                let event = opened(row, &keys, &steps)?;
                Ok(Occurrence {
                    cursor,
                    project_id,
                    event: LedgerEvent::decode(&event.aggregate_type, event.payload)?,
                    aggregate_id: event.aggregate_id,
                })
            })
            .collect()
    }

    /// Opens, upcasts and decodes stored events.
    pub(crate) async fn open(
        &self,
        stored: Vec<StoredEvent>,
    ) -> Result<Vec<Recorded>, LedgerError> {
        let subjects = stored
            .iter()
            .flat_map(subjects)
            .map(str::to_owned)
            .collect();
        recorded(stored, &self.sealer().existing_keys(subjects).await?)
    }

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
            open_payload(event, &keys).map_err(unknown)?;
        }
        Ok(events)
    }
}

/// Opens, upcasts and decodes stored events. What there is no key for stays closed.
fn recorded(
    stored: Vec<StoredEvent>,
    keys: &HashMap<String, DataKey>,
) -> Result<Vec<Recorded>, LedgerError> {
    let steps = upcasters();
    stored
        .into_iter()
        .map(|row| {
            let cursor = row.cursor();
            let project_id = ProjectId::from_caller(&row.project_id);
            let recorded_at = Millis(row.recorded_at);
            let event = opened(row, keys, &steps)?;
            Ok(Recorded {
                cursor,
                project_id,
                recorded_at,
                sequence: i64::try_from(event.sequence).unwrap_or(i64::MAX),
                metadata: open_metadata(&event, keys)?,
                event_type: event.event_type,
                event: LedgerEvent::decode(&event.aggregate_type, event.payload)?,
                aggregate_id: event.aggregate_id,
            })
        })
        .collect()
}

/// Opens what is sealed in a row's payload, and brings it to the current shape.
fn opened(
    row: StoredEvent,
    keys: &HashMap<String, DataKey>,
    steps: &[Box<dyn EventUpcaster>],
) -> Result<SerializedEvent, LedgerError> {
    let mut event = row.into_serialized();
    open_payload(&mut event, keys)?;
    Ok(upcast(event, steps))
}

impl StoredEvent {
    fn cursor(&self) -> Cursor {
        Cursor {
            transaction: self.transaction,
            position: self.position,
        }
    }

    fn into_serialized(self) -> SerializedEvent {
        SerializedEvent::new(
            self.aggregate_id,
            usize::try_from(self.sequence).unwrap_or(usize::MAX),
            self.aggregate_type,
            self.event_type,
            self.event_version,
            self.payload,
            self.metadata,
        )
    }
}

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

    /// A snapshot that cannot be opened any more, because its subject was erased, is none.
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
        let binding = snapshot_binding(A::TYPE, aggregate_id, snapshot.current_sequence);
        snapshot.aggregate = open_value(&snapshot.aggregate, key, &binding).map_err(unknown)?;
        Ok(Some(snapshot))
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

    /// Refused: read models of all aggregates are rebuilt by [`crate::maintenance::replay`], in pages.
    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        Err(unknown(LedgerError::Refused(
            "use `muniment replay` to read the whole log".to_owned(),
        )))
    }
}

fn unknown(error: impl std::error::Error + Send + Sync + 'static) -> PersistenceError {
    PersistenceError::UnknownError(Box::new(error))
}

/// Postgres' own type for times is counted in floats.
#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are exact in a float for 200,000 years"
)]
fn epoch_millis(at: Millis) -> f64 {
    at.0 as f64
}

/// Full jitter: two writers that collided once should not meet again.
#[expect(
    clippy::disallowed_methods,
    reason = "jitter decides nothing that is kept"
)]
async fn pause(attempt: u32) {
    let ceiling = FIRST_PAUSE * 2u32.saturating_pow(attempt.min(6));
    tokio::time::sleep(ceiling.mul_f64(rand::random())).await;
}

/// The place an event's personal part is sealed for.
pub(crate) fn event_binding(event: &SerializedEvent) -> String {
    format!(
        "{}:{}:{}",
        event.aggregate_type, event.aggregate_id, event.sequence
    )
}

pub(crate) fn snapshot_binding(aggregate_type: &str, id: &str, sequence: usize) -> String {
    format!("snapshot:{aggregate_type}:{id}:{sequence}")
}

/// Seals a JSON value for a place, in the form in which the log keeps it.
pub(crate) fn seal_value(
    plain: &Value,
    subject: &str,
    key: &DataKey,
    binding: &str,
) -> Result<Value, LedgerError> {
    let sealed = key.seal(&serde_json::to_vec(plain)?, binding)?;
    Ok(json!({"subject": subject, "sealed": BASE64.encode(&sealed)}))
}

fn open_value(sealed: &Value, key: &DataKey, binding: &str) -> Result<Value, LedgerError> {
    let text = sealed
        .get("sealed")
        .and_then(Value::as_str)
        .ok_or(LedgerError::Unsealing)?;
    let bytes = BASE64
        .decode(text.as_bytes())
        .map_err(|_| LedgerError::Unsealing)?;
    Ok(serde_json::from_slice(&key.open(&bytes, binding)?)?)
}

/// Whose key opens the payload's personal part, if it has one.
fn sealed_subject(payload: &Value) -> Option<&str> {
    payload.get("personal")?.get("subject")?.as_str()
}

/// Everyone whose data is sealed in a row.
fn subjects(row: &StoredEvent) -> impl Iterator<Item = &str> {
    let payload = sealed_subject(&row.payload);
    payload.into_iter().chain(metadata_subject(&row.metadata))
}

fn metadata_subject(metadata: &Value) -> Option<&str> {
    metadata.get("personal_subject")?.as_str()
}

fn open_payload(
    event: &mut SerializedEvent,
    keys: &HashMap<String, DataKey>,
) -> Result<(), LedgerError> {
    let Some(subject) = sealed_subject(&event.payload) else {
        return Ok(());
    };
    let opened = match keys.get(subject) {
        Some(key) => open_value(&event.payload["personal"], key, &event_binding(event))?,
        None => Value::Null,
    };
    event.payload["personal"] = opened;
    Ok(())
}

fn open_metadata(
    event: &SerializedEvent,
    keys: &HashMap<String, DataKey>,
) -> Result<HashMap<String, String>, LedgerError> {
    let mut metadata = HashMap::<String, String>::deserialize(&event.metadata)?;
    let (Some(sealed), Some(subject)) = (
        metadata.remove("personal"),
        metadata.remove("personal_subject"),
    ) else {
        return Ok(metadata);
    };
    let Some(key) = keys.get(&subject) else {
        return Ok(metadata);
    };
    let bytes = BASE64
        .decode(sealed.as_bytes())
        .map_err(|_| LedgerError::Unsealing)?;
    let plain = key.open(&bytes, &metadata_binding(event))?;
    let personal: HashMap<String, String> = serde_json::from_slice(&plain)?;
    metadata.extend(personal);
    Ok(metadata)
}

pub(crate) fn metadata_binding(event: &SerializedEvent) -> String {
    format!("metadata:{}", event_binding(event))
}
