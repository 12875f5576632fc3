//! What can be asked of a customer.

use uuid::Uuid;

use super::CustomerError;
use super::event::{CustomerRef, PurchaseSource};
use super::product::{Price, Product};
use crate::{Millis, PurchaseId};

/// A command to a customer.
#[derive(Clone, Debug)]
pub enum CustomerCommand {
    /// Change how much of an item the customer has.
    ChangeItem(Box<ItemChange>),
    /// Give the customer a product.
    Purchase(Box<WantedPurchase>),
    /// End subscriptions at the end of the period that is paid.
    Cancel {
        /// Which.
        selection: Selection,
        /// When.
        now: Millis,
    },
    /// Forget the customer, whose account is deleted.
    Close,
}

/// See [`CustomerCommand::ChangeItem`].
#[derive(Clone, Debug)]
pub struct ItemChange {
    /// The customer, for whom this may be the first event.
    pub customer: CustomerRef,
    /// The change's id.
    pub id: Uuid,
    /// Of what.
    pub item_id: String,
    /// By how much.
    pub delta: i64,
    /// When what is granted is lost.
    pub expires_at: Option<Millis>,
    /// Why.
    pub description: Option<String>,
    /// How low it may get.
    pub floor: Floor,
    /// When.
    pub now: Millis,
}

/// How low a quantity may get by a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Not below nothing.
    Zero,
    /// As low as it gets.
    None,
}

/// See [`CustomerCommand::Purchase`].
#[derive(Clone, Debug)]
pub struct WantedPurchase {
    /// The customer, for whom this may be the first event.
    pub customer: CustomerRef,
    /// The purchase's id.
    pub id: PurchaseId,
    /// Which product of the settings, if it is one.
    pub product_id: Option<String>,
    /// The product.
    pub product: Product,
    /// At which price; the first, if absent.
    pub price_id: Option<String>,
    /// How many.
    pub quantity: i64,
    /// How it came about.
    pub source: PurchaseSource,
    /// When.
    pub now: Millis,
}

impl WantedPurchase {
    /// The price that is meant. None if the product has no prices.
    ///
    /// # Errors
    /// `PriceUnknown`.
    pub fn price(&self) -> Result<Option<&Price>, CustomerError> {
        let prices = self.product.prices.listed();
        match &self.price_id {
            Some(id) => Ok(Some(prices.get(id).ok_or(CustomerError::PriceUnknown)?)),
            None => Ok(prices.values().next()),
        }
    }
}

/// Which subscriptions are meant.
#[derive(Clone, Debug)]
pub enum Selection {
    /// That one.
    Subscription(PurchaseId),
    /// All running ones of a product.
    Product(String),
}
