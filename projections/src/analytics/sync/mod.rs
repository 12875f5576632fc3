//! Keeping the analytics store's synced tables up to date with the log: those behind the views of tenants,
//! and three of payments that tenants do not see.
//!
//! A batch of events says which rows are affected ([`affected_rows`]). Those that exist are read as they
//! are now, from the read tables, and written; those that do not are marked as deleted
//! ([`tables`]). So it does not matter whether a batch comes once or twice, nor how it is cut: what
//! was touched last was read after it was touched last.
//!
//! Every write carries a version, drawn before the rows are read. Of two versions of a row the
//! store shows the higher one, and a higher version was read later: a process that was taken for
//! dead and still writes cannot bring an old state back.
//!
//! - [`rows`]: what is in the tables, and where it is read.
//! - [`subscriber`]: follows the log; [`replay`]: makes the tables anew; [`verify`]: compares.
//! - [`usage`]: when sessions were last used, which is not in the log.
//! - [`erasure`]: removes what was kept of those who were deleted, from disk as well.

pub(crate) mod affected_rows;
pub mod erasure;
pub mod replay;
mod rows;
mod subscriber;
mod tables;
pub mod usage;
pub mod verify;

pub use subscriber::{BATCH_POLICY, Synchronizer};
