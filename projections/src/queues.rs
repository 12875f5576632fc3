//! Queues inside the process for what many requests want to change at once.
//!
//! Units of work on one stream that are ready at the same moment get in each other's way: one is
//! committed, the others are decided anew. So those that were in the way once wait for their turn,
//! and what is known to be wanted by many, such as a hot item, is waited for from the start. Between
//! processes, the log's own check still decides.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

/// Queues by the id of what is wanted. One exists as long as somebody waits in it.
pub struct Queues<K: Eq + Hash>(Arc<Mutex<HashMap<K, Arc<Queue<()>>>>>);

/// One's turn, until this is dropped.
pub struct Turn<K: Eq + Hash> {
    id: K,
    guard: Option<OwnedMutexGuard<()>>,
    of: Queues<K>,
}

impl<K: Eq + Hash> Default for Queues<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash> Clone for Queues<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> Queues<K> {
    /// Waits for one's turn. First come, first served.
    pub async fn wait(&self, id: K) -> Turn<K> {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(queues.entry(id.clone()).or_default())
        };
        Turn {
            id,
            guard: Some(queue.lock_owned().await),
            of: self.clone(),
        }
    }
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        let mut queues = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard.take();
        let is_empty = |queue: &Arc<Queue<()>>| Arc::strong_count(queue) == 1;
        if queues.get(&self.id).is_some_and(is_empty) {
            queues.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left() {
        let queues = Queues::default();
        let id = 1;
        let running = Arc::new(Mutex::new(0));
        let tasks = (0..50).map(|_| {
            let (queues, running) = (queues.clone(), Arc::clone(&running));
            tokio::spawn(async move {
                let _turn = queues.wait(id).await;
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
        assert!(queues.0.lock().unwrap().is_empty());
    }
}
