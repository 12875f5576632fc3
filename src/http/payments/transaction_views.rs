//! Transactions as they are shown.

use std::collections::BTreeMap;

use muniment_domain::customer::products::money::{amount_text, minor_units};
use muniment_domain::customer::{Currency, Price, Purchase, PurchaseSource, Quantity};
use muniment_projections::read_models::customers::{Transaction, TransactionKind};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::views::{ProductView, customer_type};

/// Something that moved products, items or money.
#[derive(Serialize, ToSchema)]
pub(super) struct TransactionView {
    /// What took back parts of it.
    adjusted_by: Vec<TransactionAdjustment>,
    /// When it was made, in milliseconds since the Unix epoch.
    created_at_millis: i64,
    /// When it took effect, in milliseconds since the Unix epoch: the same time.
    effective_at_millis: i64,
    /// What it moved.
    entries: Vec<TransactionEntry>,
    /// Its id.
    id: Uuid,
    /// Whether it was made to try purchases out, without paying.
    test_mode: bool,
    #[serde(rename = "type")]
    kind: TransactionType,
}

/// What a transaction was.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum TransactionType {
    /// A purchase.
    Purchase,
    /// A further period of a subscription.
    SubscriptionRenewal,
    /// A change of a quantity by hand.
    ManualItemQuantityChange,
}

/// Something that took back a part of a transaction.
#[derive(Serialize, ToSchema)]
struct TransactionAdjustment {
    /// The place of what did so among the entries of its own transaction, from 0.
    entry_index: usize,
    /// The transaction that did so. It is not listed.
    transaction_id: String,
}

/// Something that a transaction moved.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TransactionEntry {
    /// A product, to a customer.
    ProductGrant(Box<ProductGrantEntry>),
    /// A quantity of an item, to a customer or from one.
    ItemQuantityChange(ItemQuantityChangeEntry),
    /// Money, from a customer.
    MoneyTransfer(MoneyTransferEntry),
}

/// Whose entry it is.
#[derive(Serialize, ToSchema)]
struct TransactionEntryOwner {
    /// Always null: no entry that is listed takes back another one.
    #[schema(required)]
    adjusted_entry_index: Option<usize>,
    /// Always null: no entry that is listed takes back another one.
    #[schema(required)]
    adjusted_transaction_id: Option<String>,
    /// The customer's id.
    customer_id: String,
    /// What the customer is.
    #[schema(schema_with = customer_type)]
    customer_type: String,
}

impl TransactionEntryOwner {
    fn of(transaction: &Transaction) -> Self {
        Self {
            adjusted_entry_index: None,
            adjusted_transaction_id: None,
            customer_id: transaction.customer_id.clone(),
            customer_type: transaction.customer_type.clone(),
        }
    }
}

/// A product that a customer got.
#[derive(Serialize, ToSchema)]
struct ProductGrantEntry {
    #[serde(flatten)]
    owner: TransactionEntryOwner,
    /// The purchase's id, if it is no subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    one_time_purchase_id: Option<Uuid>,
    /// The price at which it was bought. Null if it was given.
    #[schema(required)]
    price_id: Option<String>,
    /// The product, as it was when it was bought.
    product: ProductView,
    /// The product's id. Null if it was described for the purchase.
    #[schema(required)]
    product_id: Option<String>,
    /// How many of it.
    quantity: i64,
    /// The subscription's id, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    subscription_id: Option<Uuid>,
}

/// A quantity of an item that a customer got, or lost.
#[derive(Serialize, ToSchema)]
struct ItemQuantityChangeEntry {
    #[serde(flatten)]
    owner: TransactionEntryOwner,
    /// The item's id.
    item_id: String,
    /// How much the customer got. Less than nothing if it was lost.
    #[schema(value_type = f64)]
    quantity: Quantity,
}

/// Money that a customer paid.
#[derive(Serialize, ToSchema)]
struct MoneyTransferEntry {
    #[serde(flatten)]
    owner: TransactionEntryOwner,
    /// How much the price comes to, by the codes of the currencies in which it is named.
    #[schema(value_type = BTreeMap<String, String>)]
    charged_amount: BTreeMap<&'static str, String>,
    /// What arrives.
    net_amount: NetAmount,
}

/// An amount in the currency that is charged.
#[derive(Serialize, ToSchema)]
struct NetAmount {
    /// US dollars: `12.34`.
    #[serde(rename = "USD")]
    usd: String,
}

impl From<&Transaction> for TransactionView {
    fn from(transaction: &Transaction) -> Self {
        let (kind, entries, purchase) = match &transaction.kind {
            TransactionKind::Purchase(purchase) => (
                TransactionType::Purchase,
                purchase_entries(transaction, purchase),
                Some(purchase),
            ),
            TransactionKind::Renewal(purchase) => (
                TransactionType::SubscriptionRenewal,
                purchase
                    .price()
                    .map(|price| money_transfer(transaction, price, purchase.quantity))
                    .into_iter()
                    .collect(),
                Some(purchase),
            ),
            TransactionKind::ItemChange { item_id, delta } => (
                TransactionType::ManualItemQuantityChange,
                vec![item_change(transaction, item_id, Quantity::whole(*delta))],
                None,
            ),
        };
        Self {
            adjusted_by: adjustments(transaction),
            created_at_millis: transaction.created_at,
            effective_at_millis: transaction.created_at,
            entries,
            id: transaction.id,
            test_mode: purchase.is_some_and(|it| it.source == PurchaseSource::TestMode),
            kind,
        }
    }
}

/// What was taken back of a purchase.
fn adjustments(transaction: &Transaction) -> Vec<TransactionAdjustment> {
    let TransactionKind::Purchase(purchase) = &transaction.kind else {
        return Vec::new();
    };
    let refunds = purchase.refund.iter();
    let revocations = refunds.flat_map(|refund| refund.revocations.iter().enumerate());
    let by = revocations.map(|(entry_index, _)| TransactionAdjustment {
        entry_index,
        transaction_id: format!("{}:refund", transaction.id),
    });
    by.collect()
}

fn purchase_entries(transaction: &Transaction, purchase: &Purchase) -> Vec<TransactionEntry> {
    let (subscription_id, one_time_purchase_id) = match purchase.subscription {
        Some(_) => (Some(purchase.id.0), None),
        None => (None, Some(purchase.id.0)),
    };
    let grant = ProductGrantEntry {
        owner: TransactionEntryOwner::of(transaction),
        one_time_purchase_id,
        price_id: purchase.price_id.clone(),
        product: ProductView::of(&purchase.product),
        product_id: purchase.product_id.clone(),
        quantity: purchase.quantity,
        subscription_id,
    };
    let mut entries = vec![TransactionEntry::ProductGrant(Box::new(grant))];
    if let Some(price) = purchase.paid_price() {
        entries.push(money_transfer(transaction, price, purchase.quantity));
    }
    let items = purchase.product.included_items.iter();
    entries.extend(items.map(|(item, included)| {
        let quantity = included.quantity.times(purchase.quantity);
        item_change(transaction, item, quantity)
    }));
    entries
}

fn item_change(transaction: &Transaction, item: &str, quantity: Quantity) -> TransactionEntry {
    TransactionEntry::ItemQuantityChange(ItemQuantityChangeEntry {
        owner: TransactionEntryOwner::of(transaction),
        item_id: item.to_owned(),
        quantity,
    })
}

fn money_transfer(transaction: &Transaction, price: &Price, quantity: i64) -> TransactionEntry {
    let charged = price.amounts.iter().filter_map(|(currency, amount)| {
        let total = minor_units(amount, *currency)?.checked_mul(quantity)?;
        Some((code(*currency), amount_text(total, *currency)))
    });
    let charged_amount: BTreeMap<&str, String> = charged.collect();
    let net = charged_amount.get("USD").cloned();
    TransactionEntry::MoneyTransfer(MoneyTransferEntry {
        owner: TransactionEntryOwner::of(transaction),
        charged_amount,
        net_amount: NetAmount {
            usd: net.unwrap_or_else(|| "0".to_owned()),
        },
    })
}

fn code(currency: Currency) -> &'static str {
    let known = Currency::ALL.iter().find(|(known, _)| *known == currency);
    known.map_or("USD", |(_, code)| code)
}
