//! Several aggregates and their read models in one transaction.
//!
//! Commands are decided in memory; nothing is written before [`UnitOfWork::commit`], which runs one
//! Postgres transaction: append the events (the primary key on the stream's sequence is the
//! optimistic check), fold them into the read tables, commit. Uniqueness across aggregates is
//! decided there as well, by the read tables' unique indexes.
//!
//! A unit remembers every stream that it looked at, with its sequence, not only those it appends to.
//! The commit compares them all, in the same transaction, so what was checked in a unit still holds
//! when the unit takes effect. What is to be checked is therefore asked of [`UnitOfWork::look`], never
//! of a connection of its own.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{EventStoreAggregateContext, PersistedEventStore, SerializedEvent};
use cqrs_es::{Aggregate, EventStore};
use futures_util::future::BoxFuture;
use muniment_domain::project::Project;
use sqlx::PgConnection;

use crate::aggregates::LedgerEvent;
use crate::commit::commit_outcome::{CommitNotifier, CommitOutcome, CommitStatus};
use crate::commit::group_commit::Answer;
use crate::commit::prepared_unit::{PreparedUnit, SNAPSHOT_EVERY};
use crate::event_collector::{CollectedEvents, EventCollector};
use crate::listing::Listed;
use crate::loaded_aggregates::{Ledgered, LoadedAggregates};
use crate::looked_at::{LookedAt, Looks};
use crate::upcasting::upcasters;
use crate::{EventContext, EventLog, LedgerError};

/// An aggregate's state after a number of events.
#[derive(Clone)]
pub struct Versioned<A> {
    aggregate: A,
    sequence: usize,
    snapshot: Option<usize>,
    /// Of the unit that made this state, if it had not committed by then.
    outcome: Option<CommitOutcome>,
}

/// An aggregate in a unit of work.
pub struct AggregateEntry<A: Aggregate> {
    before: Arc<Versioned<A>>,
    /// The state after what was decided, if anything was.
    after: Option<A>,
    events: Vec<A::Event>,
    /// Its id was drawn by this unit, so nobody else can know of it.
    is_newborn: bool,
}

/// The aggregates of one type in a unit of work, by id.
pub type AggregateEntries<A> = BTreeMap<String, AggregateEntry<A>>;

/// Whether a unit of work may decide on remembered states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may.
    Cached,
    /// It may, and on states that are still to be committed: it takes effect only if they do.
    Speculative,
    /// It reads the log.
    Log,
}

/// Commands on several aggregates that take effect together, or not at all.
pub struct UnitOfWork {
    log: EventLog,
    context: EventContext,
    freshness: Freshness,
    looks: Looks,
    /// The project, which every unit looks at.
    project: Option<LookedAt>,
    loaded: LoadedAggregates,
    listed: Vec<Listed>,
    /// All events in the order in which they were decided, for the read models.
    decided: Vec<(String, LedgerEvent)>,
}

impl UnitOfWork {
    pub(crate) fn new(log: EventLog, context: EventContext, freshness: Freshness) -> Self {
        Self {
            log,
            context,
            freshness,
            looks: Looks::default(),
            project: None,
            loaded: LoadedAggregates::default(),
            listed: Vec::new(),
            decided: Vec::new(),
        }
    }

    /// What this unit looks at. Outlives it.
    pub(crate) fn looks(&self) -> Looks {
        self.looks.clone()
    }

    /// Makes sure of what every unit rests on: its project, and what its request was let in for.
    ///
    /// # Errors
    /// Why nothing may be decided.
    pub(crate) async fn require_grounds(
        &mut self,
        freshness_of_project: Freshness,
    ) -> Result<(), LedgerError> {
        self.require_project(freshness_of_project).await?;
        for precondition in self.context.preconditions.all() {
            precondition.check(self).await?;
        }
        Ok(())
    }

    /// Makes sure that the unit's project was not deleted, now and at the commit. A project that
    /// never was is none of the log's business: it may be about to be made.
    ///
    /// Unlike what the unit itself looks at, the state goes to nobody, so it may be a remembered one
    /// also where the unit reads the log.
    ///
    /// # Errors
    /// [`LedgerError::ProjectDeleted`]; a failure to read its stream.
    async fn require_project(&mut self, freshness: Freshness) -> Result<(), LedgerError> {
        let id = self.context.project_id.clone();
        let remembered = self.remembered::<Project>(id.as_str(), freshness).await;
        let project = if let Some(project) = remembered {
            project
        } else {
            let project = Arc::new(load::<Project>(&self.log, id.as_str()).await?);
            Project::cached(self.log.cache()).insert(id.to_string(), Arc::clone(&project));
            project
        };
        let seen = LookedAt::new::<Project>(id.as_str(), project.sequence);
        self.looks.note(seen.clone());
        self.project = Some(seen);
        if project.aggregate.is_deleted() {
            return Err(LedgerError::ProjectDeleted(id));
        }
        Ok(())
    }

    /// The circumstances of this unit.
    #[must_use]
    pub fn context(&self) -> &EventContext {
        &self.context
    }

    /// The log, for reading what the decision needs beside the aggregates' own state.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Carries out a command on an aggregate, in memory.
    ///
    /// # Errors
    /// What the aggregate refuses, or a failure to read its stream.
    pub async fn execute<A>(&mut self, id: &A::Id, command: A::Command) -> Result<(), LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        let id = id.to_string();
        self.open::<A>(&id).await?;
        self.decide::<A>(id, command).await
    }

    /// Carries out the first command of an aggregate whose id was just drawn at random: there is
    /// no stream to read. Should there be one after all, the append finds out.
    ///
    /// # Errors
    /// What the aggregate refuses.
    pub async fn create<A>(&mut self, id: &A::Id, command: A::Command) -> Result<(), LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        let id = id.to_string();
        A::entries(&mut self.loaded)
            .entry(id.clone())
            .or_insert_with(|| AggregateEntry {
                is_newborn: true,
                ..AggregateEntry::unborn()
            });
        self.decide::<A>(id, command).await
    }

    /// The state of an aggregate, including what this unit has done to it. The commit makes sure that
    /// it still is so: this is how a decision rests on what it does not change.
    ///
    /// # Errors
    /// A failure to read its stream.
    pub async fn look<A>(&mut self, id: &A::Id) -> Result<&A, LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        let id = id.to_string();
        self.open::<A>(&id).await?;
        let entry = A::entries(&mut self.loaded).entry(id);
        Ok(entry.or_insert_with(AggregateEntry::unborn).state())
    }

    /// Like [`UnitOfWork::look`], as a copy that outlives the look.
    ///
    /// # Errors
    /// A failure to read its stream.
    pub async fn state<A>(&mut self, id: &A::Id) -> Result<A, LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        self.look::<A>(id).await.cloned()
    }

    /// What a read model lists. The commit makes sure that it lists the same then: see
    /// [`crate::listing`] for what makes that hold. Listings are in an order of their own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list<T, F>(&mut self, listing: F) -> Result<Vec<T>, LedgerError>
    where
        T: Clone + PartialEq + Send + Sync + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<Vec<T>, LedgerError>>
            + Send
            + Sync
            + 'static,
    {
        let (found, listed) = Listed::read(self.log.pool(), listing).await?;
        self.listed.push(listed);
        Ok(found)
    }

    async fn decide<A>(&mut self, id: String, command: A::Command) -> Result<(), LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        let Some(entry) = A::entries(&mut self.loaded).get_mut(&id) else {
            return Ok(());
        };
        let sink = EventSink::default();
        // A refused command must leave no trace, so it works on a copy.
        let mut state = entry.state().clone();
        state
            .handle(command, &(), &sink)
            .await
            .map_err(Into::into)?;
        let events = sink.collect().await;
        if !events.is_empty() {
            entry.after = Some(state);
        }
        entry.events.extend(events.iter().cloned());
        self.decided
            .extend(events.into_iter().map(|event| (id.clone(), A::wrap(event))));
        Ok(())
    }

    async fn open<A>(&mut self, id: &str) -> Result<(), LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        if A::entries(&mut self.loaded).contains_key(id) {
            return Ok(());
        }
        let before = if let Some(before) = self.remembered::<A>(id, self.freshness).await {
            self.looks.note_memory(before.outcome.as_ref());
            before
        } else {
            Arc::new(load::<A>(&self.log, id).await?)
        };
        self.looks.note(LookedAt::new::<A>(id, before.sequence));
        A::entries(&mut self.loaded).insert(id.to_owned(), AggregateEntry::new(before));
        Ok(())
    }

    /// What is remembered, if that is fresh enough.
    async fn remembered<A: Ledgered>(
        &self,
        id: &str,
        freshness: Freshness,
    ) -> Option<Arc<Versioned<A>>> {
        match freshness {
            Freshness::Cached => self.committed::<A>(id).await,
            Freshness::Speculative => self.speculative::<A>(id),
            Freshness::Log => None,
        }
    }

    /// What is remembered, and committed.
    async fn committed<A: Ledgered>(&self, id: &str) -> Option<Arc<Versioned<A>>> {
        let remembered = A::cached(self.log.cache()).get(id)?;
        let Some(outcome) = &remembered.outcome else {
            return Some(remembered);
        };
        (outcome.wait().await == CommitStatus::Committed).then_some(remembered)
    }

    /// What is remembered, and has not failed.
    fn speculative<A: Ledgered>(&self, id: &str) -> Option<Arc<Versioned<A>>> {
        let remembered = A::cached(self.log.cache()).get(id)?;
        let has_failed = |outcome: &CommitOutcome| outcome.status() == CommitStatus::Failed;
        let stands = !remembered.outcome.as_ref().is_some_and(has_failed);
        stands.then_some(remembered)
    }

    /// The first stream that something was decided about.
    pub(crate) fn first_stream(&self) -> Option<&str> {
        self.decided.first().map(|(id, _)| id.as_str())
    }

    /// Whether anything was decided.
    pub(crate) fn has_decided(&self) -> bool {
        !self.decided.is_empty()
    }

    /// Appends and projects everything, in one transaction; see [`crate::commit::group_commit`].
    pub(crate) async fn commit(mut self) -> Result<(), LedgerError> {
        if self.decided.is_empty() {
            return Ok(());
        }
        let observed = self.log.observed().wanted(&self.decided);
        let prepared = self.prepare().await?;
        let log = self.log;
        let stored = log.committer().commit(prepared).await;
        match stored {
            Ok(()) => {
                self.loaded.remember(log.cache(), None);
                log.observed().tell(&observed);
            }
            Err(LedgerError::Conflict | LedgerError::Taken(_)) => self.loaded.forget(log.cache()),
            Err(_) => {}
        }
        stored
    }

    /// Hands everything in, which must be about the one stream `id`, for a transaction that may
    /// also carry what is decided on the outcome. From now on speculative units see it. Returns what
    /// the unit looked at, too.
    pub(crate) async fn submit(
        mut self,
        id: &str,
    ) -> Result<Option<(Answer, Vec<LookedAt>)>, LedgerError> {
        if self.decided.is_empty() {
            return Ok(None);
        }
        let prepared = self.prepare().await?;
        let looked_at = prepared.looked_at.clone();
        let notifier = CommitNotifier::new();
        let outcome = notifier.outcome();
        // In this order, with nothing to wait for in between: what builds on this unit shall stand
        // behind it in the queue.
        let answer = self.log.committer().submit(prepared, notifier, id)?;
        self.loaded.remember(self.log.cache(), Some(&outcome));
        Ok(Some((answer, looked_at)))
    }

    async fn prepare(&mut self) -> Result<PreparedUnit, LedgerError> {
        let collector = EventCollector::new(self.log.clone());
        self.collect_all(&collector).await?;
        let CollectedEvents { events, snapshots } = collector.take();
        let mut looked_at = self.loaded.looked_at();
        looked_at.extend(self.project.take());
        Ok(PreparedUnit {
            events: self.in_order_of_decision(events),
            snapshots,
            depends_on: self.loaded.depends_on(),
            listed: std::mem::take(&mut self.listed),
            looked_at,
            newborn: self.loaded.newborn(),
            project_id: self.context.project_id.clone(),
            personal: self.context.personal_metadata(),
            decided: std::mem::take(&mut self.decided),
        })
    }

    /// Events are collected aggregate by aggregate; the log keeps the order in which they were decided.
    fn in_order_of_decision(&self, events: Vec<SerializedEvent>) -> Vec<SerializedEvent> {
        let mut by_stream: HashMap<String, VecDeque<SerializedEvent>> = HashMap::new();
        for event in events {
            by_stream
                .entry(event.aggregate_id.clone())
                .or_default()
                .push_back(event);
        }
        self.decided
            .iter()
            .filter_map(|(id, _)| by_stream.get_mut(id)?.pop_front())
            .collect()
    }

    /// Has cqrs-es turn the decided events into rows, and take a snapshot where one is due.
    ///
    /// It is handed the state *before* the events: `PersistedEventStore::commit` applies them to the
    /// context for the snapshot, although `EventSink::write` has applied them to the aggregate
    /// already.
    pub(crate) async fn collect<A>(&mut self, collector: &EventCollector) -> Result<(), LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        let metadata = self.context.open_metadata();
        let store =
            PersistedEventStore::<_, A>::new_snapshot_store(collector.clone(), SNAPSHOT_EVERY);
        for (id, entry) in A::entries(&mut self.loaded) {
            if entry.is_idle() {
                continue;
            }
            let context = EventStoreAggregateContext {
                aggregate_id: id.clone(),
                aggregate: entry.before.aggregate.clone(),
                current_sequence: entry.before.sequence,
                current_snapshot: entry.before.snapshot,
            };
            store
                .commit(entry.events.clone(), context, metadata.clone())
                .await?;
        }
        Ok(())
    }
}

impl<A: Aggregate> Versioned<A> {
    /// Whether this is a state that the entry was loaded with, or an older one.
    pub(crate) fn is_no_newer_than(&self, entry: &AggregateEntry<A>) -> bool {
        self.sequence <= entry.before.sequence
    }
}

impl<A: Aggregate + Clone> AggregateEntry<A> {
    fn new(before: Arc<Versioned<A>>) -> Self {
        Self {
            before,
            after: None,
            events: Vec::new(),
            is_newborn: false,
        }
    }

    fn unborn() -> Self {
        Self::new(Arc::new(Versioned {
            aggregate: A::default(),
            sequence: 0,
            snapshot: None,
            outcome: None,
        }))
    }

    fn state(&self) -> &A {
        self.after.as_ref().unwrap_or(&self.before.aggregate)
    }

    /// Where the stream ended when it was looked at.
    pub(crate) fn sequence_before(&self) -> usize {
        self.before.sequence
    }

    /// Whether the aggregate's id was drawn by this unit.
    pub(crate) fn is_newborn(&self) -> bool {
        self.is_newborn
    }

    /// Whether nothing was decided about the aggregate.
    pub(crate) fn is_idle(&self) -> bool {
        self.events.is_empty()
    }

    /// Of the unit that made the state the entry was loaded with, if it had not committed by then.
    pub(crate) fn outcome(&self) -> Option<&CommitOutcome> {
        self.before.outcome.as_ref()
    }

    /// The state after this unit of work, which is still to be committed if it has an outcome.
    pub(crate) fn after(self, outcome: Option<&CommitOutcome>) -> Arc<Versioned<A>> {
        let Some(state) = self.after else {
            return self.before;
        };
        let sequence = self.before.sequence + self.events.len();
        let crossed = sequence / SNAPSHOT_EVERY > self.before.sequence / SNAPSHOT_EVERY;
        let snapshot = if crossed {
            Some(self.before.snapshot.map_or(1, |count| count + 1))
        } else {
            self.before.snapshot
        };
        Arc::new(Versioned {
            aggregate: state,
            sequence,
            snapshot,
            outcome: outcome.cloned(),
        })
    }
}

async fn load<A>(log: &EventLog, id: &str) -> Result<Versioned<A>, LedgerError>
where
    A: Ledgered,
    A::Error: Into<LedgerError>,
{
    let store = PersistedEventStore::<_, A>::new_snapshot_store(log.clone(), SNAPSHOT_EVERY)
        .with_upcasters(upcasters());
    let context = match store.load_aggregate(id).await {
        Ok(context) => context,
        Err(error) => return Err(unreadable::<A>(log, id).await?.unwrap_or(error.into())),
    };
    Ok(Versioned {
        aggregate: context.aggregate,
        sequence: context.current_sequence,
        snapshot: context.current_snapshot,
        outcome: None,
    })
}

/// The event that keeps a stream from being loaded, if that is the reason.
async fn unreadable<A>(log: &EventLog, id: &str) -> Result<Option<LedgerError>, LedgerError>
where
    A: Ledgered,
{
    let stream = log.stream(A::TYPE, id).await?;
    let Some(event) = stream.unreadable.into_iter().next() else {
        return Ok(None);
    };
    tracing::error!(%event, "a stream cannot be loaded, so nothing can be decided about it");
    Ok(Some(LedgerError::UnreadableStream(Box::new(event))))
}
