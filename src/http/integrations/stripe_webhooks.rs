//! `/integrations/stripe/webhooks`: where Stripe tells what happened.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::app::payments::stripe_events::{EventError, take_in};
use crate::clients::stripe::Stripe;
use crate::clients::stripe::webhook::{SIGNATURE, StripeEvent, is_signed};
use crate::error::codes::{Errors, SchemaError, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::describe::{OperationDescription, OperationInput};
use crate::http::openapi::operations;
use crate::http::request::body::Sent;
use crate::http::request::caller::Caller;
use crate::http::request::declare::{NoInput, Request as _};
use crate::http::request::input::Input;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(receive_stripe_event))
}

/// An event as it was sent, with its signature.
struct SignedEvent {
    signature: String,
    sent: Bytes,
}

impl FromRequestParts<App> for SignedEvent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Ok(Sent(sent)) = Sent::from_request_parts(parts, app).await;
        let input = Input::from_request_parts(parts, app).await?;
        let mut form = input.form(None);
        let without_query = NoInput::read(&mut form);
        let signature = parts.headers.get(SIGNATURE).and_then(|it| it.to_str().ok());
        if signature.is_none() {
            form.violation("headers.stripe-signature", "is required");
        }
        let signature = form.finish(without_query.and(signature))?.to_owned();
        Ok(Self { signature, sent })
    }
}

impl OperationInput for SignedEvent {
    fn describe(operation: &mut OperationDescription) {
        operation.parameters.push(json!({
            "name": SIGNATURE,
            "in": "header",
            "required": true,
            "description": "The time, and signatures of that and the body (Stripe's scheme `v1`).",
            "schema": {"type": "string"},
        }));
        let object = json!({"type": "object"});
        let schema = json!({
            "description": "An event of Stripe's.",
            "type": "object",
            "required": ["type", "data"],
            "properties": {
                "id": {"type": "string"},
                "type": {"type": "string", "description": "What happened, such as `invoice.paid`."},
                "account": {"type": ["string", "null"], "description": "On which connected account."},
                "created": {"type": ["integer", "null"], "description": "When, in seconds since the Unix epoch."},
                "data": {"type": "object", "required": ["object"], "properties": {"object": object}},
            },
        });
        let example = json!({"id": "evt_1", "type": "invoice.paid", "data": {"object": {}}});
        let content = json!({"application/json": {"schema": schema, "example": example}});
        operation.body = Some(json!({"required": true, "content": content}));
        operation.fails_with::<SchemaError>();
    }
}

/// That an event was taken in.
#[derive(Serialize, ToSchema)]
struct StripeEventReceived {
    /// Always true.
    received: bool,
}

/// Takes an event of Stripe's in.
///
/// Only Stripe knows the secret that signs it. An event that could not be taken in, or is of an unknown
/// type, is answered with status 500, so that Stripe sends it again.
#[utoipa::path(post, path = "/integrations/stripe/webhooks", tag = "payments",
    responses(Errors<(Text<400>, Text<500>)>))]
async fn receive_stripe_event(
    State(app): State<App>,
    caller: Caller,
    event: SignedEvent,
) -> ApiResult<Json<StripeEventReceived>> {
    let SignedEvent { signature, sent } = event;
    let stripe = app.stripe.as_ref();
    let signer = |stripe: &&Stripe| {
        let secret = stripe.webhook_secret();
        secret.is_some_and(|secret| is_signed(&signature, &sent, secret, app.now()))
    };
    let stripe = stripe.filter(signer).ok_or_else(bad_signature)?;
    let event: StripeEvent = serde_json::from_slice(&sent).map_err(ApiError::internal)?;
    take_in(&app, stripe, &event, caller.request_id())
        .await
        .map_err(refused)?;
    Ok(Json(StripeEventReceived { received: true }))
}

fn bad_signature() -> ApiError {
    ApiError::bad_request(
        "The signature is not Stripe's, or older than five minutes. Check the signing secret.",
    )
}

/// Whatever it was, Stripe shall send the event again; but not what only tests may say.
fn refused(error: EventError) -> ApiError {
    match error {
        EventError::MockDataRefused => ApiError::bad_request(error.to_string()),
        other => ApiError::internal(other),
    }
}
