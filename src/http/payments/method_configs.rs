//! `/internal/payments/method-configs`: the ways to pay that the project's account offers.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::payments::stripe_customers::connected;
use crate::app::projects::directory::LoadedProject;
use crate::app::projects::string_order;
use crate::clients::stripe::{ConnectedStripe, PaymentMethodConfiguration, Preference};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::AdminAccess;
use crate::http::request::input::Input;
use crate::http::request::values::{json_object, text};

/// The ways to pay that can be switched, with their names.
const METHODS: [(&str, &str); 24] = [
    ("card", "Credit/Debit Card"),
    ("cartes_bancaires", "Cartes Bancaires"),
    ("apple_pay", "Apple Pay"),
    ("google_pay", "Google Pay"),
    ("link", "Link"),
    ("amazon_pay", "Amazon Pay"),
    ("cashapp", "Cash App"),
    ("klarna", "Klarna"),
    ("affirm", "Affirm"),
    ("afterpay_clearpay", "Afterpay / Clearpay"),
    ("zip", "Zip"),
    ("ideal", "iDEAL"),
    ("bancontact", "Bancontact"),
    ("eps", "EPS"),
    ("p24", "Przelewy24"),
    ("blik", "BLIK"),
    ("alipay", "Alipay"),
    ("wechat_pay", "WeChat Pay"),
    ("sepa_debit", "SEPA Direct Debit"),
    ("bacs_debit", "Bacs Direct Debit"),
    ("acss_debit", "ACSS Debit"),
    ("us_bank_account", "US Bank Account"),
    ("multibanco", "Multibanco"),
    ("customer_balance", "Customer Balance"),
];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, switch))
}

fn require_account(app: &App, project: &LoadedProject) -> ApiResult<ConnectedStripe> {
    connected(app, project).ok_or_else(|| KnownError::stripe_account_info_not_found().into())
}

/// The ways to pay.
#[utoipa::path(get, path = "/internal/payments/method-configs", tag = "payments",
    responses((status = 200, description = "`{config_id, methods: [{id, name, enabled, available, overridable}]}`"), (status = 404, description = "STRIPE_ACCOUNT_INFO_NOT_FOUND"),
        (status = 503, description = "Stripe cannot be reached")))]
async fn list(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    let stripe = require_account(&access.app, &access.project)?;
    let configurations = stripe.list_payment_method_configurations().await?;
    let configuration = chosen(&configurations)
        .ok_or_else(|| ApiError::internal("the account at Stripe has no default way to pay"))?;
    let body = json!({"config_id": configuration.id, "methods": show(configuration)});
    Ok(Json(body).into_response())
}

/// The platform's configuration counts before the account's own.
fn chosen(configurations: &[PaymentMethodConfiguration]) -> Option<&PaymentMethodConfiguration> {
    let is_platforms = |it: &&PaymentMethodConfiguration| {
        let names = [&it.application, &it.parent];
        names.into_iter().flatten().any(|name| !name.is_empty())
    };
    let mut all = configurations.iter();
    all.clone()
        .find(is_platforms)
        .or_else(|| all.find(|it| it.is_default))
}

/// Those that can be used first, then by name.
fn show(configuration: &PaymentMethodConfiguration) -> Vec<Value> {
    let mut methods: Vec<(bool, &str, Value)> = METHODS
        .iter()
        .filter_map(|(id, name)| {
            let method = configuration.rest.get(*id)?;
            let preference = method.get("display_preference")?;
            let is = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
            let available = is(method.get("available"));
            let shown = json!({
                "id": id,
                "name": name,
                "enabled": preference.get("value").is_some_and(|value| value == "on"),
                "available": available,
                "overridable": is(preference.get("overridable")),
            });
            Some((available, *name, shown))
        })
        .collect();
    methods.sort_by(|(a_available, a, _), (b_available, b, _)| {
        b_available
            .cmp(a_available)
            .then_with(|| string_order(a, b))
    });
    methods.into_iter().map(|(_, _, shown)| shown).collect()
}

/// Switches ways to pay on and off. Switching none needs no account.
#[utoipa::path(patch, path = "/internal/payments/method-configs", tag = "payments", request_body = Value,
    responses((status = 200, description = "Switched"), (status = 400, description = "SCHEMA_ERROR; Stripe knows no such configuration"), (status = 404, description = "STRIPE_ACCOUNT_INFO_NOT_FOUND"),
        (status = 503, description = "Stripe cannot be reached")))]
async fn switch(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let config = body.required("config_id", text);
    let updates = body.required("updates", preferences);
    body.close();
    let (config, updates) = form.finish((|| Some((config?, updates?)))())?;
    if updates.is_empty() {
        return Ok(success());
    }
    let stripe = require_account(&access.app, &access.project)?;
    stripe
        .update_payment_method_configuration(&config, &updates)
        .await?;
    Ok(success())
}

/// Ways to pay, each on or off.
fn preferences(value: &Value) -> Result<BTreeMap<String, Preference>, String> {
    let value = json_object(value)?;
    let updates = value.as_object().into_iter().flatten();
    let read = updates.map(|(method, wanted)| {
        let is_known = METHODS.iter().any(|(id, _)| id == method);
        let preference = match wanted.as_str().filter(|_| is_known) {
            Some("on") => Preference::On,
            Some("off") => Preference::Off,
            _ => {
                return Err(format!(
                    "cannot switch {method}: name a way to pay, on or off"
                ));
            }
        };
        Ok((method.clone(), preference))
    });
    read.collect()
}
