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
//! - [`unit_of_work`] and `commit`: how a unit gets into the log,
//!   under load together with others.
//! - [`precondition`]: what a request was let in for, checked again in its units of work.
//! - [`projector`]: the trait that read models are handed in behind. This crate knows no read table.
//! - [`context`]: who did it, and in which request. [`sealing`]: personal data under one key per
//!   subject. `upcasting`: how events of older shapes are read.
//! - [`unreadable`]: events that this version cannot read are passed over, by name.
//! - [`epoch`]: the log keeps its order when it is moved to another cluster of Postgres.
//! - [`subscription`], [`leader_lock`], [`keyed_lock`]: following the log, and taking turns between
//!   processes and inside one.

pub mod aggregates;
mod commit;
pub mod commit_observer;
pub mod context;
pub mod epoch;
pub mod error;
pub mod event;
mod event_collector;
pub mod event_log;
pub mod keyed_lock;
pub mod leader_lock;
mod listing;
pub mod loaded_aggregates;
mod looked_at;
mod notifier;
pub mod precondition;
pub mod projector;
pub mod sealing;
pub mod subscription;
pub mod unit_of_work;
pub mod unreadable;
mod upcasting;

pub use aggregates::LedgerEvent;
pub use commit_observer::CommitObserver;
pub use context::{AccessType, Actor, EventContext};
pub use error::{ConstraintMeaning, LedgerError, Reservation};
pub use event::{Cursor, EventEnvelope, RecordedEvent};
pub use event_log::EventLog;
pub use loaded_aggregates::Ledgered;
pub use precondition::{Precondition, Preconditions};
pub use projector::InlineProjector;
pub use sealing::{MasterKey, Sealer};
pub use unit_of_work::UnitOfWork;
pub use unreadable::{Page, Unreadable};
