//! `/internal/payments/method-configs`: the ways to pay that the project's account offers.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::named_customer::StripeRefusals;
use crate::app::App;
use crate::app::payments::stripe_customers::connected;
use crate::app::projects::directory::LoadedProject;
use crate::app::projects::string_order;
use crate::clients::stripe::{ConnectedStripe, PaymentMethodConfiguration, Preference};
use crate::error::codes::{Errors, StripeAccountInfoNotFound};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::Success;
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::declare::{NoInput, request};
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::text;
use crate::http::request::shape::{Shape, scalar};
use crate::http::request::values::json_object;

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
    OpenApiRouter::new().routes(operations!(
        list_payment_method_configs,
        update_payment_method_configs
    ))
}

request! {
    /// Ways to pay that are switched on or off.
    struct UpdatePaymentMethodConfigs {
        body {
            /// The configuration's id at Stripe: `pmc_…`.
            config_id: String = required(text());
            /// The ways to pay, each `on` or `off`.
            updates: BTreeMap<String, Preference> = required(preferences());
        }
    }
}

/// Ways to pay, each on or off.
fn preferences() -> impl Shape<Value = BTreeMap<String, Preference>> {
    scalar(read_preferences, || {
        let names = METHODS.map(|(id, _)| id);
        json!({
            "type": "object",
            "propertyNames": {"enum": names},
            "additionalProperties": {"type": "string", "enum": ["on", "off"]},
        })
    })
}

fn read_preferences(value: &Value) -> Result<BTreeMap<String, Preference>, String> {
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

/// The ways to pay that the project's account offers.
#[derive(Serialize, ToSchema)]
struct PaymentMethodConfigs {
    /// The configuration's id at Stripe: `pmc_…`.
    config_id: String,
    /// The ways to pay: those that can be used first, then by name.
    methods: Vec<PaymentMethodConfig>,
}

/// A way to pay.
#[derive(Serialize, ToSchema)]
struct PaymentMethodConfig {
    /// Whether it can be used.
    available: bool,
    /// Whether it is on.
    enabled: bool,
    /// Its name at Stripe: `card`, …
    id: &'static str,
    /// Its name for people.
    name: &'static str,
    /// Whether it can be switched.
    overridable: bool,
}

fn require_account(app: &App, project: &LoadedProject) -> ApiResult<ConnectedStripe> {
    connected(app, project).ok_or_else(|| KnownError::stripe_account_info_not_found().into())
}

/// Lists the ways to pay.
#[utoipa::path(get, path = "/internal/payments/method-configs", tag = "payments",
    responses(Errors<(StripeAccountInfoNotFound, StripeRefusals)>))]
async fn list_payment_method_configs(
    access: AdminAccess,
    _: NoInput,
) -> ApiResult<Json<PaymentMethodConfigs>> {
    let stripe = require_account(&access.app, &access.project)?;
    let configurations = stripe.list_payment_method_configurations().await?;
    let configuration = chosen(&configurations)
        .ok_or_else(|| ApiError::internal("the account at Stripe has no default way to pay"))?;
    Ok(Json(PaymentMethodConfigs {
        config_id: configuration.id.clone(),
        methods: show(configuration),
    }))
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
fn show(configuration: &PaymentMethodConfiguration) -> Vec<PaymentMethodConfig> {
    let is = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
    let known = METHODS.iter().filter_map(|(id, name)| {
        let method = configuration.rest.get(*id)?;
        let preference = method.get("display_preference")?;
        Some(PaymentMethodConfig {
            available: is(method.get("available")),
            enabled: preference.get("value").is_some_and(|value| value == "on"),
            id,
            name,
            overridable: is(preference.get("overridable")),
        })
    });
    let mut methods: Vec<PaymentMethodConfig> = known.collect();
    methods.sort_by(|a, b| {
        let available_first = b.available.cmp(&a.available);
        available_first.then_with(|| string_order(a.name, b.name))
    });
    methods
}

/// Switches ways to pay on and off.
///
/// Switching none needs no account.
#[utoipa::path(patch, path = "/internal/payments/method-configs", tag = "payments",
    responses(Errors<(StripeAccountInfoNotFound, StripeRefusals)>))]
async fn update_payment_method_configs(
    access: AdminAccess,
    UpdatePaymentMethodConfigs { config_id, updates }: UpdatePaymentMethodConfigs,
) -> ApiResult<Json<Success>> {
    if updates.is_empty() {
        return Ok(Success::ANSWER);
    }
    let stripe = require_account(&access.app, &access.project)?;
    stripe
        .update_payment_method_configuration(&config_id, &updates)
        .await?;
    Ok(Success::ANSWER)
}
