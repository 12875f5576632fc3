//! `/payments/invoices`: what was asked of a customer for subscriptions. It is
//! read from what Stripe has told, so it needs no Stripe.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_projections::read_models::customers::{self, InvoiceRow};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::named_customer::PAYERS;
use crate::app::App;
use crate::app::payments::named_customer::NamedCustomer;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ClientAccess;
use crate::http::request::input::Input;
use crate::http::request::values::{integer, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A customer's invoices, newest first. The cursor is the last one of the page before.
#[utoipa::path(get, path = "/payments/invoices/{customer_type}/{customer_id}", tag = "payments",
    params(("customer_type" = String, Path), ("customer_id" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<i64>, Query)),
    responses((status = 200, description = "A page of invoices"), (status = 400, description = "SCHEMA_ERROR; an unknown cursor"), (status = 403, description = "Somebody else's")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let named = NamedCustomer::read(&mut form.params(), &PAYERS);
    let mut query = form.query();
    let cursor = query.optional("cursor", text);
    let limit = query.or_default("limit", integer(1..=100), 10);
    query.close();
    let (named, cursor, limit) = form.finish((|| Some((named?, cursor?, limit?)))())?;
    named.check_client(&access).await?;
    let cursor = cursor.filter(|cursor| !cursor.is_empty());
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
    let next = page.last().filter(|_| is_full).map(|last| last.id);
    let items: Vec<Value> = page.iter().map(view).collect();
    let body = json!({"items": items, "is_paginated": true, "pagination": {"next_cursor": next}});
    Ok(Json(body).into_response())
}

fn view(invoice: &InvoiceRow) -> Value {
    json!({
        "created_at_millis": invoice.created_at,
        "status": invoice.status,
        "amount_total": invoice.amount_total.unwrap_or(0),
        "hosted_invoice_url": invoice.hosted_invoice_url,
    })
}

fn unknown_cursor() -> ApiError {
    let text = "The cursor is none of this list's.";
    ApiError::text(StatusCode::BAD_REQUEST, text)
}
