//! `/internal/payments/transactions/refund`: money goes back, and products with it.

use muniment_domain::customer::products::money::{Cents, minor_units};
use muniment_domain::customer::{Currency, RefundEntry, Revocation};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::payments::refunds::{self, RefundKind};
use crate::error::ApiResult;
use crate::http::answer::success;
use crate::http::request::access::AdminAccess;
use crate::http::request::fields::Fields;
use crate::http::request::input::Input;
use crate::http::request::values::{integer, one_of, text};

/// How a request names subscriptions.
const SUBSCRIPTION: &str = "subscription";
/// How a request names one-time purchases.
const ONE_TIME: &str = "one-time-purchase";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(refund))
}

/// Pays a purchase back, at least in part, and takes products back. Items stay. There is one refund
/// per purchase.
#[utoipa::path(post, path = "/internal/payments/transactions/refund", tag = "payments", request_body = Value,
    responses((status = 200, description = "Refunded"),
        (status = 400, description = "SCHEMA_ERROR, SUBSCRIPTION_ALREADY_REFUNDED, ONE_TIME_PURCHASE_ALREADY_REFUNDED, TEST_MODE_PURCHASE_NON_REFUNDABLE; payments are not set up; Stripe refuses"),
        (status = 404, description = "SUBSCRIPTION_INVOICE_NOT_FOUND, ONE_TIME_PURCHASE_NOT_FOUND"), (status = 503, description = "Stripe cannot be reached")))]
async fn refund(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let kind = body.required("type", one_of(&[SUBSCRIPTION, ONE_TIME]));
    let id = body.required("id", text);
    let entries = body.optional_list("refund_entries", read_entry);
    body.close();
    if entries.as_ref().is_some_and(Option::is_none) {
        form.violation("body.refund_entries", "is required");
    }
    let (kind, id, entries) = form.finish((|| Some((kind?, id?, entries??)))())?;
    let kind = match kind {
        SUBSCRIPTION => RefundKind::Subscription,
        _ => RefundKind::OneTimePurchase,
    };
    refunds::refund(access.request_context(), kind, &id, &entries).await?;
    Ok(success())
}

fn read_entry(entry: &mut Fields<'_>) -> Option<RefundEntry> {
    let any = || integer(i64::from(i32::MIN)..=i64::from(i32::MAX));
    let entry_index = entry.required("entry_index", any());
    let quantity = entry.required("quantity", any());
    let amount = entry.required("amount_usd", usd);
    Some(RefundEntry {
        revocation: Revocation {
            entry_index: entry_index?,
            quantity: quantity?,
        },
        amount: amount?,
    })
}

/// An amount of US dollars.
fn usd(value: &Value) -> Result<Cents, String> {
    let cents = minor_units(&text(value)?, Currency::Usd);
    cents.ok_or_else(|| "must be an amount of money, as 12.34".to_owned())
}
