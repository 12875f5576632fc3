//! Billing periods, compared with what `Date.setUTCMonth` of JavaScript does, step by step.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests may fail loudly")]

use muniment_domain::Millis;
use muniment_domain::customer::{DayInterval, Unit};
use proptest::prelude::*;
use time::{Date, Duration, Month, OffsetDateTime};

fn at(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap()
}

/// So many months later, as `Date.setUTCMonth` of JavaScript has it: a day that the month does not
/// have rolls over into the next one.
fn months_later(start: OffsetDateTime, months: i32) -> OffsetDateTime {
    let months = start.year() * 12 + i32::from(u8::from(start.month())) - 1 + months;
    let month = Month::try_from(u8::try_from(months.rem_euclid(12)).unwrap() + 1).unwrap();
    let first = Date::from_calendar_date(months.div_euclid(12), month, 1).unwrap();
    start.replace_date(first) + Duration::days(i64::from(start.day()) - 1)
}

/// Instants of four centuries, and more often than not near the end of a month.
fn instant() -> impl Strategy<Value = i64> {
    let first = Date::from_calendar_date(1970, Month::January, 1).unwrap();
    let near_an_end =
        (0..2400_i32, -4..2_i64, 0..86_400_000_i64).prop_map(move |(months, days, time)| {
            let start = months_later(first.midnight().assume_utc(), months);
            (start.unix_timestamp() + days * 86_400) * 1000 + time
        });
    prop_oneof![2 => near_an_end, 1 => 0..6_311_390_400_000_i64]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn months_and_years_follow_the_calendar(start in instant(), count in 0..60_u8) {
        let month = DayInterval(count.into(), Unit::Month).after(Millis(start));
        prop_assert_eq!(at(month.0), months_later(at(start), count.into()));
        let year = DayInterval(count.into(), Unit::Year).after(Millis(start));
        prop_assert_eq!(at(year.0), months_later(at(start), i32::from(count) * 12));
    }

    /// Clocks that are put forward or back somewhere make no day longer or shorter.
    #[test]
    fn days_and_weeks_are_always_as_long(start in instant(), count in 0..500_u32) {
        for (unit, days) in [(Unit::Day, 1), (Unit::Week, 7)] {
            let end = DayInterval(count, unit).after(Millis(start));
            prop_assert_eq!(at(end.0), at(start) + Duration::days(days * i64::from(count)));
        }
    }
}
