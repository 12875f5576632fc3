//! What a project's owner sees of it at a glance: users, mail, money, traffic.
//!
//! One file per source of figures. Those of [`traffic`] come from the analytics store; all others
//! from the read tables, each figure by one statement over the whole project.

pub mod accounts;
pub mod emails;
pub mod payments;
pub mod recordings;
pub mod traffic;

use std::collections::BTreeMap;

use muniment_domain::Millis;

/// Milliseconds in a day.
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Days that a series shows.
pub const DAYS: i64 = 31;

/// The days that figures are about: whole days in UTC, the current one being the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Days since the Unix epoch.
    first_day: i64,
}

impl Window {
    /// Those that end with the current day.
    #[must_use]
    pub fn until(now: Millis) -> Self {
        Self {
            first_day: now.0.div_euclid(DAY_MILLIS) - (DAYS - 1),
        }
    }

    /// When the first day begins.
    #[must_use]
    pub fn start(self) -> Millis {
        Millis(self.first_day * DAY_MILLIS)
    }

    /// When the last day is over.
    #[must_use]
    pub fn end(self) -> Millis {
        Millis((self.first_day + DAYS) * DAY_MILLIS)
    }

    /// One figure for every day, oldest first, with the day's first moment.
    #[must_use]
    pub fn series<T: Clone + Default>(self, daily: &Daily<T>) -> Vec<(Millis, T)> {
        let days = self.first_day..self.first_day + DAYS;
        let figure = |day| daily.0.get(&day).cloned().unwrap_or_default();
        days.map(|day| (Millis(day * DAY_MILLIS), figure(day)))
            .collect()
    }
}

/// Figures by day, in days since the Unix epoch. Days without one are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daily<T>(BTreeMap<i64, T>);

impl<T> Default for Daily<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> FromIterator<(i64, T)> for Daily<T> {
    fn from_iter<I: IntoIterator<Item = (i64, T)>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

impl<T> Daily<T> {
    /// The figures, each changed.
    pub fn map<U>(&self, change: impl Fn(&T) -> U) -> Daily<U> {
        let changed = self.0.iter().map(|(day, figure)| (*day, change(figure)));
        changed.collect()
    }
}

/// Whether anonymous users count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// They do.
    Included,
    /// They do not.
    Excluded,
}

impl Anonymous {
    pub(crate) fn are_included(self) -> bool {
        self == Self::Included
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_all_days_and_ends_today() {
        let noon = Millis(20_000 * DAY_MILLIS + DAY_MILLIS / 2);
        let window = Window::until(noon);
        let daily: Daily<i64> = [(20_000, 5), (19_970, 7), (19_969, 9)]
            .into_iter()
            .collect();
        let series = window.series(&daily);
        assert_eq!(series.len(), 31);
        assert_eq!(series[0], (Millis(19_970 * DAY_MILLIS), 7));
        assert_eq!(series[1], (Millis(19_971 * DAY_MILLIS), 0));
        assert_eq!(series[30], (Millis(20_000 * DAY_MILLIS), 5));
        assert_eq!(window.end(), Millis(20_001 * DAY_MILLIS));
    }
}
