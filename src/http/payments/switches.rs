//! `/payments/products/{type}/{id}/switch`: from one product of a line to another.

use axum::Json;
use utoipa_axum::router::OpenApiRouter;

use super::named_customer::{NoSuchCustomer, NotOwn, Payer, StripeRefusals};
use crate::app::App;
use crate::app::payments::named_customer::NamedCustomer;
use crate::app::payments::purchases::require_open;
use crate::app::payments::switches::{self, Switch};
use crate::error::ApiResult;
use crate::error::codes::{DefaultPaymentMethodRequired, Errors, NewPurchasesBlocked};
use crate::http::answer::Success;
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::{integer, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(switch_product))
}

request! {
    /// A switch from one product to another.
    struct SwitchProduct {
        path {
            .. customer: Payer;
        }
        body {
            /// The id of the product that the customer has.
            from_product_id: String = required(text());
            /// The id of the one that takes its place.
            to_product_id: String = required(text());
            /// At which of its prices that are paid again and again; else at the first of them.
            price_id: Option<String> = optional(text());
            /// How many of it; else as many as before.
            quantity: Option<i64> = optional(integer(1..=i64::from(i32::MAX)));
        }
    }
}

/// Why a customer cannot switch.
type Refusals = (
    NewPurchasesBlocked,
    NotOwn,
    NoSuchCustomer,
    DefaultPaymentMethodRequired,
    StripeRefusals,
);

/// Switches a subscription to another product of its line. The customer's card is charged.
#[utoipa::path(post, path = "/payments/products/{customer_type}/{customer_id}/switch", tag = "payments",
    responses(Errors<Refusals>))]
async fn switch_product(access: ClientAccess, wanted: SwitchProduct) -> ApiResult<Json<Success>> {
    require_open(&access.project)?;
    let named = NamedCustomer::from(&wanted.customer);
    named.check_client(&access.app, &access).await?;
    let switch = Switch {
        from: wanted.from_product_id,
        to: wanted.to_product_id,
        price_id: wanted.price_id,
        quantity: wanted.quantity,
    };
    switches::switch(access.request_context(), &named, switch).await?;
    Ok(Success::ANSWER)
}
