//! The states of aggregates: those that a unit of work has loaded, and those that a process keeps
//! between units.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::aggregates::{LedgerEvent, with_aggregates};
use crate::commit::commit_outcome::CommitOutcome;
use crate::error::LedgerError;
use crate::event_collector::EventCollector;
use crate::looked_at::LookedAt;
use crate::unit_of_work::{AggregateEntries, UnitOfWork, Versioned};
use cqrs_es::Aggregate;
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

/// How long a process remembers an aggregate it does not use.
const IDLE_TIME: Duration = Duration::from_secs(300);

/// What ties an aggregate type to the ledger.
pub trait Ledgered: Aggregate<Services = ()> + Clone + 'static {
    /// Its id.
    type Id: Display;
    /// Its place in a unit of work.
    fn entries(loaded: &mut LoadedAggregates) -> &mut AggregateEntries<Self>;
    /// Where its states are remembered between units.
    fn cached(cache: &AggregateCache) -> &Cache<String, Arc<Versioned<Self>>>;
    /// Its event as an event of the ledger.
    fn wrap(event: Self::Event) -> LedgerEvent;
}

macro_rules! loaded_aggregates {
    ($($aggregate:ident by $id:ident in $field:ident, $remembered:literal remembered, shape $shape:literal;)*) => {
        /// The states that a process remembers. Possibly out of date: the append's sequence check
        /// finds out, and what was decided on a stale state is decided anew.
        pub struct AggregateCache {
            $($field: Cache<String, Arc<Versioned<$aggregate>>>,)*
        }

        impl AggregateCache {
            /// Forgets a state that is out of date.
            pub(crate) fn forget(&self, stream: &LookedAt) {
                match stream.aggregate_type {
                    $(<$aggregate as Aggregate>::TYPE => self.$field.invalidate(&stream.id),)*
                    _ => {}
                }
            }
        }

        impl Default for AggregateCache {
            fn default() -> Self {
                Self { $($field: cache_of($remembered),)* }
            }
        }

        /// The aggregates that a unit of work has looked at or changed.
        #[derive(Default)]
        pub struct LoadedAggregates {
            $($field: AggregateEntries<$aggregate>,)*
        }

        impl LoadedAggregates {
            /// The streams that were looked at and about which nothing was decided.
            pub(crate) fn looked_at(&self) -> Vec<LookedAt> {
                let mut streams = Vec::new();
                $(streams.extend(self.$field.iter().filter(|(_, entry)| entry.is_idle()).map(
                    |(id, entry)| LookedAt::new::<$aggregate>(id, entry.sequence_before()),
                ));)*
                streams
            }

            /// The streams whose ids were drawn for this unit.
            pub(crate) fn newborn(&self) -> HashSet<String> {
                let mut ids = HashSet::new();
                $(ids.extend(
                    self.$field.iter().filter(|(_, entry)| entry.is_newborn()).map(|(id, _)| id.clone()),
                );)*
                ids
            }

            /// The units that have made the states looked at, and are not known to have committed.
            pub(crate) fn depends_on(&self) -> Vec<CommitOutcome> {
                let mut outcomes = Vec::new();
                $(outcomes.extend(self.$field.values().filter_map(|entry| entry.outcome().cloned()));)*
                outcomes
            }

            /// Remembers the states after this unit. With an outcome, it is still to be committed.
            pub(crate) fn remember(self, cache: &AggregateCache, outcome: Option<&CommitOutcome>) {
                $(for (id, entry) in self.$field {
                    // Somebody may have changed what was only looked at; that is not undone.
                    if entry.is_idle() {
                        cache.$field.entry(id).or_insert_with(|| entry.after(None));
                    } else {
                        cache.$field.insert(id, entry.after(outcome));
                    }
                })*
            }

            /// Forgets the states that this unit was decided on, and older ones.
            pub(crate) fn forget(&self, cache: &AggregateCache) {
                $(for (id, entry) in &self.$field {
                    let remembered = cache.$field.get(id);
                    if remembered.is_some_and(|it| it.is_no_newer_than(entry)) {
                        cache.$field.invalidate(id);
                    }
                })*
            }
        }

        impl UnitOfWork {
            /// Has everything decided turned into rows, aggregate by aggregate.
            pub(crate) async fn collect_all(&mut self, collector: &EventCollector) -> Result<(), LedgerError> {
                $(self.collect::<$aggregate>(collector).await?;)*
                Ok(())
            }
        }

        $(impl Ledgered for $aggregate {
            type Id = $id;
            fn entries(loaded: &mut LoadedAggregates) -> &mut AggregateEntries<Self> {
                &mut loaded.$field
            }
            fn cached(cache: &AggregateCache) -> &Cache<String, Arc<Versioned<Self>>> {
                &cache.$field
            }
            fn wrap(event: Self::Event) -> LedgerEvent {
                LedgerEvent::$aggregate(event)
            }
        })*
    };
}

with_aggregates!(loaded_aggregates);

fn cache_of<A: Send + Sync + 'static>(entries: u64) -> Cache<String, Arc<Versioned<A>>> {
    Cache::builder()
        .max_capacity(entries)
        .time_to_idle(IDLE_TIME)
        .build()
}
