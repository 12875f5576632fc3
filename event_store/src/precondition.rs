//! What a request was allowed for: checked again in every unit of work, so that it holds at the commit.
//!
//! A request is let in because somebody holds a permission, or owns a project. By the time its unit of
//! work commits, that may have been taken from them. So whoever lets a request in leaves a
//! [`Precondition`] with its [`EventContext`](crate::EventContext), and every unit of that request
//! looks at what it rests on, like at the project.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use crate::{LedgerError, UnitOfWork};

/// Something that must be so for a request to do anything.
pub trait Precondition: Debug + Send + Sync {
    /// Makes sure that it is so. What that rests on is asked of [`UnitOfWork::look`], so that the commit
    /// compares it; read models may be asked afterwards for what follows from the streams looked at.
    ///
    /// # Errors
    /// Why the request is refused.
    fn check<'u>(&'u self, unit: &'u mut UnitOfWork) -> BoxFuture<'u, Result<(), LedgerError>>;
}

/// The preconditions of one request. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct Preconditions(Arc<Mutex<Vec<Arc<dyn Precondition>>>>);

impl Preconditions {
    /// Everything that the request does from now on is done only if this holds.
    pub fn require(&self, precondition: impl Precondition + 'static) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::new(precondition));
    }

    pub(crate) fn all(&self) -> Vec<Arc<dyn Precondition>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}
