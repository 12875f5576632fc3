//! What the page of a purchase link asks for: a session that pays, or one that tries it out.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::named_customer::StripeRefusals;
use crate::app::App;
use crate::app::payments::purchase_links::open;
use crate::app::payments::purchase_sessions::{self as sessions, Choice};
use crate::app::payments::purchases::require_open;
use crate::error::codes::{
    Errors, NewPurchasesBlocked, ProductAlreadyGranted, Text, VerificationCodeMaxAttemptsReached,
    VerificationCodeNotFound,
};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::Success;
use crate::http::openapi::operations;
use crate::http::request::caller::Caller;
use crate::http::request::declare::request;
use crate::http::request::presence::{or_default, required};
use crate::http::request::shape::scalars::{integer, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(create_purchase_session))
        .routes(operations!(create_test_mode_purchase))
}

request! {
    /// What is bought with a purchase code.
    struct ChosenPurchase {
        body {
            /// The code of a purchase link: the project's id, `_`, and a secret.
            full_code: String = required(text());
            /// The price: one of the product's.
            price_id: String = required(text());
            /// How many. More than one only if the product is stackable.
            quantity: i64 = or_default(integer(1..=i64::from(i32::MAX)), 1);
        }
    }
}

impl From<ChosenPurchase> for Choice {
    fn from(chosen: ChosenPurchase) -> Self {
        Self {
            price_id: chosen.price_id,
            quantity: chosen.quantity,
        }
    }
}

/// Why nothing is sold.
type Refusals = (
    VerificationCodeNotFound,
    VerificationCodeMaxAttemptsReached,
    NewPurchasesBlocked,
    ProductAlreadyGranted,
    StripeRefusals,
);

/// A payment that was begun.
#[derive(Serialize, ToSchema)]
struct PurchaseSession {
    /// The secret with which the page pays, at Stripe.
    client_secret: String,
}

/// Begins to pay for what a purchase code sells, and uses the code up.
///
/// It belongs to the customer once Stripe says that it was paid.
#[utoipa::path(post, path = "/payments/purchases/purchase-session", tag = "payments",
    responses(Errors<Refusals>))]
async fn create_purchase_session(
    State(app): State<App>,
    caller: Caller,
    chosen: ChosenPurchase,
) -> ApiResult<Json<PurchaseSession>> {
    let opened = open(&app, &chosen.full_code).await?;
    require_open(&opened.project)?;
    let context = caller.event_context(&app, &opened.project.id);
    let client_secret = sessions::begin(&app, &context, opened, chosen.into()).await?;
    Ok(Json(PurchaseSession { client_secret }))
}

/// Buys what a purchase code sells without paying, to try it out. Uses the code up.
#[utoipa::path(post, path = "/internal/payments/test-mode-purchase-session", tag = "payments",
    responses(Errors<(Refusals, Text<403>)>))]
async fn create_test_mode_purchase(
    State(app): State<App>,
    caller: Caller,
    chosen: ChosenPurchase,
) -> ApiResult<Json<Success>> {
    let opened = open(&app, &chosen.full_code).await?;
    require_open(&opened.project)?;
    if !opened.project.catalogue.test_mode {
        return Err(ApiError::forbidden("The project is not in test mode."));
    }
    let context = caller.event_context(&app, &opened.project.id);
    sessions::try_out(&app, &context, opened, chosen.into()).await?;
    Ok(Success::ANSWER)
}
