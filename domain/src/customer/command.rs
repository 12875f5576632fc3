//! The commands to a customer.

use uuid::Uuid;

use super::error::CustomerError;
use super::event::CustomerRef;
use super::history::History;
use super::invoice::InvoiceStatus;
use super::purchase::{Purchase, PurchaseSource};
use super::refund::PendingRefund;
use super::subscription::StripeSubscription;
use crate::customer::products::money::Cents;
use crate::customer::products::product::{Price, Product};
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
        /// The subscriptions to end.
        selection: Selection,
        /// When the end is decided.
        now: Millis,
    },
    /// End a subscription now, because something replaces it. Nothing happens to a subscription at
    /// Stripe, which is ended there, nor to one that has ended.
    EndNow {
        /// The subscription to end.
        subscription: PurchaseId,
        /// When the subscription ends.
        now: Millis,
    },
    /// Record what Stripe says about a subscription, known or new.
    SyncSubscription(Box<SubscriptionSync>),
    /// Record a payment for a one-time purchase, known or new.
    RecordPayment(Box<Payment>),
    /// Record what Stripe says about an invoice, known or new.
    RecordInvoice(Box<InvoiceReport>),
    /// Record the refund that Stripe is about to be asked for. If another refund of the purchase
    /// was begun before, that one stays, and nothing happens.
    BeginRefund(Box<RefundStep>),
    /// Record that Stripe refused a refund that was begun, and made nothing of it.
    DropRefund(Box<RefundStep>),
    /// Record that a purchase was paid back.
    Refund(Box<RefundStep>),
    /// Record a product that is offered, so that it can be looked up by its version.
    RecordProductVersion {
        /// The product's id in the settings, if it is there.
        product_id: Option<String>,
        /// The product as it is offered.
        product: Box<Product>,
    },
    /// Forget the customer, whose account is deleted.
    Close,
}

impl CustomerCommand {
    /// Whether the command may change what a purchase has granted since it was made. Then it needs
    /// the past of the items that [`super::Customer::retold_items`] names.
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

/// A report of Stripe about a subscription: the content of [`CustomerCommand::SyncSubscription`].
#[derive(Clone, Debug)]
pub struct SubscriptionSync {
    /// The customer, for whom this may be the first event.
    pub customer: CustomerRef,
    /// The id that the purchase gets if it is new.
    pub id: PurchaseId,
    /// The subscription as Stripe describes it.
    pub stripe: StripeSubscription,
    /// The past of the items that [`super::Customer::retold_items`] names.
    pub history: History,
    /// When the report is processed.
    pub now: Millis,
}

/// A payment for a one-time purchase: the content of [`CustomerCommand::RecordPayment`].
#[derive(Clone, Debug)]
pub struct Payment {
    /// The customer, for whom this may be the first event.
    pub customer: CustomerRef,
    /// The id that the purchase gets if it is new.
    pub id: PurchaseId,
    /// The payment's id at Stripe.
    pub payment_intent_id: String,
    /// The product's id in the settings, if it is there.
    pub product_id: Option<String>,
    /// The id of the price that was chosen.
    pub price_id: Option<String>,
    /// The product as it was when it was bought.
    pub product: Product,
    /// The number of products that were bought.
    pub quantity: i64,
    /// The past of the items that [`super::Customer::retold_items`] names.
    pub history: History,
    /// When the payment is processed.
    pub now: Millis,
}

/// A report of Stripe about an invoice: the content of [`CustomerCommand::RecordInvoice`].
#[derive(Clone, Debug)]
pub struct InvoiceReport {
    /// The customer who has the subscription.
    pub customer: CustomerRef,
    /// The id that the invoice gets if it is new.
    pub id: Uuid,
    /// The invoice's id at Stripe.
    pub stripe_id: String,
    /// The id at Stripe of the subscription that the invoice is for.
    pub stripe_subscription_id: String,
    /// Whether the invoice is the subscription's first.
    pub is_creation: bool,
    /// The invoice's status, if the report gives it.
    pub status: Option<InvoiceStatus>,
    /// The total in cents, if the report gives it.
    pub amount_total: Option<Cents>,
    /// The address of the page that shows the invoice, if the report gives it.
    pub hosted_invoice_url: Option<String>,
    /// When Stripe made the report, by its own clock.
    pub told_at: Millis,
    /// When the report is processed.
    pub now: Millis,
}

/// A step of a refund: the content of [`CustomerCommand::BeginRefund`],
/// [`CustomerCommand::DropRefund`] and [`CustomerCommand::Refund`].
#[derive(Clone, Debug)]
pub struct RefundStep {
    /// The customer who made the purchase.
    pub customer: CustomerRef,
    /// The purchase that is paid back.
    pub purchase: PurchaseId,
    /// The refund that Stripe is asked for.
    pub refund: PendingRefund,
    /// The past of the items that [`super::Customer::retold_items`] names.
    pub history: History,
    /// When the step is taken.
    pub now: Millis,
}

/// A change of a quantity: the content of [`CustomerCommand::ChangeItem`].
#[derive(Clone, Debug)]
pub struct ItemChange {
    /// The customer, for whom this may be the first event.
    pub customer: CustomerRef,
    /// The id that the change gets.
    pub id: Uuid,
    /// The item whose quantity changes.
    pub item_id: String,
    /// The difference; negative to take something away.
    pub delta: i64,
    /// When a granted quantity is lost; never, if absent.
    pub expires_at: Option<Millis>,
    /// The reason for the change, in the caller's words.
    pub description: Option<String>,
    /// The lowest quantity that the change may lead to.
    pub floor: Floor,
    /// When the change happens.
    pub now: Millis,
}

/// The lowest quantity that a change may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// The quantity must not fall below zero.
    Zero,
    /// The quantity may fall to any depth.
    None,
}

/// A purchase that somebody wants to make: the content of [`CustomerCommand::Purchase`].
#[derive(Clone, Debug)]
pub struct WantedPurchase {
    /// The customer, for whom this may be the first event.
    pub customer: CustomerRef,
    /// The id that the purchase gets.
    pub id: PurchaseId,
    /// The product's id in the settings, if it is there.
    pub product_id: Option<String>,
    /// The product as it is now.
    pub product: Product,
    /// The id of the price to buy at; the first, if absent.
    pub price_id: Option<String>,
    /// The number of products to buy.
    pub quantity: i64,
    /// The way in which the purchase comes about.
    pub source: PurchaseSource,
    /// When the purchase is made.
    pub now: Millis,
}

impl WantedPurchase {
    /// The price to buy at. `None` if the product has no prices.
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

/// A selection among a customer's subscriptions.
#[derive(Clone, Debug)]
pub enum Selection {
    /// The subscription with this id.
    Subscription(PurchaseId),
    /// All active subscriptions for a product.
    Product(String),
}

impl Selection {
    /// Whether the selection includes a purchase.
    #[must_use]
    pub fn means(&self, purchase: &Purchase) -> bool {
        match self {
            Self::Subscription(id) => purchase.id == *id,
            Self::Product(id) => purchase.product_id.as_ref() == Some(id),
        }
    }
}
