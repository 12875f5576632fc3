//! What becomes of a unit of work that others build on before it has committed.

use tokio::sync::watch;

/// Where a unit of work stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitStatus {
    /// It was submitted.
    Pending,
    /// It is in the log for good.
    Committed,
    /// It took no effect, or nobody knows whether it did; the log does.
    Failed,
}

/// Tells those who build on a unit of work what became of it. Dropped without a word, it says that
/// the unit failed.
pub(crate) struct CommitNotifier {
    sender: watch::Sender<CommitStatus>,
    outcome: CommitOutcome,
}

/// What became, or will become, of a unit of work.
#[derive(Clone)]
pub(crate) struct CommitOutcome(watch::Receiver<CommitStatus>);

impl CommitNotifier {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = watch::channel(CommitStatus::Pending);
        let outcome = CommitOutcome(receiver);
        Self { sender, outcome }
    }

    pub(crate) fn outcome(&self) -> CommitOutcome {
        self.outcome.clone()
    }

    pub(crate) fn notify(&self, status: CommitStatus) {
        self.sender.send_replace(status);
    }

    /// Whether `outcome` is that of the unit which this notifier belongs to.
    pub(crate) fn notifies(&self, outcome: &CommitOutcome) -> bool {
        self.outcome.0.same_channel(&outcome.0)
    }
}

impl CommitOutcome {
    /// What is known now.
    pub(crate) fn status(&self) -> CommitStatus {
        let known = *self.0.borrow();
        let is_abandoned = known == CommitStatus::Pending && self.0.has_changed().is_err();
        // Between the two looks the notifier may have spoken and gone.
        match is_abandoned.then(|| *self.0.borrow()) {
            None => known,
            Some(CommitStatus::Pending) => CommitStatus::Failed,
            Some(last) => last,
        }
    }

    /// Waits until the unit has committed, or failed to.
    pub(crate) async fn wait(&self) -> CommitStatus {
        let mut receiver = self.0.clone();
        // An error says that the notifier is gone, which `status` knows how to read.
        let _ = receiver
            .wait_for(|status| *status != CommitStatus::Pending)
            .await;
        self.status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_outcome_is_known_before_and_after_it_is_notified() {
        let notifier = CommitNotifier::new();
        let outcome = notifier.outcome();
        assert_eq!(outcome.status(), CommitStatus::Pending);
        let waiting = tokio::spawn({
            let outcome = outcome.clone();
            async move { outcome.wait().await }
        });
        notifier.notify(CommitStatus::Committed);
        drop(notifier);
        assert_eq!(waiting.await.unwrap(), CommitStatus::Committed);
        assert_eq!(outcome.wait().await, CommitStatus::Committed);
    }

    #[tokio::test]
    async fn a_notifier_that_is_dropped_in_silence_has_failed() {
        let notifier = CommitNotifier::new();
        let outcome = notifier.outcome();
        drop(notifier);
        assert_eq!(outcome.status(), CommitStatus::Failed);
        assert_eq!(outcome.wait().await, CommitStatus::Failed);
    }

    #[test]
    fn notifiers_know_their_outcomes() {
        let (one, other) = (CommitNotifier::new(), CommitNotifier::new());
        assert!(one.notifies(&one.outcome()));
        assert!(!one.notifies(&other.outcome()));
    }
}
