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

pub mod analytics;
pub mod maintenance;
pub mod metrics;
pub mod objects;
pub mod read_models;
pub mod session_replays;
pub mod subscribers;
pub mod telemetry;
pub mod webhooks;

// Under their old names, until everything names the event store itself.
pub use muniment_event_store::leader_lock::{run_as_leader, try_lead as sole_holder};
pub use muniment_event_store::{
    AccessType, Actor, Cursor, EventContext, EventLog, LedgerError, LedgerEvent, MasterKey,
    RecordedEvent as Recorded, Reservation, Sealer, UnitOfWork,
};
pub use muniment_event_store::{
    context, error, event_log, loaded_aggregates as aggregates, sealing, unit_of_work,
};
#[doc(hidden)]
pub mod subscription {
    pub use muniment_event_store::subscription::{BatchPolicy as Pace, EventView as Sight, *};
}
#[doc(hidden)]
pub mod queues {
    pub use muniment_event_store::keyed_lock::{KeyedGuard as Turn, KeyedLock as Queues};
}
pub use read_models::TABLES as READ_TABLES;

/// The log of a database, with the read models of this crate projected inline.
#[must_use]
pub fn open_log(pool: sqlx::PgPool, master: MasterKey) -> EventLog {
    EventLog::new(pool, master, read_models::ReadModelProjector)
}

/// The migrations of the Postgres schema, embedded.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");
