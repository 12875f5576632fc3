//! The read models of customers: item balances, changes by hand, purchases, invoices and refunds.

mod queries;
pub(crate) mod rows;
mod transactions;

use muniment_domain::customer::{
    CustomerEvent, CustomerRef, InvoiceRecorded, ItemLedger, ItemQuantityChanged, Purchase,
    Quantity, Refund, SubscriptionEnded, owned,
};
use muniment_domain::{Millis, ProjectId};
use serde_json::{Value, json};
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

use crate::read_models::registry::{ReadModels, RowsToLoad};
use crate::read_models::table::Owner;

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

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: Uuid, event: &CustomerEvent) {
    let mut require_item = |item: &String| {
        rows.item_balances.insert((id, item.clone()));
    };
    match event {
        CustomerEvent::ItemQuantityChanged(changed) => require_item(&changed.item_id),
        CustomerEvent::ProductPurchased(purchased) => {
            let items = purchased.purchase.product.included_items.keys();
            items.for_each(require_item);
        }
        CustomerEvent::SubscriptionEnded(ended) => {
            ended.item_ids.iter().for_each(require_item);
            rows.subscriptions.insert(ended.purchase_id.0);
        }
        // These say themselves all that their rows will say.
        CustomerEvent::PurchaseChanged(_)
        | CustomerEvent::RefundBegun(_)
        | CustomerEvent::RefundDropped(_)
        | CustomerEvent::PurchaseRefunded(_)
        | CustomerEvent::InvoiceRecorded(_)
        | CustomerEvent::ProductVersionRecorded(_)
        | CustomerEvent::CustomerClosed {} => {}
    }
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
        CustomerEvent::CustomerClosed {} => models.clear(Owner::Customer(key)),
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
