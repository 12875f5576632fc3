//! How patiently a subscription works, and in which portions.

use std::time::Duration;

/// How patiently a subscription works.
#[derive(Clone, Copy, Debug)]
pub struct BatchPolicy {
    /// Events per batch, at most.
    pub batch: i64,
    /// How long to wait for a notification before looking anyway.
    pub poll: Duration,
    /// How long to wait after a notification for more to come. A batch costs a transaction,
    /// however small it is; under load this makes few large ones of many small ones.
    pub linger: Duration,
    /// The shortest time from one batch to the next, unless there is a full one to take: for sinks
    /// to which a batch is costly, however small it is.
    pub interval: Duration,
    /// How often a batch, and then each of its events, is tried.
    pub attempts: u32,
    /// The pause after the first failure; doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for BatchPolicy {
    fn default() -> Self {
        Self {
            batch: 500,
            poll: Duration::from_secs(1),
            linger: Duration::from_millis(25),
            interval: Duration::ZERO,
            attempts: 8,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(30),
        }
    }
}
