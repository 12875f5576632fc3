//! A slow, obvious model of an item's ledger: it keeps every row and folds all of them each time.

use muniment_domain::customer::{DayInterval, Expiry, Repeat, Unit};

pub(crate) const DAY: i64 = 86_400_000;

/// Every row.
#[derive(Default)]
pub(crate) struct Model {
    pub changes: Vec<(i64, i64, Option<i64>)>,
    pub purchases: Vec<Row>,
}

pub(crate) struct Row {
    pub start: i64,
    pub end: Option<i64>,
    pub amount: i64,
    pub repeat: Repeat,
    pub expires: Expiry,
}

impl Row {
    /// Grants up to `now`: when, and until when.
    fn grants(&self, now: i64) -> Vec<(i64, Option<i64>)> {
        let end = self.end.map(|end| end.max(self.start));
        let period = match self.repeat {
            Repeat::Never | Repeat::Every(DayInterval(0, _)) => None,
            Repeat::Every(DayInterval(count, unit)) => Some(
                i64::from(count)
                    * match unit {
                        Unit::Day => DAY,
                        Unit::Week => 7 * DAY,
                        Unit::Month => 30 * DAY,
                        Unit::Year => 365 * DAY,
                    },
            ),
        };
        let mut starts = vec![self.start];
        if let Some(period) = period {
            let mut at = self.start + period;
            while at <= now + period && end.is_none_or(|end| at < end) {
                starts.push(at);
                at += period;
            }
        }
        let mut grants = Vec::new();
        for (number, at) in starts.iter().enumerate().filter(|(_, at)| **at <= now) {
            let until = match self.expires {
                Expiry::Never => None,
                Expiry::WhenPurchaseExpires => end,
                Expiry::WhenRepeated => starts.get(number + 1).copied().or(end),
            };
            grants.push((*at, until));
        }
        grants
    }
}

impl Model {
    pub(crate) fn quantity(&self, now: i64) -> i64 {
        let mut grants: Vec<(i64, Option<i64>, i64)> = Vec::new();
        let mut removals: Vec<(i64, i64)> = Vec::new();
        for (at, delta, ends) in self.changes.iter().filter(|change| change.0 <= now) {
            if *delta < 0 {
                removals.push((*at, -delta));
            } else {
                grants.push((*at, *ends, *delta));
            }
        }
        for row in &self.purchases {
            for (at, until) in row.grants(now) {
                if row.amount < 0 {
                    removals.push((at, -row.amount));
                } else {
                    grants.push((at, until, row.amount));
                }
            }
        }
        let mut instants: Vec<i64> = grants.iter().map(|grant| grant.0).collect();
        instants.extend(removals.iter().map(|removal| removal.0));
        instants.sort_unstable();
        instants.dedup();
        let (mut open, mut debt): (Vec<(Option<i64>, i64)>, i64) = (Vec::new(), 0);
        let last = |ends: Option<i64>| ends.unwrap_or(i64::MAX);
        for instant in instants {
            open.retain(|(ends, _)| last(*ends) > instant);
            let mut here: Vec<_> = grants.iter().filter(|grant| grant.0 == instant).collect();
            here.sort_by_key(|grant| last(grant.1));
            for (_, ends, quantity) in here {
                if last(*ends) <= instant {
                    continue;
                }
                let left = quantity + debt;
                debt = left.min(0);
                if left > 0 {
                    open.push((*ends, left));
                }
            }
            for (_, quantity) in removals.iter().filter(|removal| removal.0 == instant) {
                let mut wanted = *quantity;
                open.sort_by_key(|(ends, _)| last(*ends));
                for (_, left) in &mut open {
                    let used = wanted.min(*left);
                    *left -= used;
                    wanted -= used;
                }
                open.retain(|(_, left)| *left > 0);
                debt -= wanted;
            }
        }
        open.retain(|(ends, _)| last(*ends) > now);
        open.iter().map(|(_, left)| left).sum::<i64>() + debt
    }
}
