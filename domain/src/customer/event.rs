//! What can happen to a customer.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::product::CustomerType;
use super::purchase::Purchase;
use crate::{CustomerId, Millis, Personal, ProjectId, PurchaseId, TeamId, UserId};

/// An event on a customer's stream, which is the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum CustomerEvent {
    /// Somebody changed how much of an item the customer has.
    ItemQuantityChanged(Box<ItemQuantityChanged>),
    /// The customer got a product.
    ProductPurchased(Box<ProductPurchased>),
    /// A subscription was ended; what it grants lasts until it ends.
    SubscriptionEnded(SubscriptionEnded),
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

impl DomainEvent for CustomerEvent {
    fn event_type(&self) -> String {
        match self {
            Self::ItemQuantityChanged(_) => "ItemQuantityChanged",
            Self::ProductPurchased(_) => "ProductPurchased",
            Self::SubscriptionEnded(_) => "SubscriptionEnded",
            Self::CustomerClosed {} => "CustomerClosed",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1.0.0".to_owned()
    }
}
