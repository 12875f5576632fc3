//! What can happen to a customer.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use sha2::{Digest, Sha256};
use strum::{IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::invoice::Invoice;
use super::ledger::ItemLedger;
use super::product::{CustomerType, Product};
use super::purchase::Purchase;
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
    /// A subscription was ended; what it grants lasts until it ends.
    SubscriptionEnded(SubscriptionEnded),
    /// The payment provider told something new about a purchase.
    PurchaseChanged(Box<PurchaseChanged>),
    /// Stripe is about to be asked to pay a purchase back.
    RefundBegun(Box<PurchaseChanged>),
    /// Stripe refused, and nothing of the refund was made.
    RefundDropped(Box<PurchaseChanged>),
    /// A purchase was paid back, at least in part.
    PurchaseRefunded(Box<PurchaseChanged>),
    /// The payment provider told something new about an invoice.
    InvoiceRecorded(Box<InvoiceRecorded>),
    /// A product was offered that may be looked up by its version later.
    ProductVersionRecorded(Box<ProductVersionRecorded>),
    /// The customer is forgotten.
    CustomerClosed {},
}

/// Who a customer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "customer_type", rename_all = "snake_case")]
pub enum CustomerRef {
    /// A user.
    User {
        /// Who.
        user_id: UserId,
    },
    /// A team.
    Team {
        /// Which.
        team_id: TeamId,
    },
    /// Whatever the project's own servers say.
    Custom {
        /// Its name.
        custom_id: String,
    },
}

impl CustomerRef {
    /// The customer of that id on the wire. None if it cannot be one of that kind.
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

    /// What kind of customer it is.
    #[must_use]
    pub fn customer_type(&self) -> CustomerType {
        match self {
            Self::User { .. } => CustomerType::User,
            Self::Team { .. } => CustomerType::Team,
            Self::Custom { .. } => CustomerType::Custom,
        }
    }

    /// The id on the wire.
    #[must_use]
    pub fn id_text(&self) -> String {
        match self {
            Self::User { user_id } => user_id.to_string(),
            Self::Team { team_id } => team_id.to_string(),
            Self::Custom { custom_id } => custom_id.clone(),
        }
    }

    /// The stream that is the customer's ledger. It follows from who the customer is, so that it
    /// needs no look-up.
    #[must_use]
    pub fn stream(&self, project: &ProjectId) -> CustomerId {
        CustomerId(derived_uuid(&[
            "customer",
            project.as_str(),
            self.customer_type().as_str(),
            &self.id_text(),
        ]))
    }

    /// Under whose key personal data is sealed.
    #[must_use]
    pub fn subject(&self, project: &ProjectId) -> Uuid {
        match self {
            Self::User { user_id } => user_id.0,
            Self::Team { team_id } => team_id.0,
            Self::Custom { .. } => self.stream(project).0,
        }
    }
}

/// A UUID that follows from texts (RFC 9562, version 8).
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

/// See [`CustomerEvent::ItemQuantityChanged`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemQuantityChanged {
    /// The project.
    pub project_id: ProjectId,
    /// The customer.
    #[serde(flatten)]
    pub customer: CustomerRef,
    /// The change's id.
    pub change_id: Uuid,
    /// Of what.
    pub item_id: String,
    /// By how much.
    pub delta: i64,
    /// When what is granted is lost.
    pub expires_at: Option<Millis>,
    /// When.
    pub at: Millis,
    /// Whose key seals the personal part.
    pub subject: Uuid,
    /// Why, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<Personal<ItemChangeReason>>,
}

/// The personal part of a change: free text that may name people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemChangeReason {
    /// Why.
    pub description: String,
}

/// See [`CustomerEvent::ProductPurchased`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductPurchased {
    /// The project.
    pub project_id: ProjectId,
    /// The customer.
    #[serde(flatten)]
    pub customer: CustomerRef,
    /// What.
    pub purchase: Purchase,
}

/// See [`CustomerEvent::SubscriptionEnded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionEnded {
    /// Which.
    pub purchase_id: PurchaseId,
    /// The items that it grants.
    pub item_ids: Vec<String>,
    /// When that was decided.
    pub canceled_at: Millis,
    /// When it ends, or ended.
    pub ended_at: Millis,
}

/// See [`CustomerEvent::PurchaseChanged`] and the events of refunds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PurchaseChanged {
    /// The project.
    pub project_id: ProjectId,
    /// The customer.
    #[serde(flatten)]
    pub customer: CustomerRef,
    /// When.
    pub at: Millis,
    /// The purchase as it is now.
    pub purchase: Purchase,
    /// The items whose history is another one now, since the purchase was made: their ledgers,
    /// told anew from all rows.
    #[serde(deserialize_with = "ledgers")]
    pub ledgers: BTreeMap<String, ItemLedger>,
}

/// Ledgers have numbers for keys, which serde does not read within a tagged enum, but by itself.
fn ledgers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, ItemLedger>, D::Error> {
    let ledgers = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let read = |(item, ledger)| Ok((item, serde_json::from_value(ledger)?));
    let read: Result<_, serde_json::Error> = ledgers.into_iter().map(read).collect();
    read.map_err(de::Error::custom)
}

/// See [`CustomerEvent::InvoiceRecorded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceRecorded {
    /// The project.
    pub project_id: ProjectId,
    /// The customer.
    #[serde(flatten)]
    pub customer: CustomerRef,
    /// The invoice.
    pub invoice: Invoice,
    /// Whose key seals the personal part.
    pub subject: Uuid,
    /// Where it can be seen, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<Personal<InvoicePage>>,
}

/// The personal part of an invoice: whoever knows the page's address sees who pays for what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InvoicePage {
    /// Its address.
    pub hosted_invoice_url: String,
}

/// See [`CustomerEvent::ProductVersionRecorded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductVersionRecorded {
    /// The project.
    pub project_id: ProjectId,
    /// The version; see [`super::product_version_id`].
    pub version_id: String,
    /// Which product of the settings, if it is one.
    pub product_id: Option<String>,
    /// What it says.
    pub product: Product,
}

domain_event!(CustomerEvent);
