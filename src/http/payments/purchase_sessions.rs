//! What the page of a purchase link asks for: a session that pays, or one that tries it out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::payments::purchase_links::open;
use crate::app::payments::purchase_sessions::{self as sessions, Choice};
use crate::app::payments::purchases::require_open;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::caller::Caller;
use crate::http::request::input::Input;
use crate::http::request::values::{integer, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(purchase_session))
        .routes(routes!(test_mode_session))
}

/// Reads the purchase code, and what is chosen.
fn read(input: &Input) -> ApiResult<(String, Choice)> {
    let mut form = input.form(None).no_query();
    let mut body = form.body();
    let full_code = body.required("full_code", text);
    let price_id = body.required("price_id", text);
    let quantity = body.or_default("quantity", integer(1..=i64::from(i32::MAX)), 1);
    body.close();
    form.finish((|| {
        let choice = Choice {
            price_id: price_id?,
            quantity: quantity?,
        };
        Some((full_code?, choice))
    })())
}

/// Begins to pay for what a purchase code sells, and uses the code up. It belongs to the customer
/// once Stripe says that it was paid.
#[utoipa::path(post, path = "/payments/purchases/purchase-session", tag = "payments", request_body = serde_json::Value,
    responses((status = 200, description = "`{client_secret}`"), (status = 400, description = "SCHEMA_ERROR, PRODUCT_ALREADY_GRANTED, or a sentence; payments are not set up"),
        (status = 403, description = "NEW_PURCHASES_BLOCKED"), (status = 404, description = "VERIFICATION_CODE_NOT_FOUND"), (status = 503, description = "Stripe cannot be reached")))]
async fn purchase_session(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let (full_code, choice) = read(&input)?;
    let opened = open(&app, &full_code).await?;
    require_open(&opened.project)?;
    let context = caller.event_context(&app, &opened.project.id);
    let secret = sessions::begin(&app, &context, opened, choice).await?;
    Ok(Json(json!({"client_secret": secret})).into_response())
}

/// Buys what a purchase code sells without paying, to try it out. Uses the code up.
#[utoipa::path(post, path = "/internal/payments/test-mode-purchase-session", tag = "payments", request_body = serde_json::Value,
    responses((status = 200, description = "Bought"), (status = 400, description = "SCHEMA_ERROR, PRODUCT_ALREADY_GRANTED, or a sentence"), (status = 403, description = "NEW_PURCHASES_BLOCKED; not in test mode"), (status = 404, description = "VERIFICATION_CODE_NOT_FOUND")))]
async fn test_mode_session(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let (full_code, choice) = read(&input)?;
    let opened = open(&app, &full_code).await?;
    require_open(&opened.project)?;
    if !opened.project.catalogue.test_mode {
        return Err(ApiError::text(
            StatusCode::FORBIDDEN,
            "The project is not in test mode.",
        ));
    }
    let context = caller.event_context(&app, &opened.project.id);
    sessions::try_out(&app, &context, opened, choice).await?;
    Ok(success())
}
