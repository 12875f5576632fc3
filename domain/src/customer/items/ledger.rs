//! The quantity of an item that a customer has, at any instant.
//!
//! Items come from grants by hand and from purchases, and are used up by removals. A grant may have
//! an end; at its end, only what was not used is lost. A removal uses the grant with the soonest
//! end first, and may lead into debt, which later grants pay.
//!
//! An [`ItemLedger`] keeps of the history of one item of one customer only what can still matter,
//! so that it stays small however long the history is:
//!
//! - As long as no subscription that grants the item is running, the past is settled: it is one
//!   balance.
//! - The end of a subscription decides, after the fact, which grants were used first. So while one
//!   is running, changes since its start are kept. But changes between two instants at which
//!   something may expire or be granted amount to the same in any order, and are kept as two sums.
//!
//! Changes must come in the order of time; the aggregate sees to that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::quantity::Quantity;
use crate::Millis;
use crate::customer::products::product::{Expiry, IncludedItem, Repeat};
use crate::customer::subscription::Subscription;

/// The history of one item of one customer, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemLedger {
    /// The instant up to which the past is settled, that instant included.
    settled_at: Option<Millis>,
    settled: Balance,
    changes: Vec<Changes>,
    /// Grants by hand that expire, made since then.
    expiring: Vec<ExpiringGrant>,
    /// Grants of purchases, by the purchase.
    sources: BTreeMap<Uuid, Source>,
    latest: Option<Millis>,
}

/// The quantity at one instant, by when it is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Balance {
    /// Unused grants by their end.
    expiring: BTreeMap<Millis, Quantity>,
    /// Unused grants without an end or, if negative, a debt.
    lasting: Quantity,
}

/// Permanent grants and removals between two instants at which something else may happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Changes {
    /// The instant of the last change among them.
    at: Millis,
    granted: Quantity,
    removed: Quantity,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ExpiringGrant {
    at: Millis,
    ends: Millis,
    quantity: Quantity,
}

/// The grants of an item that come from a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    start: Millis,
    end: End,
    amount: Quantity,
    /// Milliseconds between grants.
    period: Option<i64>,
    expires: Expiry,
}

/// The end of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The purchase never ends, as far as is known: it was made once and for all, or others decide,
    /// and the history is computed again once they have.
    Never,
    /// The end is open: the purchase is paid until this instant, and may end then or before.
    Open(Millis),
    /// The purchase ends, or ended, at this instant.
    At(Millis),
}

/// A change of a balance at an instant. The order is the one in which changes at the same instant
/// are made: grants, soonest end first, then removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    GrantUntil(Millis, Quantity),
    Grant(Quantity),
    Remove(Quantity),
}

impl Balance {
    fn total(&self) -> Quantity {
        self.expiring.values().copied().sum::<Quantity>() + self.lasting
    }

    /// Drops the grants that have ended, as far as they were not used.
    fn expire(&mut self, now: Millis) {
        self.expiring.retain(|end, _| *end > now);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Grant(quantity) => self.lasting += quantity,
            Step::GrantUntil(end, quantity) => self.grant_until(end, quantity),
            Step::Remove(quantity) => self.remove(quantity),
        }
    }

    /// Adds a grant that ends. It pays a debt first, and that part is not lost at the end.
    fn grant_until(&mut self, end: Millis, quantity: Quantity) {
        let debt = self.lasting.min(Quantity::ZERO);
        let left = quantity + debt;
        if left.is_positive() {
            self.lasting -= debt;
            *self.expiring.entry(end).or_default() += left;
        } else {
            self.lasting += quantity;
        }
    }

    /// Uses up grants, the one with the soonest end first.
    fn remove(&mut self, mut quantity: Quantity) {
        while quantity.is_positive()
            && let Some(mut soonest) = self.expiring.first_entry()
        {
            let used = quantity.min(*soonest.get());
            quantity -= used;
            *soonest.get_mut() -= used;
            if *soonest.get() == Quantity::ZERO {
                soonest.remove();
            }
        }
        self.lasting -= quantity;
    }
}

impl Subscription {
    /// The end of what the subscription grants. For a subscription at Stripe it is never known:
    /// Stripe may end it at any instant, also a past one, and then its history is computed again.
    #[must_use]
    pub fn end(&self) -> End {
        match (self.ended_at, &self.stripe_id) {
            (Some(ended), _) => End::At(ended),
            (None, Some(_)) => End::Never,
            (None, None) => End::Open(self.period_end),
        }
    }
}

impl Source {
    /// The grants of an item that come from a purchase of `quantity` products.
    #[must_use]
    pub fn new(
        item: &IncludedItem,
        quantity: i64,
        start: Millis,
        subscription: Option<&Subscription>,
    ) -> Self {
        Self {
            start,
            end: subscription.map_or(End::Never, Subscription::end),
            amount: item.quantity.times(quantity),
            period: match item.repeat {
                Repeat::Never => None,
                Repeat::Every(interval) => interval.fixed_millis(),
            },
            expires: item.expires,
        }
    }

    fn known_end(&self) -> Option<Millis> {
        match self.end {
            End::At(end) => Some(end.max(self.start)),
            End::Never | End::Open(_) => None,
        }
    }

    /// The number of the first grant after that instant, counted from 0.
    fn next_grant(&self, after: Option<Millis>) -> Option<i64> {
        let Some(after) = after.filter(|after| *after >= self.start) else {
            return Some(0);
        };
        let passed = after.0.saturating_sub(self.start.0);
        self.period.map(|period| passed / period + 1)
    }

    /// The instant of a grant. `None` if the purchase ends before.
    fn grant_at(&self, number: i64) -> Option<Millis> {
        if number == 0 {
            return Some(self.start);
        }
        let at = self.start.plus(self.period?.saturating_mul(number));
        self.known_end().is_none_or(|end| at < end).then_some(at)
    }

    /// The instant at which a grant is lost; never, if absent.
    fn end_of(&self, number: i64) -> Option<Millis> {
        match self.expires {
            Expiry::Never => None,
            Expiry::WhenPurchaseExpires => self.known_end(),
            Expiry::WhenRepeated => self
                .grant_at(number + 1)
                .filter(|_| self.period.is_some())
                .or(self.known_end()),
        }
    }

    fn steps(&self, after: Option<Millis>, now: Millis, steps: &mut Vec<(Millis, Step)>) {
        let Some(first) = self.next_grant(after) else {
            return;
        };
        for number in first.. {
            let Some(at) = self.grant_at(number).filter(|at| *at <= now) else {
                return;
            };
            // A product may take something away, too.
            let step = match self.end_of(number) {
                _ if self.amount.is_negative() => Step::Remove(-self.amount),
                Some(end) => Step::GrantUntil(end, self.amount),
                None => Step::Grant(self.amount),
            };
            steps.push((at, step));
            if self.period.is_none() {
                return;
            }
        }
    }

    /// Whether a grant or the end may fall after `from`, but not after `to`.
    fn may_act_within(&self, from: Millis, to: Millis) -> bool {
        let within = |at: Millis| from < at && at <= to;
        let ends = match self.end {
            End::Never => false,
            End::Open(end) | End::At(end) => within(end),
        };
        let next = self
            .next_grant(Some(from))
            .and_then(|number| self.grant_at(number));
        ends || next.is_some_and(within)
    }

    /// Whether there will be no more grants.
    fn is_exhausted(&self, now: Millis) -> bool {
        match self.next_grant(Some(now)) {
            Some(number) => self.grant_at(number).is_none(),
            None => true,
        }
    }
}

impl ItemLedger {
    /// The quantity at that instant, or after the last change if that is later: a server's clock
    /// may be behind another's.
    #[must_use]
    pub fn quantity(&self, now: Millis) -> Quantity {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.balance(now).total()
    }

    /// Records a change by hand. A removal has no end, and a grant that would end before it begins
    /// grants nothing.
    pub fn change(&mut self, at: Millis, quantity: Quantity, ends: Option<Millis>) {
        self.advance(at);
        match ends {
            Some(ends) if quantity.is_positive() => {
                if ends > at {
                    self.expiring.push(ExpiringGrant { at, ends, quantity });
                }
            }
            _ => self.note(at, quantity),
        }
    }

    /// Records the grants of a purchase.
    pub fn add_source(&mut self, purchase: Uuid, source: Source) {
        self.advance(source.start);
        self.sources.insert(purchase, source);
    }

    /// Records the end of a subscription that grants this item, possibly before `now`.
    pub fn end_source(&mut self, purchase: Uuid, end: Millis, now: Millis) {
        self.latest = self.latest.max(Some(now));
        if let Some(source) = self.sources.get_mut(&purchase) {
            source.end = End::At(end);
        }
    }

    /// Lets time come to `now`, without any change.
    pub(crate) fn settle(&mut self, now: Millis) {
        self.advance(now);
    }

    fn note(&mut self, at: Millis, quantity: Quantity) {
        let changes = match self.changes.last_mut() {
            Some(last) if last.at == at => last,
            _ => {
                self.join_last();
                self.changes.push(Changes {
                    at,
                    granted: Quantity::ZERO,
                    removed: Quantity::ZERO,
                });
                let Some(last) = self.changes.last_mut() else {
                    return;
                };
                last
            }
        };
        if quantity.is_negative() {
            changes.removed -= quantity;
        } else {
            changes.granted += quantity;
        }
    }

    /// Joins the last changes to those before them, if nothing may happen in between. Changes at
    /// the present instant are kept apart, because a subscription may still end at it.
    fn join_last(&mut self) {
        let [.., before, last] = self.changes.as_slice() else {
            return;
        };
        if self.may_act_within(before.at, last.at) {
            return;
        }
        if let Some(last) = self.changes.pop()
            && let Some(before) = self.changes.last_mut()
        {
            before.at = last.at;
            before.granted += last.granted;
            before.removed += last.removed;
        }
    }

    fn may_act_within(&self, from: Millis, to: Millis) -> bool {
        let within = |at: Millis| from < at && at <= to;
        let mut sources = self.sources.values();
        let mut settled = self.settled.expiring.keys();
        let mut grants = self.expiring.iter();
        sources.any(|source| source.may_act_within(from, to))
            || settled.any(|end| within(*end))
            || grants.any(|grant| within(grant.at) || within(grant.ends))
    }

    /// Lets time come to `at`. Everything before it is settled, unless the end of a subscription
    /// may still reach back.
    fn advance(&mut self, at: Millis) {
        self.latest = self.latest.max(Some(at));
        let running = |source: &Source| matches!(source.end, End::Open(_));
        if self.sources.values().any(running) {
            return;
        }
        let before = at.plus(-1);
        if self.settled_at.is_some_and(|settled| settled >= before) {
            return;
        }
        self.settled = self.balance(before);
        self.settled_at = Some(before);
        self.changes.retain(|changes| changes.at > before);
        self.expiring.retain(|grant| grant.at > before);
        self.sources
            .retain(|_, source| !source.is_exhausted(before));
    }

    fn balance(&self, now: Millis) -> Balance {
        let mut steps = Vec::new();
        for changes in self.changes.iter().filter(|changes| changes.at <= now) {
            steps.push((changes.at, Step::Grant(changes.granted)));
            steps.push((changes.at, Step::Remove(changes.removed)));
        }
        for grant in self.expiring.iter().filter(|grant| grant.at <= now) {
            steps.push((grant.at, Step::GrantUntil(grant.ends, grant.quantity)));
        }
        for source in self.sources.values() {
            source.steps(self.settled_at, now, &mut steps);
        }
        steps.sort_unstable();
        let mut balance = self.settled.clone();
        for (at, step) in steps {
            balance.expire(at);
            if !matches!(step, Step::GrantUntil(end, _) if end <= at) {
                balance.take(step);
            }
        }
        balance.expire(now);
        balance
    }
}
