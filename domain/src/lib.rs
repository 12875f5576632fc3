//! The rules of Muniment: aggregates, their commands and events, and the value types they use.
//!
//! Nothing in this crate does I/O, reads a clock or draws random numbers: times, ids and hashes
//! come with the command. So every rule can be tested exactly, and replaying a log gives the same
//! state on every machine.
//!
//! # Map
//!
//! An aggregate is a module of its own: `command` holds what can be asked of it, `event` what is
//! recorded, and `mod` its errors, its state, and the decisions that lead from one to the other.
//!
//! | concern | modules |
//! |---|---|
//! | accounts | [`user`], [`team`], [`permission`], [`restriction`], [`notification`] |
//! | what opens what, and what voids it | [`grounds`], the table |
//! | ways in | [`session`], [`verification_code`], [`cli_login`], [`api_key`], [`sign_up_rules`] |
//! | a project and its settings | [`project`], and in it `config`: every setting, one line each |
//! | products, items and payments | [`customer`]: the ledger of quantities, purchases and refunds |
//! | mail and conversations | [`outgoing_email`], [`support_conversation`], [`ai_conversation`] |
//! | secrets kept for others | [`vault_entry`] |
//! | values that all of them use | [`ids`], [`email`], [`time`], [`secret`], [`patch`], [`personal`] |
//!
//! An event is stored under its variant's name, and its content under the names of its fields. What
//! is stored once must be readable for good: a new field needs a default, and a changed one a new
//! version of the event. What an event says about a person is in its field `personal`, which the
//! log seals; see [`Personal`].

pub mod ai_conversation;
pub mod api_key;
pub mod cli_login;
pub mod customer;
pub mod email;
mod event;
pub mod grounds;
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
