//! The rows of customers' read tables.

use muniment_domain::Millis;
use muniment_domain::customer::{
    InvoiceStatus, ItemLedger, Product, Purchase, Quantity, Revocation,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::read_models::table::{Table, TableRow};

/// Whose a row is: columns that most tables of customers have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct Whose {
    pub customer_key: Uuid,
    pub project_id: String,
    pub customer_type: String,
    pub customer_id: String,
}

/// A row of `item_balances`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ItemBalanceRow {
    #[serde(flatten)]
    pub(crate) whose: Whose,
    pub(crate) item_id: String,
    pub(crate) ledger: ItemLedger,
}

impl ItemBalanceRow {
    pub(crate) fn quantity(&self, at: Millis) -> Quantity {
        self.ledger.quantity(at)
    }
}

impl TableRow for ItemBalanceRow {
    const TABLE: Table = Table {
        name: "item_balances",
        key: &["customer_key", "item_id"],
        fields: &["project_id", "customer_type", "customer_id", "ledger"],
    };
    type Key = (Uuid, String);
    fn key(&self) -> (Uuid, String) {
        (self.whose.customer_key, self.item_id.clone())
    }
}

/// A row of `item_quantity_changes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct ItemQuantityChangeRow {
    pub id: Uuid,
    #[serde(flatten)]
    pub whose: Whose,
    pub item_id: String,
    pub delta: i64,
    pub description: Option<String>,
    pub expires_at: Option<i64>,
    pub created_at: i64,
}

impl TableRow for ItemQuantityChangeRow {
    const TABLE: Table = Table {
        name: "item_quantity_changes",
        key: &["id"],
        fields: &[
            "customer_key",
            "project_id",
            "customer_type",
            "customer_id",
            "item_id",
            "delta",
            "description",
            "expires_at",
            "created_at",
        ],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.id
    }
}

/// A row of `customer_subscriptions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SubscriptionRow {
    pub(crate) id: Uuid,
    #[serde(flatten)]
    pub(crate) whose: Whose,
    pub(crate) created_at: i64,
    pub(crate) stripe_subscription_id: Option<String>,
    pub(crate) status: String,
    pub(crate) purchase: Purchase,
}

impl SubscriptionRow {
    /// The purchase changed, so what is said of it beside does.
    pub(crate) fn note(&mut self) {
        let subscription = self.purchase.subscription.as_ref();
        let status = subscription
            .map(|it| it.status.as_str())
            .unwrap_or_default();
        status.clone_into(&mut self.status);
    }
}

impl TableRow for SubscriptionRow {
    const TABLE: Table = Table {
        name: "customer_subscriptions",
        key: &["id"],
        fields: &[
            "customer_key",
            "project_id",
            "customer_type",
            "customer_id",
            "created_at",
            "stripe_subscription_id",
            "status",
            "purchase",
        ],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.id
    }
}

/// A row of `one_time_purchases`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OneTimePurchaseRow {
    pub(crate) id: Uuid,
    #[serde(flatten)]
    pub(crate) whose: Whose,
    pub(crate) created_at: i64,
    pub(crate) stripe_payment_intent_id: Option<String>,
    pub(crate) purchase: Purchase,
}

impl TableRow for OneTimePurchaseRow {
    const TABLE: Table = Table {
        name: "one_time_purchases",
        key: &["id"],
        fields: &[
            "customer_key",
            "project_id",
            "customer_type",
            "customer_id",
            "created_at",
            "stripe_payment_intent_id",
            "purchase",
        ],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.id
    }
}

/// A row of `subscription_invoices`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct InvoiceRow {
    pub id: Uuid,
    #[serde(flatten)]
    pub whose: Whose,
    pub subscription_id: Uuid,
    pub stripe_subscription_id: String,
    pub stripe_invoice_id: String,
    pub is_creation_invoice: bool,
    pub status: Option<InvoiceStatus>,
    pub amount_total: Option<i64>,
    pub hosted_invoice_url: Option<String>,
    pub created_at: i64,
}

impl TableRow for InvoiceRow {
    const TABLE: Table = Table {
        name: "subscription_invoices",
        key: &["id"],
        fields: &[
            "customer_key",
            "project_id",
            "customer_type",
            "customer_id",
            "subscription_id",
            "stripe_subscription_id",
            "stripe_invoice_id",
            "is_creation_invoice",
            "status",
            "amount_total",
            "hosted_invoice_url",
            "created_at",
        ],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.id
    }
}

/// A row of `refunds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefundRow {
    pub(crate) purchase_id: Uuid,
    pub(crate) customer_key: Uuid,
    pub(crate) project_id: String,
    pub(crate) source: String,
    pub(crate) revocations: Vec<Revocation>,
    pub(crate) amount: i64,
    pub(crate) refunded_at: i64,
}

impl TableRow for RefundRow {
    const TABLE: Table = Table {
        name: "refunds",
        key: &["purchase_id"],
        fields: &[
            "customer_key",
            "project_id",
            "source",
            "revocations",
            "amount",
            "refunded_at",
        ],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.purchase_id
    }
}

/// A row of `product_versions`. The same for everybody who writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProductVersionRow {
    pub(crate) project_id: String,
    pub(crate) version_id: String,
    pub(crate) product_id: Option<String>,
    pub(crate) product: Product,
}

impl TableRow for ProductVersionRow {
    const TABLE: Table = Table {
        name: "product_versions",
        key: &["project_id", "version_id"],
        fields: &["product_id", "product"],
    };
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.project_id.clone(), self.version_id.clone())
    }
}
