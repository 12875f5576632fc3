//! The read models of customers: item balances, changes by hand, and purchases.

use muniment_domain::customer::{
    CustomerEvent, CustomerRef, CustomerType, ItemLedger, Purchase, Quantity, SubscriptionEnded,
    owned,
};
use muniment_domain::{CustomerId, Millis, ProjectId, PurchaseId, TeamId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::LedgerError;
use crate::read_models::{Demand, ReadModels};
use crate::rows::{Table, TableRow};

/// A row of `item_balances`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ItemBalanceRow {
    pub(crate) customer_key: Uuid,
    pub(crate) item_id: String,
    pub(crate) project_id: String,
    pub(crate) customer_type: String,
    pub(crate) customer_id: String,
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
        (self.customer_key, self.item_id.clone())
    }
}

/// A row of `item_quantity_changes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct ItemQuantityChangeRow {
    pub id: Uuid,
    pub customer_key: Uuid,
    pub project_id: String,
    pub customer_type: String,
    pub customer_id: String,
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

/// A row of `purchases`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct PurchaseRow {
    pub id: Uuid,
    pub customer_key: Uuid,
    pub project_id: String,
    pub customer_type: String,
    pub customer_id: String,
    pub is_subscription: bool,
    pub created_at: i64,
    pub purchase: Purchase,
}

impl TableRow for PurchaseRow {
    const TABLE: Table = Table {
        name: "purchases",
        key: &["id"],
        fields: &[
            "customer_key",
            "project_id",
            "customer_type",
            "customer_id",
            "is_subscription",
            "created_at",
            "purchase",
        ],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.id
    }
}

/// How much of an item a customer has.
pub async fn quantity(
    pool: &PgPool,
    customer: CustomerId,
    item: &str,
    now: Millis,
) -> Result<Quantity, LedgerError> {
    let ledger = sqlx::query_scalar!(
        "SELECT ledger FROM item_balances WHERE customer_key = $1 AND item_id = $2",
        customer.0,
        item,
    )
    .fetch_optional(pool)
    .await?;
    let Some(ledger) = ledger else {
        return Ok(Quantity::ZERO);
    };
    let ledger: ItemLedger = serde_json::from_value(ledger)?;
    Ok(ledger.quantity(now))
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
        "SELECT purchase FROM purchases WHERE customer_key = $1 ORDER BY created_at, id",
        customer.0
    )
    .fetch_all(pool)
    .await?;
    let purchases = stored.into_iter().map(serde_json::from_value);
    Ok(purchases.collect::<Result<_, _>>()?)
}

/// A purchase of the project.
pub async fn purchase(
    pool: &PgPool,
    project: &ProjectId,
    id: PurchaseId,
) -> Result<Option<Purchase>, LedgerError> {
    let stored = sqlx::query_scalar!(
        "SELECT purchase FROM purchases WHERE id = $1 AND project_id = $2",
        id.0,
        project.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(stored.map(serde_json::from_value).transpose()?)
}

/// The teams of a project that never had a product of that line, oldest first.
pub async fn teams_outside_line(
    pool: &PgPool,
    project: &ProjectId,
    line: &str,
) -> Result<Vec<TeamId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT t.id FROM teams t
         WHERE t.project_id = $1 AND NOT EXISTS (
             SELECT FROM purchases p
             WHERE p.project_id = $1 AND p.customer_type = 'team' AND p.customer_id = t.id::text
               AND p.purchase -> 'product' ->> 'productLineId' = $2)
         ORDER BY t.created_at, t.id",
        project.as_str(),
        line,
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(TeamId).collect())
}

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
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", key AS "key!", customer_type AS "customer_type!",
                  customer_id AS "customer_id!", created_at AS "created_at!", purchase, item_id, delta
           FROM (
               (SELECT id, (CASE WHEN is_subscription THEN 'sub-start:' ELSE 'otp:' END || id) COLLATE "C" AS key,
                       customer_type, customer_id, created_at, purchase,
                       NULL AS item_id, NULL::bigint AS delta
                FROM purchases
                WHERE project_id = $1 AND $2 AND ($4::text IS NULL OR customer_type = $4)
                  AND ($5::bigint IS NULL OR created_at <= $5))
               UNION ALL
               (SELECT id, ('miqc:' || id) COLLATE "C", customer_type, customer_id, created_at, NULL, item_id, delta
                FROM item_quantity_changes
                WHERE project_id = $1 AND $3 AND ($4::text IS NULL OR customer_type = $4)
                  AND ($5::bigint IS NULL OR created_at <= $5))
           ) AS both_kinds
           WHERE $5::bigint IS NULL OR (created_at, key) < ($5, $6::text COLLATE "C")
           ORDER BY created_at DESC, key DESC
           LIMIT $7"#,
        project.as_str(),
        page.kinds != Kinds::ItemChanges,
        page.kinds != Kinds::Purchases,
        page.customer_type.map(CustomerType::as_str),
        after_time,
        after_key,
        page.limit,
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = match row.purchase {
                Some(purchase) => TransactionKind::Purchase(serde_json::from_value(purchase)?),
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

/// The products among `rows` that were owned at that time, for a person to read.
pub(crate) fn owned_products(rows: &[PurchaseRow], at: Millis) -> Value {
    let mut purchases: Vec<Purchase> = rows.iter().map(|row| row.purchase.clone()).collect();
    purchases.sort_by_key(|purchase| (purchase.created_at, purchase.id));
    let owned = owned(&purchases, at);
    let shown = owned.iter().map(|(id, owned)| {
        json!({"product_id": id, "name": owned.product.name(), "quantity": owned.quantity})
    });
    shown.collect()
}

pub(crate) async fn load(
    models: &mut ReadModels,
    connection: &mut PgConnection,
    demand: &Demand,
) -> Result<(), LedgerError> {
    if !demand.item_balances.is_empty() {
        let (keys, items): (Vec<Uuid>, Vec<String>) = demand.item_balances.iter().cloned().unzip();
        let rows = sqlx::query_scalar!(
            r#"SELECT to_jsonb(b) AS "row!" FROM item_balances b
               JOIN unnest($1::uuid[], $2::text[]) AS wanted (customer_key, item_id)
               USING (customer_key, item_id)"#,
            &keys,
            &items,
        )
        .fetch_all(&mut *connection)
        .await?;
        let rows = rows.into_iter().map(serde_json::from_value);
        models
            .item_balances
            .load(rows.collect::<Result<Vec<_>, _>>()?);
    }
    if !demand.purchases.is_empty() {
        let ids: Vec<Uuid> = demand.purchases.iter().copied().collect();
        let rows = sqlx::query_scalar!(
            r#"SELECT to_jsonb(p) AS "row!" FROM purchases p WHERE id = ANY($1)"#,
            &ids
        )
        .fetch_all(&mut *connection)
        .await?;
        let rows = rows.into_iter().map(serde_json::from_value);
        models.purchases.load(rows.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(())
}

pub(crate) async fn delete(
    connection: &mut PgConnection,
    keys: &[Uuid],
) -> Result<(), LedgerError> {
    sqlx::query!(
        "DELETE FROM item_balances WHERE customer_key = ANY($1)",
        keys
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM item_quantity_changes WHERE customer_key = ANY($1)",
        keys
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM purchases WHERE customer_key = ANY($1)", keys)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes what belongs to whole projects.
pub(crate) async fn delete_of_projects(
    connection: &mut PgConnection,
    projects: &[String],
) -> Result<(), LedgerError> {
    sqlx::query!(
        "DELETE FROM item_balances WHERE project_id = ANY($1)",
        projects
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM item_quantity_changes WHERE project_id = ANY($1)",
        projects
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM purchases WHERE project_id = ANY($1)", projects)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) fn fold(models: &mut ReadModels, key: Uuid, event: CustomerEvent) {
    match event {
        CustomerEvent::ItemQuantityChanged(changed) => {
            let (project, customer) = (&changed.project_id, &changed.customer);
            let mut balance = balance(models, key, project, customer, &changed.item_id);
            let quantity = Quantity::whole(changed.delta);
            balance
                .ledger
                .change(changed.at, quantity, changed.expires_at);
            models.item_balances.put(balance);
            models.item_changes.put(ItemQuantityChangeRow {
                id: changed.change_id,
                customer_key: key,
                project_id: project.to_string(),
                customer_type: customer.customer_type().to_string(),
                customer_id: customer.id_text(),
                item_id: changed.item_id,
                delta: changed.delta,
                description: changed
                    .personal
                    .map(|reason| reason.or_erased().description),
                expires_at: changed.expires_at.map(|at| at.0),
                created_at: changed.at.0,
            });
        }
        CustomerEvent::ProductPurchased(purchased) => {
            let (project, customer) = (&purchased.project_id, &purchased.customer);
            for (item, source) in purchased.purchase.sources() {
                let mut balance = balance(models, key, project, customer, item);
                balance.ledger.add_source(purchased.purchase.id.0, source);
                models.item_balances.put(balance);
            }
            models.purchases.put(PurchaseRow {
                id: purchased.purchase.id.0,
                customer_key: key,
                project_id: project.to_string(),
                customer_type: customer.customer_type().to_string(),
                customer_id: customer.id_text(),
                is_subscription: purchased.purchase.subscription.is_some(),
                created_at: purchased.purchase.created_at.0,
                purchase: purchased.purchase,
            });
        }
        CustomerEvent::SubscriptionEnded(ended) => fold_end(models, key, ended),
        CustomerEvent::CustomerClosed {} => models.clear_customer(key),
    }
}

fn fold_end(models: &mut ReadModels, key: Uuid, ended: SubscriptionEnded) {
    if let Some(row) = models.purchases.change(&ended.purchase_id.0) {
        row.purchase.end(ended.canceled_at, ended.ended_at);
    }
    for item in ended.item_ids {
        if let Some(balance) = models.item_balances.change(&(key, item)) {
            let ledger = &mut balance.ledger;
            ledger.end_source(ended.purchase_id.0, ended.ended_at, ended.canceled_at);
        }
    }
}

/// The balance so far.
fn balance(
    models: &ReadModels,
    key: Uuid,
    project: &ProjectId,
    customer: &CustomerRef,
    item: &str,
) -> ItemBalanceRow {
    let known = models.item_balances.get(&(key, item.to_owned()));
    known.cloned().unwrap_or_else(|| ItemBalanceRow {
        customer_key: key,
        item_id: item.to_owned(),
        project_id: project.to_string(),
        customer_type: customer.customer_type().to_string(),
        customer_id: customer.id_text(),
        ledger: ItemLedger::default(),
    })
}
