//! The read models: how events become rows, and the queries over them.
//!
//! A projector is a pure fold from rows and an event to rows. The same fold runs in the appending
//! transaction, in `replay`, in `verify` and in `history`, so that they cannot disagree. Every row
//! belongs to one stream; what one row says depends on that stream alone, so streams may be folded
//! in any order.
//!
//! [`registry`] names every read table once; [`table`] defines a table with its row type, [`batch`]
//! loads, writes and clears rows; [`projector`] sends each event to its model. The other modules are one model each: its
//! rows, its projector and its queries.

pub mod ai_conversations;
pub mod api_keys;
pub(crate) mod batch;
pub(crate) mod bulk_copy;
pub mod cli_logins;
pub mod customers;
pub(crate) mod ddl;
pub mod notifications;
pub mod outgoing_emails;
pub mod paging;
pub mod passkeys;
pub mod permissions;
pub(crate) mod projector;
pub mod projects;
pub(crate) mod registry;
pub mod seen_until;
pub mod sessions;
pub mod support_conversations;
pub(crate) mod table;
pub mod teams;
pub mod users;
pub mod verification_codes;

pub use projector::ReadModelProjector;
pub use registry::TABLES;
