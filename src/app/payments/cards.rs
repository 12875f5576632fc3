//! The cards that a customer saved at Stripe.

use axum::http::StatusCode;
use muniment_domain::customer::CustomerRef;

use super::stripe_customers;
use crate::app::App;
use crate::clients::stripe::{ConnectedStripe, Metadata, PaymentMethod, SetupIntent};
use crate::error::{ApiError, ApiResult};

/// Begins to save a card. Yields the secret with which the browser goes on.
///
/// # Errors
/// What Stripe refuses.
pub async fn begin_saving(
    app: &App,
    stripe: &ConnectedStripe,
    customer: &CustomerRef,
) -> ApiResult<String> {
    let payer = stripe_customers::ensure(stripe, customer, app.now()).await?;
    let intent = stripe.create_setup_intent(&payer.id).await?;
    intent
        .client_secret
        .ok_or_else(|| ApiError::internal("Stripe gave no secret with a setup intent"))
}

/// Makes the card that an intent saved the one that is charged. Yields that card.
///
/// # Errors
/// Text 403 for another customer's intent, text 400 for one that has not saved its card yet; what
/// Stripe refuses.
pub async fn set_default(
    app: &App,
    stripe: &ConnectedStripe,
    customer: &CustomerRef,
    intent: SetupIntent,
) -> ApiResult<Option<PaymentMethod>> {
    let payer = stripe_customers::ensure(stripe, customer, app.now()).await?;
    let card = saved_card(stripe, intent, &payer.id).await?;
    let mut metadata = stripe_customers::identity(customer);
    metadata.extend(remembered(&card));
    stripe
        .update_customer_metadata(&payer.id, &metadata)
        .await?;
    stripe.set_default_payment_method(&payer.id, &card).await?;
    Ok(stripe.first_card(&payer.id).await?)
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
