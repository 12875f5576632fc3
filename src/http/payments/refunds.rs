//! `/internal/payments/transactions/refund`: money goes back, and products with it.

use axum::Json;
use muniment_domain::customer::products::money::{Cents, minor_units};
use muniment_domain::customer::{Currency, RefundEntry, Revocation};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;

use super::named_customer::StripeRefusals;
use super::schemas;
use crate::app::App;
use crate::app::payments::refunds::{self, RefundKind};
use crate::error::ApiResult;
use crate::error::codes::{
    Errors, OneTimePurchaseAlreadyRefunded, OneTimePurchaseNotFound, SubscriptionAlreadyRefunded,
    SubscriptionInvoiceNotFound, TestModePurchaseNonRefundable,
};
use crate::http::answer::Success;
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::declare::{fields, request};
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::{choice, integer, text};
use crate::http::request::shape::{Shape, list_of, object, scalar};
use crate::http::request::values;

/// How a request names the kinds of purchases.
const KINDS: &[(&str, RefundKind)] = &[
    ("subscription", RefundKind::Subscription),
    ("one-time-purchase", RefundKind::OneTimePurchase),
];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(refund_transaction))
}

request! {
    /// A purchase that is paid back.
    struct RefundTransaction {
        body {
            /// What sort of purchase it is.
            kind as "type": RefundKind = required(choice(KINDS));
            /// The id of the subscription or purchase.
            id: String = required(text());
            /// What is taken back, and what is paid back for it.
            refund_entries: Vec<TakenBack> = required(list_of(object()));
        }
    }
}

fields! {
    /// What is taken back, and what is paid back for it.
    struct TakenBack {
        /// The place of the entry among those of the transaction, from 0. Only the product can be taken
        /// back, which is the first.
        entry_index: i64 = required(any_integer());
        /// How many are taken back. 0 for none, if only money goes back.
        quantity: i64 = required(any_integer());
        /// How much is paid back, in US dollars: `12.34`.
        amount_usd: Cents = required(usd());
    }
}

fn any_integer() -> impl Shape<Value = i64> {
    integer(i64::from(i32::MIN)..=i64::from(i32::MAX))
}

/// An amount of US dollars.
fn usd() -> impl Shape<Value = Cents> {
    let read = |value: &Value| {
        let cents = minor_units(&values::text(value)?, Currency::Usd);
        cents.ok_or_else(|| "must be an amount of money, as 12.34".to_owned())
    };
    scalar(read, || schemas::amount(Currency::Usd.decimals()))
        .described(|| json!({"examples": ["12.34"]}))
}

impl From<TakenBack> for RefundEntry {
    fn from(taken: TakenBack) -> Self {
        Self {
            revocation: Revocation {
                entry_index: taken.entry_index,
                quantity: taken.quantity,
            },
            amount: taken.amount_usd,
        }
    }
}

/// Why a purchase cannot be refunded.
type Refusals = (
    (SubscriptionInvoiceNotFound, OneTimePurchaseNotFound),
    (SubscriptionAlreadyRefunded, OneTimePurchaseAlreadyRefunded),
    TestModePurchaseNonRefundable,
    StripeRefusals,
);

/// Pays a purchase back, at least in part, and takes products back.
///
/// Items stay. There is one refund per purchase.
#[utoipa::path(post, path = "/internal/payments/transactions/refund", tag = "payments",
    responses(Errors<Refusals>))]
async fn refund_transaction(
    access: AdminAccess,
    wanted: RefundTransaction,
) -> ApiResult<Json<Success>> {
    let entries = wanted.refund_entries.into_iter();
    let entries: Vec<RefundEntry> = entries.map(RefundEntry::from).collect();
    refunds::refund(access.request_context(), wanted.kind, &wanted.id, &entries).await?;
    Ok(Success::ANSWER)
}
