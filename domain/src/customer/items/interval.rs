//! Periods of days, weeks, months and years. Items repeat after periods of fixed length; bills
//! follow the calendar.

use serde::{Deserialize, Serialize};
use time::{Date, Duration, Month, OffsetDateTime};

use crate::Millis;

const DAY: i64 = 86_400_000;
const EPOCH: Date = OffsetDateTime::UNIX_EPOCH.date();
/// The calendar repeats every 400 years. Dates are looked up in the first of these cycles, so that
/// no period, however long, leads out of the range of `time`.
const CYCLE_DAYS: i64 = 146_097;
const CYCLE_MONTHS: i64 = 4_800;

/// The unit that a period is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Days of 24 hours.
    Day,
    /// Weeks of seven days.
    Week,
    /// Months, by the calendar where it matters.
    Month,
    /// Years, by the calendar where it matters.
    Year,
}

impl Unit {
    /// The names of the units on the wire.
    pub const NAMES: [&'static str; 4] = ["day", "week", "month", "year"];
}

/// A number of days, weeks, months or years; `[2, "week"]` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayInterval(pub u32, pub Unit);

impl DayInterval {
    /// The period after which an included item is granted again. It has a fixed length, with months
    /// of 30 days and years of 365. `None` if it has no length.
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
        let (day, time) = (start.0.div_euclid(DAY), start.0.rem_euclid(DAY));
        let day = months_later(day, months);
        Millis(day.saturating_mul(DAY).saturating_add(time))
    }
}

/// The same day of a later month; days that the month does not have roll over into the next one.
/// Days are counted from 1970-01-01.
fn months_later(day: i64, months: i64) -> i64 {
    let date = EPOCH + Duration::days(day.rem_euclid(CYCLE_DAYS));
    let years = i64::from(date.year() - EPOCH.year());
    let month = years * 12 + i64::from(u8::from(date.month())) - 1 + months;
    let first = first_of(month.rem_euclid(CYCLE_MONTHS)) - EPOCH;
    let cycles = day.div_euclid(CYCLE_DAYS) + month.div_euclid(CYCLE_MONTHS);
    cycles * CYCLE_DAYS + first.whole_days() + i64::from(date.day()) - 1
}

/// The first day of a month of the first cycle; months are counted from January 1970.
fn first_of(month: i64) -> Date {
    let date = || {
        let year = i32::try_from(month / 12).ok()? + EPOCH.year();
        let month = Month::January.nth_next(u8::try_from(month % 12).ok()?);
        Date::from_calendar_date(year, month, 1).ok()
    };
    date().unwrap_or_else(|| unreachable!("month {month} is within 400 years of 1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i32, month: u8, day: u8) -> Millis {
        let month = Month::try_from(month).unwrap();
        let date = Date::from_calendar_date(year, month, day).unwrap();
        Millis((date - EPOCH).whole_days() * DAY + 3_600_000)
    }

    /// A long period neither fails nor wraps around, and one of whole cycles is exact.
    #[test]
    fn periods_lead_out_of_the_range_of_dates() {
        let cycle = CYCLE_DAYS * DAY;
        let start = at(2024, 2, 29);
        let far = DayInterval(400 * 1_000, Unit::Year).after(start);
        assert_eq!(far, start.plus(1_000 * cycle));
        let beyond = DayInterval(u32::MAX, Unit::Year).after(start);
        assert_eq!(beyond, Millis(i64::MAX));
        let before = start.plus(-500 * cycle);
        let year = DayInterval(1, Unit::Year).after(before);
        assert_eq!(year, at(2025, 3, 1).plus(-500 * cycle));
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
