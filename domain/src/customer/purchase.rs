//! What a customer bought, and what may be bought beside it (contract 06 §5).

use serde::{Deserialize, Serialize};

use super::ledger::Source;
use super::product::{Price, Product};
use super::refund::{PendingRefund, Refund};
use super::subscription::{Start, Subscription, SubscriptionStatus};
use crate::{Millis, PurchaseId};

/// A purchase, with the product as it was then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Purchase {
    /// Its id.
    pub id: PurchaseId,
    /// Which product of the settings; none if the product was made up for this purchase.
    pub product_id: Option<String>,
    /// The price that was chosen; none if nothing was paid.
    pub price_id: Option<String>,
    /// The product.
    pub product: Product,
    /// How many of it.
    pub quantity: i64,
    /// How it came about.
    pub source: PurchaseSource,
    /// When.
    pub created_at: Millis,
    /// Its periods, if it has any.
    pub subscription: Option<Subscription>,
    /// The payment of a one-time purchase: its id at Stripe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent_id: Option<String>,
    /// What was refunded of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
    /// What is being refunded of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_refund: Option<PendingRefund>,
}

impl Purchase {
    /// How many of the product are the customer's. What was refunded and then ends counts once.
    #[must_use]
    pub fn owned_quantity(&self, now: Millis) -> i64 {
        let ended = self.subscription.as_ref().and_then(|it| it.ended_at);
        let is_over = ended.is_some_and(|end| end.max(self.created_at) <= now);
        if is_over || !self.is_started() {
            return 0;
        }
        let revoked = self.refund.as_ref().map_or(0, Refund::revoked);
        self.quantity.saturating_sub(revoked).max(0)
    }

    /// Whether what it grants was granted.
    fn is_started(&self) -> bool {
        let subscription = self.subscription.as_ref();
        subscription.is_none_or(|subscription| subscription.start == Start::Made)
    }

    /// Whether it is a running subscription.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.subscription
            .as_ref()
            .is_some_and(Subscription::is_active)
    }

    /// Its subscription's id at Stripe.
    #[must_use]
    pub fn stripe_subscription(&self) -> Option<&str> {
        self.subscription.as_ref()?.stripe_id.as_deref()
    }

    /// What it grants, by item.
    pub fn sources(&self) -> impl Iterator<Item = (&String, Source)> {
        let items = self.product.included_items.iter();
        let items = items.filter(|_| self.is_started());
        items.map(|(id, item)| {
            let subscription = self.subscription.as_ref();
            (
                id,
                Source::new(item, self.quantity, self.created_at, subscription),
            )
        })
    }

    /// The price that was paid.
    #[must_use]
    pub fn price(&self) -> Option<&Price> {
        self.product.prices.listed().get(self.price_id.as_ref()?)
    }

    /// The price that was paid, if it is known and was really paid.
    #[must_use]
    pub fn paid_price(&self) -> Option<&Price> {
        let is_paid = self.source == PurchaseSource::PurchasePage;
        self.price().filter(|_| is_paid)
    }

    /// How many entries its transaction has: what it grants, what was paid, and its items.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        1 + usize::from(self.paid_price().is_some()) + self.product.included_items.len()
    }

    /// Ends the subscription.
    pub fn end(&mut self, canceled_at: Millis, ended_at: Millis) {
        if let Some(subscription) = &mut self.subscription {
            subscription.status = SubscriptionStatus::Canceled;
            subscription.cancel_at_period_end = true;
            subscription.canceled_at = Some(canceled_at);
            subscription.ended_at = Some(ended_at);
        }
    }
}

/// How a purchase came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PurchaseSource {
    /// Somebody paid.
    PurchasePage,
    /// Somebody tried it out.
    TestMode,
    /// A server granted it.
    ApiGrant,
}
