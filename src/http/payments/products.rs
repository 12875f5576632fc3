//! `/payments/products`: what a customer owns, grants without payment, and cancelling.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::customer::{CustomerType, Owned, Product, Selection, owned};
use muniment_event_store::AccessType;
use muniment_projections::read_models::customers;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::inline_product::{view, view_with};
use super::named_product::{NamedProduct, configured};
use crate::app::App;
use crate::app::payments::named_customer::NamedCustomer;
use crate::app::payments::products;
use crate::app::projects::string_order;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::{ClientAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::input::Input;
use crate::http::request::values::{integer, text};
use crate::timestamp::format_with_millis;

/// The key of the products that were made up for a purchase.
const INLINE: &str = "__null__";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, grant))
        .routes(routes!(cancel))
}

/// The products that a customer owns now.
#[utoipa::path(get, path = "/payments/products/{customer_type}/{customer_id}", tag = "payments",
    params(("customer_type" = String, Path), ("customer_id" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<i64>, Query)),
    responses((status = 200, description = "A page of products"), (status = 400, description = "SCHEMA_ERROR; an unknown cursor"),
        (status = 403, description = "Somebody else's"), (status = 404, description = "USER_NOT_FOUND, TEAM_NOT_FOUND")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let named = NamedCustomer::read(&mut form.params(), &CustomerType::NAMES);
    let mut query = form.query();
    let cursor = query.optional("cursor", text);
    let limit = query.or_default("limit", integer(1..=100), 10);
    query.close();
    let (named, cursor, limit) = form.finish((|| Some((named?, cursor?, limit?)))())?;
    named.check_client(&access).await?;
    let customer = named.find(&access.app, access.project_id()).await?;
    let stream = customer.stream(access.project_id());
    let purchases = customers::purchases_of(access.app.pool(), stream).await?;
    let mut products: Vec<(Option<&str>, Owned<'_>)> = owned(&purchases, access.app.now())
        .into_iter()
        .filter(|(_, owned)| access.access_type != AccessType::Client || !owned.product.server_only)
        .collect();
    products.sort_by(|(a, _), (b, _)| string_order(key(*a), key(*b)));
    let start = start_of_page(&products, cursor.as_deref())?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = products.get(start + page).map(|(id, _)| key(*id));
    let shown = products.iter().skip(start).take(page);
    let items: Vec<Value> = shown.map(|(id, owned)| show(&access, *id, owned)).collect();
    let body = json!({"items": items, "is_paginated": true, "pagination": {"next_cursor": next}});
    Ok(Json(body).into_response())
}

/// What a product is sorted by, and what a cursor names.
fn key(id: Option<&str>) -> &str {
    id.unwrap_or(INLINE)
}

fn start_of_page(products: &[(Option<&str>, Owned<'_>)], cursor: Option<&str>) -> ApiResult<usize> {
    let Some(cursor) = cursor else {
        return Ok(0);
    };
    let at = products.iter().position(|(id, _)| key(*id) == cursor);
    at.ok_or_else(|| refuse("The cursor is none of this list's."))
}

fn show(auth: &Auth, id: Option<&str>, owned: &Owned<'_>) -> Value {
    let subscription = owned.subscription.and_then(|purchase| {
        let subscription = purchase.subscription.as_ref()?;
        Some(json!({
            "subscription_id": purchase.id,
            "current_period_end": format_with_millis(subscription.period_end),
            "cancel_at_period_end": subscription.cancel_at_period_end,
            "is_cancelable": true,
        }))
    });
    let kind = if subscription.is_some() {
        "subscription"
    } else {
        "one_time"
    };
    let mut shown = json!({
        "id": id,
        "quantity": owned.quantity,
        "product": view(owned.product),
        "type": kind,
        "subscription": subscription,
    });
    if let Some(line) = &owned.product.product_line_id {
        shown["switch_options"] = switch_options(auth, id, owned.product, line);
    }
    shown
}

/// What could be had instead, in the same line.
fn switch_options(auth: &Auth, id: Option<&str>, product: &Product, line: &str) -> Value {
    let payments = &auth.project.catalogue;
    let others = payments
        .products
        .keys()
        .filter(|other| Some(other.as_str()) != id);
    let options = others.filter_map(|id| {
        let option = payments.product(id)?;
        let fits = option.is_in_line(line)
            && option.customer_type == product.customer_type
            && option.is_add_on_to.ids().is_empty()
            && option.interval_prices().next().is_some()
            && !(auth.access_type == AccessType::Client && option.server_only);
        fits.then(
            || json!({"product_id": id, "product": view_with(&option, option.interval_prices())}),
        )
    });
    options.collect()
}

/// Gives a customer a product without payment.
#[utoipa::path(post, path = "/payments/products/{customer_type}/{customer_id}", tag = "payments", request_body = Value,
    params(("customer_type" = String, Path), ("customer_id" = String, Path)),
    responses((status = 200, description = "`{success, subscription_id?}`"), (status = 404, description = "USER_NOT_FOUND, TEAM_NOT_FOUND"),
        (status = 400, description = "SCHEMA_ERROR, PRODUCT_DOES_NOT_EXIST, PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH, PRODUCT_ALREADY_GRANTED, or a sentence")))]
async fn grant(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let named = NamedCustomer::read(&mut form.params(), &CustomerType::NAMES);
    let mut body = form.body();
    let wanted = NamedProduct::read(&mut body, "product");
    let quantity = body.or_default("quantity", integer(1..=i64::from(i32::MAX)), 1);
    body.close();
    let (named, wanted, quantity) = form.finish((|| Some((named?, wanted?, quantity?)))())?;
    named.find(&access.app, access.project_id()).await?;
    let (id, product) = NamedProduct::choose(&access, wanted)?.resolve(&access)?;
    named.require_type(id.as_deref(), &product)?;
    let given = (id, product);
    let made = products::grant(access.request_context(), &named, given, quantity).await?;
    let mut answer = json!({"success": true});
    if let Some(id) = made {
        answer["subscription_id"] = json!(id);
    }
    Ok(Json(answer).into_response())
}

/// Cancels the subscriptions behind a product, or one of them, at the end of what is paid. Those at
/// Stripe are cancelled there, and are so here once Stripe says so.
#[utoipa::path(delete, path = "/payments/products/{customer_type}/{customer_id}/{product_id}", tag = "payments",
    params(("customer_type" = String, Path), ("customer_id" = String, Path), ("product_id" = String, Path), ("subscription_id" = Option<String>, Query)),
    responses((status = 200, description = "Cancelled"), (status = 403, description = "Somebody else's"), (status = 404, description = "USER_NOT_FOUND, TEAM_NOT_FOUND"),
        (status = 400, description = "PRODUCT_DOES_NOT_EXIST, PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH, or a sentence: there is nothing to cancel")))]
async fn cancel(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut params = form.params();
    let named = NamedCustomer::read(&mut params, &CustomerType::NAMES);
    let product = params.required("product_id", text);
    params.close();
    let mut query = form.query();
    let subscription = query.optional("subscription_id", text);
    query.close();
    let (named, product, subscription) =
        form.finish((|| Some((named?, product?, subscription?)))())?;
    named.check_client(&access).await?;
    let customer = named.find(&access.app, access.project_id()).await?;
    let selection = if let Some(id) = subscription.filter(|id| !id.is_empty()) {
        let missing = |_| refuse("The customer has no active subscription of that id.");
        Selection::Subscription(id.parse().map_err(missing)?)
    } else {
        named.require_type(Some(&product), &configured(&access, &product)?)?;
        Selection::Product(product)
    };
    products::cancel(access.request_context(), &customer, selection).await?;
    Ok(success())
}

fn refuse(text: &str) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, text)
}
