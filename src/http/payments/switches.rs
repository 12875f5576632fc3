//! `/payments/products/{type}/{id}/switch`: from one product of a line to another.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::named_customer::PAYERS;
use crate::app::App;
use crate::app::payments::named_customer::NamedCustomer;
use crate::app::payments::purchases::require_open;
use crate::app::payments::switches::{self, Switch};
use crate::error::ApiResult;
use crate::http::answer::success;
use crate::http::request::access::ClientAccess;
use crate::http::request::input::Input;
use crate::http::request::values::{integer, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(switch))
}

/// Switches a subscription to another product of its line. The customer's card is charged.
#[utoipa::path(post, path = "/payments/products/{customer_type}/{customer_id}/switch", tag = "payments", request_body = serde_json::Value,
    params(("customer_type" = String, Path), ("customer_id" = String, Path)),
    responses((status = 200, description = "Switched"), (status = 400, description = "SCHEMA_ERROR, DEFAULT_PAYMENT_METHOD_REQUIRED; the products cannot be switched; payments are not set up; the card was declined"),
        (status = 403, description = "NEW_PURCHASES_BLOCKED; somebody else's"), (status = 404, description = "USER_NOT_FOUND, TEAM_NOT_FOUND"), (status = 503, description = "Stripe cannot be reached")))]
async fn switch(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let named = NamedCustomer::read(&mut form.params(), &PAYERS);
    let mut body = form.body();
    let from = body.required("from_product_id", text);
    let to = body.required("to_product_id", text);
    let price_id = body.optional("price_id", text);
    let quantity = body.optional("quantity", integer(1..=i64::from(i32::MAX)));
    body.close();
    let (named, wanted) = form.finish((|| {
        let wanted = Switch {
            from: from?,
            to: to?,
            price_id: price_id?,
            quantity: quantity?,
        };
        Some((named?, wanted))
    })())?;
    require_open(&access.project)?;
    named.check_client(&access).await?;
    switches::switch(access.request_context(), &named, wanted).await?;
    Ok(success())
}
