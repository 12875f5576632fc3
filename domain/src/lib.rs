//! The rules of Muniment: aggregates, their commands and events, and the value types they speak in.
//!
//! Nothing in this crate does I/O, reads a clock or draws random numbers: times, ids and hashes
//! are handed in with the command. So every rule can be tested exactly, and replaying a log gives
//! the same state on every machine.
//!
//! - [`user`], [`team`], [`session`], [`project`], [`verification_code`], [`outgoing_email`],
//!   [`cli_login`]: one aggregate each, as `{mod: state and decisions, command, event}`.
//! - [`api_key`]: a key that a user or a team hands to programs, likewise.
//! - [`vault_entry`]: a sealed value of the data vault.
//! - [`customer`]: who has items and products; its stream is the ledger of quantities.
//! - [`ai_conversation`], [`support_conversation`]: what is said in the dashboard.
//! - [`notification`]: categories of mails, and whether they are wanted.
//! - [`permission`]: definitions, containment and the system permissions.
//! - [`restriction`]: why a user's tokens are restricted.
//! - [`sign_up_rules`]: who may sign up, by conditions that operators write.
//! - [`personal`]: the part of an event that is sealed under its subject's key.

pub mod ai_conversation;
pub mod api_key;
pub mod cli_login;
pub mod customer;
pub mod email;
mod event;
pub mod ids;
mod lifecycle;
pub mod notification;
pub mod outgoing_email;
pub mod patch;
pub mod permission;
pub mod personal;
pub mod project;
pub mod restriction;
pub mod secret;
pub mod session;
pub mod sign_up_rules;
mod string_order;
pub mod support_conversation;
pub mod team;
pub mod time;
pub mod user;
pub mod vault_entry;
pub mod verification_code;

pub use email::EmailAddress;
pub use ids::{
    AiConversationId, ApiKeyId, CliLoginId, ContactChannelId, CustomerId, KeySetId, MAIN_BRANCH,
    OutgoingEmailId, PermissionId, ProjectId, PurchaseId, SessionId, SupportConversationId, TeamId,
    UserId, VaultEntryId, VerificationCodeId,
};
pub use patch::Patch;
pub use personal::Personal;
pub use restriction::RestrictedReason;
pub use secret::SecretHash;
pub use string_order::string_order;
pub use time::Millis;
