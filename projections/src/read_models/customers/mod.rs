//! The read models of customers: item balances, changes by hand, purchases, invoices and refunds.

mod queries;
mod rows;
mod transactions;

use muniment_domain::customer::{
    CustomerEvent, CustomerRef, InvoiceRecorded, ItemLedger, ItemQuantityChanged, Purchase,
    Quantity, Refund, SubscriptionEnded, owned,
};
use muniment_domain::{Millis, ProjectId};
use serde_json::{Value, json};
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

pub use queries::{
    OwnedPurchase, creation_invoice, history, invoices, is_change_known, product_version, purchase,
    purchases_of, quantity, subscriber, teams_outside_line,
};
pub use rows::{InvoiceRow, ItemQuantityChangeRow, Whose};
pub(crate) use rows::{
    ItemBalanceRow, OneTimePurchaseRow, ProductVersionRow, RefundRow, SubscriptionRow,
};
pub use transactions::{Kinds, Transaction, TransactionKind, TransactionPage, transactions};

use crate::LedgerError;
use crate::read_models::{Demand, ReadModels};

/// The tables whose rows belong to a customer.
const OF_CUSTOMERS: [&str; 6] = [
    "item_balances",
    "item_quantity_changes",
    "customer_subscriptions",
    "one_time_purchases",
    "subscription_invoices",
    "refunds",
];

/// The products that were owned at that time, for a person to read.
pub(crate) fn owned_products(models: &ReadModels, at: Millis) -> Value {
    let subscriptions = models.subscriptions.iter().map(|row| &row.purchase);
    let bought_once = models.one_time_purchases.iter().map(|row| &row.purchase);
    let mut purchases: Vec<Purchase> = subscriptions.chain(bought_once).cloned().collect();
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
            // Each is looked up by the primary key; a join might read the whole table instead.
            r#"SELECT to_jsonb(b) AS "row!: Json<ItemBalanceRow>"
               FROM unnest($1::uuid[], $2::text[]) AS wanted (customer_key, item_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM item_balances i
                   WHERE i.customer_key = wanted.customer_key AND i.item_id = wanted.item_id
                   LIMIT 1
               ) b"#,
            &keys,
            &items,
        )
        .fetch_all(&mut *connection)
        .await?;
        models.item_balances.load(rows.into_iter().map(|row| row.0));
    }
    if !demand.subscriptions.is_empty() {
        let ids: Vec<Uuid> = demand.subscriptions.iter().copied().collect();
        let rows = sqlx::query_scalar!(
            r#"SELECT to_jsonb(s) AS "row!: Json<SubscriptionRow>" FROM customer_subscriptions s
               WHERE id = ANY($1)"#,
            &ids
        )
        .fetch_all(&mut *connection)
        .await?;
        models.subscriptions.load(rows.into_iter().map(|row| row.0));
    }
    Ok(())
}

pub(crate) async fn delete(
    connection: &mut PgConnection,
    keys: &[Uuid],
) -> Result<(), LedgerError> {
    for table in OF_CUSTOMERS {
        let mut sql = QueryBuilder::new("DELETE FROM ");
        sql.push(table).push(" WHERE customer_key = ANY(");
        sql.push_bind(keys).push(")");
        sql.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes what belongs to whole projects.
pub(crate) async fn delete_of_projects(
    connection: &mut PgConnection,
    projects: &[String],
) -> Result<(), LedgerError> {
    for table in OF_CUSTOMERS.into_iter().chain(["product_versions"]) {
        let mut sql = QueryBuilder::new("DELETE FROM ");
        sql.push(table).push(" WHERE project_id = ANY(");
        sql.push_bind(projects).push(")");
        sql.build().execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) fn fold(models: &mut ReadModels, key: Uuid, event: CustomerEvent) {
    match event {
        CustomerEvent::ItemQuantityChanged(changed) => fold_change(models, key, *changed),
        CustomerEvent::ProductPurchased(purchased) => {
            let whose = Whose::of(key, &purchased.project_id, &purchased.customer);
            for (item, source) in purchased.purchase.sources() {
                let mut balance = whose.balance(models, item);
                balance.ledger.add_source(purchased.purchase.id.0, source);
                models.item_balances.put(balance);
            }
            whose.put_purchase(models, purchased.purchase);
        }
        CustomerEvent::SubscriptionEnded(ended) => fold_end(models, key, ended),
        CustomerEvent::PurchaseChanged(changed)
        | CustomerEvent::RefundBegun(changed)
        | CustomerEvent::RefundDropped(changed)
        | CustomerEvent::PurchaseRefunded(changed) => {
            let whose = Whose::of(key, &changed.project_id, &changed.customer);
            for (item, ledger) in changed.ledgers {
                models.item_balances.put(whose.row(item, ledger));
            }
            whose.put_purchase(models, changed.purchase);
        }
        CustomerEvent::InvoiceRecorded(recorded) => fold_invoice(models, key, *recorded),
        CustomerEvent::ProductVersionRecorded(recorded) => {
            models.product_versions.put(ProductVersionRow {
                project_id: recorded.project_id.to_string(),
                version_id: recorded.version_id,
                product_id: recorded.product_id,
                product: recorded.product,
            });
        }
        CustomerEvent::CustomerClosed {} => models.clear_customer(key),
    }
}

fn fold_change(models: &mut ReadModels, key: Uuid, changed: ItemQuantityChanged) {
    let whose = Whose::of(key, &changed.project_id, &changed.customer);
    let mut balance = whose.balance(models, &changed.item_id);
    let quantity = Quantity::whole(changed.delta);
    balance
        .ledger
        .change(changed.at, quantity, changed.expires_at);
    models.item_balances.put(balance);
    models.item_changes.put(ItemQuantityChangeRow {
        id: changed.change_id,
        whose,
        item_id: changed.item_id,
        delta: changed.delta,
        description: changed
            .personal
            .map(|reason| reason.or_erased().description),
        expires_at: changed.expires_at.map(|at| at.0),
        created_at: changed.at.0,
    });
}

fn fold_end(models: &mut ReadModels, key: Uuid, ended: SubscriptionEnded) {
    if let Some(row) = models.subscriptions.change(&ended.purchase_id.0) {
        row.purchase.end(ended.canceled_at, ended.ended_at);
        row.note();
    }
    for item in ended.item_ids {
        if let Some(balance) = models.item_balances.change(&(key, item)) {
            let ledger = &mut balance.ledger;
            ledger.end_source(ended.purchase_id.0, ended.ended_at, ended.canceled_at);
        }
    }
}

fn fold_invoice(models: &mut ReadModels, key: Uuid, recorded: InvoiceRecorded) {
    let whose = Whose::of(key, &recorded.project_id, &recorded.customer);
    let url = recorded
        .personal
        .map(|page| page.or_erased().hosted_invoice_url);
    let invoice = recorded.invoice;
    models.invoices.put(InvoiceRow {
        id: invoice.id,
        whose,
        subscription_id: invoice.subscription.0,
        stripe_subscription_id: invoice.stripe_subscription_id,
        stripe_invoice_id: invoice.stripe_id,
        is_creation_invoice: invoice.is_creation,
        status: invoice.status,
        amount_total: invoice.amount_total,
        hosted_invoice_url: url.filter(|url| !url.is_empty()),
        created_at: invoice.created_at.0,
    });
}

impl Whose {
    fn of(key: Uuid, project: &ProjectId, customer: &CustomerRef) -> Self {
        Self {
            customer_key: key,
            project_id: project.to_string(),
            customer_type: customer.customer_type().to_string(),
            customer_id: customer.id_text(),
        }
    }

    /// The balance so far.
    fn balance(&self, models: &ReadModels, item: &str) -> ItemBalanceRow {
        let known = models
            .item_balances
            .get(&(self.customer_key, item.to_owned()));
        known
            .cloned()
            .unwrap_or_else(|| self.row(item.to_owned(), ItemLedger::default()))
    }

    fn row(&self, item_id: String, ledger: ItemLedger) -> ItemBalanceRow {
        ItemBalanceRow {
            whose: self.clone(),
            item_id,
            ledger,
        }
    }

    fn put_purchase(self, models: &mut ReadModels, purchase: Purchase) {
        if let Some(refund) = &purchase.refund {
            models.refunds.put(self.refund_row(&purchase, refund));
        }
        match &purchase.subscription {
            Some(subscription) => models.subscriptions.put(SubscriptionRow {
                id: purchase.id.0,
                whose: self,
                created_at: purchase.created_at.0,
                stripe_subscription_id: subscription.stripe_id.clone(),
                status: subscription.status.as_str().to_owned(),
                purchase,
            }),
            None => models.one_time_purchases.put(OneTimePurchaseRow {
                id: purchase.id.0,
                whose: self,
                created_at: purchase.created_at.0,
                stripe_payment_intent_id: purchase.payment_intent_id.clone(),
                purchase,
            }),
        }
    }

    fn refund_row(&self, purchase: &Purchase, refund: &Refund) -> RefundRow {
        let source = match purchase.subscription {
            Some(_) => "subscription",
            None => "one-time-purchase",
        };
        RefundRow {
            purchase_id: purchase.id.0,
            customer_key: self.customer_key,
            project_id: self.project_id.clone(),
            source: source.to_owned(),
            revocations: refund.revocations.clone(),
            amount: refund.amount,
            refunded_at: refund.refunded_at.0,
        }
    }
}
