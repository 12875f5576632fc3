//! Links that sell a product to a customer: making them, and what is behind one.

use std::sync::Arc;

use muniment_domain::ProjectId;
use muniment_domain::customer::{CustomerRef, Product, owned};
use muniment_domain::verification_code::{MAX_ATTEMPTS, Purpose};
use muniment_event_store::{EventContext, LedgerError};
use muniment_projections::read_models::customers;
use muniment_projections::read_models::verification_codes::VerificationCodeRow;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::customers::{PURCHASE_CODE_MILLIS, purchase_code};
use super::named_customer::NamedCustomer;
use super::stripe_customers;
use crate::app::App;
use crate::app::auth::code_grounds;
use crate::app::auth::codes::{NewCode, issue};
use crate::app::auth::redirects::require_trusted;
use crate::app::projects::directory::LoadedProject;
use crate::app::projects::string_order;
use crate::app::request_context::RequestContext;
use crate::clients::stripe::ConnectedStripe;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};

/// What a purchase code stands for. The product is kept as it was when the code was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// Whom it sells to.
    pub customer: CustomerRef,
    /// The product's id, if it is one of the settings.
    pub product_id: Option<String>,
    /// The product.
    pub product: Product,
    /// Codes of before payments were taken have none.
    #[serde(default)]
    pub stripe: Option<Seller>,
}

/// Who sells at Stripe, and to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seller {
    /// The project's account: `acct_…`.
    pub account_id: String,
    /// The buyer, a customer of that account: `cus_…`.
    pub customer_id: String,
    /// Whether the account could charge when the code was made.
    pub charges_enabled: bool,
}

/// Makes a link that sells a product to a customer, whether the customer exists or not.
///
/// # Errors
/// `PRODUCT_ALREADY_GRANTED`, `REDIRECT_URL_NOT_WHITELISTED`; what Stripe refuses.
pub async fn create(
    request: RequestContext<'_>,
    stripe: &ConnectedStripe,
    named: &NamedCustomer,
    (product_id, product): (Option<String>, Product),
    return_url: Option<&str>,
) -> ApiResult<String> {
    let RequestContext { app, project, .. } = request;
    let customer = named.unchecked()?;
    let purchases = customers::purchases_of(app.pool(), customer.stream(&project.id)).await?;
    let is_owned = owned(&purchases, app.now()).contains_key(&product_id.as_deref());
    if product_id.is_some() && !product.stackable && is_owned {
        return Err(KnownError::product_already_granted(product_id.as_deref(), &named.id).into());
    }
    if let Some(url) = return_url {
        require_trusted(url, &project.config.domains)?;
    }
    let seller = seller(app, stripe, &customer).await?;
    let offer = Offer {
        customer,
        product_id,
        product,
        stripe: Some(seller),
    };
    let offer = serde_json::to_value(offer).map_err(ApiError::internal)?;
    let code =
        NewCode::generate(app, Purpose::PurchaseUrl, PURCHASE_CODE_MILLIS).remembering(offer);
    issue(app, &request.context_now(), &code).await?;
    Ok(link(request, code.text(), return_url))
}

/// Finds or makes the buyer at Stripe.
async fn seller(app: &App, stripe: &ConnectedStripe, customer: &CustomerRef) -> ApiResult<Seller> {
    let buyer = stripe_customers::for_purchase(stripe, customer, app.now()).await?;
    let account = stripe.platform().retrieve_account(stripe.account()).await?;
    Ok(Seller {
        account_id: stripe.account().to_owned(),
        customer_id: buyer.id,
        charges_enabled: account.charges_enabled,
    })
}

fn link(request: RequestContext<'_>, code: &str, return_url: Option<&str>) -> String {
    let (base, project) = (&request.app.dashboard_url, &request.project.id);
    let url = format!("{base}/purchase/{project}_{code}");
    let Some(return_url) = return_url else {
        return url;
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return_url", return_url)
        .finish();
    format!("{url}?{query}")
}

/// A purchase code that works, and where it leads.
pub struct Opened {
    /// The project that sells.
    pub project: Arc<LoadedProject>,
    /// The code.
    pub row: VerificationCodeRow,
    /// What it stands for.
    pub offer: Offer,
}

/// Looks a purchase code up.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND`, `VERIFICATION_CODE_MAX_ATTEMPTS_REACHED`.
pub async fn open(app: &App, full_code: &str) -> ApiResult<Opened> {
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
    let offer: Offer = serde_json::from_value(row.data.clone()).map_err(ApiError::internal)?;
    require_customer(app, &project.id, &offer.customer).await?;
    Ok(Opened {
        project,
        row,
        offer,
    })
}

/// A user or team that was deleted since the link was made buys nothing, and nothing is written
/// about them.
async fn require_customer(app: &App, project: &ProjectId, customer: &CustomerRef) -> ApiResult<()> {
    let context = EventContext::system(project.clone(), "purchase link", app.now());
    let exists = app
        .log
        .transact(&context, |mut unit| async move {
            let exists = code_grounds::is_not_deleted(&mut unit, customer).await?;
            Ok::<_, LedgerError>((unit, exists))
        })
        .await?;
    if exists {
        return Ok(());
    }
    Err(KnownError::verification_code_not_found().into())
}

/// The project that a purchase code names.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND`.
pub async fn find_project(app: &App, id: &str) -> ApiResult<Arc<LoadedProject>> {
    let project = app.projects.find(&ProjectId::from_caller(id)).await?;
    project.ok_or_else(|| KnownError::verification_code_not_found().into())
}

/// What stands in the way of buying what a code sells.
#[derive(Clone, Debug)]
pub struct Obstacles {
    /// The customer has it already, and can have it once only.
    pub already_bought: bool,
    /// The products of the same line that the customer has: their ids and names.
    pub conflicting: Vec<(String, String)>,
}

/// Looks for what stands in the way of buying what a code sells.
///
/// # Errors
/// When the database fails.
pub async fn obstacles(app: &App, project: &LoadedProject, offer: &Offer) -> ApiResult<Obstacles> {
    let stream = offer.customer.stream(&project.id);
    let purchases = customers::purchases_of(app.pool(), stream).await?;
    let owned = owned(&purchases, app.now());
    let id = offer.product_id.as_deref();
    let line = offer.product.product_line_id.as_deref();
    let line = line.filter(|line| project.catalogue.product_lines.contains_key(*line));
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
        (id.to_owned(), name.to_owned())
    });
    Ok(Obstacles {
        already_bought: id.is_some() && owned.contains_key(&id) && !offer.product.stackable,
        conflicting: conflicting.collect(),
    })
}
