//! Reports of a payment provider that arrive twice, late and in any order; and histories that are
//! computed again, compared with the slow model.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests may fail loudly")]

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use muniment_domain::customer::{
    Customer, CustomerCommand, CustomerEvent, CustomerRef, DayInterval, Expiry, Floor, History,
    IncludedItem, Invoice, InvoiceReport, InvoiceStatus, ItemChange, PastChange, Payment,
    PendingRefund, Product, Purchase, PurchaseSource, Quantity, RefundPlan, RefundStep, Repeat,
    Revocation, StripeSubscription, SubscriptionStatus, SubscriptionSync, Unit, WantedPurchase,
    owned,
};
use muniment_domain::{Millis, ProjectId, PurchaseId};
use proptest::prelude::*;
use uuid::Uuid;

mod model;

use model::{DAY, Model, Row};

const ITEM: &str = "credits";
const HOUR: i64 = DAY / 24;

fn project() -> ProjectId {
    ProjectId::from_caller("internal")
}

fn acme() -> CustomerRef {
    CustomerRef::Custom {
        custom_id: "acme".to_owned(),
    }
}

fn product(quantity: i64, repeat: Repeat, expires: Expiry) -> Product {
    let item = IncludedItem {
        quantity: Quantity::whole(quantity),
        repeat,
        expires,
    };
    Product {
        included_items: [(ITEM.to_owned(), item)].into(),
        stackable: true,
        ..Product::default()
    }
}

/// A customer whose stream is kept, with the changes that a server reads back from its tables.
#[derive(Default)]
struct Story {
    customer: Customer,
    history: History,
    events: Vec<CustomerEvent>,
    drawn: u128,
}

impl Story {
    fn id(&mut self) -> PurchaseId {
        self.drawn += 1;
        PurchaseId(Uuid::from_u128(self.drawn))
    }

    /// Carries a command out; yields how many events came of it.
    fn tell(&mut self, command: CustomerCommand) -> usize {
        let items = self.customer.retold_items(&command);
        let past = if items.is_empty() {
            History::default()
        } else {
            self.history.clone()
        };
        let sink = EventSink::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let events = runtime.block_on(async {
            let mut decider = self.customer.clone();
            let command = (project(), command.with(past));
            decider.handle(command, &(), &sink).await.unwrap();
            sink.collect().await
        });
        // As it is read from the log.
        for event in &events {
            let stored = serde_json::to_value(event).unwrap();
            self.customer.apply(serde_json::from_value(stored).unwrap());
        }
        let count = events.len();
        self.events.extend(events);
        count
    }

    fn change(&mut self, now: i64, delta: i64, expires_at: Option<i64>) {
        let (at, expires_at) = (Millis(now), expires_at.map(Millis));
        let id = self.id().0;
        self.tell(CustomerCommand::ChangeItem(Box::new(ItemChange {
            customer: acme(),
            id,
            item_id: ITEM.to_owned(),
            delta,
            expires_at,
            description: None,
            floor: Floor::None,
            now: at,
        })));
        let change = PastChange {
            at,
            delta,
            expires_at,
        };
        self.history.push(ITEM.to_owned(), change);
    }

    fn sync(&mut self, now: i64, stripe: StripeSubscription) -> usize {
        let id = self.id();
        self.tell(CustomerCommand::SyncSubscription(Box::new(
            SubscriptionSync {
                customer: acme(),
                id,
                stripe,
                history: History::default(),
                now: Millis(now),
            },
        )))
    }

    fn pay(&mut self, now: i64, intent: &str, product: Product, quantity: i64) -> usize {
        let id = self.id();
        self.tell(CustomerCommand::RecordPayment(Box::new(Payment {
            customer: acme(),
            id,
            payment_intent_id: intent.to_owned(),
            product_id: Some("pack".to_owned()),
            price_id: None,
            product,
            quantity,
            history: History::default(),
            now: Millis(now),
        })))
    }

    fn grant(&mut self, now: i64, product: Product) {
        let id = self.id();
        let price = serde_json::json!({"monthly": {"USD": "1", "interval": [1, "month"]}});
        let product = Product {
            prices: serde_json::from_value(price).unwrap(),
            ..product
        };
        self.tell(CustomerCommand::Purchase(Box::new(WantedPurchase {
            customer: acme(),
            id,
            product_id: Some(format!("local-{id}")),
            product,
            price_id: None,
            quantity: 1,
            source: PurchaseSource::ApiGrant,
            now: Millis(now),
        })));
    }

    fn purchase(&self, stripe_id: &str) -> &Purchase {
        let mut purchases = self.customer.purchases().iter();
        purchases
            .find(|it| it.stripe_subscription() == Some(stripe_id))
            .unwrap()
    }

    fn quantity(&self, now: i64) -> Quantity {
        self.customer.quantity(ITEM, Millis(now))
    }

    fn owns(&self, now: i64, product: &str) -> i64 {
        let owned = owned(self.customer.purchases(), Millis(now));
        owned.get(&Some(product)).map_or(0, |owned| owned.quantity)
    }
}

fn stripe(id: &str, start: i64) -> StripeSubscription {
    StripeSubscription {
        id: id.to_owned(),
        product_id: Some("plan".to_owned()),
        price_id: Some("monthly".to_owned()),
        product: product(10, Repeat::Never, Expiry::WhenPurchaseExpires),
        quantity: 1,
        status: SubscriptionStatus::Active,
        period_start: Millis(start),
        period_end: Millis(start + 30 * DAY),
        cancel_at_period_end: false,
        canceled_at: None,
        ended_at: None,
    }
}

#[test]
fn nothing_is_granted_before_the_first_payment() {
    let mut story = Story::default();
    let awaited = StripeSubscription {
        status: SubscriptionStatus::Incomplete,
        ..stripe("sub_1", 0)
    };
    assert_eq!(story.sync(0, awaited), 1);
    assert_eq!(story.owns(0, "plan"), 0);
    assert_eq!(story.quantity(0), Quantity::ZERO);
    assert_eq!(story.sync(HOUR, stripe("sub_1", 0)), 1);
    assert_eq!(story.owns(HOUR, "plan"), 1);
    assert_eq!(story.quantity(HOUR), Quantity::whole(10));
}

#[test]
fn a_cancelled_subscription_ends_with_its_period_whenever_that_is_heard() {
    let mut story = Story::default();
    story.sync(0, stripe("sub_1", 0));
    let canceled = StripeSubscription {
        status: SubscriptionStatus::Canceled,
        canceled_at: Some(Millis(DAY)),
        ..stripe("sub_1", 0)
    };
    assert_eq!(story.sync(DAY, canceled.clone()), 1);
    assert_eq!(story.sync(2 * DAY, canceled), 0);
    assert_eq!(story.owns(29 * DAY, "plan"), 1);
    assert_eq!(story.quantity(29 * DAY), Quantity::whole(10));
    assert_eq!(story.owns(30 * DAY, "plan"), 0);
    assert_eq!(story.quantity(30 * DAY), Quantity::ZERO);
}

#[test]
fn whoever_pays_late_after_all_has_the_product_again() {
    let mut story = Story::default();
    story.sync(0, stripe("sub_1", 0));
    let unpaid = StripeSubscription {
        status: SubscriptionStatus::Unpaid,
        ..stripe("sub_1", 0)
    };
    story.sync(DAY, unpaid.clone());
    // The end that was first noted stays.
    assert_eq!(story.sync(2 * DAY, unpaid), 0);
    assert_eq!(story.quantity(2 * DAY), Quantity::ZERO);
    story.sync(3 * DAY, stripe("sub_1", 0));
    assert_eq!(story.owns(3 * DAY, "plan"), 1);
    assert_eq!(story.quantity(3 * DAY), Quantity::whole(10));
}

#[test]
fn a_period_that_makes_no_sense_is_a_month() {
    let mut story = Story::default();
    let odd = StripeSubscription {
        period_end: Millis(0),
        ..stripe("sub_1", 0)
    };
    assert_eq!(story.sync(5, odd.clone()), 1);
    assert_eq!(story.sync(6, odd), 0);
    let periods = story.purchase("sub_1").subscription.as_ref().unwrap();
    let month = DayInterval(1, Unit::Month).after(Millis(5));
    assert_eq!(
        (periods.period_start, periods.period_end),
        (Millis(5), month)
    );
}

/// One of three seats is paid back.
fn refund(story: &Story, id: u128) -> Box<RefundStep> {
    Box::new(RefundStep {
        customer: acme(),
        purchase: story.purchase("sub_1").id,
        refund: PendingRefund {
            id: Uuid::from_u128(id),
            plan: RefundPlan {
                revocations: vec![Revocation {
                    entry_index: 0,
                    quantity: 1,
                }],
                amount: 100,
            },
            quantity: 3,
            left: Some(2),
        },
        history: History::default(),
        now: Millis(DAY),
    })
}

#[test]
fn a_refund_that_was_begun_stays_the_same_until_it_is_made_or_dropped() {
    let mut story = Story::default();
    let seats = |quantity| StripeSubscription {
        quantity,
        ..stripe("sub_1", 0)
    };
    let pending = |story: &Story| {
        let pending = story.purchase("sub_1").pending_refund.as_ref();
        pending.map(|refund| refund.id.as_u128())
    };
    story.sync(0, seats(3));
    let (first, second) = (refund(&story, 1), refund(&story, 2));
    assert_eq!(story.tell(CustomerCommand::BeginRefund(first.clone())), 1);
    assert_eq!(story.tell(CustomerCommand::BeginRefund(second.clone())), 0);
    assert_eq!(pending(&story), Some(1));
    // Nothing is taken back yet, and what Stripe says meanwhile does not end it.
    assert_eq!(story.owns(DAY, "plan"), 3);
    story.sync(DAY, seats(2));
    assert_eq!(pending(&story), Some(1));
    assert_eq!(story.tell(CustomerCommand::DropRefund(second.clone())), 0);
    assert_eq!(story.tell(CustomerCommand::DropRefund(first)), 1);
    assert_eq!(pending(&story), None);
    story.sync(DAY, seats(3));
    assert_eq!(story.tell(CustomerCommand::BeginRefund(second.clone())), 1);
    // Somebody else made it larger in the meantime: that stands.
    story.sync(DAY, seats(9));
    assert_eq!(story.tell(CustomerCommand::Refund(second)), 1);
    assert_eq!(pending(&story), None);
    assert_eq!(story.purchase("sub_1").quantity, 9);
    assert_eq!(story.owns(DAY, "plan"), 8);
}

#[test]
fn a_refund_takes_products_and_leaves_items() {
    let mut story = Story::default();
    let three = StripeSubscription {
        quantity: 3,
        ..stripe("sub_1", 0)
    };
    story.sync(0, three.clone());
    let left = StripeSubscription {
        quantity: 2,
        ..three.clone()
    };
    let made = refund(&story, 1);
    assert_eq!(story.tell(CustomerCommand::Refund(made)), 1);
    for now in [DAY, 2 * DAY] {
        assert_eq!(story.owns(now, "plan"), 2);
        assert_eq!(story.quantity(now), Quantity::whole(30));
        // What Stripe says of it is no news.
        assert_eq!(story.sync(now, left.clone()), 0);
    }
    // Heard before it was noted, it comes to the same.
    let mut other = Story::default();
    other.sync(0, three);
    other.sync(1, left.clone());
    let made = refund(&other, 1);
    other.tell(CustomerCommand::Refund(made));
    other.sync(2 * DAY, left);
    assert_eq!(other.owns(2 * DAY, "plan"), 2);
    assert_eq!(other.quantity(2 * DAY), Quantity::whole(30));
    // A refunded subscription that ends counts once.
    let ended = StripeSubscription {
        quantity: 2,
        status: SubscriptionStatus::Canceled,
        ..stripe("sub_1", 0)
    };
    story.pay(2 * DAY, "pi_1", product(0, Repeat::Never, Expiry::Never), 4);
    story.sync(31 * DAY, ended);
    assert_eq!(
        (story.owns(31 * DAY, "plan"), story.owns(31 * DAY, "pack")),
        (0, 4)
    );
}

fn repeat() -> impl Strategy<Value = Repeat> {
    prop_oneof![
        2 => Just(Repeat::Never),
        1 => (1..9_u32).prop_map(|days| Repeat::Every(DayInterval(days, Unit::Day))),
    ]
}

fn sold() -> impl Strategy<Value = Product> {
    let expires = prop_oneof![
        Just(Expiry::Never),
        Just(Expiry::WhenPurchaseExpires),
        Just(Expiry::WhenRepeated)
    ];
    (-3..20_i64, repeat(), expires)
        .prop_map(|(quantity, repeat, expires)| product(quantity, repeat, expires))
}

/// What Stripe may say of a subscription at a time, in hours.
fn said() -> impl Strategy<Value = StripeSubscription> {
    let status = prop_oneof![
        4 => Just(SubscriptionStatus::Active),
        1 => Just(SubscriptionStatus::Trialing),
        1 => Just(SubscriptionStatus::PastDue),
        1 => Just(SubscriptionStatus::Unpaid),
        2 => Just(SubscriptionStatus::Canceled),
    ];
    let ended = prop::option::of(0..400_i64);
    (
        sold(),
        0..4_i64,
        status,
        0..300_i64,
        1..400_i64,
        ended,
        any::<bool>(),
    )
        .prop_map(
            |(product, quantity, status, start, length, ended, cancel)| StripeSubscription {
                product,
                quantity,
                status,
                period_start: Millis(start * HOUR),
                period_end: Millis((start + length) * HOUR),
                cancel_at_period_end: cancel,
                ended_at: ended.map(|at| Millis(at * HOUR)),
                ..stripe("sub", 0)
            },
        )
}

#[derive(Clone, Debug)]
enum Happening {
    Change(i64, Option<i64>),
    Grant(Product),
    CancelLocal(usize),
    Said(usize, StripeSubscription),
    Paid(usize, Product, i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        5 => (-15..15_i64, prop::option::of(-5..90_i64)).prop_map(|(delta, ends)| Happening::Change(delta, ends)),
        1 => sold().prop_map(Happening::Grant),
        1 => (0..3_usize).prop_map(Happening::CancelLocal),
        3 => (0..3_usize, said()).prop_map(|(which, said)| Happening::Said(which, said)),
        1 => (0..2_usize, sold(), 1..4_i64).prop_map(|(which, product, quantity)| Happening::Paid(which, product, quantity)),
    ]
}

/// The rows that a customer's purchases are, for the model.
fn rows(customer: &Customer) -> Vec<Row> {
    let purchases = customer.purchases().iter();
    purchases
        .flat_map(|purchase| {
            let items = purchase.product.included_items.values();
            items.map(|item| Row {
                start: purchase.created_at.0,
                end: purchase
                    .subscription
                    .as_ref()
                    .and_then(|it| it.ended_at)
                    .map(|end| end.0),
                amount: item
                    .quantity
                    .times(purchase.quantity)
                    .to_string()
                    .parse()
                    .unwrap(),
                repeat: item.repeat,
                expires: item.expires,
            })
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_history_that_is_told_anew_is_what_the_rows_say(
        happenings in prop::collection::vec((0..40_i64, happening()), 1..25),
        looks in prop::collection::vec(0..800_i64, 1..5),
    ) {
        let (mut story, mut model, mut now) = (Story::default(), Model::default(), 0);
        for (pause, happening) in happenings {
            now += pause * HOUR;
            match happening {
                Happening::Change(delta, ends) => {
                    let ends = ends.map(|hours| now + hours * HOUR);
                    story.change(now, delta, ends);
                    model.changes.push((now, delta, ends));
                }
                Happening::Grant(product) => story.grant(now, product),
                Happening::CancelLocal(which) => {
                    let local = story.customer.purchases().iter().filter(|it| it.is_active() && it.stripe_subscription().is_none());
                    if let Some(id) = local.map(|it| it.id).nth(which) {
                        story.tell(CustomerCommand::EndNow { subscription: id, now: Millis(now) });
                    }
                }
                Happening::Said(which, said) => {
                    let said = StripeSubscription { id: format!("sub_{which}"), ..said };
                    story.sync(now, said.clone());
                    prop_assert_eq!(story.sync(now + 1, said), 0, "said twice");
                }
                Happening::Paid(which, product, quantity) => {
                    let intent = format!("pi_{which}");
                    story.pay(now, &intent, product.clone(), quantity);
                    prop_assert_eq!(story.pay(now, &intent, product, quantity), 0, "paid twice");
                }
            }
            model.purchases = rows(&story.customer);
            prop_assert_eq!(story.quantity(now), Quantity::whole(model.quantity(now)), "at {}", now);
        }
        for look in looks {
            let at = now + look * HOUR;
            prop_assert_eq!(story.quantity(at), Quantity::whole(model.quantity(at)), "later, at {}", at);
        }
    }

    /// Webhooks overtake each other, but each makes the server ask Stripe how things stand. So it
    /// does not matter what was heard before, nor how often.
    #[test]
    fn only_what_stripe_says_last_counts(
        before in prop::collection::vec(said(), 0..6),
        last in said(),
    ) {
        let told = |said: &mut dyn Iterator<Item = &StripeSubscription>| {
            let mut story = Story::default();
            story.sync(0, stripe("sub", 0));
            for said in said {
                story.sync(DAY, said.clone());
            }
            story.sync(2 * DAY, last.clone());
            let mut purchase = story.purchase("sub").clone();
            // When an end was first heard of is all that may differ, if Stripe does not say.
            if last.ended_at.is_none() && let Some(subscription) = &mut purchase.subscription {
                let is_unsaid = matches!(subscription.status, SubscriptionStatus::Unpaid | SubscriptionStatus::PastDue);
                subscription.ended_at = subscription.ended_at.filter(|_| !is_unsaid);
            }
            if last.status == SubscriptionStatus::PastDue && let Some(subscription) = &mut purchase.subscription {
                subscription.ended_at = None;
            }
            purchase
        };
        prop_assert_eq!(told(&mut before.iter()), told(&mut before.iter().rev()));
        prop_assert_eq!(told(&mut before.iter()), told(&mut std::iter::empty()));
    }

    #[test]
    fn invoices_come_out_the_same_in_any_order(
        reports in prop::collection::vec((0..6_usize, prop::option::of(0..9_i64), any::<bool>()), 1..7),
        order in any::<u64>(),
    ) {
        let statuses = [None, Some(InvoiceStatus::Draft), Some(InvoiceStatus::Open), Some(InvoiceStatus::Paid),
            Some(InvoiceStatus::Void), Some(InvoiceStatus::Uncollectible)];
        let reports: Vec<_> = reports.into_iter().zip(0_i64..).collect();
        let tell = |order: &[usize]| {
            let mut story = Story::default();
            story.sync(0, stripe("sub", 0));
            for ((status, amount, shown), at) in order.iter().map(|index| &reports[*index]) {
                for _ in 0..2 {
                    story.tell(CustomerCommand::RecordInvoice(Box::new(InvoiceReport {
                        customer: acme(),
                        id: Uuid::from_u128(1),
                        stripe_id: "in_1".to_owned(),
                        stripe_subscription_id: "sub".to_owned(),
                        is_creation: false,
                        status: statuses[*status],
                        amount_total: *amount,
                        hosted_invoice_url: shown.then(|| format!("https://x.example.com/{at}")),
                        told_at: Millis(*at),
                        now: Millis(0),
                    })));
                }
            }
            let last = story.events.into_iter().rev().find_map(|event| match event {
                CustomerEvent::InvoiceRecorded(recorded) => Some(*recorded),
                _ => None,
            }).unwrap();
            let invoice = Invoice { created_at: Millis(0), ..last.invoice };
            (invoice, last.personal)
        };
        let straight: Vec<usize> = (0..reports.len()).collect();
        let mut shuffled = straight.clone();
        shuffled.sort_by_key(|index| (*index as u64 + 1).wrapping_mul(order | 1) >> 7);
        prop_assert_eq!(tell(&straight), tell(&shuffled));
    }
}
