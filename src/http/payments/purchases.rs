//! `/payments/purchases`: links that sell a product, and what their page shows (contract 06
//! §6.1–§6.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use muniment_domain::ProjectId;
use muniment_domain::customer::{CustomerRef, CustomerType, Product, owned};
use muniment_domain::verification_code::{MAX_ATTEMPTS, Purpose};
use muniment_projections::LedgerError;
use muniment_projections::read_models::customers;
use muniment_projections::read_models::verification_codes::VerificationCodeRow;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::form_urlencoded;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::inline_product::view;
use super::{Meant, Named, require_connected, require_open};
use crate::app::App;
use crate::app::auth::codes::{NewCode, issue};
use crate::app::auth::redirects::require_trusted;
use crate::app::payments::customers::{PURCHASE_CODE_MILLIS, purchase_code};
use crate::app::payments::stripe_customers;
use crate::app::projects::{LoadedProject, string_order};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ClientAccess;
use crate::http::request::input::{Fields, Input, text, url_text};

/// The versions of the API that call a product by its new name only (contract 06 §13).
const WITHOUT_OLD_NAMES: [&str; 2] = ["/api/v2beta5/", "/api/latest/"];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_url))
        .routes(routes!(describe, validate))
}

/// What a purchase code stands for. The product is kept as it was when the code was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Offer {
    pub customer: CustomerRef,
    pub product_id: Option<String>,
    pub product: Product,
    /// Codes of before payments were taken have none.
    #[serde(default)]
    pub stripe: Option<Seller>,
}

/// Who sells at Stripe, and to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seller {
    /// The project's account: `acct_…`.
    pub account_id: String,
    /// The buyer, a customer of that account: `cus_…`.
    pub customer_id: String,
    /// Whether the account could charge when the code was made.
    pub charges_enabled: bool,
}

/// Makes a link that sells a product to a customer.
#[utoipa::path(post, path = "/payments/purchases/create-purchase-url", tag = "payments", request_body = Value,
    responses((status = 200, description = "`{url}`"), (status = 403, description = "NEW_PURCHASES_BLOCKED; somebody else"),
        (status = 400, description = "SCHEMA_ERROR, PRODUCT_DOES_NOT_EXIST, PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH, PRODUCT_ALREADY_GRANTED, REDIRECT_URL_NOT_WHITELISTED; payments are not set up"),
        (status = 503, description = "Stripe cannot be reached")))]
async fn create_url(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let named = Named::read(&mut body, &CustomerType::NAMES);
    let meant = read_meant(&mut body, &input.path);
    let return_url = body.optional("return_url", url_text);
    body.close();
    let (named, meant, return_url) = form.finish((|| Some((named?, meant?, return_url?)))())?;
    require_open(&access)?;
    named.check_client(&access).await?;
    let stripe = require_connected(&access.app, &access.project)?;
    let (product_id, product) = Meant::choose(&access, meant)?.resolve(&access)?;
    named.require_type(product_id.as_deref(), &product)?;
    let customer = named.unchecked()?;
    let stream = customer.stream(access.project_id());
    let purchases = customers::purchases_of(access.app.pool(), stream).await?;
    let is_owned = owned(&purchases, access.app.now()).contains_key(&product_id.as_deref());
    if product_id.is_some() && !product.stackable && is_owned {
        return Err(KnownError::product_already_granted(product_id.as_deref(), &named.id).into());
    }
    if let Some(url) = &return_url {
        require_trusted(url, &access.project.config.domains)?;
    }
    let buyer = stripe_customers::for_purchase(&stripe, &customer, access.app.now()).await?;
    let account = stripe.platform().retrieve_account(stripe.account()).await?;
    let offer = Offer {
        customer,
        product_id,
        product,
        stripe: Some(Seller {
            account_id: stripe.account().to_owned(),
            customer_id: buyer.id,
            charges_enabled: account.charges_enabled,
        }),
    };
    let offer = serde_json::to_value(offer).map_err(ApiError::internal)?;
    let code = NewCode::generate(&access.app, Purpose::PurchaseUrl, PURCHASE_CODE_MILLIS)
        .remembering(offer);
    issue(&access.app, access.event_context(), &code).await?;
    let (base, project, code) = (&access.app.dashboard_url, access.project_id(), code.text());
    let mut url = format!("{base}/purchase/{project}_{code}");
    if let Some(return_url) = return_url {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("return_url", &return_url)
            .finish();
        url = format!("{url}?{query}");
    }
    Ok(Json(json!({"url": url})).into_response())
}

/// Reads the product, in older versions of the API also under the names of old.
fn read_meant(body: &mut Fields<'_>, path: &str) -> Option<(Option<String>, Option<Box<Product>>)> {
    let new = Meant::read(body, "product");
    if WITHOUT_OLD_NAMES
        .iter()
        .any(|prefix| path.starts_with(prefix))
    {
        return new;
    }
    let old = Meant::read(body, "offer");
    let ((id, inline), (old_id, old_inline)) = (new?, old?);
    if id.is_some() || inline.is_some() {
        return Some((id, inline));
    }
    Some((old_id, old_inline))
}

/// A purchase code that works, and where it leads.
pub(super) struct Opened {
    pub project: Arc<LoadedProject>,
    pub row: VerificationCodeRow,
    pub offer: Offer,
}

/// Looks a purchase code up.
pub(super) async fn open(app: &App, full_code: &str) -> ApiResult<Opened> {
    let missing = || ApiError::from(KnownError::verification_code_not_found());
    let (project, code) = full_code.split_once('_').ok_or_else(missing)?;
    let project = find_project(app, project).await?;
    let row = purchase_code(app, &project.id, code, app.now())
        .await
        .map_err(|error| match error {
            LedgerError::VerificationCode(_) => missing(),
            other => other.into(),
        })?;
    if u32::try_from(row.attempts).is_ok_and(|attempts| attempts >= MAX_ATTEMPTS) {
        return Err(KnownError::verification_code_max_attempts_reached().into());
    }
    let offer = serde_json::from_value(row.data.clone()).map_err(ApiError::internal)?;
    Ok(Opened {
        project,
        row,
        offer,
    })
}

async fn find_project(app: &App, id: &str) -> ApiResult<Arc<LoadedProject>> {
    let project = app.projects.find(&ProjectId::from_caller(id)).await?;
    project.ok_or_else(|| KnownError::verification_code_not_found().into())
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
    let stream = offer.customer.stream(&project.id);
    let purchases = customers::purchases_of(app.pool(), stream).await?;
    let owned = owned(&purchases, app.now());
    let id = offer.product_id.as_deref();
    let already_bought = id.is_some() && owned.contains_key(&id) && !offer.product.stackable;
    let payments = &project.catalogue;
    let line = offer.product.product_line_id.as_deref();
    let line = line.filter(|line| payments.product_lines.contains_key(*line));
    let line = line.filter(|_| offer.product.interval_prices().next().is_some());
    let mut conflicting: Vec<(&str, &Product)> = owned
        .iter()
        .filter(|(id, owned)| {
            let same = line.is_some_and(|line| owned.product.is_in_line(line));
            same && !offer.product.is_add_on_to.include(**id)
        })
        .filter_map(|(id, owned)| Some(((*id)?, owned.product)))
        .collect();
    conflicting.sort_by(|(a, _), (b, _)| string_order(a, b));
    let conflicting = conflicting.into_iter().map(|(id, product)| {
        let name = product.display_name.as_deref().unwrap_or(id);
        json!({"product_id": id, "display_name": name})
    });
    let answer = json!({
        "product": view(&offer.product),
        "stripe_account_id": offer.stripe.as_ref().map(|seller| &seller.account_id),
        "project_id": project.id,
        "project_logo_url": project.profile.logo_url,
        "already_bought_non_stackable": already_bought,
        "conflicting_products": conflicting.collect::<Value>(),
        "test_mode": payments.test_mode,
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
