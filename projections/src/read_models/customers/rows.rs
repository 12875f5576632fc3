//! The rows of customers' read tables.

use muniment_domain::Millis;
use muniment_domain::customer::{
    InvoiceStatus, ItemLedger, Product, Purchase, Quantity, Revocation,
};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use crate::read_models::table::read_table;

/// Whose a row is: columns that most tables of customers have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct Whose {
    pub customer_key: Uuid,
    pub project_id: String,
    pub customer_type: String,
    pub customer_id: String,
}

impl Whose {
    /// The columns.
    pub(crate) const COLUMNS: [&str; 4] =
        ["customer_key", "project_id", "customer_type", "customer_id"];
}

read_table! {
    /// A row of `item_balances`.
    #[derive(sqlx::FromRow)]
    pub(crate) struct ItemBalanceRow in "item_balances" with #[sqlx(flatten)] pub(crate) whose: Whose {
        pub(crate) item_id: String,
        #[sqlx(json)]
        pub(crate) ledger: ItemLedger,
    }
    key (whose.customer_key: Uuid, item_id: String);
    cleared (Customer by whose.customer_key, Project by whose.project_id);
}

impl ItemBalanceRow {
    pub(crate) fn quantity(&self, at: Millis) -> Quantity {
        self.ledger.quantity(at)
    }
}

read_table! {
    /// A row of `item_quantity_changes`.
    pub struct ItemQuantityChangeRow in "item_quantity_changes" with pub whose: Whose {
        pub id: Uuid,
        pub item_id: String,
        pub delta: i64,
        pub description: Option<String>,
        pub expires_at: Option<i64>,
        pub created_at: i64,
    }
    key (id: Uuid);
    cleared (Customer by whose.customer_key, Project by whose.project_id);
}

read_table! {
    /// A row of `customer_subscriptions`.
    #[derive(sqlx::FromRow)]
    pub(crate) struct SubscriptionRow in "customer_subscriptions" with #[sqlx(flatten)] pub(crate) whose: Whose {
        pub(crate) id: Uuid,
        pub(crate) created_at: i64,
        pub(crate) stripe_subscription_id: Option<String>,
        pub(crate) status: String,
        #[sqlx(json)]
        pub(crate) purchase: Purchase,
    }
    key (id: Uuid);
    cleared (Customer by whose.customer_key, Project by whose.project_id);
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

read_table! {
    /// A row of `one_time_purchases`.
    pub(crate) struct OneTimePurchaseRow in "one_time_purchases" with pub(crate) whose: Whose {
        pub(crate) id: Uuid,
        pub(crate) created_at: i64,
        pub(crate) stripe_payment_intent_id: Option<String>,
        pub(crate) purchase: Purchase,
    }
    key (id: Uuid);
    cleared (Customer by whose.customer_key, Project by whose.project_id);
}

read_table! {
    /// A row of `subscription_invoices`.
    pub struct InvoiceRow in "subscription_invoices" with pub whose: Whose {
        pub id: Uuid,
        pub subscription_id: Uuid,
        pub stripe_subscription_id: String,
        pub stripe_invoice_id: String,
        pub is_creation_invoice: bool,
        pub status: Option<InvoiceStatus>,
        pub amount_total: Option<i64>,
        pub hosted_invoice_url: Option<String>,
        pub created_at: i64,
    }
    key (id: Uuid);
    cleared (Customer by whose.customer_key, Project by whose.project_id);
}

read_table! {
    /// A row of `refunds`.
    pub(crate) struct RefundRow in "refunds" {
        pub(crate) purchase_id: Uuid,
        pub(crate) customer_key: Uuid,
        pub(crate) project_id: String,
        pub(crate) source: String,
        pub(crate) revocations: Vec<Revocation>,
        pub(crate) amount: i64,
        pub(crate) refunded_at: i64,
    }
    key (purchase_id: Uuid);
    cleared (Customer by customer_key, Project by project_id);
}

read_table! {
    /// A row of `product_versions`. The same for everybody who writes it.
    pub(crate) struct ProductVersionRow in "product_versions" {
        pub(crate) project_id: String,
        pub(crate) version_id: String,
        pub(crate) product_id: Option<String>,
        pub(crate) product: Product,
    }
    key (project_id: String, version_id: String);
    cleared (Project by project_id);
}
