//! The event log: the database of Muniment.
//!
//! Every change is one or more events on the stream of an aggregate. A [`UnitOfWork`] decides
//! commands on several aggregates in memory; its commit is one Postgres transaction that appends
//! the events and has the [`InlineProjector`] fold them into the read models, so that a caller reads
//! its own writes. What leaves the process follows the log afterwards, through [`subscription`]s
//! with durable cursors.
//!
//! - [`aggregates`]: every aggregate, named once; [`LedgerEvent`]: an event of any of them.
//!   [`loaded_aggregates`]: their states in a unit of work, and those kept between units.
//! - [`event_log`]: the log itself. [`EventLog::transact`] runs a unit of work,
//!   [`EventLog::submit`] a command on a stream that many write to.
//! - [`unit_of_work`], `prepared_unit`, `group_commit`, `append`, `commit_outcome`: how a unit gets into the log,
//!   under load together with others.
//! - [`projector`]: the trait that read models are handed in behind. This crate knows no read table.
//! - [`context`]: who did it, and in which request. [`sealing`]: personal data under one key per
//!   subject. `upcasting`: how events of older shapes are read.
//! - [`subscription`], [`leader_lock`], [`keyed_lock`]: following the log, and taking turns between
//!   processes and inside one.

pub mod aggregates;
mod append;
mod commit_outcome;
pub mod context;
pub mod error;
mod event_collector;
pub mod event_log;
mod group_commit;
pub mod keyed_lock;
pub mod leader_lock;
pub mod loaded_aggregates;
mod notifier;
mod prepared_unit;
pub mod projector;
mod sealed_event;
pub mod sealing;
pub mod subscription;
pub mod unit_of_work;
mod upcasting;

pub use aggregates::LedgerEvent;
pub use context::{AccessType, Actor, EventContext};
pub use error::{LedgerError, Reservation};
pub use event_log::{Cursor, EventEnvelope, EventLog, RecordedEvent};
pub use loaded_aggregates::Ledgered;
pub use projector::{ConstraintMeaning, InlineProjector};
pub use sealing::{MasterKey, Sealer};
pub use unit_of_work::UnitOfWork;
