//! Telling this process what it has just committed, for what must hold on this node at once. Other
//! processes learn of it from the log.

use std::sync::OnceLock;

use crate::aggregates::LedgerEvent;

/// What is done about a committed event, on the stream of that id.
pub type Committed = Box<dyn Fn(&str, &LedgerEvent) + Send + Sync>;

/// What wants to know of certain events.
pub struct CommitObserver {
    /// Which events.
    pub wants: fn(&LedgerEvent) -> bool,
    /// Is told of each after its commit, with its stream's id, before whoever committed goes on.
    pub committed: Committed,
}

/// The log's one observer, if it has any.
#[derive(Default)]
pub(crate) struct Observed(OnceLock<CommitObserver>);

impl Observed {
    /// Sets the observer. There is one: a second one is dropped.
    pub(crate) fn set(&self, observer: CommitObserver) {
        let _ = self.0.set(observer);
    }

    /// The events among these that the observer wants to know of.
    pub(crate) fn wanted(&self, decided: &[(String, LedgerEvent)]) -> Vec<(String, LedgerEvent)> {
        let Some(observer) = self.0.get() else {
            return Vec::new();
        };
        let wanted = decided.iter().filter(|(_, event)| (observer.wants)(event));
        wanted.cloned().collect()
    }

    /// Tells the observer.
    pub(crate) fn tell(&self, committed: &[(String, LedgerEvent)]) {
        if let Some(observer) = self.0.get() {
            for (id, event) in committed {
                (observer.committed)(id, event);
            }
        }
    }
}
