//! The events on the stream of a customer.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use sha2::{Digest, Sha256};
use strum::{IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::invoice::Invoice;
use super::purchase::Purchase;
use crate::customer::items::ledger::ItemLedger;
use crate::customer::products::product::{CustomerType, Product};
use crate::event::domain_event;
use crate::{CustomerId, Millis, Personal, ProjectId, PurchaseId, TeamId, UserId};

/// An event on a customer's stream, which is the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum CustomerEvent {
    /// Somebody changed how much of an item the customer has.
    ItemQuantityChanged(Box<ItemQuantityChanged>),
    /// The customer got a product.
    ProductPurchased(Box<ProductPurchased>),
    /// A subscription was ended. Its grants last until it ends.
    SubscriptionEnded(SubscriptionEnded),
    /// The payment provider reported a change of a purchase.
    PurchaseChanged(Box<PurchaseChanged>),
    /// Stripe is about to be asked to pay a purchase back.
    RefundBegun(Box<PurchaseChanged>),
    /// Stripe refused a refund, and made nothing of it.
    RefundDropped(Box<PurchaseChanged>),
    /// A purchase was paid back, at least in part.
    PurchaseRefunded(Box<PurchaseChanged>),
    /// The payment provider reported a new or changed invoice.
    InvoiceRecorded(Box<InvoiceRecorded>),
    /// A product was offered, and may be looked up by its version later.
    ProductVersionRecorded(Box<ProductVersionRecorded>),
    /// The customer was forgotten, with everything they had.
    CustomerClosed {},
}

/// The identity of a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "customer_type", rename_all = "snake_case")]
pub enum CustomerRef {
    /// The customer is a user.
    User {
        /// The user's id.
        user_id: UserId,
    },
    /// The customer is a team.
    Team {
        /// The team's id.
        team_id: TeamId,
    },
    /// The customer is known to the project's own servers only.
    Custom {
        /// The id that those servers use.
        custom_id: String,
    },
}

impl CustomerRef {
    /// The customer with that id on the wire. `None` if a customer of that kind cannot have it.
    #[must_use]
    pub fn named(kind: CustomerType, id: &str) -> Option<Self> {
        Some(match kind {
            CustomerType::User => Self::User {
                user_id: id.parse().ok()?,
            },
            CustomerType::Team => Self::Team {
                team_id: id.parse().ok()?,
            },
            CustomerType::Custom => Self::Custom {
                custom_id: id.to_owned(),
            },
        })
    }

    /// The kind of customer.
    #[must_use]
    pub fn customer_type(&self) -> CustomerType {
        match self {
            Self::User { .. } => CustomerType::User,
            Self::Team { .. } => CustomerType::Team,
            Self::Custom { .. } => CustomerType::Custom,
        }
    }

    /// The customer's id on the wire.
    #[must_use]
    pub fn id_text(&self) -> String {
        match self {
            Self::User { user_id } => user_id.to_string(),
            Self::Team { team_id } => team_id.to_string(),
            Self::Custom { custom_id } => custom_id.clone(),
        }
    }

    /// The id of the stream that is the customer's ledger. It follows from the customer's identity,
    /// so that it needs no look-up.
    #[must_use]
    pub fn stream(&self, project: &ProjectId) -> CustomerId {
        CustomerId(derived_uuid(&[
            "customer",
            project.as_str(),
            self.customer_type().as_str(),
            &self.id_text(),
        ]))
    }

    /// The subject whose key seals the customer's personal data.
    #[must_use]
    pub fn subject(&self, project: &ProjectId) -> Uuid {
        match self {
            Self::User { user_id } => user_id.0,
            Self::Team { team_id } => team_id.0,
            Self::Custom { .. } => self.stream(project).0,
        }
    }
}

/// A UUID that is computed from texts (RFC 9562, version 8).
#[must_use]
pub fn derived_uuid(parts: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The content of [`CustomerEvent::ItemQuantityChanged`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemQuantityChanged {
    /// The project that the customer belongs to.
    pub project_id: ProjectId,
    /// The customer whose quantity changed.
    #[serde(flatten)]
    pub customer: CustomerRef,
    /// The id of the change.
    pub change_id: Uuid,
    /// The item whose quantity changed.
    pub item_id: String,
    /// The difference; negative if something was taken away.
    pub delta: i64,
    /// When a granted quantity is lost; never, if absent.
    pub expires_at: Option<Millis>,
    /// When the quantity changed.
    pub at: Millis,
    /// The subject whose key seals the personal part.
    pub subject: Uuid,
    /// The reason for the change, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<Personal<ItemChangeReason>>,
}

/// The personal part of a change: free text that may name people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemChangeReason {
    /// The reason for the change, in the caller's words.
    pub description: String,
}

/// The content of [`CustomerEvent::ProductPurchased`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductPurchased {
    /// The project that the customer belongs to.
    pub project_id: ProjectId,
    /// The customer who got the product.
    #[serde(flatten)]
    pub customer: CustomerRef,
    /// The purchase, with the product as it was then.
    pub purchase: Purchase,
}

/// The content of [`CustomerEvent::SubscriptionEnded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionEnded {
    /// The purchase whose subscription was ended.
    pub purchase_id: PurchaseId,
    /// The items that the subscription grants.
    pub item_ids: Vec<String>,
    /// When the end was decided.
    pub canceled_at: Millis,
    /// When the subscription ends, or ended.
    pub ended_at: Millis,
}

/// The content of [`CustomerEvent::PurchaseChanged`] and of the events of refunds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PurchaseChanged {
    /// The project that the customer belongs to.
    pub project_id: ProjectId,
    /// The customer who made the purchase.
    #[serde(flatten)]
    pub customer: CustomerRef,
    /// When the change was recorded.
    pub at: Millis,
    /// The purchase after the change.
    pub purchase: Purchase,
    /// The ledgers of the items whose history, since the purchase was made, is another one after
    /// the change. They are computed from all rows.
    #[serde(deserialize_with = "ledgers")]
    pub ledgers: BTreeMap<String, ItemLedger>,
}

/// Reads ledgers by themselves: they have numbers for keys, which serde does not read within a
/// tagged enum.
fn ledgers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, ItemLedger>, D::Error> {
    let ledgers = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let read = |(item, ledger)| Ok((item, serde_json::from_value(ledger)?));
    let read: Result<_, serde_json::Error> = ledgers.into_iter().map(read).collect();
    read.map_err(de::Error::custom)
}

/// The content of [`CustomerEvent::InvoiceRecorded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceRecorded {
    /// The project that the customer belongs to.
    pub project_id: ProjectId,
    /// The customer whom the invoice is for.
    #[serde(flatten)]
    pub customer: CustomerRef,
    /// The invoice after the change.
    pub invoice: Invoice,
    /// The subject whose key seals the personal part.
    pub subject: Uuid,
    /// The page that shows the invoice, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<Personal<InvoicePage>>,
}

/// The personal part of an invoice. Everybody who knows the page's address can see who pays for
/// what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InvoicePage {
    /// The address of the page that shows the invoice.
    pub hosted_invoice_url: String,
}

/// The content of [`CustomerEvent::ProductVersionRecorded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductVersionRecorded {
    /// The project that offers the product.
    pub project_id: ProjectId,
    /// The id of the version; see [`super::product_version_id`].
    pub version_id: String,
    /// The product's id in the settings, if it is there.
    pub product_id: Option<String>,
    /// The product as it was offered.
    pub product: Product,
}

domain_event!(CustomerEvent);
