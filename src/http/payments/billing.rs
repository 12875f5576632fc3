//! `/payments/billing` and `/payments/payment-method`: a customer's cards (contract 06 §10).

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Named, require_connected};
use crate::app::App;
use crate::app::payments::stripe_customers::{self, connected};
use crate::clients::stripe::{ConnectedStripe, Metadata, PaymentMethod, SetupIntent};
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ClientAccess;
use crate::http::request::input::{Input, text};

/// Who can pay.
pub(super) const PAYERS: [&str; 2] = ["user", "team"];

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
    let named = Named::read(&mut form.params(), &PAYERS);
    let named = form.finish(named)?;
    named.check_client(&access).await?;
    let nobody =
        || Ok(Json(json!({"has_customer": false, "default_payment_method": null})).into_response());
    let Some(stripe) = connected(&access.app, &access.project) else {
        return nobody();
    };
    let customer = named.find(&access).await?;
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
    let named = Named::read(&mut form.params(), &PAYERS);
    form.optional_body().close();
    let named = form.finish(named)?;
    named.check_client(&access).await?;
    let stripe = require_connected(&access.app, &access.project)?;
    let customer = named.find(&access).await?;
    let payer = stripe_customers::ensure(&stripe, &customer, access.app.now()).await?;
    let intent = stripe.create_setup_intent(&payer.id).await?;
    let secret = intent
        .client_secret
        .ok_or_else(|| ApiError::internal("Stripe gave no secret with a setup intent"))?;
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
    let named = Named::read(&mut form.params(), &PAYERS);
    let mut body = form.body();
    let intent = body.required("setup_intent_id", text);
    body.close();
    let (named, intent) = form.finish((|| Some((named?, intent?)))())?;
    named.check_client(&access).await?;
    let stripe = require_connected(&access.app, &access.project)?;
    let intent = stripe.retrieve_setup_intent(&intent).await?;
    let customer = named.find(&access).await?;
    let payer = stripe_customers::ensure(&stripe, &customer, access.app.now()).await?;
    let card = saved_card(&stripe, intent, &payer.id).await?;
    let mut metadata = stripe_customers::identity(&customer);
    metadata.extend(remembered(&card));
    stripe
        .update_customer_metadata(&payer.id, &metadata)
        .await?;
    stripe.set_default_payment_method(&payer.id, &card).await?;
    let card = stripe.first_card(&payer.id).await?;
    let body = json!({"success": true, "default_payment_method": card.map(summary)});
    Ok(Json(body).into_response())
}

/// The card that an intent saved for the customer. In mock mode nobody enters any, so one of
/// Stripe's own is taken.
async fn saved_card(
    stripe: &ConnectedStripe,
    intent: SetupIntent,
    payer: &str,
) -> ApiResult<String> {
    let is_mock = stripe.platform().is_mock();
    let refuse = |status, text: &str| Err(ApiError::text(status, text));
    match &intent.customer {
        Some(customer) if customer.id() == payer => {}
        None if is_mock => {}
        _ => {
            let text = "The setup intent is another customer's.";
            return refuse(StatusCode::FORBIDDEN, text);
        }
    }
    let succeeded = intent.status == "succeeded";
    match intent.payment_method {
        Some(card) if succeeded => Ok(card.id().to_owned()),
        _ if is_mock => Ok(stripe.attach_test_card(payer).await?.id),
        _ if !succeeded => refuse(
            StatusCode::BAD_REQUEST,
            "The card is not saved yet: confirm the setup intent first.",
        ),
        _ => Err(ApiError::internal(
            "a setup intent of Stripe succeeded without a card",
        )),
    }
}

/// What Stripe's dashboard shows of the default card.
fn remembered(card: &str) -> Metadata {
    let fields = [
        ("defaultPaymentMethodId", card),
        ("default_payment_method_id", card),
        ("hasPaymentMethod", "true"),
    ];
    let pairs = fields.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
