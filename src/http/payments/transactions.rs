//! `/internal/payments/transactions`: what moved products, items and money.

use axum::Json;
use data_encoding::BASE64URL_NOPAD;
use muniment_domain::customer::CustomerType;
use muniment_projections::read_models::customers::{self, Kinds, Transaction, TransactionPage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::named_customer::TYPES;
use super::transaction_views::TransactionView;
use crate::app::App;
use crate::error::codes::{Errors, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::{optional, or_default};
use crate::http::request::shape::scalars::{choice, text};
use crate::http::request::shape::{Shape, scalar};
use crate::http::request::values;

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(list_transactions))
}

request! {
    /// Which transactions are wanted.
    struct ListTransactions {
        query {
            /// How many there should be at most. Less than 1 counts as 1, more than 200 as 200, and what
            /// is no whole number as 50.
            limit: i64 = or_default(limit(), DEFAULT_LIMIT);
            /// Where the page begins: the `next_cursor` of the one before. An empty one counts as
            /// missing.
            cursor: Option<String> = optional(text());
            /// Only those of this kind. There are none yet of some kinds.
            kind as "type": Option<Listed> = optional(choice(KINDS));
            /// Only those of such customers.
            customer_type: Option<CustomerType> = optional(choice(TYPES));
        }
    }
}

fn limit() -> impl Shape<Value = i64> {
    let read = |value: &Value| {
        let limit = values::text(value)?.trim().parse();
        Ok(limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT))
    };
    scalar(read, || json!({"type": "integer"}))
}

/// What is listed of a kind.
#[derive(Clone, Copy)]
enum Listed {
    /// These.
    Kinds(Kinds),
    /// There are none.
    Nothing,
}

const KINDS: &[(&str, Listed)] = &[
    ("purchase", Listed::Kinds(Kinds::Purchases)),
    ("subscription-cancellation", Listed::Nothing),
    ("subscription-renewal", Listed::Kinds(Kinds::Renewals)),
    (
        "manual-item-quantity-change",
        Listed::Kinds(Kinds::ItemChanges),
    ),
    ("chargeback", Listed::Nothing),
    ("product-change", Listed::Nothing),
];

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
        cursor.ok_or_else(|| ApiError::bad_request("The cursor is none of this list's."))
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

/// Some transactions.
#[derive(Serialize, ToSchema)]
struct TransactionsPage {
    /// The `cursor` of the next page. Null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The transactions.
    transactions: Vec<TransactionView>,
}

/// Lists transactions, newest first.
#[utoipa::path(get, path = "/internal/payments/transactions", tag = "payments",
    responses(Errors<Text<400>>))]
async fn list_transactions(
    access: AdminAccess,
    wanted: ListTransactions,
) -> ApiResult<Json<TransactionsPage>> {
    let cursor = wanted.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let cursor = cursor.map(Cursor::read).transpose()?;
    let kinds = match wanted.kind {
        None => Kinds::All,
        Some(Listed::Kinds(kinds)) => kinds,
        Some(Listed::Nothing) => return Ok(page(&[], None)),
    };
    let after = cursor.as_ref();
    let listing = TransactionPage {
        kinds,
        customer_type: wanted.customer_type,
        after: after.map(|cursor| (cursor.created_at_millis, cursor.txn_id.as_str())),
        limit: wanted.limit + 1,
    };
    let (pool, project) = (access.app.pool(), access.project_id());
    let mut found = customers::transactions(pool, project, &listing).await?;
    let size = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| more).map(Cursor::of);
    Ok(page(&found, next.transpose()?))
}

fn page(transactions: &[Transaction], next_cursor: Option<String>) -> Json<TransactionsPage> {
    Json(TransactionsPage {
        next_cursor,
        transactions: transactions.iter().map(TransactionView::from).collect(),
    })
}
