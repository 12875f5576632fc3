//! What can be asked of a customer.

use uuid::Uuid;

use super::error::CustomerError;
use super::event::CustomerRef;
use super::history::History;
use super::invoice::InvoiceStatus;
use super::money::Cents;
use super::product::{Price, Product};
use super::purchase::{Purchase, PurchaseSource};
use super::refund::PendingRefund;
use super::subscription::StripeSubscription;
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
    /// End a subscription now, because something takes its place. Subscriptions at Stripe are
    /// ended there; of those, and of such as have ended, nothing happens.
    EndNow {
        /// Which.
        subscription: PurchaseId,
        /// When.
        now: Millis,
    },
    /// Note what Stripe says of a subscription, known or new.
    SyncSubscription(Box<SubscriptionSync>),
    /// Note a payment of a one-time purchase, known or new.
    RecordPayment(Box<Payment>),
    /// Note what Stripe says of an invoice, known or new.
    RecordInvoice(Box<InvoiceReport>),
    /// Note what Stripe is about to be asked to pay back. If another refund of the purchase was
    /// begun before, that one stays, and nothing happens.
    BeginRefund(Box<RefundStep>),
    /// Note that Stripe refused a refund that was begun, and nothing of it was made.
    DropRefund(Box<RefundStep>),
    /// Note that a purchase was paid back.
    Refund(Box<RefundStep>),
    /// Note a product that is offered, to be looked up by its version.
    RecordProductVersion {
        /// Which product of the settings, if it is one.
        product_id: Option<String>,
        /// What it says.
        product: Box<Product>,
    },
    /// Forget the customer, whose account is deleted.
    Close,
}

impl CustomerCommand {
    /// Whether it may change what a purchase has granted since it was made; then it needs the past
    /// of the items that [`super::Customer::retold_items`] names.
    #[must_use]
    pub fn may_retell(&self) -> bool {
        matches!(
            self,
            Self::SyncSubscription(_) | Self::RecordPayment(_) | Self::Refund(_)
        )
    }

    /// The command with the past that it needs.
    #[must_use]
    pub fn with(mut self, past: History) -> Self {
        match &mut self {
            Self::SyncSubscription(sync) => sync.history = past,
            Self::RecordPayment(payment) => payment.history = past,
            Self::Refund(refund) => refund.history = past,
            _ => {}
        }
        self
    }
}

/// See [`CustomerCommand::SyncSubscription`].
#[derive(Clone, Debug)]
pub struct SubscriptionSync {
    /// The customer, for whom this may be the first event.
    pub customer: CustomerRef,
    /// The subscription's id, if it is new.
    pub id: PurchaseId,
    /// What Stripe says.
    pub stripe: StripeSubscription,
    /// The past of the items that [`super::Customer::retold_items`] names.
    pub history: History,
    /// When.
    pub now: Millis,
}

/// See [`CustomerCommand::RecordPayment`].
#[derive(Clone, Debug)]
pub struct Payment {
    /// The customer, for whom this may be the first event.
    pub customer: CustomerRef,
    /// The purchase's id, if it is new.
    pub id: PurchaseId,
    /// The payment's id at Stripe.
    pub payment_intent_id: String,
    /// Which product of the settings, if it is one.
    pub product_id: Option<String>,
    /// The price that was chosen.
    pub price_id: Option<String>,
    /// The product.
    pub product: Product,
    /// How many.
    pub quantity: i64,
    /// The past of the items that [`super::Customer::retold_items`] names.
    pub history: History,
    /// When.
    pub now: Millis,
}

/// See [`CustomerCommand::RecordInvoice`].
#[derive(Clone, Debug)]
pub struct InvoiceReport {
    /// The customer.
    pub customer: CustomerRef,
    /// The invoice's id, if it is new.
    pub id: Uuid,
    /// Its id at Stripe.
    pub stripe_id: String,
    /// Its subscription's id at Stripe.
    pub stripe_subscription_id: String,
    /// Whether it is the subscription's first.
    pub is_creation: bool,
    /// Where it stands, if that was said.
    pub status: Option<InvoiceStatus>,
    /// How much it is over, in cents, if that was said.
    pub amount_total: Option<Cents>,
    /// Where it can be seen, if that was said.
    pub hosted_invoice_url: Option<String>,
    /// When Stripe said so, by its own clock.
    pub told_at: Millis,
    /// When that was heard.
    pub now: Millis,
}

/// See [`CustomerCommand::BeginRefund`], [`CustomerCommand::DropRefund`] and
/// [`CustomerCommand::Refund`].
#[derive(Clone, Debug)]
pub struct RefundStep {
    /// The customer.
    pub customer: CustomerRef,
    /// Of which purchase.
    pub purchase: PurchaseId,
    /// What is refunded.
    pub refund: PendingRefund,
    /// The past of the items that [`super::Customer::retold_items`] names.
    pub history: History,
    /// When.
    pub now: Millis,
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

impl Selection {
    /// Whether a purchase is among those that are meant.
    #[must_use]
    pub fn means(&self, purchase: &Purchase) -> bool {
        match self {
            Self::Subscription(id) => purchase.id == *id,
            Self::Product(id) => purchase.product_id.as_ref() == Some(id),
        }
    }
}
