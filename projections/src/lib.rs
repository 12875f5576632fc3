//! The event log and everything that follows it inside Postgres.
//!
//! - [`event_log`]: appending and reading; [`unit_of_work`]: several aggregates and their read
//!   models in one transaction, and `group_commit`: several units in one, under load; [`sealing`]:
//!   personal data under one key per subject.
//! - [`read_models`]: the projectors; [`users`], [`teams`], [`sessions`], [`projects`],
//!   [`permissions`], [`passkeys`], [`verification_codes`], [`cli_logins`], [`outgoing_emails`],
//!   [`api_keys`], [`notifications`], [`customers`], [`ai_conversations`], [`support_conversations`]: one read model each, with its queries.
//! - [`user_loader`]: reading many users at once.
//! - [`subscription`]: durable cursors for what leaves the transaction; [`subscribers`]: those
//!   that exist.
//! - [`overview`]: figures about a project.
//! - [`replay`], [`verify`], [`history`]: what an operator does with a log.
//! - [`webhooks`]: what the outside world is told of what happened, and the queue it is sent from.
//! - [`analytics`]: the store that tenants query, ClickHouse or the embedded engine.
//! - [`telemetry`]: what is watched rather than decided; [`session_replays`]: recordings of what
//!   users saw, in [`private_objects`]; [`sign_up_rules`]: how often rules applied.

pub mod aggregates;
pub mod analytics;
pub mod context;
pub mod error;
pub mod event_log;
mod fate;
mod group_commit;
mod leader;
pub mod maintenance;
pub mod metrics;
mod notifier;
pub mod objects;
pub mod queues;
pub mod read_models;
pub mod sealing;
pub mod session_replays;
mod sole_holder;
mod staging;
pub mod subscribers;
pub mod subscription;
pub mod telemetry;
pub mod unit_of_work;
mod upcasting;
pub mod webhooks;

pub use aggregates::LedgerEvent;
pub use context::{AccessType, Actor, EventContext};
pub use error::{LedgerError, Reservation};
pub use event_log::{Cursor, EventLog, Recorded};
pub use leader::run_as_leader;
pub use read_models::TABLES as READ_TABLES;
pub use sealing::{MasterKey, Sealer};
pub use sole_holder::sole_holder;
pub use unit_of_work::UnitOfWork;

/// The migrations of the Postgres schema, embedded.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");
