//! `/payments/products`: what a customer owns, grants without payment, and cancelling.

use axum::Json;
use muniment_domain::customer::{Owned, Product, Purchase, Selection, owned};
use muniment_event_store::AccessType;
use muniment_projections::read_models::customers;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::named_customer::{
    Customer, NoSuchCustomer, OwnCustomer, StripeRefusals, names_customer,
};
use super::named_product::{NamedProduct, NoSuchProduct, configured};
use super::views::ProductView;
use crate::app::App;
use crate::app::payments::named_customer::NamedCustomer;
use crate::app::payments::products;
use crate::app::projects::string_order;
use crate::error::codes::{
    Errors, ProductAlreadyGranted, ProductCustomerTypeDoesNotMatch, ProductDoesNotExist, Text,
};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Page, Success};
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::declare::request;
use crate::http::request::presence::{optional, or_default, required};
use crate::http::request::shape::scalars::{integer, text};
use crate::timestamp::format_with_millis;

/// The key of the products that were made up for a purchase.
const INLINE: &str = "__null__";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_customer_products, grant_product))
        .routes(operations!(cancel_product))
}

request! {
    /// Which products of a customer are wanted.
    struct ListCustomerProducts {
        path {
            .. customer: Customer;
        }
        query {
            /// Where the page begins: the `next_cursor` of the one before.
            cursor: Option<String> = optional(text());
            /// How many there should be at most.
            limit: i64 = or_default(integer(1..=100), 10);
        }
    }

    /// A product that a customer is to have.
    struct GrantProduct {
        path {
            .. customer: Customer;
        }
        body {
            .. product: NamedProduct;
            /// How many of it. More than one only if it is stackable.
            quantity: i64 = or_default(integer(1..=i64::from(i32::MAX)), 1);
        }
    }

    /// A product that a customer gives up.
    struct CancelProduct {
        path {
            .. customer: Customer;
            /// The product's id in the project's settings.
            product_id: String = required(text());
        }
        query {
            /// Only this subscription is cancelled, whatever the product. An empty one counts as
            /// missing.
            subscription_id: Option<String> = optional(text());
        }
    }
}

names_customer!(ListCustomerProducts, CancelProduct);

/// A product that a customer owns.
#[derive(Serialize, ToSchema)]
struct OwnedProduct {
    /// The product's id. Null for those that were described for a purchase, which count as one.
    #[schema(required)]
    id: Option<String>,
    /// The product, as it was when it was bought.
    product: ProductView,
    /// How many of it the customer owns.
    quantity: i64,
    /// The subscription for it, if there is one.
    #[schema(required)]
    subscription: Option<OwnedSubscription>,
    /// What could be had instead, if the product is in a product line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    switch_options: Option<Vec<SwitchOption>>,
    #[serde(rename = "type")]
    kind: ProductOwnership,
}

/// How a product is owned.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ProductOwnership {
    /// As long as it is paid for.
    Subscription,
    /// For good.
    OneTime,
}

/// A subscription by which a product is owned.
#[derive(Serialize, ToSchema)]
struct OwnedSubscription {
    /// Whether it ends with the present period.
    cancel_at_period_end: bool,
    /// The end of what is paid, in RFC 3339.
    #[schema(format = DateTime)]
    current_period_end: String,
    /// Always true.
    is_cancelable: bool,
    /// The subscription's id.
    subscription_id: Uuid,
}

impl OwnedSubscription {
    fn of(purchase: &Purchase) -> Option<Self> {
        let subscription = purchase.subscription.as_ref()?;
        Some(Self {
            cancel_at_period_end: subscription.cancel_at_period_end,
            current_period_end: format_with_millis(subscription.period_end),
            is_cancelable: true,
            subscription_id: purchase.id.0,
        })
    }
}

/// A product that could be had instead.
#[derive(Serialize, ToSchema)]
struct SwitchOption {
    /// The product, with the prices that are paid again and again.
    product: ProductView,
    /// Its id.
    product_id: String,
}

/// Lists the products that a customer owns now.
#[utoipa::path(get, path = "/payments/products/{customer_type}/{customer_id}", tag = "payments",
    responses(Errors<(NoSuchCustomer, Text<400>)>))]
async fn list_customer_products(
    access: ClientAccess,
    OwnCustomer(named, wanted): OwnCustomer<ListCustomerProducts>,
) -> ApiResult<Json<Page<OwnedProduct>>> {
    let customer = named.find(&access.app, access.project_id()).await?;
    let stream = customer.stream(access.project_id());
    let purchases = customers::purchases_of(access.app.pool(), stream).await?;
    let mut products: Vec<(Option<&str>, Owned<'_>)> = owned(&purchases, access.app.now())
        .into_iter()
        .filter(|(_, owned)| access.access_type != AccessType::Client || !owned.product.server_only)
        .collect();
    products.sort_by(|(a, _), (b, _)| string_order(key(*a), key(*b)));
    let start = start_of_page(&products, wanted.cursor.as_deref())?;
    let page = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let next = products.get(start + page).map(|(id, _)| key(*id));
    let shown = products.iter().skip(start).take(page);
    let items = shown.map(|(id, owned)| show(&access, *id, owned));
    Ok(Page::of(items.collect(), next.map(str::to_owned)))
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
    at.ok_or_else(|| ApiError::bad_request("The cursor is none of this list's."))
}

fn show(auth: &Auth, id: Option<&str>, owned: &Owned<'_>) -> OwnedProduct {
    let subscription = owned.subscription.and_then(OwnedSubscription::of);
    let line = owned.product.product_line_id.as_deref();
    OwnedProduct {
        id: id.map(str::to_owned),
        product: ProductView::of(owned.product),
        quantity: owned.quantity,
        kind: if subscription.is_some() {
            ProductOwnership::Subscription
        } else {
            ProductOwnership::OneTime
        },
        subscription,
        switch_options: line.map(|line| switch_options(auth, id, owned.product, line)),
    }
}

/// What could be had instead, in the same line.
fn switch_options(
    auth: &Auth,
    id: Option<&str>,
    product: &Product,
    line: &str,
) -> Vec<SwitchOption> {
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
        fits.then(|| SwitchOption {
            product: ProductView::with_prices(&option, option.interval_prices()),
            product_id: id.clone(),
        })
    });
    options.collect()
}

/// What was given.
#[derive(Serialize, ToSchema)]
struct GrantedProduct {
    /// The subscription, if the product is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    subscription_id: Option<Uuid>,
    /// Always true.
    success: bool,
}

/// Gives a customer a product without payment.
#[utoipa::path(post, path = "/payments/products/{customer_type}/{customer_id}", tag = "payments",
    responses(Errors<(NoSuchCustomer, NoSuchProduct, ProductCustomerTypeDoesNotMatch, ProductAlreadyGranted, StripeRefusals)>))]
async fn grant_product(
    access: ServerAccess,
    wanted: GrantProduct,
) -> ApiResult<Json<GrantedProduct>> {
    let named = NamedCustomer::from(&wanted.customer);
    named.find(&access.app, access.project_id()).await?;
    let (id, product) = wanted.product.resolve(&access)?;
    named.require_type(id.as_deref(), &product)?;
    let (request, given) = (access.request_context(), (id, product));
    let made = products::grant(request, &named, given, wanted.quantity).await?;
    Ok(Json(GrantedProduct {
        subscription_id: made.map(|id| id.0),
        success: true,
    }))
}

/// Cancels the subscriptions behind a product, or one of them, at the end of what is paid.
///
/// Those at Stripe are cancelled there, and are so here once Stripe says so.
#[utoipa::path(delete, path = "/payments/products/{customer_type}/{customer_id}/{product_id}", tag = "payments",
    responses(Errors<(NoSuchCustomer, ProductDoesNotExist, ProductCustomerTypeDoesNotMatch, StripeRefusals)>))]
async fn cancel_product(
    access: ClientAccess,
    OwnCustomer(named, wanted): OwnCustomer<CancelProduct>,
) -> ApiResult<Json<Success>> {
    let customer = named.find(&access.app, access.project_id()).await?;
    let subscription = wanted.subscription_id.filter(|id| !id.is_empty());
    let selection = if let Some(id) = subscription {
        let missing = "The customer has no active subscription of that id.";
        let id = id.parse().map_err(|_| ApiError::bad_request(missing))?;
        Selection::Subscription(id)
    } else {
        let product = wanted.product_id;
        named.require_type(Some(&product), &configured(&access, &product)?)?;
        Selection::Product(product)
    };
    products::cancel(access.request_context(), &customer, selection).await?;
    Ok(Success::ANSWER)
}
