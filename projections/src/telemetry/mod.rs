//! What is watched rather than decided, and so no part of the log: `replay` and `verify` leave it
//! alone.
//!
//! - [`activity`]: when sessions and users were last active, and where from.
//! - [`event`]: what happens in browsers and at sign-in, for the analytics store; [`recorder`] takes
//!   it, [`spool`] keeps it on disk, and [`mod@drain`] moves it on.

pub mod activity;
pub mod drain;
pub mod event;
pub mod recorder;
pub mod sign_up_rules;
pub mod spool;

pub use activity::Activity;
pub use drain::drain;
pub use event::TelemetryEvent;
pub use recorder::Recorder;
