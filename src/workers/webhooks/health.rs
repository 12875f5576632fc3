//! When a message is tried again, and when an endpoint is given up.

use muniment_domain::Millis;
use muniment_projections::webhooks::endpoints::Failing;
use muniment_projections::webhooks::queue::{Attempt, DeliveryOutcome, Due};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// The pauses before the second, third, … attempt, each counted from the failure before it: the
/// schedule that Svix documents.
const PAUSES: [i64; 7] = [
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    10 * HOUR,
];
/// Failures are counted that are not further apart than this.
const WINDOW: i64 = 24 * HOUR;
/// So many failures, with that long between the first and the last, start the clock.
const SEVERAL: i32 = 3;
const SPREAD: i64 = 12 * HOUR;
/// An endpoint is disabled when the clock has run for that long: five days.
const PATIENCE: i64 = 5 * 24 * HOUR;

/// What becomes of a message after an attempt that ended at `now`.
pub(super) fn outcome(due: &Due, attempt: &Attempt, now: Millis) -> DeliveryOutcome {
    if attempt.is_success() {
        return DeliveryOutcome::Delivered;
    }
    if due.content.is_none() {
        return DeliveryOutcome::GivenUp;
    }
    if due.is_manual {
        // An attempt that somebody asked for does not use the schedule up.
        return after_failure(due.failures.saturating_sub(1).max(0), now);
    }
    after_failure(due.failures, now)
}

/// What becomes of a message that failed `failures` times before, and now once more.
fn after_failure(failures: i32, now: Millis) -> DeliveryOutcome {
    let pause = usize::try_from(failures).ok().and_then(|at| PAUSES.get(at));
    pause.map_or(DeliveryOutcome::GivenUp, |pause| {
        DeliveryOutcome::Retried(now.plus(*pause))
    })
}

/// Whether an endpoint is still worth trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointHealth {
    /// It works, or has not been failing for long.
    WorthTrying,
    /// It has been failing for too long, and is to be disabled.
    GivenUp,
}

/// An endpoint's record after another failure.
pub(super) fn after_another_failure(record: Failing, now: Millis) -> (Failing, EndpointHealth) {
    if let Some(since) = record.since {
        let health = if now.0 - since.0 >= PATIENCE {
            EndpointHealth::GivenUp
        } else {
            EndpointHealth::WorthTrying
        };
        return (record, health);
    }
    let first = record.first_failure_at.filter(|at| now.0 - at.0 <= WINDOW);
    let Some(first) = first else {
        let fresh = Failing {
            first_failure_at: Some(now),
            failures: 1,
            since: None,
        };
        return (fresh, EndpointHealth::WorthTrying);
    };
    let failures = record.failures.saturating_add(1);
    let starts = failures >= SEVERAL && now.0 - first.0 >= SPREAD;
    let counted = Failing {
        first_failure_at: Some(first),
        failures,
        since: starts.then_some(now),
    };
    (counted, EndpointHealth::WorthTrying)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_eight_times_in_about_a_day() {
        let mut now = Millis(0);
        let mut attempts = 1;
        while let DeliveryOutcome::Retried(at) = after_failure(attempts - 1, now) {
            now = at;
            attempts += 1;
        }
        assert_eq!(attempts, 8);
        assert_eq!(now.0, 27 * HOUR + 35 * MINUTE + 5 * SECOND);
    }

    #[test]
    fn an_endpoint_is_given_up_after_five_days_of_failures() {
        let mut record = Failing::default();
        let mut hours = 0;
        loop {
            let (next, health) = after_another_failure(record, Millis(hours * HOUR));
            if health == EndpointHealth::GivenUp {
                break;
            }
            record = next;
            hours += 6;
        }
        // The clock starts with the third failure, twelve hours after the first.
        assert_eq!(hours, 12 + 5 * 24);
    }

    #[test]
    fn failures_far_apart_are_not_added_up() {
        let mut record = Failing::default();
        for day in 0..30 {
            let (next, health) = after_another_failure(record, Millis(day * 25 * HOUR));
            assert_eq!(health, EndpointHealth::WorthTrying);
            assert_eq!(next.since, None);
            record = next;
        }
    }
}
