//! What read models look like from the log: one trait, which the crate of the read models
//! implements and hands in.

use std::future::Future;
use std::pin::Pin;

use sqlx::PgConnection;

use crate::error::{ConstraintMeaning, LedgerError};
use crate::event::EventEnvelope;

/// The future of [`InlineProjector::project`].
pub type Projecting<'c> = Pin<Box<dyn Future<Output = Result<(), LedgerError>> + Send + 'c>>;

/// Folds events into read models, in the transaction that appends them.
pub trait InlineProjector: Send + Sync + 'static {
    /// Folds `events`, in order, into the read tables that the search path of `connection` names.
    /// An error rolls the append back.
    fn project<'c>(
        &'c self,
        connection: &'c mut PgConnection,
        events: Vec<EventEnvelope>,
    ) -> Projecting<'c>;

    /// What it means that an append violates the unique constraint of that name; `None` if the
    /// constraint belongs to no read model.
    fn constraint(&self, name: &str) -> Option<ConstraintMeaning>;
}
