//! Several aggregates and their read models in one transaction.
//!
//! Commands are decided in memory; nothing is written before [`UnitOfWork::commit`], which runs one
//! Postgres transaction: append the events (the primary key on the stream's sequence is the
//! optimistic check), fold them into the read tables, commit. Uniqueness across aggregates is
//! decided there as well, by the read tables' unique indexes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{EventStoreAggregateContext, PersistedEventStore, SerializedEvent};
use cqrs_es::{Aggregate, EventStore};
use moka::sync::Cache;
use muniment_domain::ai_conversation::AiConversation;
use muniment_domain::api_key::ApiKey;
use muniment_domain::cli_login::CliLogin;
use muniment_domain::customer::Customer;
use muniment_domain::outgoing_email::OutgoingEmail;
use muniment_domain::project::Project;
use muniment_domain::session::Session;
use muniment_domain::support_conversation::SupportConversation;
use muniment_domain::team::Team;
use muniment_domain::user::User;
use muniment_domain::vault_entry::VaultEntry;
use muniment_domain::verification_code::VerificationCode;
use muniment_domain::{
    AiConversationId, ApiKeyId, CliLoginId, CustomerId, OutgoingEmailId, ProjectId, SessionId,
    SupportConversationId, TeamId, UserId, VaultEntryId, VerificationCodeId,
};

use crate::group_commit::Prepared;
use crate::staging::{Staged, Staging};
use crate::upcasting::upcasters;
use crate::{EventContext, EventLog, LedgerError, LedgerEvent};

/// A snapshot is taken whenever a stream has grown by so many events.
pub(crate) const SNAPSHOT_EVERY: usize = 100;
/// How long a process remembers an aggregate it does not use.
const MEMORY_TIME: Duration = Duration::from_secs(300);

/// An aggregate's state after a number of events.
#[derive(Clone)]
pub struct Versioned<A> {
    aggregate: A,
    sequence: usize,
    snapshot: Option<usize>,
}

/// An aggregate in a unit of work.
pub struct Slot<A: Aggregate> {
    before: Arc<Versioned<A>>,
    state: A,
    events: Vec<A::Event>,
}

/// The aggregates of one type in a unit of work, by id.
pub type Slots<A> = BTreeMap<String, Slot<A>>;

/// What ties an aggregate type to the ledger.
pub trait Ledgered: Aggregate<Services = ()> + Clone + 'static {
    /// Its id.
    type Id: Display;
    /// Its place in a unit of work.
    fn slots(unit: &mut UnitOfWork) -> &mut Slots<Self>;
    /// Where its states are remembered between units.
    fn memory(warm: &WarmAggregates) -> &Cache<String, Arc<Versioned<Self>>>;
    /// Its event as an event of the ledger.
    fn wrap(event: Self::Event) -> LedgerEvent;
}

macro_rules! ledgered {
    ($aggregate:ty, $id:ty, $field:ident, $variant:ident) => {
        impl Ledgered for $aggregate {
            type Id = $id;
            fn slots(unit: &mut UnitOfWork) -> &mut Slots<Self> {
                &mut unit.$field
            }
            fn memory(warm: &WarmAggregates) -> &Cache<String, Arc<Versioned<Self>>> {
                &warm.$field
            }
            fn wrap(event: Self::Event) -> LedgerEvent {
                LedgerEvent::$variant(event)
            }
        }
    };
}
ledgered!(User, UserId, users, User);
ledgered!(Team, TeamId, teams, Team);
ledgered!(Session, SessionId, sessions, Session);
ledgered!(Project, ProjectId, projects, Project);
ledgered!(
    VerificationCode,
    VerificationCodeId,
    codes,
    VerificationCode
);
ledgered!(OutgoingEmail, OutgoingEmailId, emails, OutgoingEmail);
ledgered!(CliLogin, CliLoginId, cli_logins, CliLogin);
ledgered!(ApiKey, ApiKeyId, api_keys, ApiKey);
ledgered!(VaultEntry, VaultEntryId, vault_entries, VaultEntry);
ledgered!(Customer, CustomerId, customers, Customer);
ledgered!(
    AiConversation,
    AiConversationId,
    ai_conversations,
    AiConversation
);
ledgered!(
    SupportConversation,
    SupportConversationId,
    support_conversations,
    SupportConversation
);

/// The states that a process remembers. Possibly out of date: the append's sequence check finds
/// out, and what was decided on a stale state is decided anew.
pub struct WarmAggregates {
    users: Cache<String, Arc<Versioned<User>>>,
    teams: Cache<String, Arc<Versioned<Team>>>,
    sessions: Cache<String, Arc<Versioned<Session>>>,
    projects: Cache<String, Arc<Versioned<Project>>>,
    codes: Cache<String, Arc<Versioned<VerificationCode>>>,
    emails: Cache<String, Arc<Versioned<OutgoingEmail>>>,
    cli_logins: Cache<String, Arc<Versioned<CliLogin>>>,
    api_keys: Cache<String, Arc<Versioned<ApiKey>>>,
    vault_entries: Cache<String, Arc<Versioned<VaultEntry>>>,
    customers: Cache<String, Arc<Versioned<Customer>>>,
    ai_conversations: Cache<String, Arc<Versioned<AiConversation>>>,
    support_conversations: Cache<String, Arc<Versioned<SupportConversation>>>,
}

impl Default for WarmAggregates {
    fn default() -> Self {
        fn memory<A: Send + Sync + 'static>(entries: u64) -> Cache<String, Arc<Versioned<A>>> {
            Cache::builder()
                .max_capacity(entries)
                .time_to_idle(MEMORY_TIME)
                .build()
        }
        Self {
            users: memory(4096),
            teams: memory(512),
            sessions: memory(1024),
            projects: memory(64),
            codes: memory(512),
            emails: memory(256),
            cli_logins: memory(64),
            api_keys: memory(64),
            vault_entries: memory(64),
            customers: memory(4096),
            ai_conversations: memory(64),
            support_conversations: memory(64),
        }
    }
}

/// Whether a unit of work may decide on remembered states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may.
    Warm,
    /// It reads the log.
    Log,
}

/// Whether a unit of work has decided anything on remembered state. Outlives the unit.
#[derive(Clone, Default)]
pub(crate) struct Reliance(Arc<AtomicBool>);

impl Reliance {
    pub(crate) fn used_memory(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Commands on several aggregates that take effect together, or not at all.
pub struct UnitOfWork {
    log: EventLog,
    context: EventContext,
    freshness: Freshness,
    reliance: Reliance,
    users: Slots<User>,
    teams: Slots<Team>,
    sessions: Slots<Session>,
    projects: Slots<Project>,
    codes: Slots<VerificationCode>,
    emails: Slots<OutgoingEmail>,
    cli_logins: Slots<CliLogin>,
    api_keys: Slots<ApiKey>,
    vault_entries: Slots<VaultEntry>,
    customers: Slots<Customer>,
    ai_conversations: Slots<AiConversation>,
    support_conversations: Slots<SupportConversation>,
    /// All events in the order in which they were decided, for the read models.
    decided: Vec<(String, LedgerEvent)>,
}

impl UnitOfWork {
    pub(crate) fn new(log: EventLog, context: EventContext, freshness: Freshness) -> Self {
        Self {
            log,
            context,
            freshness,
            reliance: Reliance::default(),
            users: Slots::new(),
            teams: Slots::new(),
            sessions: Slots::new(),
            projects: Slots::new(),
            codes: Slots::new(),
            emails: Slots::new(),
            cli_logins: Slots::new(),
            api_keys: Slots::new(),
            vault_entries: Slots::new(),
            customers: Slots::new(),
            ai_conversations: Slots::new(),
            support_conversations: Slots::new(),
            decided: Vec::new(),
        }
    }

    pub(crate) fn reliance(&self) -> Reliance {
        self.reliance.clone()
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
        let unborn = Versioned {
            aggregate: A::default(),
            sequence: 0,
            snapshot: None,
        };
        A::slots(self)
            .entry(id.clone())
            .or_insert_with(|| Slot::new(Arc::new(unborn)));
        self.decide::<A>(id, command).await
    }

    /// The state of an aggregate, including what this unit has done to it.
    ///
    /// # Errors
    /// A failure to read its stream.
    pub async fn state<A>(&mut self, id: &A::Id) -> Result<A, LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        let id = id.to_string();
        self.open::<A>(&id).await?;
        Ok(A::slots(self)
            .get(&id)
            .map(|slot| slot.state.clone())
            .unwrap_or_default())
    }

    async fn decide<A>(&mut self, id: String, command: A::Command) -> Result<(), LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        let Some(slot) = A::slots(self).get_mut(&id) else {
            return Ok(());
        };
        let sink = EventSink::default();
        // A refused command must leave no trace, so it works on a copy.
        let mut state = slot.state.clone();
        state
            .handle(command, &(), &sink)
            .await
            .map_err(Into::into)?;
        let events = sink.collect().await;
        slot.state = state;
        slot.events.extend(events.iter().cloned());
        self.decided
            .extend(events.into_iter().map(|event| (id.clone(), A::wrap(event))));
        Ok(())
    }

    async fn open<A>(&mut self, id: &str) -> Result<(), LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        if A::slots(self).contains_key(id) {
            return Ok(());
        }
        let remembered = match self.freshness {
            Freshness::Warm => A::memory(self.log.warm()).get(id),
            Freshness::Log => None,
        };
        let before = if let Some(before) = remembered {
            self.reliance.0.store(true, Ordering::Relaxed);
            before
        } else {
            Arc::new(load::<A>(&self.log, id).await?)
        };
        A::slots(self).insert(id.to_owned(), Slot::new(before));
        Ok(())
    }

    /// Whether some aggregate was looked at, but nothing was decided about it.
    pub(crate) fn has_idle_slots(&self) -> bool {
        fn idle<A: Aggregate>(slots: &Slots<A>) -> bool {
            slots.values().any(|slot| slot.events.is_empty())
        }
        idle(&self.users)
            || idle(&self.teams)
            || idle(&self.sessions)
            || idle(&self.projects)
            || idle(&self.codes)
            || idle(&self.emails)
            || idle(&self.cli_logins)
            || idle(&self.api_keys)
            || idle(&self.vault_entries)
            || idle(&self.customers)
            || idle(&self.ai_conversations)
            || idle(&self.support_conversations)
    }

    /// Appends and projects everything, in one transaction; see [`crate::group_commit`].
    pub(crate) async fn commit(mut self) -> Result<(), LedgerError> {
        if self.decided.is_empty() {
            return Ok(());
        }
        let staging = Staging::new(self.log.clone());
        let stored = self.store(&staging).await;
        if matches!(stored, Err(LedgerError::Conflict | LedgerError::Taken(_))) {
            self.forget();
        }
        stored
    }

    async fn store(&mut self, staging: &Staging) -> Result<(), LedgerError> {
        stage::<Project>(self, staging).await?;
        stage::<User>(self, staging).await?;
        stage::<Team>(self, staging).await?;
        stage::<Session>(self, staging).await?;
        stage::<VerificationCode>(self, staging).await?;
        stage::<OutgoingEmail>(self, staging).await?;
        stage::<CliLogin>(self, staging).await?;
        stage::<ApiKey>(self, staging).await?;
        stage::<VaultEntry>(self, staging).await?;
        stage::<Customer>(self, staging).await?;
        stage::<AiConversation>(self, staging).await?;
        stage::<SupportConversation>(self, staging).await?;
        let Staged { events, snapshots } = staging.take();
        let prepared = Prepared {
            events: self.in_order_of_decision(events),
            snapshots,
            context: self.context.clone(),
            decided: std::mem::take(&mut self.decided),
        };
        self.log.committer().commit(prepared).await?;
        self.remember();
        Ok(())
    }

    /// Staging goes aggregate by aggregate; the log shall tell the story as it was decided.
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

    fn remember(&mut self) {
        remember::<User>(self);
        remember::<Team>(self);
        remember::<Session>(self);
        remember::<Project>(self);
        remember::<VerificationCode>(self);
        remember::<OutgoingEmail>(self);
        remember::<CliLogin>(self);
        remember::<ApiKey>(self);
        remember::<VaultEntry>(self);
        remember::<Customer>(self);
        remember::<AiConversation>(self);
        remember::<SupportConversation>(self);
    }

    fn forget(&mut self) {
        forget::<User>(self);
        forget::<Team>(self);
        forget::<Session>(self);
        forget::<Project>(self);
        forget::<VerificationCode>(self);
        forget::<OutgoingEmail>(self);
        forget::<CliLogin>(self);
        forget::<ApiKey>(self);
        forget::<VaultEntry>(self);
        forget::<Customer>(self);
        forget::<AiConversation>(self);
        forget::<SupportConversation>(self);
    }
}

impl<A: Aggregate + Clone> Slot<A> {
    fn new(before: Arc<Versioned<A>>) -> Self {
        Self {
            state: before.aggregate.clone(),
            before,
            events: Vec::new(),
        }
    }
}

async fn load<A>(log: &EventLog, id: &str) -> Result<Versioned<A>, LedgerError>
where
    A: Ledgered,
    A::Error: Into<LedgerError>,
{
    let store = PersistedEventStore::<_, A>::new_snapshot_store(log.clone(), SNAPSHOT_EVERY)
        .with_upcasters(upcasters());
    let context = store.load_aggregate(id).await?;
    Ok(Versioned {
        aggregate: context.aggregate,
        sequence: context.current_sequence,
        snapshot: context.current_snapshot,
    })
}

/// Has cqrs-es turn the decided events into rows, and take a snapshot where one is due.
///
/// It is handed the state *before* the events: `PersistedEventStore::commit` applies them to the
/// context for the snapshot, although `EventSink::write` has applied them to the aggregate already.
async fn stage<A>(unit: &mut UnitOfWork, staging: &Staging) -> Result<(), LedgerError>
where
    A: Ledgered,
    A::Error: Into<LedgerError>,
{
    let metadata = unit.context.open_metadata();
    let store = PersistedEventStore::<_, A>::new_snapshot_store(staging.clone(), SNAPSHOT_EVERY);
    for (id, slot) in A::slots(unit) {
        if slot.events.is_empty() {
            continue;
        }
        let context = EventStoreAggregateContext {
            aggregate_id: id.clone(),
            aggregate: slot.before.aggregate.clone(),
            current_sequence: slot.before.sequence,
            current_snapshot: slot.before.snapshot,
        };
        store
            .commit(slot.events.clone(), context, metadata.clone())
            .await?;
    }
    Ok(())
}

fn remember<A: Ledgered>(unit: &mut UnitOfWork) {
    let log = unit.log.clone();
    for (id, slot) in std::mem::take(A::slots(unit)) {
        let sequence = slot.before.sequence + slot.events.len();
        let crossed = sequence / SNAPSHOT_EVERY > slot.before.sequence / SNAPSHOT_EVERY;
        let snapshot = if crossed {
            Some(slot.before.snapshot.map_or(1, |count| count + 1))
        } else {
            slot.before.snapshot
        };
        let after = Versioned {
            aggregate: slot.state,
            sequence,
            snapshot,
        };
        A::memory(log.warm()).insert(id, Arc::new(after));
    }
}

fn forget<A: Ledgered>(unit: &mut UnitOfWork) {
    let log = unit.log.clone();
    for id in A::slots(unit).keys() {
        A::memory(log.warm()).invalidate(id);
    }
}
