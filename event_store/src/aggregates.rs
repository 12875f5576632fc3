//! The aggregates of the ledger, named once: a new one is a line here, and its projector.

use cqrs_es::{Aggregate, DomainEvent};
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
use serde_json::Value;

use crate::LedgerError;

/// Hands the list of all aggregates to another macro: type, id, field, how many of them a process
/// remembers, and the shape of their snapshots. The latter goes up by one whenever the state gets a field
/// that cannot be told from an older snapshot: those are passed over then, and streams read whole.
macro_rules! with_aggregates {
    ($callback:ident) => {
        $callback! {
            Project by ProjectId in projects, 64 remembered, shape 1;
            User by UserId in users, 4096 remembered, shape 1;
            Team by TeamId in teams, 512 remembered, shape 1;
            Session by SessionId in sessions, 1024 remembered, shape 1;
            VerificationCode by VerificationCodeId in codes, 512 remembered, shape 1;
            OutgoingEmail by OutgoingEmailId in emails, 256 remembered, shape 1;
            CliLogin by CliLoginId in cli_logins, 64 remembered, shape 1;
            ApiKey by ApiKeyId in api_keys, 64 remembered, shape 1;
            VaultEntry by VaultEntryId in vault_entries, 64 remembered, shape 1;
            Customer by CustomerId in customers, 16_384 remembered, shape 1;
            AiConversation by AiConversationId in ai_conversations, 64 remembered, shape 1;
            SupportConversation by SupportConversationId in support_conversations, 64 remembered, shape 1;
        }
    };
}
pub(crate) use with_aggregates;

macro_rules! ledger_event {
    ($($aggregate:ident by $id:ident in $field:ident, $remembered:literal remembered, shape $shape:literal;)*) => {
        /// An event of any aggregate.
        #[derive(Clone, Debug, PartialEq)]
        pub enum LedgerEvent {
            $(
                #[doc = concat!("An event of the aggregate [`", stringify!($aggregate), "`].")]
                $aggregate(<$aggregate as Aggregate>::Event),
            )*
        }

        impl LedgerEvent {
            /// Reads a payload of the current shape.
            ///
            /// # Errors
            /// [`LedgerError::UnknownAggregate`] and [`LedgerError::Codec`].
            pub(crate) fn decode(aggregate_type: &str, payload: Value) -> Result<Self, LedgerError> {
                match aggregate_type {
                    $($aggregate::TYPE => Ok(Self::$aggregate(serde_json::from_value(payload)?)),)*
                    other => Err(LedgerError::UnknownAggregate(other.to_owned())),
                }
            }

            /// The type of the aggregates that it happens to.
            pub(crate) fn aggregate_type(&self) -> &'static str {
                match self {
                    $(Self::$aggregate(_) => $aggregate::TYPE,)*
                }
            }

            /// The version of its shape.
            pub(crate) fn version(&self) -> String {
                match self {
                    $(Self::$aggregate(event) => event.event_version(),)*
                }
            }

            /// The event's payload as JSON, with what is personal in the clear.
            ///
            /// # Errors
            /// [`LedgerError::Codec`], which would be a bug.
            pub fn payload(&self) -> Result<Value, LedgerError> {
                Ok(match self {
                    $(Self::$aggregate(event) => serde_json::to_value(event)?,)*
                })
            }
        }
    };
}

with_aggregates!(ledger_event);

macro_rules! snapshot_shapes {
    ($($aggregate:ident by $id:ident in $field:ident, $remembered:literal remembered, shape $shape:literal;)*) => {
        /// The present shape of the snapshots of that type of aggregate.
        pub(crate) fn snapshot_shape(aggregate_type: &str) -> u32 {
            match aggregate_type {
                $($aggregate::TYPE => $shape,)*
                _ => 0,
            }
        }
    };
}

with_aggregates!(snapshot_shapes);
