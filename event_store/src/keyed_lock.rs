//! Locks by key inside the process, for what many requests want to change at once.
//!
//! Units of work on one stream that are ready at the same moment get in each other's way: one is
//! committed, the others are decided anew. So those that were in the way once wait for their turn,
//! and what many are known to want, such as a hot item, is waited for from the start. Between
//! processes, the log's own check still decides.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

/// Locks by the id of what is wanted. One exists as long as somebody holds or awaits it.
pub struct KeyedLock<K: Eq + Hash>(Arc<Mutex<HashMap<K, Arc<Lock<()>>>>>);

/// A lock that is held until this is dropped.
pub struct KeyedGuard<K: Eq + Hash> {
    id: K,
    guard: Option<OwnedMutexGuard<()>>,
    of: KeyedLock<K>,
}

impl<K: Eq + Hash> Default for KeyedLock<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash> Clone for KeyedLock<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> KeyedLock<K> {
    /// Waits for the lock of that id. First come, first served.
    pub async fn lock(&self, id: K) -> KeyedGuard<K> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(id.clone()).or_default())
        };
        // Made before the wait: dropped by a caller who gives up, it tidies up as well.
        let mut guard = KeyedGuard {
            id,
            guard: None,
            of: self.clone(),
        };
        guard.guard = Some(lock.lock_owned().await);
        guard
    }
}

impl<K: Eq + Hash> Drop for KeyedGuard<K> {
    fn drop(&mut self) {
        let mut locks = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard.take();
        let is_free = |lock: &Arc<Lock<()>>| Arc::strong_count(lock) == 1;
        if locks.get(&self.id).is_some_and(is_free) {
            locks.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left() {
        let locks = KeyedLock::default();
        let id = 1;
        let running = Arc::new(Mutex::new(0));
        let tasks = (0..50).map(|_| {
            let (locks, running) = (locks.clone(), Arc::clone(&running));
            tokio::spawn(async move {
                let _guard = locks.lock(id).await;
                let before = std::mem::replace(&mut *running.lock().unwrap(), 1);
                tokio::task::yield_now().await;
                *running.lock().unwrap() = 0;
                before
            })
        });
        let tasks: Vec<_> = tasks.collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 0);
        }
        assert!(locks.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_waiter_who_gives_up_leaves_nothing() {
        let locks = KeyedLock::default();
        let held = locks.lock(1).await;
        let waiting = tokio::spawn({
            let locks = locks.clone();
            async move { locks.lock(1).await }
        });
        while Arc::strong_count(&locks.0.lock().unwrap()[&1]) < 3 {
            tokio::task::yield_now().await;
        }
        // The guard goes to the waiter, who is gone before taking it.
        waiting.abort();
        drop(held);
        assert!(waiting.await.is_err());
        assert!(locks.0.lock().unwrap().is_empty());
    }
}
