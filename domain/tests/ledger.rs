//! The ledger of item quantities: worked examples, and a comparison with a slow model that keeps
//! every row and folds all of them again, over random schedules.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests may fail loudly")]

use muniment_domain::Millis;
use muniment_domain::customer::items::ledger::Source;
use muniment_domain::customer::{
    DayInterval, Expiry, IncludedItem, ItemLedger, Quantity, Repeat, Subscription, Unit,
};
use proptest::prelude::*;
use uuid::Uuid;

mod model;

use model::{DAY, Model, Row};

fn day(day: i64) -> Millis {
    Millis(day * DAY)
}

fn item(quantity: i64, repeat: Repeat, expires: Expiry) -> IncludedItem {
    IncludedItem {
        quantity: Quantity::whole(quantity),
        repeat,
        expires,
    }
}

fn every(count: u32, unit: Unit) -> Repeat {
    Repeat::Every(DayInterval(count, unit))
}

fn running(start: Millis, paid_until: Millis) -> Subscription {
    Subscription::local(start, paid_until)
}

/// A ledger of one item, in days.
#[derive(Default)]
struct Story(ItemLedger);

const PURCHASE: Uuid = Uuid::from_u128(1);

impl Story {
    fn change(mut self, at: i64, delta: i64) -> Self {
        self.0.change(day(at), Quantity::whole(delta), None);
        self
    }

    fn change_until(mut self, at: i64, delta: i64, ends: i64) -> Self {
        let quantity = Quantity::whole(delta);
        self.0.change(day(at), quantity, Some(day(ends)));
        self
    }

    fn subscribe(self, at: i64, included: &IncludedItem) -> Self {
        self.subscribe_as(PURCHASE, at, included)
    }

    fn subscribe_as(mut self, id: Uuid, at: i64, included: &IncludedItem) -> Self {
        let subscription = running(day(at), day(at + 30));
        let source = Source::new(included, 1, day(at), Some(&subscription));
        self.0.add_source(id, source);
        self
    }

    fn buy(mut self, at: i64, included: &IncludedItem, quantity: i64) -> Self {
        let source = Source::new(included, quantity, day(at), None);
        self.0.add_source(PURCHASE, source);
        self
    }

    fn end(mut self, at: i64) -> Self {
        self.0.end_source(PURCHASE, day(at), day(at));
        self
    }

    fn reads(self, at: i64, expected: i64) -> Self {
        assert_eq!(
            self.0.quantity(day(at)),
            Quantity::whole(expected),
            "day {at}"
        );
        self
    }
}

#[test]
fn the_soonest_expiring_grant_is_used_first() {
    Story::default()
        .change(0, 10)
        .change_until(1, 5, 10)
        .change(2, -8)
        .reads(2, 7)
        .reads(10, 7);
}

#[test]
fn only_what_was_not_used_expires() {
    Story::default()
        .change_until(0, 5, 10)
        .change(4, -3)
        .reads(4, 2)
        .reads(10, 0);
}

#[test]
fn debts_are_paid_first() {
    Story::default()
        .change(0, -7)
        .reads(0, -7)
        .change_until(1, 10, 5)
        .reads(1, 3)
        .reads(5, 0);
}

#[test]
fn a_removal_does_not_expire() {
    Story::default()
        .change(0, 10)
        .change_until(1, -4, 3)
        .reads(1, 6)
        .reads(3, 6);
}

#[test]
fn repeated_grants_replace_each_other() {
    Story::default()
        .subscribe(0, &item(50, every(7, Unit::Day), Expiry::WhenRepeated))
        .change(3, -20)
        .reads(3, 30)
        .reads(7, 50)
        .reads(14, 50)
        .reads(21, 50)
        .end(25)
        .reads(25, 0);
}

#[test]
fn repeated_grants_that_never_expire_accumulate() {
    Story::default()
        .subscribe(0, &item(50, every(7, Unit::Day), Expiry::Never))
        .reads(0, 50)
        .reads(7, 100)
        .reads(14, 150)
        .end(15)
        .reads(15, 150)
        .reads(100, 150);
}

#[test]
fn months_of_repeats_have_thirty_days() {
    Story::default()
        .subscribe(
            0,
            &item(100, every(1, Unit::Month), Expiry::WhenPurchaseExpires),
        )
        .reads(0, 100)
        .reads(29, 100)
        .reads(30, 200)
        .end(45)
        .reads(45, 0);
}

#[test]
fn a_one_time_purchase_never_ends() {
    Story::default()
        .buy(
            0,
            &item(10, every(1, Unit::Week), Expiry::WhenPurchaseExpires),
            1,
        )
        .reads(0, 10)
        .reads(7, 20)
        .reads(14, 30)
        .reads(700, 1010);
}

#[test]
fn an_end_decides_afterwards_what_was_used() {
    Story::default()
        .change(0, 50)
        .subscribe(1, &item(100, Repeat::Never, Expiry::WhenPurchaseExpires))
        .change(2, -30)
        .reads(2, 120)
        .end(20)
        .reads(20, 50);
}

#[test]
fn a_repeat_pays_the_debt_and_expires_what_is_left() {
    Story::default()
        .subscribe(0, &item(10, every(1, Unit::Week), Expiry::WhenRepeated))
        .change(2, -15)
        .reads(2, -5)
        .reads(7, 5)
        .reads(14, 10);
}

#[test]
fn stacked_products_multiply() {
    Story::default()
        .buy(0, &item(2, Repeat::Never, Expiry::Never), 3)
        .reads(0, 6);
}

#[test]
fn a_replaced_plan_takes_its_items_with_it() {
    Story::default()
        .subscribe(0, &item(2, Repeat::Never, Expiry::WhenPurchaseExpires))
        .end(3)
        .subscribe_as(
            Uuid::from_u128(2),
            3,
            &item(3, Repeat::Never, Expiry::WhenPurchaseExpires),
        )
        .reads(3, 3);
}

#[test]
fn a_long_history_leaves_a_small_ledger() {
    let mut ledger = ItemLedger::default();
    let weekly = item(5, every(1, Unit::Week), Expiry::WhenRepeated);
    let subscription = running(day(0), day(30));
    ledger.add_source(
        PURCHASE,
        Source::new(&weekly, 1, day(0), Some(&subscription)),
    );
    for minute in 0..100_000 {
        ledger.change(Millis(minute * 60_000), Quantity::whole(1), None);
    }
    let size = |ledger: &ItemLedger| serde_json::to_string(ledger).unwrap().len();
    // A subscription is running, so what happens between two repeats is kept as two sums.
    assert!(size(&ledger) < 2_000, "{}", size(&ledger));
    ledger.end_source(PURCHASE, day(70), day(70));
    ledger.change(day(71), Quantity::whole(1), None);
    assert!(size(&ledger) < 500, "{}", size(&ledger));
    assert_eq!(ledger.quantity(day(71)), Quantity::whole(100_001));
}

/// One thing that happens, some time after the one before.
#[derive(Clone, Debug)]
enum Happening {
    Change {
        delta: i64,
        ends_after: Option<i64>,
    },
    Buy {
        amount: i64,
        repeat: Repeat,
        expires: Expiry,
    },
    Subscribe {
        amount: i64,
        repeat: Repeat,
        expires: Expiry,
        paid_for: i64,
    },
    EndNow(usize),
    EndWhenPaid(usize),
}

fn repeat() -> impl Strategy<Value = Repeat> {
    let unit = prop_oneof![Just(Unit::Day), Just(Unit::Week), Just(Unit::Month)];
    prop_oneof![
        Just(Repeat::Never),
        (0..4_u32, unit).prop_map(|(count, unit)| every(count, unit)),
    ]
}

fn expires() -> impl Strategy<Value = Expiry> {
    prop_oneof![
        Just(Expiry::Never),
        Just(Expiry::WhenPurchaseExpires),
        Just(Expiry::WhenRepeated)
    ]
}

/// Half days, so that instants often coincide.
const STEP: i64 = DAY / 2;

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (-20..20_i64, prop::option::weighted(0.3, -2..60_i64))
            .prop_map(|(delta, ends_after)| Happening::Change { delta, ends_after }),
        1 => (-3..20_i64, repeat(), expires())
            .prop_map(|(amount, repeat, expires)| Happening::Buy { amount, repeat, expires }),
        2 => (-3..20_i64, repeat(), expires(), 0..80_i64).prop_map(
            |(amount, repeat, expires, paid_for)| Happening::Subscribe {
                amount, repeat, expires, paid_for
            }
        ),
        1 => (0..6_usize).prop_map(Happening::EndNow),
        1 => (0..6_usize).prop_map(Happening::EndWhenPaid),
    ]
}

/// The ledger and the model side by side.
#[derive(Default)]
struct Pair {
    ledger: ItemLedger,
    model: Model,
    /// Until when the model's purchases are paid, if they are subscriptions.
    paid_until: Vec<Option<i64>>,
    now: i64,
}

impl Pair {
    fn live(&mut self, happening: &Happening) {
        let now = Millis(self.now);
        match happening {
            Happening::Change { delta, ends_after } => {
                let ends = ends_after.map(|steps| self.now + steps * STEP);
                self.ledger
                    .change(now, Quantity::whole(*delta), ends.map(Millis));
                self.model.changes.push((self.now, *delta, ends));
            }
            Happening::Buy {
                amount,
                repeat,
                expires,
            } => {
                self.buy(&item(*amount, *repeat, *expires), None);
            }
            Happening::Subscribe {
                amount,
                repeat,
                expires,
                paid_for,
            } => {
                let paid_until = self.now + paid_for * STEP;
                self.buy(&item(*amount, *repeat, *expires), Some(paid_until));
            }
            Happening::EndNow(which) => self.end(*which, |now, _| now),
            Happening::EndWhenPaid(which) => self.end(*which, |_, paid_until| paid_until),
        }
    }

    fn buy(&mut self, included: &IncludedItem, paid_until: Option<i64>) {
        let now = Millis(self.now);
        let subscription = paid_until.map(|end| running(now, Millis(end)));
        let id = Uuid::from_u128(self.model.purchases.len() as u128);
        let source = Source::new(included, 1, now, subscription.as_ref());
        self.ledger.add_source(id, source);
        self.paid_until.push(paid_until);
        self.model.purchases.push(Row {
            start: self.now,
            end: None,
            amount: included.quantity.to_string().parse().unwrap(),
            repeat: included.repeat,
            expires: included.expires,
        });
    }

    fn end(&mut self, which: usize, end: impl Fn(i64, i64) -> i64) {
        let Some(row) = self.model.purchases.get_mut(which) else {
            return;
        };
        let (Some(paid_until), None) = (self.paid_until[which], row.end) else {
            return;
        };
        let end = end(self.now, paid_until);
        row.end = Some(end);
        let id = Uuid::from_u128(which as u128);
        self.ledger.end_source(id, Millis(end), Millis(self.now));
    }

    fn compare(&self, at: i64) -> Result<(), TestCaseError> {
        let expected = Quantity::whole(self.model.quantity(at));
        prop_assert_eq!(self.ledger.quantity(Millis(at)), expected, "at {}", at);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_is_what_the_rows_say(
        story in prop::collection::vec((0..40_i64, happening()), 1..40),
        looks in prop::collection::vec(0..400_i64, 1..6),
    ) {
        let mut pair = Pair::default();
        for (pause, happening) in &story {
            pair.now += pause * STEP / 4;
            pair.live(happening);
            pair.compare(pair.now)?;
        }
        for look in looks {
            pair.compare(pair.now + look * STEP)?;
        }
        // Nothing is lost on the way through a snapshot.
        let stored = serde_json::to_value(&pair.ledger).unwrap();
        pair.ledger = serde_json::from_value(stored).unwrap();
        pair.compare(pair.now + 1)?;
    }
}
