//! What a customer owns, and what they may buy beside it.
//!
//! A product may be owned once, unless it is stackable; an add-on needs one of the products it adds
//! to; and of a product line, a customer has one product. A running subscription for another
//! product of the line is replaced by a purchase, one that was bought for good refuses it.

use std::collections::BTreeMap;

use super::command::WantedPurchase;
use super::error::CustomerError;
use super::purchase::Purchase;
use crate::customer::products::product::{Bases, Product};
use crate::{Millis, PurchaseId};

/// A product that a customer owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned<'p> {
    /// The number that the customer owns.
    pub quantity: i64,
    /// The product as it was bought last.
    pub product: &'p Product,
    /// The active subscription for it, if there is one.
    pub subscription: Option<&'p Purchase>,
}

/// The products that a customer owns at that instant, from all purchases in their order. All
/// products that were made up for a purchase count as one, without an id.
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
        owned.quantity += purchase.owned_quantity(now);
        if purchase.is_active() {
            owned.subscription = Some(purchase);
        }
    }
    products.retain(|_, owned| owned.quantity > 0);
    products
}

/// Checks whether a customer may buy a product. Returns the running subscription that the purchase
/// replaces, if any.
///
/// # Errors
/// `PriceUnknown`, `NotStackable`, `AlreadyGranted`, `BaseMissing` and `LineTaken`, checked in this
/// order.
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
    if *bases != Bases::StandsAlone && adds_to_nothing {
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
