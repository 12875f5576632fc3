//! `/payments/purchases`: links that sell a product, and what their page shows.

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri, State};
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::named_customer::{Customer, NoSuchCustomer, NotOwn, StripeRefusals};
use super::named_product::{NamedOffer, NamedProduct, NoSuchProduct};
use super::views::ProductView;
use crate::app::App;
use crate::app::auth::redirects::require_trusted;
use crate::app::payments::named_customer::NamedCustomer;
use crate::app::payments::purchase_links::{self, Opened, find_project, obstacles, open};
use crate::app::payments::purchases::require_open;
use crate::app::payments::stripe_customers::require_connected;
use crate::error::codes::{
    Errors, NewPurchasesBlocked, ProductAlreadyGranted, ProductCustomerTypeDoesNotMatch,
    RedirectUrlNotWhitelisted, VerificationCodeMaxAttemptsReached, VerificationCodeNotFound,
};
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::describe::{OperationDescription, OperationInput};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::{extract, request};
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::{text, url_text};

/// The versions of the API that call a product by its new name only.
const WITHOUT_OLD_NAMES: [&str; 2] = ["/api/v2beta5/", "/api/latest/"];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(create_purchase_url))
        .routes(operations!(describe_purchase_code, check_purchase_code))
}

request! {
    /// What is sold to whom.
    struct CreatePurchaseUrl {
        body {
            .. customer: Customer;
            .. product: NamedProduct;
            .. offer: NamedOffer;
            /// Where the page leads back to, on a trusted domain.
            return_url: Option<String> = optional(url_text());
        }
    }

    /// What is sold to whom, in versions of the API without old names.
    struct CreateProductPurchaseUrl {
        body {
            .. customer: Customer;
            .. product: NamedProduct;
            /// Where the page leads back to, on a trusted domain.
            return_url: Option<String> = optional(url_text());
        }
    }

    /// A purchase code to look up.
    struct DescribePurchaseCode {
        body {
            /// The code of a purchase link: the project's id, `_`, and a secret.
            full_code: String = required(text());
            /// Where the page leads back to. It has to be on a trusted domain.
            return_url: Option<String> = optional(url_text());
        }
    }

    /// A purchase code to check.
    struct CheckPurchaseCode {
        query {
            /// The code of a purchase link: the project's id, `_`, and a secret.
            full_code: String = required(text());
            /// Where the page leads back to. It has to be on a trusted domain.
            return_url: Option<String> = optional(url_text());
        }
    }
}

/// What is sold to whom, in any version of the API.
struct Sale {
    customer: NamedCustomer,
    product: NamedProduct,
    return_url: Option<String>,
}

impl FromRequestParts<App> for Sale {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let original = parts.extensions.get::<OriginalUri>();
        let path = original.map_or(parts.uri.path(), |uri| uri.path());
        if WITHOUT_OLD_NAMES.iter().any(|it| path.starts_with(it)) {
            let sale: CreateProductPurchaseUrl = extract(parts, app).await?;
            return Ok(Self {
                customer: (&sale.customer).into(),
                product: sale.product,
                return_url: sale.return_url,
            });
        }
        let sale: CreatePurchaseUrl = extract(parts, app).await?;
        Ok(Self {
            customer: (&sale.customer).into(),
            product: sale.product.or(sale.offer),
            return_url: sale.return_url,
        })
    }
}

impl OperationInput for Sale {
    /// The reference describes the first version.
    fn describe(operation: &mut OperationDescription) {
        CreatePurchaseUrl::describe(operation);
    }
}

/// Why a product is not sold to a customer.
type NotForSale = (
    NewPurchasesBlocked,
    (NotOwn, NoSuchCustomer),
    (NoSuchProduct, ProductCustomerTypeDoesNotMatch),
    ProductAlreadyGranted,
    RedirectUrlNotWhitelisted,
    StripeRefusals,
);

/// A link that sells a product.
#[derive(Serialize, ToSchema)]
struct PurchaseUrl {
    /// Where its page is.
    #[schema(format = "uri")]
    url: String,
}

/// Makes a link that sells a product to a customer.
///
/// The customer need not exist. The link works for a day.
#[utoipa::path(post, path = "/payments/purchases/create-purchase-url", tag = "payments",
    responses(Errors<NotForSale>))]
async fn create_purchase_url(access: ClientAccess, sale: Sale) -> ApiResult<Json<PurchaseUrl>> {
    let Sale {
        customer,
        product,
        return_url,
    } = sale;
    require_open(&access.project)?;
    customer.check_client(&access.app, &access).await?;
    let stripe = require_connected(&access.app, &access.project)?;
    let (id, product) = product.resolve(&access)?;
    customer.require_type(id.as_deref(), &product)?;
    let (request, sold) = (access.request_context(), (id, product));
    let return_url = return_url.as_deref();
    let url = purchase_links::create(request, &stripe, &customer, sold, return_url).await?;
    Ok(Json(PurchaseUrl { url }))
}

/// What a purchase code sells, and what stands in its way.
#[derive(Serialize, ToSchema)]
struct SoldProduct {
    /// Whether the customer has the product already, and can have it once only.
    already_bought_non_stackable: bool,
    /// Whether the project's account at Stripe could charge when the code was made.
    charges_enabled: bool,
    /// The products of the same line that the customer has.
    conflicting_products: Vec<ConflictingProduct>,
    /// The product, as it was when the code was made.
    product: ProductView,
    /// The project that sells.
    project_id: String,
    /// A picture of the project.
    #[schema(required)]
    project_logo_url: Option<String>,
    /// The project's account at Stripe: `acct_…`.
    #[schema(required)]
    stripe_account_id: Option<String>,
    /// Whether the project lets purchases be tried out without paying.
    test_mode: bool,
}

/// A product of the same line that the customer has.
#[derive(Serialize, ToSchema)]
struct ConflictingProduct {
    /// Its name for people.
    display_name: String,
    /// Its id.
    product_id: String,
}

/// Why a purchase code does not work.
type CodeRefusals = (VerificationCodeNotFound, RedirectUrlNotWhitelisted);

/// Says what a purchase code sells.
///
/// The code is not used up by it.
#[utoipa::path(post, path = "/payments/purchases/validate-code", tag = "payments",
    responses(Errors<(CodeRefusals, VerificationCodeMaxAttemptsReached)>))]
async fn describe_purchase_code(
    State(app): State<App>,
    wanted: DescribePurchaseCode,
) -> ApiResult<Json<SoldProduct>> {
    let Opened { project, offer, .. } = open(&app, &wanted.full_code).await?;
    if let Some(url) = &wanted.return_url {
        require_trusted(url, &project.config.domains)?;
    }
    let obstacles = obstacles(&app, &project, &offer).await?;
    let conflicting = obstacles.conflicting.into_iter();
    let conflicting = conflicting.map(|(product_id, display_name)| ConflictingProduct {
        display_name,
        product_id,
    });
    let seller = offer.stripe.as_ref();
    Ok(Json(SoldProduct {
        already_bought_non_stackable: obstacles.already_bought,
        charges_enabled: seller.is_some_and(|seller| seller.charges_enabled),
        conflicting_products: conflicting.collect(),
        product: ProductView::of(&offer.product),
        project_id: project.id.to_string(),
        project_logo_url: project.profile.logo_url.clone(),
        stripe_account_id: seller.map(|seller| seller.account_id.clone()),
        test_mode: project.catalogue.test_mode,
    }))
}

/// A purchase code is fine, as far as can be said without looking it up.
#[derive(Serialize, ToSchema)]
struct PurchaseCodeIsValid {
    /// Always true: of one that is not, an error is told.
    valid: bool,
}

/// Says whether a purchase code names a project, and a URL is one to return to.
#[utoipa::path(get, path = "/payments/purchases/validate-code", tag = "payments",
    responses(Errors<CodeRefusals>))]
async fn check_purchase_code(
    State(app): State<App>,
    wanted: CheckPurchaseCode,
) -> ApiResult<Json<PurchaseCodeIsValid>> {
    let project = wanted.full_code.split('_').next().unwrap_or_default();
    let project = find_project(&app, project).await?;
    if let Some(url) = &wanted.return_url {
        require_trusted(url, &project.config.domains)?;
    }
    Ok(Json(PurchaseCodeIsValid { valid: true }))
}
