//! Subscriptions: purchases that are renewed after every period. Stripe reports on those that it
//! bills; the others end with their period.

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::customer::items::interval::{DayInterval, Unit};
use crate::customer::products::product::Product;

/// The period of a subscription if the reported one makes no sense.
const FALLBACK_PERIOD: DayInterval = DayInterval(1, Unit::Month);

/// The status of a subscription. The names are Stripe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// The subscription is running.
    Active,
    /// The subscription is running, but not paid for yet.
    Trialing,
    /// The subscription was ended, though it may be paid for a while yet.
    Canceled,
    /// Payments are paused.
    Paused,
    /// The first payment is awaited.
    Incomplete,
    /// The first payment was never made.
    IncompleteExpired,
    /// A payment failed, and will be tried again.
    PastDue,
    /// Payments failed, and will not be tried again.
    Unpaid,
}

impl SubscriptionStatus {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::Active, "active"),
        (Self::Trialing, "trialing"),
        (Self::Canceled, "canceled"),
        (Self::Paused, "paused"),
        (Self::Incomplete, "incomplete"),
        (Self::IncompleteExpired, "incomplete_expired"),
        (Self::PastDue, "past_due"),
        (Self::Unpaid, "unpaid"),
    ];

    /// The status with that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = Self::NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(status, _)| *status)
    }

    /// The status's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let known = Self::NAMES.iter().find(|(status, _)| *status == self);
        known.map_or("", |(_, name)| name)
    }

    /// Whether the subscription is running.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Trialing)
    }

    /// Whether a subscription with this status that awaited its first payment has begun.
    fn has_begun(self) -> bool {
        matches!(
            self,
            Self::Active | Self::Trialing | Self::PastDue | Self::Paused
        )
    }
}

/// Whether a subscription has begun to grant its items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The items are granted from the purchase on.
    #[default]
    Made,
    /// The first payment is awaited; nothing is granted until it is made.
    Awaited,
}

impl Start {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_made(&self) -> bool {
        *self == Self::Made
    }
}

/// The subscription that renews a purchase, and its present period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The subscription's status.
    pub status: SubscriptionStatus,
    /// When the present period began.
    pub period_start: Millis,
    /// When the present period ends.
    pub period_end: Millis,
    /// Whether the subscription ends with the present period.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_at_period_end: bool,
    /// When somebody cancelled it.
    pub canceled_at: Option<Millis>,
    /// When the subscription ends, or ended, for good.
    pub ended_at: Option<Millis>,
    /// The subscription's id at Stripe. `None` if no payment provider knows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_id: Option<String>,
    /// Whether the subscription has begun to grant its items.
    #[serde(default, skip_serializing_if = "Start::is_made")]
    pub start: Start,
}

impl Subscription {
    /// A subscription that no payment provider knows of, for a first period.
    #[must_use]
    pub fn local(period_start: Millis, period_end: Millis) -> Self {
        Self {
            status: SubscriptionStatus::Active,
            period_start,
            period_end,
            cancel_at_period_end: false,
            canceled_at: None,
            ended_at: None,
            stripe_id: None,
            start: Start::Made,
        }
    }

    /// Whether the subscription is running, and can be cancelled.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status.is_active()
    }
}

/// A subscription as Stripe describes it, with the product that its metadata names.
#[derive(Clone, Debug, PartialEq)]
pub struct StripeSubscription {
    /// The subscription's id at Stripe.
    pub id: String,
    /// The product's id in the settings, if it is there.
    pub product_id: Option<String>,
    /// The id of the price that was chosen.
    pub price_id: Option<String>,
    /// The product as it was when it was bought.
    pub product: Product,
    /// The number of products.
    pub quantity: i64,
    /// The subscription's status.
    pub status: SubscriptionStatus,
    /// When the present period began.
    pub period_start: Millis,
    /// When the present period ends.
    pub period_end: Millis,
    /// Whether the subscription ends with the present period.
    pub cancel_at_period_end: bool,
    /// When somebody cancelled it.
    pub canceled_at: Option<Millis>,
    /// When the subscription ended, if it has.
    pub ended_at: Option<Millis>,
}

impl StripeSubscription {
    /// The subscription after this report, given what was known before. Only the last report
    /// counts, so that it does not matter how often or in which order Stripe is asked.
    #[must_use]
    pub fn periods(&self, known: Option<&Subscription>, now: Millis) -> Subscription {
        let (period_start, period_end) = self.period(known, now);
        let ended_before = known.and_then(|known| known.ended_at);
        let ended_at = match self.status {
            SubscriptionStatus::IncompleteExpired | SubscriptionStatus::Unpaid => {
                self.ended_at.or(ended_before).or(Some(now))
            }
            SubscriptionStatus::Canceled => Some(period_end),
            // A customer who pays after all gets what they pay for.
            SubscriptionStatus::Active | SubscriptionStatus::Trialing => None,
            _ => ended_before,
        };
        Subscription {
            status: self.status,
            period_start,
            period_end,
            cancel_at_period_end: self.cancel_at_period_end,
            canceled_at: self
                .canceled_at
                .or(known.and_then(|known| known.canceled_at)),
            ended_at,
            stripe_id: Some(self.id.clone()),
            start: self.start(known),
        }
    }

    /// The present period. If the reported one makes no sense, it is a month from now, and stays
    /// so.
    fn period(&self, known: Option<&Subscription>, now: Millis) -> (Millis, Millis) {
        if self.period_start < self.period_end {
            return (self.period_start, self.period_end);
        }
        let running = known.filter(|known| known.period_start <= now && now < known.period_end);
        running.map_or((now, FALLBACK_PERIOD.after(now)), |known| {
            (known.period_start, known.period_end)
        })
    }

    fn start(&self, known: Option<&Subscription>) -> Start {
        let awaited = match known {
            Some(known) => known.start == Start::Awaited && !self.status.has_begun(),
            None => matches!(
                self.status,
                SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired
            ),
        };
        if awaited { Start::Awaited } else { Start::Made }
    }
}
