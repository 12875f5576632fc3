//! `/payments/invoices`: what was asked of a customer for subscriptions. It is
//! read from what Stripe has told, so it needs no Stripe.

use axum::Json;
use muniment_domain::customer::InvoiceStatus;
use muniment_projections::read_models::customers::{self, InvoiceRow};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::named_customer::{OwnCustomer, Payer, names_customer};
use crate::app::App;
use crate::error::codes::{Errors, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Page, schema_of};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::{optional, or_default};
use crate::http::request::shape::scalars::{integer, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(list_invoices))
}

request! {
    /// Which invoices are wanted.
    struct ListInvoices {
        path {
            .. customer: Payer;
        }
        query {
            /// Where the page begins: the `next_cursor` of the one before. An empty one counts as
            /// missing.
            cursor: Option<String> = optional(text());
            /// How many there should be at most.
            limit: i64 = or_default(integer(1..=100), 10);
        }
    }
}

names_customer!(ListInvoices);

/// An invoice.
#[derive(Serialize, ToSchema)]
struct InvoiceView {
    /// How much is asked for, in the smallest unit of the currency.
    amount_total: i64,
    /// When it was made, in milliseconds since the Unix epoch.
    created_at_millis: i64,
    /// Its page at Stripe, where it can be paid.
    #[schema(required)]
    hosted_invoice_url: Option<String>,
    /// How it stands. Null if Stripe did not say.
    #[schema(required, schema_with = invoice_status)]
    status: Option<InvoiceStatus>,
}

fn invoice_status() -> RefOr<Schema> {
    let names = ["draft", "open", "uncollectible", "void", "paid"].map(Some);
    let or_null: Vec<Option<&str>> = names.into_iter().chain([None]).collect();
    schema_of(&json!({"type": ["string", "null"], "enum": or_null}))
}

impl From<&InvoiceRow> for InvoiceView {
    fn from(invoice: &InvoiceRow) -> Self {
        Self {
            amount_total: invoice.amount_total.unwrap_or(0),
            created_at_millis: invoice.created_at,
            hosted_invoice_url: invoice.hosted_invoice_url.clone(),
            status: invoice.status,
        }
    }
}

/// Lists a customer's invoices, newest first.
#[utoipa::path(get, path = "/payments/invoices/{customer_type}/{customer_id}", tag = "payments",
    responses(Errors<Text<400>>))]
async fn list_invoices(
    access: ClientAccess,
    OwnCustomer(named, wanted): OwnCustomer<ListInvoices>,
) -> ApiResult<Json<Page<InvoiceView>>> {
    let limit = wanted.limit;
    let cursor = wanted.cursor.filter(|cursor| !cursor.is_empty());
    let after = cursor.map(|cursor| Uuid::parse_str(&cursor)).transpose();
    let after = after.map_err(|_| unknown_cursor())?;
    // Who does not exist has no invoices.
    let customer = match named.unchecked() {
        Ok(customer) => Some(customer.stream(access.project_id())),
        Err(_) => None,
    };
    let page = match customer {
        Some(customer) => customers::invoices(access.app.pool(), customer, after, limit).await?,
        None => after.is_none().then(Vec::new),
    };
    let page = page.ok_or_else(unknown_cursor)?;
    let is_full = usize::try_from(limit).is_ok_and(|limit| page.len() == limit);
    let next = page.last().filter(|_| is_full);
    let next = next.map(|last| last.id.to_string());
    let items = page.iter().map(InvoiceView::from).collect();
    Ok(Page::of(items, next))
}

fn unknown_cursor() -> ApiError {
    ApiError::bad_request("The cursor is none of this list's.")
}
