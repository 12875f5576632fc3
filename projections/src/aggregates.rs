//! The aggregates of the ledger, named once: a new one is a line here, its projector, and its
//! error.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

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
use serde_json::Value;

use crate::LedgerError;
use crate::fate::Fate;
use crate::staging::Staging;
use crate::unit_of_work::{Slots, UnitOfWork, Versioned};

/// How long a process remembers an aggregate it does not use.
const MEMORY_TIME: Duration = Duration::from_secs(300);

/// What ties an aggregate type to the ledger.
pub trait Ledgered: Aggregate<Services = ()> + Clone + 'static {
    /// Its id.
    type Id: Display;
    /// Its place in a unit of work.
    fn slots(opened: &mut Opened) -> &mut Slots<Self>;
    /// Where its states are remembered between units.
    fn memory(warm: &WarmAggregates) -> &Cache<String, Arc<Versioned<Self>>>;
    /// Its event as an event of the ledger.
    fn wrap(event: Self::Event) -> LedgerEvent;
}

macro_rules! ledger {
    ($($(#[$doc:meta])* $aggregate:ident by $id:ident in $field:ident, $remembered:literal remembered;)*) => {
        /// An event of any aggregate.
        #[derive(Clone, Debug, PartialEq)]
        pub enum LedgerEvent {
            $($(#[$doc])* $aggregate(<$aggregate as Aggregate>::Event),)*
        }

        impl LedgerEvent {
            /// Reads a payload of the current shape.
            pub(crate) fn decode(aggregate_type: &str, payload: Value) -> Result<Self, LedgerError> {
                match aggregate_type {
                    $($aggregate::TYPE => Ok(Self::$aggregate(serde_json::from_value(payload)?)),)*
                    other => Err(LedgerError::UnknownAggregate(other.to_owned())),
                }
            }
        }

        /// The states that a process remembers. Possibly out of date: the append's sequence check
        /// finds out, and what was decided on a stale state is decided anew.
        pub struct WarmAggregates {
            $($field: Cache<String, Arc<Versioned<$aggregate>>>,)*
        }

        impl Default for WarmAggregates {
            fn default() -> Self {
                Self { $($field: memory($remembered),)* }
            }
        }

        /// The aggregates that a unit of work has looked at or changed.
        #[derive(Default)]
        pub struct Opened {
            $($field: Slots<$aggregate>,)*
        }

        impl Opened {
            /// Whether some aggregate was looked at, but nothing was decided about it.
            pub(crate) fn has_idle(&self) -> bool {
                $(self.$field.values().any(|slot| slot.is_idle()))||*
            }

            /// The units that have made the states looked at, and are not known to have committed.
            pub(crate) fn foundations(&self) -> Vec<Fate> {
                let mut fates = Vec::new();
                $(fates.extend(self.$field.values().filter_map(|slot| slot.fate().cloned()));)*
                fates
            }

            /// Remembers the states after this unit. With a fate, it is still to be committed.
            pub(crate) fn remember(self, warm: &WarmAggregates, fate: Option<&Fate>) {
                $(for (id, slot) in self.$field {
                    warm.$field.insert(id, Arc::new(slot.after(fate)));
                })*
            }

            /// Forgets the states that this unit was decided on, and older ones.
            pub(crate) fn forget(&self, warm: &WarmAggregates) {
                $(for (id, slot) in &self.$field {
                    let remembered = warm.$field.get(id);
                    if remembered.is_some_and(|it| it.is_no_newer_than(slot)) {
                        warm.$field.invalidate(id);
                    }
                })*
            }
        }

        impl UnitOfWork {
            /// Has everything decided turned into rows, aggregate by aggregate.
            pub(crate) async fn stage_all(&mut self, staging: &Staging) -> Result<(), LedgerError> {
                $(self.stage::<$aggregate>(staging).await?;)*
                Ok(())
            }
        }

        $(impl Ledgered for $aggregate {
            type Id = $id;
            fn slots(opened: &mut Opened) -> &mut Slots<Self> {
                &mut opened.$field
            }
            fn memory(warm: &WarmAggregates) -> &Cache<String, Arc<Versioned<Self>>> {
                &warm.$field
            }
            fn wrap(event: Self::Event) -> LedgerEvent {
                LedgerEvent::$aggregate(event)
            }
        })*
    };
}

ledger! {
    /// Of a project.
    Project by ProjectId in projects, 64 remembered;
    /// Of a user.
    User by UserId in users, 4096 remembered;
    /// Of a team.
    Team by TeamId in teams, 512 remembered;
    /// Of a session.
    Session by SessionId in sessions, 1024 remembered;
    /// Of a verification code.
    VerificationCode by VerificationCodeId in codes, 512 remembered;
    /// Of an outgoing email.
    OutgoingEmail by OutgoingEmailId in emails, 256 remembered;
    /// Of a command-line login.
    CliLogin by CliLoginId in cli_logins, 64 remembered;
    /// Of an API key.
    ApiKey by ApiKeyId in api_keys, 64 remembered;
    /// Of an entry of the data vault.
    VaultEntry by VaultEntryId in vault_entries, 64 remembered;
    /// Of a customer.
    Customer by CustomerId in customers, 16_384 remembered;
    /// Of a conversation with the assistant.
    AiConversation by AiConversationId in ai_conversations, 64 remembered;
    /// Of a support conversation.
    SupportConversation by SupportConversationId in support_conversations, 64 remembered;
}

fn memory<A: Send + Sync + 'static>(entries: u64) -> Cache<String, Arc<Versioned<A>>> {
    Cache::builder()
        .max_capacity(entries)
        .time_to_idle(MEMORY_TIME)
        .build()
}
