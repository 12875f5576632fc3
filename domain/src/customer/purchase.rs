//! Purchases: products that a customer bought or was given, once or by subscription.

use serde::{Deserialize, Serialize};

use super::refund::{PendingRefund, Refund};
use super::subscription::{Start, Subscription, SubscriptionStatus};
use crate::customer::items::ledger::Source;
use crate::customer::products::product::{Price, Product};
use crate::{Millis, PurchaseId};

/// A purchase, with the product as it was when it was bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Purchase {
    /// The purchase's own id.
    pub id: PurchaseId,
    /// The product's id in the settings. `None` if the product was made up for this purchase.
    pub product_id: Option<String>,
    /// The id of the price that was chosen. `None` if nothing was paid.
    pub price_id: Option<String>,
    /// The product as it was when it was bought.
    pub product: Product,
    /// The number of products that were bought.
    pub quantity: i64,
    /// The way in which the purchase came about.
    pub source: PurchaseSource,
    /// When the purchase was made.
    pub created_at: Millis,
    /// The subscription, if the purchase is renewed after every period.
    pub subscription: Option<Subscription>,
    /// The id at Stripe of the payment for a one-time purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent_id: Option<String>,
    /// The refund, if the purchase was refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
    /// The refund that Stripe is being asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_refund: Option<PendingRefund>,
}

impl Purchase {
    /// The number of products that the customer still owns. A product that was refunded, and whose
    /// purchase then ended, is subtracted once.
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

    /// Whether the purchase has begun to grant its items.
    fn is_started(&self) -> bool {
        let subscription = self.subscription.as_ref();
        subscription.is_none_or(|subscription| subscription.start == Start::Made)
    }

    /// Whether the purchase is an active subscription.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.subscription
            .as_ref()
            .is_some_and(Subscription::is_active)
    }

    /// The id at Stripe of the purchase's subscription.
    #[must_use]
    pub fn stripe_subscription(&self) -> Option<&str> {
        self.subscription.as_ref()?.stripe_id.as_deref()
    }

    /// The grants of the purchase, by item.
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

    /// The price that was chosen, if the product still tells it.
    #[must_use]
    pub fn price(&self) -> Option<&Price> {
        self.product.prices.listed().get(self.price_id.as_ref()?)
    }

    /// The price that was chosen, if it is known and money was paid.
    #[must_use]
    pub fn paid_price(&self) -> Option<&Price> {
        let is_paid = self.source == PurchaseSource::PurchasePage;
        self.price().filter(|_| is_paid)
    }

    /// The number of entries of the purchase's transaction: the product, the payment, and each
    /// item.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        1 + usize::from(self.paid_price().is_some()) + self.product.included_items.len()
    }

    /// Records the end of the subscription.
    pub fn end(&mut self, canceled_at: Millis, ended_at: Millis) {
        if let Some(subscription) = &mut self.subscription {
            subscription.status = SubscriptionStatus::Canceled;
            subscription.cancel_at_period_end = true;
            subscription.canceled_at = Some(canceled_at);
            subscription.ended_at = Some(ended_at);
        }
    }
}

/// The way in which a purchase came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PurchaseSource {
    /// Somebody paid on the purchase page.
    PurchasePage,
    /// Somebody tried it out in test mode, without paying.
    TestMode,
    /// A server granted the product.
    ApiGrant,
}
