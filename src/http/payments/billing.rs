//! `/payments/billing` and `/payments/payment-method`: a customer's cards.

use axum::Json;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::named_customer::PAYERS;
use crate::app::App;
use crate::app::payments::cards;
use crate::app::payments::named_customer::NamedCustomer;
use crate::app::payments::stripe_customers::{self, connected, require_connected};
use crate::clients::stripe::PaymentMethod;
use crate::error::ApiResult;
use crate::http::request::access::ClientAccess;
use crate::http::request::input::Input;
use crate::http::request::values::text;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(billing))
        .routes(routes!(setup_intent))
        .routes(routes!(set_default))
}

/// Whether a customer can pay, and with which card.
#[utoipa::path(get, path = "/payments/billing/{customer_type}/{customer_id}", tag = "payments",
    params(("customer_type" = String, Path), ("customer_id" = String, Path)),
    responses((status = 200, description = "`{has_customer, default_payment_method}`"), (status = 400, description = "SCHEMA_ERROR"), (status = 403, description = "Somebody else's"), (status = 404, description = "USER_NOT_FOUND, TEAM_NOT_FOUND"),
        (status = 503, description = "Stripe cannot be reached")))]
async fn billing(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let named = NamedCustomer::read(&mut form.params(), &PAYERS);
    let named = form.finish(named)?;
    named.check_client(&access).await?;
    let nobody =
        || Ok(Json(json!({"has_customer": false, "default_payment_method": null})).into_response());
    let Some(stripe) = connected(&access.app, &access.project) else {
        return nobody();
    };
    let customer = named.find(&access.app, access.project_id()).await?;
    let Some(found) = stripe_customers::find(&stripe, &customer).await? else {
        return nobody();
    };
    let card = stripe.first_card(&found.id).await?;
    let body = json!({"has_customer": true, "default_payment_method": card.map(summary)});
    Ok(Json(body).into_response())
}

/// What is shown of a card.
fn summary(method: PaymentMethod) -> Value {
    let card = method.card.unwrap_or_default();
    json!({
        "id": method.id,
        "brand": card.brand,
        "last4": card.last4,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
    })
}

/// Begins to save a card.
#[utoipa::path(post, path = "/payments/payment-method/{customer_type}/{customer_id}/setup-intent", tag = "payments", request_body = Value,
    params(("customer_type" = String, Path), ("customer_id" = String, Path)),
    responses((status = 200, description = "`{client_secret, stripe_account_id}`"), (status = 400, description = "SCHEMA_ERROR; payments are not set up"), (status = 403, description = "Somebody else's"),
        (status = 404, description = "USER_NOT_FOUND, TEAM_NOT_FOUND"), (status = 503, description = "Stripe cannot be reached")))]
async fn setup_intent(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let named = NamedCustomer::read(&mut form.params(), &PAYERS);
    form.optional_body().close();
    let named = form.finish(named)?;
    named.check_client(&access).await?;
    let stripe = require_connected(&access.app, &access.project)?;
    let customer = named.find(&access.app, access.project_id()).await?;
    let secret = cards::begin_saving(&access.app, &stripe, &customer).await?;
    let body = json!({"client_secret": secret, "stripe_account_id": stripe.account()});
    Ok(Json(body).into_response())
}

/// Makes a saved card the one that is charged.
#[utoipa::path(post, path = "/payments/payment-method/{customer_type}/{customer_id}/set-default", tag = "payments", request_body = Value,
    params(("customer_type" = String, Path), ("customer_id" = String, Path)),
    responses((status = 200, description = "`{success, default_payment_method}`"), (status = 400, description = "SCHEMA_ERROR; payments are not set up; the card is not saved yet, or never was"),
        (status = 403, description = "Somebody else's"), (status = 404, description = "USER_NOT_FOUND, TEAM_NOT_FOUND"), (status = 503, description = "Stripe cannot be reached")))]
async fn set_default(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let named = NamedCustomer::read(&mut form.params(), &PAYERS);
    let mut body = form.body();
    let intent = body.required("setup_intent_id", text);
    body.close();
    let (named, intent) = form.finish((|| Some((named?, intent?)))())?;
    named.check_client(&access).await?;
    let stripe = require_connected(&access.app, &access.project)?;
    let intent = stripe.retrieve_setup_intent(&intent).await?;
    let customer = named.find(&access.app, access.project_id()).await?;
    let card = cards::set_default(&access.app, &stripe, &customer, intent).await?;
    let body = json!({"success": true, "default_payment_method": card.map(summary)});
    Ok(Json(body).into_response())
}
