//! What a customer bought, and what may be bought beside it (contract 06 §5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ledger::{End, Source};
use super::product::{Price, Product};
use super::{CustomerError, PurchaseSource, WantedPurchase};
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
}

/// Whether a subscription is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// It is.
    Active,
    /// It was ended, though it may be paid for a while yet.
    Canceled,
}

/// The periods of a purchase that comes round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Whether it is running.
    pub status: SubscriptionStatus,
    /// When the present period began.
    pub period_start: Millis,
    /// When it ends.
    pub period_end: Millis,
    /// When it was cancelled.
    pub canceled_at: Option<Millis>,
    /// When it ends, or ended, for good.
    pub ended_at: Option<Millis>,
}

impl Subscription {
    /// Whether it can be cancelled.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == SubscriptionStatus::Active
    }

    /// When what it grants ends.
    #[must_use]
    pub fn end(&self) -> End {
        self.ended_at.map_or(End::Open(self.period_end), End::At)
    }
}

impl Purchase {
    /// Whether the product is still the customer's.
    #[must_use]
    pub fn is_owned(&self, now: Millis) -> bool {
        let ended = self.subscription.as_ref().and_then(|it| it.ended_at);
        ended.is_none_or(|end| end.max(self.created_at) > now)
    }

    /// Whether it is a running subscription.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.subscription
            .as_ref()
            .is_some_and(Subscription::is_active)
    }

    /// What it grants, by item.
    pub fn sources(&self) -> impl Iterator<Item = (&String, Source)> {
        let items = self.product.included_items.iter();
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

    /// Ends the subscription.
    pub fn end(&mut self, canceled_at: Millis, ended_at: Millis) {
        if let Some(subscription) = &mut self.subscription {
            subscription.status = SubscriptionStatus::Canceled;
            subscription.canceled_at = Some(canceled_at);
            subscription.ended_at = Some(ended_at);
        }
    }
}

/// A product that a customer owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned<'p> {
    /// How many.
    pub quantity: i64,
    /// As it was bought last.
    pub product: &'p Product,
    /// The running subscription behind it.
    pub subscription: Option<&'p Purchase>,
}

/// The products a customer owns at that instant, of purchases in their order. All products that
/// were made up for a purchase count as one, without an id.
#[must_use]
pub fn owned(purchases: &[Purchase], now: Millis) -> BTreeMap<Option<&str>, Owned<'_>> {
    let mut products: BTreeMap<Option<&str>, Owned<'_>> = BTreeMap::new();
    for purchase in purchases {
        let owned = products
            .entry(purchase.product_id.as_deref())
            .or_insert(Owned {
                quantity: 0,
                product: &purchase.product,
                subscription: None,
            });
        owned.product = &purchase.product;
        if purchase.is_owned(now) {
            owned.quantity += purchase.quantity;
        }
        if purchase.is_active() {
            owned.subscription = Some(purchase);
        }
    }
    products.retain(|_, owned| owned.quantity > 0);
    products
}

/// What has to give way to a purchase: one running subscription, at most.
///
/// # Errors
/// Why the customer cannot have it, in the contract's order (§5.5).
pub fn check(
    purchases: &[Purchase],
    wanted: &WantedPurchase,
    now: Millis,
) -> Result<Option<PurchaseId>, CustomerError> {
    wanted.price()?;
    let product = &wanted.product;
    if wanted.quantity != 1 && !product.stackable {
        return Err(CustomerError::NotStackable);
    }
    let owned = owned(purchases, now);
    let id = wanted.product_id.as_deref();
    if id.is_some() && !product.stackable && owned.contains_key(&id) {
        return Err(CustomerError::AlreadyGranted);
    }
    let bases = &product.is_add_on_to;
    let adds_to_nothing = !owned.keys().any(|id| bases.include(*id));
    if *bases != super::Bases::StandsAlone && adds_to_nothing {
        return Err(CustomerError::BaseMissing);
    }
    let Some(line) = product.product_line_id.as_deref() else {
        return Ok(None);
    };
    let conflicts = owned
        .iter()
        .any(|(id, owned)| owned.product.is_in_line(line) && !bases.include(*id));
    if !conflicts {
        return Ok(None);
    }
    let replaced = purchases.iter().find(|purchase| {
        let id = purchase.product_id.as_deref();
        purchase.is_active() && purchase.product.is_in_line(line) && !bases.include(id)
    });
    replaced
        .map(|purchase| Some(purchase.id))
        .ok_or(CustomerError::LineTaken)
}
