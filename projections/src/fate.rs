//! What becomes of a unit of work that others build on before it has committed.

use tokio::sync::watch;

/// Where a unit of work stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was handed in.
    Pending,
    /// It is in the log for good.
    Committed,
    /// It took no effect, or nobody knows whether it did; the log does.
    Failed,
}

/// Tells those who build on a unit of work what became of it. Dropped without a word, it says that
/// the unit failed.
pub(crate) struct Verdict {
    sender: watch::Sender<Outcome>,
    fate: Fate,
}

/// What became, or will become, of a unit of work.
#[derive(Clone)]
pub(crate) struct Fate(watch::Receiver<Outcome>);

impl Verdict {
    pub(crate) fn new() -> Self {
        let (sender, fate) = watch::channel(Outcome::Pending);
        let fate = Fate(fate);
        Self { sender, fate }
    }

    pub(crate) fn fate(&self) -> Fate {
        self.fate.clone()
    }

    pub(crate) fn settle(&self, outcome: Outcome) {
        self.sender.send_replace(outcome);
    }

    /// Whether this verdict is on the unit of that fate.
    pub(crate) fn is_on(&self, fate: &Fate) -> bool {
        self.fate.0.same_channel(&fate.0)
    }
}

impl Fate {
    /// What is known now.
    pub(crate) fn outcome(&self) -> Outcome {
        let said = *self.0.borrow();
        let is_abandoned = said == Outcome::Pending && self.0.has_changed().is_err();
        // Between the two looks the verdict may have been spoken, and its speaker have gone.
        match is_abandoned.then(|| *self.0.borrow()) {
            None => said,
            Some(Outcome::Pending) => Outcome::Failed,
            Some(last) => last,
        }
    }

    /// Waits for the verdict.
    pub(crate) async fn settled(&self) -> Outcome {
        let mut verdict = self.0.clone();
        // An error says that nobody will speak any more, which `outcome` knows how to read.
        let _ = verdict
            .wait_for(|outcome| *outcome != Outcome::Pending)
            .await;
        self.outcome()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_verdict_is_heard_before_and_after_it_is_spoken() {
        let verdict = Verdict::new();
        let fate = verdict.fate();
        assert_eq!(fate.outcome(), Outcome::Pending);
        let waiting = tokio::spawn({
            let fate = fate.clone();
            async move { fate.settled().await }
        });
        verdict.settle(Outcome::Committed);
        drop(verdict);
        assert_eq!(waiting.await.unwrap(), Outcome::Committed);
        assert_eq!(fate.settled().await, Outcome::Committed);
    }

    #[tokio::test]
    async fn who_leaves_without_a_verdict_has_failed() {
        let verdict = Verdict::new();
        let fate = verdict.fate();
        drop(verdict);
        assert_eq!(fate.outcome(), Outcome::Failed);
        assert_eq!(fate.settled().await, Outcome::Failed);
    }

    #[test]
    fn verdicts_know_their_fates() {
        let (one, other) = (Verdict::new(), Verdict::new());
        assert!(one.is_on(&one.fate()));
        assert!(!one.is_on(&other.fate()));
    }
}
