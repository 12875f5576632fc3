//! When to try again.

use muniment_domain::Millis;

/// Pauses between attempts, in milliseconds: each is twice as long as the one before.
pub(super) struct Backoff {
    /// The first pause.
    pub(super) first: i64,
    /// The longest.
    pub(super) longest: i64,
}

impl Backoff {
    /// When something is tried again that failed, after so many failures before.
    pub(super) fn retry_at(&self, now: Millis, failures: i32) -> Millis {
        let doublings = u32::try_from(failures.clamp(0, 20)).unwrap_or(20);
        let pause = self.first.saturating_mul(1 << doublings);
        now.plus(pause.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff {
            first: 1000,
            longest: 5000,
        };
        let pauses = [0, 1, 2, 3, i32::MAX].map(|failures| backoff.retry_at(Millis(0), failures).0);
        assert_eq!(pauses, [1000, 2000, 4000, 5000, 5000]);
    }
}
