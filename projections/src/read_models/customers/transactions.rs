//! What moved products, items or money, newest first.

use muniment_domain::ProjectId;
use muniment_domain::customer::{CustomerType, Purchase};
use sqlx::PgPool;
use uuid::Uuid;

use muniment_event_store::LedgerError;

/// What the keys of renewals begin with.
const RENEWAL: &str = "sub-renewal:";

/// Something that moved products or items.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its id.
    pub id: Uuid,
    /// Its place among those of the same time.
    pub key: String,
    /// Whose.
    pub customer_type: String,
    /// Whose.
    pub customer_id: String,
    /// When.
    pub created_at: i64,
    /// What.
    pub kind: TransactionKind,
}

/// What a transaction was.
#[derive(Clone, Debug)]
pub enum TransactionKind {
    /// A purchase.
    Purchase(Box<Purchase>),
    /// A further period of a subscription.
    Renewal(Box<Purchase>),
    /// A change by hand.
    ItemChange {
        /// Of what.
        item_id: String,
        /// By how much.
        delta: i64,
    },
}

/// Which transactions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// All.
    All,
    /// Purchases.
    Purchases,
    /// Further periods of subscriptions.
    Renewals,
    /// Changes by hand.
    ItemChanges,
}

/// A page of transactions.
#[derive(Clone, Debug)]
pub struct TransactionPage<'q> {
    /// Which kinds.
    pub kinds: Kinds,
    /// Only of such customers.
    pub customer_type: Option<CustomerType>,
    /// Only what comes after that one: its time and key.
    pub after: Option<(i64, &'q str)>,
    /// How many, at most.
    pub limit: i64,
}

/// Transactions of a project, newest first.
pub async fn transactions(
    pool: &PgPool,
    project: &ProjectId,
    page: &TransactionPage<'_>,
) -> Result<Vec<Transaction>, LedgerError> {
    let (after_time, after_key) = page.after.unzip();
    let wants = |kind| page.kinds == Kinds::All || page.kinds == kind;
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", key AS "key!", customer_type AS "customer_type!",
                  customer_id AS "customer_id!", created_at AS "created_at!", purchase, item_id, delta
           FROM (
               (SELECT id, ('sub-start:' || id) COLLATE "C" AS key, customer_type, customer_id,
                       created_at, purchase, NULL AS item_id, NULL::bigint AS delta
                FROM customer_subscriptions
                WHERE project_id = $1 AND $2 AND ($5::text IS NULL OR customer_type = $5)
                  AND ($6::bigint IS NULL OR created_at <= $6)
                  AND ($6::bigint IS NULL OR (created_at, ('sub-start:' || id) COLLATE "C") < ($6, $7::text COLLATE "C"))
                ORDER BY created_at DESC, id DESC LIMIT $8)
               UNION ALL
               (SELECT id, ('otp:' || id) COLLATE "C", customer_type, customer_id,
                       created_at, purchase, NULL, NULL
                FROM one_time_purchases
                WHERE project_id = $1 AND $2 AND ($5::text IS NULL OR customer_type = $5)
                  AND ($6::bigint IS NULL OR created_at <= $6)
                  AND ($6::bigint IS NULL OR (created_at, ('otp:' || id) COLLATE "C") < ($6, $7::text COLLATE "C"))
                ORDER BY created_at DESC, id DESC LIMIT $8)
               UNION ALL
               (SELECT i.id, ('sub-renewal:' || i.id) COLLATE "C", i.customer_type, i.customer_id,
                       i.created_at, s.purchase, NULL, NULL
                FROM subscription_invoices i JOIN customer_subscriptions s ON s.id = i.subscription_id
                WHERE i.project_id = $1 AND $3 AND NOT i.is_creation_invoice
                  AND ($5::text IS NULL OR i.customer_type = $5)
                  AND ($6::bigint IS NULL OR i.created_at <= $6)
                  AND ($6::bigint IS NULL OR (i.created_at, ('sub-renewal:' || i.id) COLLATE "C") < ($6, $7::text COLLATE "C"))
                ORDER BY i.created_at DESC, i.id DESC LIMIT $8)
               UNION ALL
               (SELECT id, ('miqc:' || id) COLLATE "C", customer_type, customer_id, created_at, NULL,
                       item_id, delta
                FROM item_quantity_changes
                WHERE project_id = $1 AND $4 AND ($5::text IS NULL OR customer_type = $5)
                  AND ($6::bigint IS NULL OR created_at <= $6)
                  AND ($6::bigint IS NULL OR (created_at, ('miqc:' || id) COLLATE "C") < ($6, $7::text COLLATE "C"))
                ORDER BY created_at DESC, id DESC LIMIT $8)
           ) AS every_kind
           ORDER BY created_at DESC, key DESC
           LIMIT $8"#,
        project.as_str(),
        wants(Kinds::Purchases),
        wants(Kinds::Renewals),
        wants(Kinds::ItemChanges),
        page.customer_type.map(CustomerType::as_str),
        after_time,
        after_key,
        page.limit,
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = match row.purchase.map(serde_json::from_value).transpose()? {
                Some(purchase) if row.key.starts_with(RENEWAL) => {
                    TransactionKind::Renewal(purchase)
                }
                Some(purchase) => TransactionKind::Purchase(purchase),
                None => TransactionKind::ItemChange {
                    item_id: row.item_id.unwrap_or_default(),
                    delta: row.delta.unwrap_or_default(),
                },
            };
            Ok(Transaction {
                id: row.id,
                key: row.key,
                customer_type: row.customer_type,
                customer_id: row.customer_id,
                created_at: row.created_at,
                kind,
            })
        })
        .collect()
}
