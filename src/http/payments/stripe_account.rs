//! `/internal/payments`: the project's account at the payment provider, of which there is none yet.

use axum::extract::State;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::no_payments;
use crate::app::App;
use crate::http::caller::Caller;
use crate::http::error::ApiResult;
use crate::http::input::{Input, json_object, text};
use crate::http::known_error::KnownError;
use crate::http::success;

/// Ways to pay that can be switched.
const METHODS: [&str; 24] = [
    "card",
    "cartes_bancaires",
    "apple_pay",
    "google_pay",
    "link",
    "amazon_pay",
    "cashapp",
    "klarna",
    "affirm",
    "afterpay_clearpay",
    "zip",
    "ideal",
    "bancontact",
    "eps",
    "p24",
    "blik",
    "alipay",
    "wechat_pay",
    "sepa_debit",
    "bacs_debit",
    "acss_debit",
    "us_bank_account",
    "multibanco",
    "customer_balance",
];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(account_info))
        .routes(routes!(account_session))
        .routes(routes!(methods, switch_methods))
}

/// What the account may do.
#[utoipa::path(get, path = "/internal/payments/stripe/account-info", tag = "payments",
    responses((status = 404, description = "STRIPE_ACCOUNT_INFO_NOT_FOUND")))]
async fn account_info(State(_): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    input.form(auth.user_id()).no_query().finish(Some(()))?;
    Err(KnownError::stripe_account_info_not_found().into())
}

/// A session of the provider's own widgets.
#[utoipa::path(post, path = "/internal/payments/stripe-widgets/account-session", tag = "payments", request_body = Value,
    responses((status = 400, description = "Payments are not set up")))]
async fn account_session(State(_): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    let mut form = input.form(auth.user_id()).no_query();
    form.optional_body().close();
    form.finish(Some(()))?;
    Err(no_payments())
}

/// The ways to pay.
#[utoipa::path(get, path = "/internal/payments/method-configs", tag = "payments",
    responses((status = 404, description = "STRIPE_ACCOUNT_INFO_NOT_FOUND")))]
async fn methods(State(_): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    input.form(auth.user_id()).no_query().finish(Some(()))?;
    Err(KnownError::stripe_account_info_not_found().into())
}

/// Switches ways to pay on and off. Switching none needs no account.
#[utoipa::path(patch, path = "/internal/payments/method-configs", tag = "payments", request_body = Value,
    responses((status = 200, description = "Nothing to switch"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "STRIPE_ACCOUNT_INFO_NOT_FOUND")))]
async fn switch_methods(State(_): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    let mut form = input.form(auth.user_id()).no_query();
    let mut body = form.body();
    let config = body.required("config_id", text);
    let updates = body.required("updates", switches);
    body.close();
    let (_, updates) = form.finish((|| Some((config?, updates?)))())?;
    if updates == 0 {
        return Ok(success());
    }
    Err(KnownError::stripe_account_info_not_found().into())
}

/// Ways to pay, each on or off. Yields how many.
fn switches(value: &Value) -> Result<usize, String> {
    let value = json_object(value)?;
    let mut updates = value.as_object().into_iter().flatten();
    let bad = updates.find(|(method, preference)| {
        !METHODS.contains(&method.as_str()) || !["on", "off"].iter().any(|it| *preference == it)
    });
    match bad {
        Some((method, _)) => Err(format!(
            "cannot switch {method}: name a way to pay, on or off"
        )),
        None => Ok(value.as_object().map_or(0, serde_json::Map::len)),
    }
}
