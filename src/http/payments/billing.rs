//! `/payments/billing`, `/payments/invoices` and `/payments/payment-method`: a customer's cards and
//! invoices (contract 06 §10), as of a project without a payment provider: there are none.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Named, no_payments};
use crate::app::App;
use crate::http::caller::Caller;
use crate::http::error::{ApiError, ApiResult};
use crate::http::input::{Input, integer, text};

/// Who can pay.
const PAYERS: [&str; 2] = ["user", "team"];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(billing))
        .routes(routes!(invoices))
        .routes(routes!(setup_intent))
        .routes(routes!(set_default))
}

/// Whether a customer can pay, and with which card.
#[utoipa::path(get, path = "/payments/billing/{customer_type}/{customer_id}", tag = "payments",
    params(("customer_type" = String, Path), ("customer_id" = String, Path)),
    responses((status = 200, description = "`{has_customer, default_payment_method}`"), (status = 400, description = "SCHEMA_ERROR"), (status = 403, description = "Somebody else's")))]
async fn billing(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.client()?;
    let mut form = input.form(auth.user_id()).no_query();
    let named = Named::read(&mut form.params(), &PAYERS);
    form.finish(named)?.check_client(&app, auth).await?;
    Ok(Json(json!({"has_customer": false, "default_payment_method": null})).into_response())
}

/// A customer's invoices, newest first.
#[utoipa::path(get, path = "/payments/invoices/{customer_type}/{customer_id}", tag = "payments",
    params(("customer_type" = String, Path), ("customer_id" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<i64>, Query)),
    responses((status = 200, description = "A page of invoices"), (status = 400, description = "SCHEMA_ERROR; an unknown cursor"), (status = 403, description = "Somebody else's")))]
async fn invoices(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.client()?;
    let mut form = input.form(auth.user_id());
    let named = Named::read(&mut form.params(), &PAYERS);
    let mut query = form.query();
    let cursor = query.optional("cursor", text);
    let limit = query.or_default("limit", integer(1..=100), 10);
    query.close();
    let (named, cursor, _) = form.finish((|| Some((named?, cursor?, limit?)))())?;
    named.check_client(&app, auth).await?;
    if cursor.is_some_and(|cursor| !cursor.is_empty()) {
        let text = "The cursor is none of this list's.";
        return Err(ApiError::text(StatusCode::BAD_REQUEST, text));
    }
    let none: [Value; 0] = [];
    let body = json!({"items": none, "is_paginated": true, "pagination": {"next_cursor": null}});
    Ok(Json(body).into_response())
}

/// Begins to save a card.
#[utoipa::path(post, path = "/payments/payment-method/{customer_type}/{customer_id}/setup-intent", tag = "payments", request_body = Value,
    params(("customer_type" = String, Path), ("customer_id" = String, Path)),
    responses((status = 400, description = "SCHEMA_ERROR; payments are not set up"), (status = 403, description = "Somebody else's")))]
async fn setup_intent(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.client()?;
    let mut form = input.form(auth.user_id()).no_query();
    let named = Named::read(&mut form.params(), &PAYERS);
    form.optional_body().close();
    form.finish(named)?.check_client(&app, auth).await?;
    Err(no_payments())
}

/// Makes a saved card the one that is charged.
#[utoipa::path(post, path = "/payments/payment-method/{customer_type}/{customer_id}/set-default", tag = "payments", request_body = Value,
    params(("customer_type" = String, Path), ("customer_id" = String, Path)),
    responses((status = 400, description = "SCHEMA_ERROR; payments are not set up"), (status = 403, description = "Somebody else's")))]
async fn set_default(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.client()?;
    let mut form = input.form(auth.user_id()).no_query();
    let named = Named::read(&mut form.params(), &PAYERS);
    let mut body = form.body();
    let intent = body.required("setup_intent_id", text);
    body.close();
    let (named, _) = form.finish((|| Some((named?, intent?)))())?;
    named.check_client(&app, auth).await?;
    Err(no_payments())
}
