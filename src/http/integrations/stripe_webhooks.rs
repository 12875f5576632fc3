//! `/integrations/stripe/webhooks`: where Stripe tells what happened.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::payments::stripe_events::{EventError, take_in};
use crate::clients::stripe::Stripe;
use crate::clients::stripe::webhook::{SIGNATURE, StripeEvent, is_signed};
use crate::error::{ApiError, ApiResult};
use crate::http::request::body::Sent;
use crate::http::request::caller::Caller;
use crate::http::request::input::Input;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(receive))
}

/// Takes an event of Stripe in. Only Stripe knows the secret that signs it.
#[utoipa::path(post, path = "/integrations/stripe/webhooks", tag = "payments", request_body = serde_json::Value,
    params(("stripe-signature" = String, Header)),
    responses((status = 200, description = "`{received: true}`"), (status = 400, description = "SCHEMA_ERROR; the signature is wrong or old"),
        (status = 500, description = "It could not be taken in, or is of an unknown type: send it again")))]
async fn receive(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Sent(sent): Sent,
    input: Input,
) -> ApiResult {
    let mut form = input.form(None).no_query();
    let signature = headers.get(SIGNATURE).and_then(|it| it.to_str().ok());
    if signature.is_none() {
        form.violation("headers.stripe-signature", "is required");
    }
    let signature = form.finish(signature)?;
    let stripe = app.stripe.as_ref();
    let signer = |stripe: &&Stripe| {
        let secret = stripe.webhook_secret();
        secret.is_some_and(|secret| is_signed(signature, &sent, secret, app.now()))
    };
    let stripe = stripe.filter(signer).ok_or_else(bad_signature)?;
    let event: StripeEvent = serde_json::from_slice(&sent).map_err(ApiError::internal)?;
    take_in(&app, stripe, &event, caller.request_id())
        .await
        .map_err(refused)?;
    Ok(Json(json!({"received": true})).into_response())
}

fn bad_signature() -> ApiError {
    let text =
        "The signature is not Stripe's, or older than five minutes. Check the signing secret.";
    ApiError::text(StatusCode::BAD_REQUEST, text)
}

/// Whatever it was, Stripe shall send the event again; but not what only tests may say.
fn refused(error: EventError) -> ApiError {
    match error {
        EventError::MockDataRefused => ApiError::text(StatusCode::BAD_REQUEST, error.to_string()),
        other => ApiError::internal(other),
    }
}
