//! What is asked about customers.

use muniment_domain::customer::{
    CustomerRef, CustomerType, History, ItemLedger, PastChange, Product, Purchase, Quantity,
};
use muniment_domain::{CustomerId, Millis, ProjectId, PurchaseId, TeamId};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::InvoiceRow;
use muniment_event_store::LedgerError;

/// How much of an item a customer has.
pub async fn quantity(
    pool: &PgPool,
    customer: CustomerId,
    item: &str,
    now: Millis,
) -> Result<Quantity, LedgerError> {
    let ledger = sqlx::query_scalar!(
        r#"SELECT ledger AS "ledger: Json<ItemLedger>" FROM item_balances
           WHERE customer_key = $1 AND item_id = $2"#,
        customer.0,
        item,
    )
    .fetch_optional(pool)
    .await?;
    Ok(ledger.map_or(Quantity::ZERO, |ledger| ledger.quantity(now)))
}

/// Whether a change was made already.
pub async fn is_change_known(pool: &PgPool, change: Uuid) -> Result<bool, LedgerError> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM item_quantity_changes WHERE id = $1) AS "known!""#,
        change
    )
    .fetch_one(pool)
    .await?;
    Ok(known)
}

/// What a customer bought, oldest first.
pub async fn purchases_of(
    pool: &PgPool,
    customer: CustomerId,
) -> Result<Vec<Purchase>, LedgerError> {
    let stored = sqlx::query_scalar!(
        r#"SELECT purchase AS "purchase!" FROM (
               SELECT purchase, created_at, id FROM customer_subscriptions WHERE customer_key = $1
               UNION ALL
               SELECT purchase, created_at, id FROM one_time_purchases WHERE customer_key = $1
           ) AS bought ORDER BY created_at, id"#,
        customer.0
    )
    .fetch_all(pool)
    .await?;
    let purchases = stored.into_iter().map(serde_json::from_value);
    Ok(purchases.collect::<Result<_, _>>()?)
}

/// A purchase, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedPurchase {
    /// Whose.
    pub customer: CustomerRef,
    /// What.
    pub purchase: Purchase,
}

/// A purchase of the project.
pub async fn purchase(
    pool: &PgPool,
    project: &ProjectId,
    id: PurchaseId,
) -> Result<Option<OwnedPurchase>, LedgerError> {
    let row = sqlx::query!(
        r#"SELECT customer_type AS "customer_type!", customer_id AS "customer_id!",
                  purchase AS "purchase!"
           FROM customer_subscriptions WHERE id = $1 AND project_id = $2
           UNION ALL
           SELECT customer_type, customer_id, purchase
           FROM one_time_purchases WHERE id = $1 AND project_id = $2"#,
        id.0,
        project.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    let owned = row.and_then(|row| {
        let customer = customer_ref(&row.customer_type, &row.customer_id)?;
        Some((customer, row.purchase))
    });
    owned
        .map(|(customer, purchase)| {
            Ok(OwnedPurchase {
                customer,
                purchase: serde_json::from_value(purchase)?,
            })
        })
        .transpose()
}

/// The teams of a project that never had a product of that line, oldest first.
pub async fn teams_outside_line(
    pool: &PgPool,
    project: &ProjectId,
    line: &str,
) -> Result<Vec<TeamId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT t.id FROM teams t
         WHERE t.project_id = $1 AND NOT EXISTS (
             SELECT FROM (
                 SELECT customer_type, customer_id, purchase FROM customer_subscriptions
                 WHERE project_id = $1
                 UNION ALL
                 SELECT customer_type, customer_id, purchase FROM one_time_purchases
                 WHERE project_id = $1
             ) p
             WHERE p.customer_type = 'team' AND p.customer_id = t.id::text
               AND p.purchase -> 'product' ->> 'productLineId' = $2)
         ORDER BY t.created_at, t.id"#,
        project.as_str(),
        line,
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(TeamId).collect())
}

/// Whose a subscription at Stripe is, if it is known.
pub async fn subscriber(
    pool: &PgPool,
    project: &ProjectId,
    stripe_subscription: &str,
) -> Result<Option<CustomerRef>, LedgerError> {
    let row = sqlx::query!(
        "SELECT customer_type, customer_id FROM customer_subscriptions
         WHERE project_id = $1 AND stripe_subscription_id = $2",
        project.as_str(),
        stripe_subscription,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|row| customer_ref(&row.customer_type, &row.customer_id)))
}

fn customer_ref(kind: &str, id: &str) -> Option<CustomerRef> {
    CustomerRef::named(CustomerType::named(kind)?, id)
}

/// The changes by hand of some of a customer's items.
pub async fn history(
    pool: &PgPool,
    customer: CustomerId,
    items: &[String],
) -> Result<History, LedgerError> {
    let mut history = History::default();
    if items.is_empty() {
        return Ok(history);
    }
    let rows = sqlx::query!(
        "SELECT item_id, delta, expires_at, created_at FROM item_quantity_changes
         WHERE customer_key = $1 AND item_id = ANY($2) ORDER BY created_at",
        customer.0,
        items,
    )
    .fetch_all(pool)
    .await?;
    for row in rows {
        let change = PastChange {
            at: Millis(row.created_at),
            delta: row.delta,
            expires_at: row.expires_at.map(Millis),
        };
        history.push(row.item_id, change);
    }
    Ok(history)
}

/// The product of a version.
pub async fn product_version(
    pool: &PgPool,
    project: &ProjectId,
    version: &str,
) -> Result<Option<Product>, LedgerError> {
    let stored = sqlx::query_scalar!(
        "SELECT product FROM product_versions WHERE project_id = $1 AND version_id = $2",
        project.as_str(),
        version,
    )
    .fetch_optional(pool)
    .await?;
    Ok(stored.map(serde_json::from_value).transpose()?)
}

/// A subscription's first invoice: its id at Stripe.
pub async fn creation_invoice(
    pool: &PgPool,
    project: &ProjectId,
    subscription: PurchaseId,
) -> Result<Option<String>, LedgerError> {
    let id = sqlx::query_scalar!(
        "SELECT stripe_invoice_id FROM subscription_invoices
         WHERE project_id = $1 AND subscription_id = $2 AND is_creation_invoice
         ORDER BY created_at, id LIMIT 1",
        project.as_str(),
        subscription.0,
    )
    .fetch_optional(pool)
    .await?;
    Ok(id)
}

/// The invoices of a customer's subscriptions, newest first, after that one. None if that one is
/// not the customer's.
pub async fn invoices(
    pool: &PgPool,
    customer: CustomerId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Option<Vec<InvoiceRow>>, LedgerError> {
    let after = match after {
        None => None,
        Some(id) => {
            let time = sqlx::query_scalar!(
                "SELECT created_at FROM subscription_invoices WHERE id = $1 AND customer_key = $2",
                id,
                customer.0,
            );
            let Some(time) = time.fetch_optional(pool).await? else {
                return Ok(None);
            };
            Some((time, id))
        }
    };
    let (after_time, after_id) = after.unzip();
    let rows = sqlx::query_scalar!(
        r#"SELECT to_jsonb(i) AS "row!" FROM subscription_invoices i
           WHERE customer_key = $1
             AND ($2::bigint IS NULL OR (created_at, id) < ($2, $3::uuid))
           ORDER BY created_at DESC, id DESC LIMIT $4"#,
        customer.0,
        after_time,
        after_id,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter().map(serde_json::from_value);
    Ok(Some(rows.collect::<Result<_, _>>()?))
}
