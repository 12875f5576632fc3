//! Periods of days, weeks, months and years.

use serde::{Deserialize, Serialize};

use crate::Millis;

const DAY: i64 = 86_400_000;

/// What a period is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Days.
    Day,
    /// Weeks.
    Week,
    /// Months.
    Month,
    /// Years.
    Year,
}

impl Unit {
    /// The units' names.
    pub const NAMES: [&'static str; 4] = ["day", "week", "month", "year"];
}

/// So many days, weeks, months or years; `[2, "week"]` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayInterval(pub u32, pub Unit);

impl DayInterval {
    /// The period by which included items repeat: of fixed length, a month being 30 days and a
    /// year 365. A period of no length never comes round.
    #[must_use]
    pub fn fixed_millis(self) -> Option<i64> {
        let days = match self.1 {
            Unit::Day => 1,
            Unit::Week => 7,
            Unit::Month => 30,
            Unit::Year => 365,
        };
        (self.0 > 0).then(|| (DAY * days).saturating_mul(i64::from(self.0)))
    }

    /// The end of a billing period, by the calendar in UTC. A day that the last month does not have
    /// rolls over into the next month: a month after January 31 is March 3, or 2 in a leap year.
    #[must_use]
    pub fn after(self, start: Millis) -> Millis {
        let count = i64::from(self.0);
        let months = match self.1 {
            Unit::Day => return start.plus(count * DAY),
            Unit::Week => return start.plus((count * DAY).saturating_mul(7)),
            Unit::Month => count,
            Unit::Year => count * 12,
        };
        let (days, time) = (start.0.div_euclid(DAY), start.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let months = year * 12 + (month - 1) + months;
        let first = days_until(months.div_euclid(12), months.rem_euclid(12) + 1);
        Millis((first + day - 1).saturating_mul(DAY).saturating_add(time))
    }
}

/// Whether it has a February 29.
fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of a month.
fn days_until(year: i64, month: i64) -> i64 {
    let past = year - 1;
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let years = (year - 1970) * 365 + leap_days(past) - leap_days(1969);
    years
        + (1..month)
            .map(|month| month_length(year, month))
            .sum::<i64>()
}

/// The date of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // A guess that is at most a year off.
    let mut year = 1970 + (days * 400).div_euclid(146_097);
    while days < days_until(year, 1) {
        year -= 1;
    }
    while days >= days_until(year + 1, 1) {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days >= days_until(year, month + 1) {
        month += 1;
    }
    (year, month, days - days_until(year, month) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i64, month: i64, day: i64) -> Millis {
        Millis((days_until(year, month) + day - 1) * DAY + 3_600_000)
    }

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(days_until(1970, 1), 0);
        assert_eq!(days_until(2000, 3), 11_017);
        for days in -200_000..200_000 {
            let (year, month, day) = civil(days);
            assert_eq!(days_until(year, month) + day - 1, days);
            assert!((1..=month_length(year, month)).contains(&day));
        }
    }

    #[test]
    fn billing_periods_follow_the_calendar() {
        let month = DayInterval(1, Unit::Month);
        assert_eq!(month.after(at(2025, 1, 15)), at(2025, 2, 15));
        assert_eq!(month.after(at(2025, 1, 31)), at(2025, 3, 3));
        assert_eq!(month.after(at(2024, 1, 31)), at(2024, 3, 2));
        assert_eq!(month.after(at(2025, 12, 31)), at(2026, 1, 31));
        let year = DayInterval(1, Unit::Year);
        assert_eq!(year.after(at(2024, 2, 29)), at(2025, 3, 1));
        assert_eq!(
            DayInterval(2, Unit::Week).after(at(2025, 1, 1)),
            at(2025, 1, 15)
        );
    }

    #[test]
    fn repeats_have_fixed_lengths() {
        assert_eq!(DayInterval(1, Unit::Month).fixed_millis(), Some(30 * DAY));
        assert_eq!(DayInterval(0, Unit::Day).fixed_millis(), None);
    }
}
