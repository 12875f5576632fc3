//! `/payments/purchases`: links that sell a product, and what their page shows.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use muniment_domain::customer::{CustomerType, Product};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::inline_product::view;
use super::named_product::NamedProduct;
use crate::app::App;
use crate::app::auth::redirects::require_trusted;
use crate::app::payments::named_customer::NamedCustomer;
use crate::app::payments::purchase_links::{self, Opened, find_project, obstacles, open};
use crate::app::payments::purchases::require_open;
use crate::app::payments::stripe_customers::require_connected;
use crate::error::ApiResult;
use crate::http::request::access::ClientAccess;
use crate::http::request::fields::Fields;
use crate::http::request::input::Input;
use crate::http::request::values::{text, url_text};

/// The versions of the API that call a product by its new name only.
const WITHOUT_OLD_NAMES: [&str; 2] = ["/api/v2beta5/", "/api/latest/"];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_url))
        .routes(routes!(describe, validate))
}

/// Makes a link that sells a product to a customer.
#[utoipa::path(post, path = "/payments/purchases/create-purchase-url", tag = "payments", request_body = Value,
    responses((status = 200, description = "`{url}`"), (status = 403, description = "NEW_PURCHASES_BLOCKED; somebody else"),
        (status = 400, description = "SCHEMA_ERROR, PRODUCT_DOES_NOT_EXIST, PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH, PRODUCT_ALREADY_GRANTED, REDIRECT_URL_NOT_WHITELISTED; payments are not set up"),
        (status = 503, description = "Stripe cannot be reached")))]
async fn create_url(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let named = NamedCustomer::read(&mut body, &CustomerType::NAMES);
    let product = read_product(&mut body, &input.path);
    let return_url = body.optional("return_url", url_text);
    body.close();
    let (named, product, return_url) = form.finish((|| Some((named?, product?, return_url?)))())?;
    require_open(&access.project)?;
    named.check_client(&access).await?;
    let stripe = require_connected(&access.app, &access.project)?;
    let (id, product) = NamedProduct::choose(&access, product)?.resolve(&access)?;
    named.require_type(id.as_deref(), &product)?;
    let (request, sold) = (access.request_context(), (id, product));
    let url = purchase_links::create(request, &stripe, &named, sold, return_url.as_deref()).await?;
    Ok(Json(json!({"url": url})).into_response())
}

/// Reads the product, in older versions of the API also under the names of old.
fn read_product(
    body: &mut Fields<'_>,
    path: &str,
) -> Option<(Option<String>, Option<Box<Product>>)> {
    let new = NamedProduct::read(body, "product");
    if WITHOUT_OLD_NAMES
        .iter()
        .any(|prefix| path.starts_with(prefix))
    {
        return new;
    }
    let old = NamedProduct::read(body, "offer");
    let ((id, inline), (old_id, old_inline)) = (new?, old?);
    if id.is_some() || inline.is_some() {
        return Some((id, inline));
    }
    Some((old_id, old_inline))
}

/// What a purchase code sells. The code is not used up by it.
#[utoipa::path(post, path = "/payments/purchases/validate-code", tag = "payments", request_body = Value,
    responses((status = 200, description = "The product, and what stands in its way"), (status = 400, description = "SCHEMA_ERROR, REDIRECT_URL_NOT_WHITELISTED, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED"), (status = 404, description = "VERIFICATION_CODE_NOT_FOUND")))]
async fn describe(State(app): State<App>, input: Input) -> ApiResult {
    let mut form = input.form(None).no_query();
    let mut body = form.body();
    let code = body.required("full_code", text);
    let return_url = body.optional("return_url", url_text);
    body.close();
    let (code, return_url) = form.finish((|| Some((code?, return_url?)))())?;
    let Opened { project, offer, .. } = open(&app, &code).await?;
    if let Some(url) = &return_url {
        require_trusted(url, &project.config.domains)?;
    }
    let obstacles = obstacles(&app, &project, &offer).await?;
    let conflicting = obstacles.conflicting.iter();
    let conflicting = conflicting.map(|(id, name)| json!({"product_id": id, "display_name": name}));
    let answer = json!({
        "product": view(&offer.product),
        "stripe_account_id": offer.stripe.as_ref().map(|seller| &seller.account_id),
        "project_id": project.id,
        "project_logo_url": project.profile.logo_url,
        "already_bought_non_stackable": obstacles.already_bought,
        "conflicting_products": conflicting.collect::<Value>(),
        "test_mode": project.catalogue.test_mode,
        "charges_enabled": offer.stripe.is_some_and(|seller| seller.charges_enabled),
    });
    Ok(Json(answer).into_response())
}

/// Whether a purchase code names a project, and a URL is one to return to.
#[utoipa::path(get, path = "/payments/purchases/validate-code", tag = "payments",
    params(("full_code" = String, Query), ("return_url" = Option<String>, Query)),
    responses((status = 200, description = "`{valid: true}`"), (status = 400, description = "SCHEMA_ERROR, REDIRECT_URL_NOT_WHITELISTED"), (status = 404, description = "VERIFICATION_CODE_NOT_FOUND")))]
async fn validate(State(app): State<App>, input: Input) -> ApiResult {
    let mut form = input.form(None);
    let mut query = form.query();
    let code = query.required("full_code", text);
    let return_url = query.optional("return_url", url_text);
    query.close();
    let (code, return_url) = form.finish((|| Some((code?, return_url?)))())?;
    let project = code.split('_').next().unwrap_or_default();
    let project = find_project(&app, project).await?;
    if let Some(url) = &return_url {
        require_trusted(url, &project.config.domains)?;
    }
    Ok(Json(json!({"valid": true})).into_response())
}
