//! Listings that a decision rests on: what a read model says must be the same at the commit.
//!
//! Whoever ends all sessions of a user, or dissolves a team, asks a read model for what there is. A
//! session that is opened in the same moment would be missed: the unit that opens it changes none of
//! the streams that the other one looked at. So a unit remembers its listings, and its transaction
//! reads them again once it holds its streams. Whoever adds something to a listing looks at a stream
//! that the lister appends to (the session's user, the team of a member): so it has either committed by
//! then, and is found, or is refused afterwards.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::{PgConnection, PgPool};

use crate::LedgerError;

type Reread =
    dyn for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<bool, LedgerError>> + Send + Sync;

/// A listing that was read, and can be read again.
pub(crate) struct Listed(Box<Reread>);

impl Listed {
    /// Reads a listing.
    pub(crate) async fn read<T, F>(pool: &PgPool, listing: F) -> Result<(Vec<T>, Self), LedgerError>
    where
        T: Clone + PartialEq + Send + Sync + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<Vec<T>, LedgerError>>
            + Send
            + Sync
            + 'static,
    {
        let found = listing(&mut *pool.acquire().await?).await?;
        let seen = Arc::new((found.clone(), listing));
        let listed = Self::by(move |connection| {
            let seen = Arc::clone(&seen);
            async move { Ok(seen.1(connection).await? == seen.0) }.boxed()
        });
        Ok((found, listed))
    }

    /// Has the compiler see that the closure takes connections of any lifetime.
    fn by<F>(reread: F) -> Self
    where
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<bool, LedgerError>>
            + Send
            + Sync
            + 'static,
    {
        Self(Box::new(reread))
    }
}

/// Whether everything that a unit listed is still so.
pub(crate) async fn are_unchanged(
    connection: &mut PgConnection,
    listed: &[Listed],
) -> Result<bool, LedgerError> {
    for Listed(reread) in listed {
        if !reread(&mut *connection).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
