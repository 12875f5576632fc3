//! Who pays at Stripe: the customers of a project's account there.
//!
//! Stripe knows our customers by the metadata `customerId` and `customerType`. Its search index
//! lags behind, so a customer that is not found may exist; it is made under an idempotency key of
//! its own, so that within an hour there is only one however many requests make it.

use axum::http::StatusCode;
use muniment_domain::Millis;
use muniment_domain::customer::{CustomerRef, CustomerType, derived_uuid};

use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::clients::stripe::{ConnectedStripe, Customer, Metadata, StripeError};
use crate::error::{ApiError, ApiResult};

/// Pages of the customer list that are looked through at most.
const PAGES: usize = 10;
/// How long the same request to make a customer is the same one.
const HOUR_MILLIS: i64 = 60 * 60 * 1000;

/// Why a customer was not found.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Several customers there claim to be this one, and a payment must not go to the wrong one.
    #[error("several customers at Stripe have the id {0} in their metadata; delete all but one")]
    Ambiguous(String),
    /// Stripe.
    #[error(transparent)]
    Stripe(#[from] StripeError),
}

impl From<LookupError> for ApiError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Stripe(error) => error.into(),
            ambiguous @ LookupError::Ambiguous(_) => Self::internal(ambiguous),
        }
    }
}

/// Stripe in the name of the project's account, if it has one and this server knows Stripe.
#[must_use]
pub fn connected(app: &App, project: &LoadedProject) -> Option<ConnectedStripe> {
    let account = project.stripe_account_id.as_deref()?;
    Some(app.stripe.as_ref()?.on(account))
}

/// Stripe in the name of the project's account, for what cannot do without.
///
/// # Errors
/// Text 400 when payments are not set up.
pub fn require_connected(app: &App, project: &LoadedProject) -> ApiResult<ConnectedStripe> {
    connected(app, project).ok_or_else(no_payments)
}

/// The refusal of a payment to a project that takes none.
#[must_use]
pub fn no_payments() -> ApiError {
    ApiError::text(
        StatusCode::BAD_REQUEST,
        "Payments are not set up for this project.",
    )
}

/// The name of a type of customer in Stripe's metadata.
#[must_use]
pub fn type_name(kind: CustomerType) -> &'static str {
    match kind {
        CustomerType::User => "USER",
        CustomerType::Team => "TEAM",
        CustomerType::Custom => "CUSTOM",
    }
}

/// What a customer at Stripe says about who it is here.
#[must_use]
pub fn identity(customer: &CustomerRef) -> Metadata {
    let kind = type_name(customer.customer_type());
    Metadata::from([
        ("customerId".to_owned(), customer.id_text()),
        ("customerType".to_owned(), kind.to_owned()),
    ])
}

/// The customer at Stripe, if there is one.
///
/// # Errors
/// When there are several.
pub async fn find(
    stripe: &ConnectedStripe,
    customer: &CustomerRef,
) -> Result<Option<Customer>, LookupError> {
    let mut found = search(stripe, customer).await?;
    if found.is_empty() {
        found = look_through(stripe, customer).await?;
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(LookupError::Ambiguous(customer.id_text())),
    }
}

/// The customer at Stripe, which is made if there is none.
///
/// # Errors
/// When there are several.
pub async fn ensure(
    stripe: &ConnectedStripe,
    customer: &CustomerRef,
    now: Millis,
) -> Result<Customer, LookupError> {
    match find(stripe, customer).await? {
        Some(found) => Ok(found),
        None => Ok(create(stripe, customer, now).await?),
    }
}

/// The customer at Stripe for a purchase: the first that the search finds, or a new one.
///
/// # Errors
/// What Stripe refuses.
pub async fn for_purchase(
    stripe: &ConnectedStripe,
    customer: &CustomerRef,
    now: Millis,
) -> Result<Customer, StripeError> {
    let Some(found) = search(stripe, customer).await?.into_iter().next() else {
        return create(stripe, customer, now).await;
    };
    // What is paid is booked under the type that the customer names.
    if found.metadata.contains_key("customerType") || stripe.platform().is_mock() {
        return Ok(found);
    }
    let identity = identity(customer);
    stripe.update_customer_metadata(&found.id, &identity).await
}

async fn create(
    stripe: &ConnectedStripe,
    customer: &CustomerRef,
    now: Millis,
) -> Result<Customer, StripeError> {
    let identity = identity(customer);
    let hour = now.0.div_euclid(HOUR_MILLIS).to_string();
    let (kind, id) = (customer.customer_type().as_str(), customer.id_text());
    let key = derived_uuid(&["stripe-customer", stripe.account(), kind, &id, &hour]);
    stripe
        .create_customer(&identity, Some(&key.to_string()))
        .await
}

async fn search(
    stripe: &ConnectedStripe,
    customer: &CustomerRef,
) -> Result<Vec<Customer>, StripeError> {
    let mut found = stripe.search_customers(&customer.id_text()).await?;
    if stripe.platform().is_mock() {
        // The mock has one customer, who is everybody.
        found.truncate(1);
        return Ok(found);
    }
    let kind = type_name(customer.customer_type());
    found.retain(|hit| hit.metadata.get("customerType").is_none_or(|it| it == kind));
    Ok(found)
}

/// Those of the newest customers that are this one, whether the search knows them or not.
async fn look_through(
    stripe: &ConnectedStripe,
    customer: &CustomerRef,
) -> Result<Vec<Customer>, StripeError> {
    let identity = identity(customer);
    let is_mock = stripe.platform().is_mock();
    let is_it = |it: &Customer| {
        let said = |name: &str| it.metadata.get(name) == identity.get(name);
        is_mock || (said("customerId") && said("customerType"))
    };
    let mut after: Option<String> = None;
    for _ in 0..PAGES {
        let page = stripe.list_customers(after.as_deref()).await?;
        after = page.data.last().map(|last| last.id.clone());
        let found: Vec<Customer> = page.data.into_iter().filter(is_it).collect();
        if is_mock {
            return Ok(found.into_iter().take(1).collect());
        }
        if !found.is_empty() || !page.has_more {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}
