//! `/internal/payments/transactions`: what moved products, items and money.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use data_encoding::BASE64URL_NOPAD;
use muniment_domain::customer::products::money::{amount_text, minor_units};
use muniment_domain::customer::{Currency, CustomerType, Price, Purchase, PurchaseSource};
use muniment_projections::read_models::customers::{
    self, Kinds, Transaction, TransactionKind, TransactionPage,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::inline_product::view;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::AdminAccess;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{one_of, text};

const KINDS: [&str; 6] = [
    "purchase",
    "subscription-cancellation",
    "subscription-renewal",
    "manual-item-quantity-change",
    "chargeback",
    "product-change",
];
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The last transaction of a page.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cursor {
    created_at_millis: i64,
    txn_id: String,
}

impl Cursor {
    fn read(text: &str) -> ApiResult<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let cursor = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        cursor.ok_or_else(|| {
            ApiError::text(
                StatusCode::BAD_REQUEST,
                "The cursor is none of this list's.",
            )
        })
    }

    fn of(last: &Transaction) -> ApiResult<String> {
        let cursor = Self {
            created_at_millis: last.created_at,
            txn_id: last.key.clone(),
        };
        let bytes = serde_json::to_vec(&cursor).map_err(ApiError::internal)?;
        Ok(BASE64URL_NOPAD.encode(&bytes))
    }
}

/// Lists transactions, newest first.
#[utoipa::path(get, path = "/internal/payments/transactions", tag = "payments",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query), ("type" = Option<String>, Query), ("customer_type" = Option<String>, Query)),
    responses((status = 200, description = "`{transactions, next_cursor}`"), (status = 400, description = "SCHEMA_ERROR; an unknown cursor")))]
async fn list(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let wanted = WantedPage::read(&mut form);
    let wanted = form.finish(wanted)?;
    let cursor = wanted.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let cursor = cursor.map(Cursor::read).transpose()?;
    let Some(kinds) = wanted.kinds else {
        return Ok(Json(json!({"transactions": [], "next_cursor": null})).into_response());
    };
    let page = TransactionPage {
        kinds,
        customer_type: wanted.customer_type,
        after: cursor
            .as_ref()
            .map(|cursor| (cursor.created_at_millis, cursor.txn_id.as_str())),
        limit: wanted.limit + 1,
    };
    let mut found = customers::transactions(access.app.pool(), access.project_id(), &page).await?;
    let size = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    let next = match found.last().filter(|_| more) {
        Some(last) => Some(Cursor::of(last)?),
        None => None,
    };
    let shown: Vec<Value> = found.iter().map(show).collect();
    Ok(Json(json!({"transactions": shown, "next_cursor": next})).into_response())
}

/// The page that is asked for.
struct WantedPage {
    limit: i64,
    cursor: Option<String>,
    /// None for those that are never listed.
    kinds: Option<Kinds>,
    customer_type: Option<CustomerType>,
}

impl WantedPage {
    fn read(form: &mut Form<'_>) -> Option<Self> {
        let mut query = form.query();
        let limit = query.optional("limit", text);
        let cursor = query.optional("cursor", text);
        let kind = query.optional("type", one_of(&KINDS));
        let customer_type = query.optional("customer_type", one_of(&CustomerType::NAMES));
        query.close();
        let limit = limit?.and_then(|text| text.trim().parse().ok());
        Some(Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT),
            cursor: cursor?,
            kinds: match kind? {
                None => Some(Kinds::All),
                Some("purchase") => Some(Kinds::Purchases),
                Some("subscription-renewal") => Some(Kinds::Renewals),
                Some("manual-item-quantity-change") => Some(Kinds::ItemChanges),
                Some(_) => None,
            },
            customer_type: customer_type?.and_then(CustomerType::named),
        })
    }
}

fn show(transaction: &Transaction) -> Value {
    let (kind, entries, purchase) = match &transaction.kind {
        TransactionKind::Purchase(purchase) => (
            "purchase",
            purchase_entries(transaction, purchase),
            Some(purchase),
        ),
        TransactionKind::Renewal(purchase) => (
            "subscription-renewal",
            purchase
                .price()
                .map(|price| money_transfer(transaction, price, purchase.quantity))
                .into_iter()
                .collect(),
            Some(purchase),
        ),
        TransactionKind::ItemChange { item_id, delta } => {
            let change = json!({"item_id": item_id, "quantity": delta});
            let entry = entry(transaction, "item_quantity_change", change);
            ("manual-item-quantity-change", vec![entry], None)
        }
    };
    let is_test = |purchase: &Purchase| purchase.source == PurchaseSource::TestMode;
    json!({
        "id": transaction.id,
        "created_at_millis": transaction.created_at,
        "effective_at_millis": transaction.created_at,
        "type": kind,
        "entries": entries,
        "adjusted_by": adjustments(transaction),
        "test_mode": purchase.is_some_and(|purchase| is_test(purchase)),
    })
}

/// What was taken back of a purchase.
fn adjustments(transaction: &Transaction) -> Vec<Value> {
    let TransactionKind::Purchase(purchase) = &transaction.kind else {
        return Vec::new();
    };
    let refunds = purchase.refund.iter();
    let revocations = refunds.flat_map(|refund| refund.revocations.iter().enumerate());
    let by = revocations.map(|(index, _)| {
        json!({"transaction_id": format!("{}:refund", transaction.id), "entry_index": index})
    });
    by.collect()
}

fn entry(transaction: &Transaction, kind: &str, more: Value) -> Value {
    let mut entry = json!({
        "type": kind,
        "adjusted_transaction_id": null,
        "adjusted_entry_index": null,
        "customer_type": transaction.customer_type,
        "customer_id": transaction.customer_id,
    });
    if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
        entry.extend(more);
    }
    entry
}

fn purchase_entries(transaction: &Transaction, purchase: &Purchase) -> Vec<Value> {
    let mut grant = json!({
        "product_id": purchase.product_id,
        "product": view(&purchase.product),
        "price_id": purchase.price_id,
        "quantity": purchase.quantity,
    });
    let id = if purchase.subscription.is_some() {
        "subscription_id"
    } else {
        "one_time_purchase_id"
    };
    grant[id] = json!(purchase.id);
    let mut entries = vec![entry(transaction, "product_grant", grant)];
    if let Some(price) = purchase.paid_price() {
        entries.push(money_transfer(transaction, price, purchase.quantity));
    }
    for (item, included) in &purchase.product.included_items {
        let quantity = included.quantity.times(purchase.quantity);
        let change = json!({"item_id": item, "quantity": quantity});
        entries.push(entry(transaction, "item_quantity_change", change));
    }
    entries
}

fn money_transfer(transaction: &Transaction, price: &Price, quantity: i64) -> Value {
    let charged = price.amounts.iter().filter_map(|(currency, amount)| {
        let total = minor_units(amount, *currency)?.checked_mul(quantity)?;
        Some((
            code(*currency).to_owned(),
            json!(amount_text(total, *currency)),
        ))
    });
    let charged: Map<String, Value> = charged.collect();
    let net = charged.get("USD").cloned().unwrap_or_else(|| json!("0"));
    let money = json!({"charged_amount": charged, "net_amount": {"USD": net}});
    entry(transaction, "money_transfer", money)
}

fn code(currency: Currency) -> &'static str {
    let known = Currency::ALL.iter().find(|(known, _)| *known == currency);
    known.map_or("USD", |(_, code)| code)
}
