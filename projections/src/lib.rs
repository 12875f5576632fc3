//! What is made from the log.
//!
//! - [`read_models`]: the read tables, folded in the transaction that appends; [`open_log`] hands
//!   them to the log.
//! - [`maintenance`]: replay, verify, history: what an operator does with a log.
//! - [`subscribers`]: what follows the log inside this database.
//! - [`webhooks`]: what receivers are told of, and the queue it is sent from.
//! - [`analytics`]: the store that tenants query, ClickHouse or the embedded engine.
//! - [`telemetry`]: what is observed rather than decided; [`session_replays`]: recordings of what
//!   users saw; [`objects`]: the bytes of both, and uploaded images.
//! - [`metrics`]: figures about a project.

pub mod analytics;
pub mod maintenance;
pub mod metrics;
pub mod objects;
pub mod read_models;
pub mod session_replays;
pub mod stripe_cancellations;
pub mod subscribers;
pub mod telemetry;
pub mod webhooks;

pub use read_models::TABLES as READ_TABLES;

use muniment_event_store::{EventLog, MasterKey};

/// The log of a database, with the read models of this crate projected inline.
#[must_use]
pub fn open_log(pool: sqlx::PgPool, master: MasterKey) -> EventLog {
    EventLog::new(pool, master, read_models::ReadModelProjector)
}

/// The migrations of the Postgres schema, embedded.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");
