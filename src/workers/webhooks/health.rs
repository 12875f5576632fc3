//! When a message is tried again, and when an endpoint is given up.

use muniment_domain::Millis;
use muniment_projections::webhooks::endpoints::Failing;
use muniment_projections::webhooks::queue::Fate;

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

/// What becomes of a message that failed `failures` times before, and now once more.
pub fn after_failure(failures: i32, now: Millis) -> Fate {
    let pause = usize::try_from(failures).ok().and_then(|at| PAUSES.get(at));
    pause.map_or(Fate::GivenUp, |pause| Fate::Retried(now.plus(*pause)))
}

/// Whether an endpoint is still worth trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Keep,
    /// It has been failing for too long.
    Disable,
}

/// An endpoint's record after another failure.
pub fn after_another_failure(record: Failing, now: Millis) -> (Failing, Verdict) {
    if let Some(since) = record.since {
        let verdict = if now.0 - since.0 >= PATIENCE {
            Verdict::Disable
        } else {
            Verdict::Keep
        };
        return (record, verdict);
    }
    let first = record.first_failure_at.filter(|at| now.0 - at.0 <= WINDOW);
    let Some(first) = first else {
        let fresh = Failing {
            first_failure_at: Some(now),
            failures: 1,
            since: None,
        };
        return (fresh, Verdict::Keep);
    };
    let failures = record.failures.saturating_add(1);
    let starts = failures >= SEVERAL && now.0 - first.0 >= SPREAD;
    let counted = Failing {
        first_failure_at: Some(first),
        failures,
        since: starts.then_some(now),
    };
    (counted, Verdict::Keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_eight_times_in_about_a_day() {
        let mut now = Millis(0);
        let mut attempts = 1;
        while let Fate::Retried(at) = after_failure(attempts - 1, now) {
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
            let (next, verdict) = after_another_failure(record, Millis(hours * HOUR));
            if verdict == Verdict::Disable {
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
            let (next, verdict) = after_another_failure(record, Millis(day * 25 * HOUR));
            assert_eq!(verdict, Verdict::Keep);
            assert_eq!(next.since, None);
            record = next;
        }
    }
}
