//! What customers have and bought. A customer's key is its stream.

use clickhouse::Row;
use muniment_domain::Millis;
use muniment_domain::customer::{ItemLedger, Price, Purchase};
use serde::{Deserialize, Serialize, Serializer};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{SyncedRow, Table};

/// How much of an item a customer had when an event last told something of it. What has expired or
/// come round since is not in it: time alone is no event.
#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(in crate::analytics::sync) struct ItemBalanceRow {
    project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    customer_key: Uuid,
    customer_type: String,
    customer_id: String,
    item_id: String,
    #[sqlx(json, try_from = "ItemLedger")]
    quantity: LastQuantity,
    as_of: i64,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    ItemBalanceRow,
    "item_balances",
    None,
    (customer_key: Uuid, item_id: String),
    "b.project_id, b.customer_key, b.customer_type, b.customer_id, b.item_id, b.ledger AS quantity,
     coalesce((b.ledger ->> 'latest')::bigint, 0) AS as_of
     FROM item_balances b"
);

/// In billionths, as `Decimal(38, 9)` counts.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(transparent)]
struct LastQuantity(i128);

impl From<ItemLedger> for LastQuantity {
    /// A ledger answers for no time before its last event, but for that one instead.
    fn from(ledger: ItemLedger) -> Self {
        Self(ledger.quantity(Millis(i64::MIN)).billionths())
    }
}

impl Serialize for LastQuantity {
    /// JSON, in which differences are reported, has no numbers of that size.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&self.0);
        }
        serializer.serialize_i128(self.0)
    }
}

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(in crate::analytics::sync) struct SubscriptionRow {
    project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    customer_key: Uuid,
    customer_type: String,
    customer_id: String,
    product_id: Option<String>,
    price_id: Option<String>,
    quantity: i64,
    status: String,
    current_period_start: i64,
    current_period_end: i64,
    cancel_at_period_end: bool,
    canceled_at: Option<i64>,
    ended_at: Option<i64>,
    creation_source: String,
    created_at: i64,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    SubscriptionRow,
    "subscriptions",
    Some("created_at"),
    (id: Uuid),
    "s.project_id, s.id, s.customer_key, s.customer_type, s.customer_id,
     s.purchase ->> 'product_id' AS product_id, s.purchase ->> 'price_id' AS price_id,
     (s.purchase ->> 'quantity')::bigint AS quantity, s.status,
     (s.purchase -> 'subscription' ->> 'period_start')::bigint AS current_period_start,
     (s.purchase -> 'subscription' ->> 'period_end')::bigint AS current_period_end,
     coalesce((s.purchase -> 'subscription' ->> 'cancel_at_period_end')::boolean, false)
         AS cancel_at_period_end,
     (s.purchase -> 'subscription' ->> 'canceled_at')::bigint AS canceled_at,
     (s.purchase -> 'subscription' ->> 'ended_at')::bigint AS ended_at,
     s.purchase ->> 'source' AS creation_source, s.created_at
     FROM customer_subscriptions s"
);

/// What `GET /internal/payments/transactions` lists: purchases, further periods
/// of subscriptions, and changes by hand. Of products `quantity` says how many, of items by how
/// much theirs changed.
#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(in crate::analytics::sync) struct TransactionRow {
    project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    #[serde(rename = "type")]
    #[sqlx(rename = "type")]
    kind: String,
    #[serde(with = "clickhouse::serde::uuid")]
    customer_key: Uuid,
    customer_type: String,
    customer_id: String,
    created_at: i64,
    test_mode: bool,
    #[sqlx(try_from = "Option<Json<Purchase>>")]
    amount_usd_cents: PaidCents,
    product_id: Option<String>,
    item_id: Option<String>,
    quantity: i64,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

// `origin_id` is what a row follows from: what touches a subscription touches its renewals.
synced!(
    TransactionRow,
    "transactions",
    Some("created_at"),
    (id: Uuid),
    "t.project_id, t.id, t.type, t.customer_key, t.customer_type, t.customer_id, t.created_at,
     coalesce(t.purchase ->> 'source' = 'TEST_MODE', false) AS test_mode,
     t.purchase AS amount_usd_cents, t.purchase ->> 'product_id' AS product_id, t.item_id,
     coalesce(t.delta, (t.purchase ->> 'quantity')::bigint) AS quantity
     FROM (
         SELECT project_id, id, 'purchase' AS type, customer_key, customer_type, customer_id,
                created_at, id AS origin_id, purchase, NULL::text AS item_id, NULL::bigint AS delta
         FROM customer_subscriptions
         UNION ALL
         SELECT project_id, id, 'purchase', customer_key, customer_type, customer_id,
                created_at, id, purchase, NULL, NULL
         FROM one_time_purchases
         UNION ALL
         SELECT i.project_id, i.id, 'subscription-renewal', i.customer_key, i.customer_type,
                i.customer_id, i.created_at, i.subscription_id, s.purchase, NULL, NULL
         FROM subscription_invoices i JOIN customer_subscriptions s ON s.id = i.subscription_id
         WHERE NOT i.is_creation_invoice
         UNION ALL
         SELECT project_id, id, 'manual-item-quantity-change', customer_key, customer_type,
                customer_id, created_at, id, NULL, item_id, delta
         FROM item_quantity_changes
     ) t"
);

/// What was paid, if it is known and was in US dollars.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct PaidCents(Option<i64>);

impl From<Option<Json<Purchase>>> for PaidCents {
    fn from(purchase: Option<Json<Purchase>>) -> Self {
        Self(purchase.and_then(|Json(purchase)| {
            let each = purchase.paid_price().and_then(Price::usd_cents)?;
            each.checked_mul(purchase.quantity)
        }))
    }
}
