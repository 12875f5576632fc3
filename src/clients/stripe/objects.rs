//! Stripe's objects, as far as they are read here (<https://docs.stripe.com/api>). Times are in
//! seconds since 1970, amounts in cents.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// What callers of the API attach to an object.
pub type Metadata = BTreeMap<String, String>;

/// Reads metadata. Stripe knows texts only; tests that stand in for it also write numbers, and
/// `null` for what is not there.
#[must_use]
pub fn metadata_of(object: &Value) -> Metadata {
    let fields = object.as_object().into_iter().flatten();
    let texts = fields.filter_map(|(name, value)| match value {
        Value::String(text) => Some((name.clone(), text.clone())),
        Value::Null => None,
        other => Some((name.clone(), other.to_string())),
    });
    texts.collect()
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metadata, D::Error> {
    Ok(metadata_of(&Value::deserialize(deserializer)?))
}

/// A page of objects.
#[derive(Clone, Debug, Deserialize)]
pub struct List<T> {
    /// The objects.
    pub data: Vec<T>,
    /// Whether there are more after them.
    #[serde(default)]
    pub has_more: bool,
}

/// An object that Stripe shows by its id alone, unless it was asked to expand it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Expandable<T> {
    /// Its id.
    Id(String),
    /// All of it.
    Object(Box<T>),
}

/// An object that has an id.
pub trait Identified {
    /// Its id.
    fn id(&self) -> &str;
}

impl<T: Identified> Expandable<T> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Object(object) => object.id(),
        }
    }

    /// All of it, if it was expanded.
    #[must_use]
    pub fn object(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Object(object) => Some(object),
        }
    }
}

macro_rules! identified {
    ($($object:ident),*) => {
        $(impl Identified for $object {
            fn id(&self) -> &str {
                &self.id
            }
        })*
    };
}

identified!(Customer, Invoice, PaymentIntent, PaymentMethod);

/// A connected account: a project's own.
#[derive(Clone, Debug, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "Stripe's own fields")]
pub struct Account {
    /// `acct_…`
    pub id: String,
    /// Whether it can charge cards.
    #[serde(default)]
    pub charges_enabled: bool,
    /// Whether its owner has told Stripe what it has to know.
    #[serde(default)]
    pub details_submitted: bool,
    /// Whether it is paid out.
    #[serde(default)]
    pub payouts_enabled: bool,
    /// `tenancyId` names the project.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: Metadata,
}

/// A page at Stripe where the owner of an account sets it up.
#[derive(Clone, Debug, Deserialize)]
pub struct AccountLink {
    /// Where it is.
    pub url: String,
}

/// What lets a page embed Stripe's own views of an account.
#[derive(Clone, Debug, Deserialize)]
pub struct AccountSession {
    /// The secret for the page.
    pub client_secret: String,
}

/// Which ways to pay an account offers.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentMethodConfiguration {
    /// `pmc_…`
    pub id: String,
    /// The application that made it.
    #[serde(default)]
    pub application: Option<String>,
    /// The configuration it inherits from.
    #[serde(default)]
    pub parent: Option<String>,
    /// Whether it is what the account itself uses.
    #[serde(default)]
    pub is_default: bool,
    /// All other fields; the ways to pay are among them.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Who pays.
#[derive(Clone, Debug, Deserialize)]
pub struct Customer {
    /// `cus_…`
    pub id: String,
    /// Of a deleted customer only the id is left.
    #[serde(default)]
    pub deleted: bool,
    /// `customerId` and `customerType` name the customer here.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: Metadata,
}

/// A way to pay that a customer has saved.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentMethod {
    /// `pm_…`
    pub id: String,
    /// The card, if it is one.
    #[serde(default)]
    pub card: Option<Card>,
}

/// What may be shown of a card.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Card {
    /// `visa`, …
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// The month in which it expires.
    pub exp_month: Option<i64>,
    /// The year in which it expires.
    pub exp_year: Option<i64>,
}

/// The saving of a card, under way.
#[derive(Clone, Debug, Deserialize)]
pub struct SetupIntent {
    /// `seti_…`
    pub id: String,
    /// For the page that asks for the card.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// Whose card it is.
    #[serde(default)]
    pub customer: Option<Expandable<Customer>>,
    /// `succeeded` once the card is saved.
    #[serde(default)]
    pub status: String,
    /// The card.
    #[serde(default)]
    pub payment_method: Option<Expandable<PaymentMethod>>,
}

/// A payment, under way.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentIntent {
    /// `pi_…`
    pub id: String,
    /// For the page that asks for the money.
    #[serde(default)]
    pub client_secret: Option<String>,
}

/// What is sold, as Stripe's receipts name it.
#[derive(Clone, Debug, Deserialize)]
pub struct Product {
    /// `prod_…`
    pub id: String,
}

/// A subscription.
#[derive(Clone, Debug, Deserialize)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// `active`, `past_due`, …
    pub status: String,
    /// What is subscribed to. Only the first one counts here.
    pub items: List<SubscriptionItem>,
    /// Metadata that Stripe keeps with it and sends back: the product and price it is for.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: Metadata,
    /// Whether it ends when what is paid has run out.
    #[serde(default)]
    pub cancel_at_period_end: bool,
    /// When it was cancelled.
    #[serde(default)]
    pub canceled_at: Option<i64>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<i64>,
    /// The newest invoice.
    #[serde(default)]
    pub latest_invoice: Option<Expandable<Invoice>>,
}

impl Subscription {
    /// Whether it has ended for good, and cannot be changed any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "canceled" | "incomplete_expired")
    }

    /// What lets a page pay the newest invoice, if that was expanded.
    #[must_use]
    pub fn client_secret(&self) -> Option<&str> {
        let invoice = self.latest_invoice.as_ref()?.object()?;
        if let Some(secret) = &invoice.confirmation_secret {
            return Some(&secret.client_secret);
        }
        let intent = invoice.payment_intent.as_ref()?.object()?;
        intent.client_secret.as_deref()
    }
}

/// Something that is subscribed to.
#[derive(Clone, Debug, Deserialize)]
pub struct SubscriptionItem {
    /// `si_…`
    #[serde(default)]
    pub id: String,
    /// How many of it.
    #[serde(default)]
    pub quantity: Option<i64>,
    /// When the present period began.
    #[serde(default)]
    pub current_period_start: i64,
    /// When it ends.
    #[serde(default)]
    pub current_period_end: i64,
}

/// An invoice.
#[derive(Clone, Debug, Deserialize)]
pub struct Invoice {
    /// `in_…`
    pub id: String,
    /// What lets a page pay it.
    #[serde(default)]
    pub confirmation_secret: Option<ConfirmationSecret>,
    /// What paid it, in older versions of the API.
    #[serde(default)]
    pub payment_intent: Option<Expandable<PaymentIntent>>,
    /// What was paid for it, if that was expanded.
    #[serde(default)]
    pub payments: Option<List<InvoicePayment>>,
}

impl Invoice {
    /// The payment intent of the first payment that arrived.
    #[must_use]
    pub fn paid_by(&self) -> Option<&str> {
        let mut payments = self.payments.as_ref()?.data.iter();
        let paid = payments.find(|payment| payment.status == "paid")?;
        Some(paid.payment.payment_intent.as_ref()?.id())
    }
}

/// See [`Invoice::confirmation_secret`].
#[derive(Clone, Debug, Deserialize)]
pub struct ConfirmationSecret {
    /// For the page.
    pub client_secret: String,
}

/// A payment of an invoice.
#[derive(Clone, Debug, Deserialize)]
pub struct InvoicePayment {
    /// `open`, `paid` or `canceled`.
    #[serde(default)]
    pub status: String,
    /// What paid.
    pub payment: InvoicePaymentSource,
}

/// See [`InvoicePayment::payment`].
#[derive(Clone, Debug, Deserialize)]
pub struct InvoicePaymentSource {
    /// The payment intent, if it was one.
    #[serde(default)]
    pub payment_intent: Option<Expandable<PaymentIntent>>,
}

/// Money that went back.
#[derive(Clone, Debug, Deserialize)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// `succeeded`, `pending`, …
    #[serde(default)]
    pub status: Option<String>,
    /// `purchaseId` names what was paid back.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: Metadata,
}

impl Refund {
    /// Whether the money went back, or is on its way.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }
}
