//! Rules that all ways of selling have in common.

use axum::http::StatusCode;
use muniment_domain::customer::{CustomerError, Purchase, WantedPurchase, check};
use muniment_event_store::LedgerError;
use muniment_projections::read_models::customers;

use super::checkout;
use super::stripe_customers::require_connected;
use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};

/// Whether the project sells at present.
///
/// # Errors
/// `NEW_PURCHASES_BLOCKED`.
pub fn require_open(project: &LoadedProject) -> ApiResult<()> {
    if project.catalogue.block_new_purchases {
        return Err(KnownError::new_purchases_blocked().into());
    }
    Ok(())
}

/// What a customer refuses, as callers are told.
#[must_use]
pub fn refused(error: LedgerError, product: Option<&str>, customer: &str) -> ApiError {
    match error {
        LedgerError::Customer(CustomerError::AlreadyGranted) => {
            KnownError::product_already_granted(product, customer).into()
        }
        LedgerError::Customer(refusal) if !matches!(refusal, CustomerError::Gone(..)) => {
            ApiError::text(StatusCode::BAD_REQUEST, refusal.to_string())
        }
        LedgerError::VerificationCode(_) => KnownError::verification_code_not_found().into(),
        other => other.into(),
    }
}

/// Ends at Stripe what has to give way to a purchase, if anything there does. Its
/// row follows when Stripe says so.
///
/// # Errors
/// What the customer refuses; what Stripe refuses; text 400 when payments are not set up.
pub async fn make_way(
    app: &App,
    project: &LoadedProject,
    wanted: &WantedPurchase,
) -> ApiResult<()> {
    let stream = wanted.customer.stream(&project.id);
    let purchases = customers::purchases_of(app.pool(), stream).await?;
    let refused = |refusal: CustomerError| {
        let (product, customer) = (wanted.product_id.as_deref(), wanted.customer.id_text());
        refused(refusal.into(), product, &customer)
    };
    let replaced = check(&purchases, wanted, app.now()).map_err(refused)?;
    // What has no price is not bought, so nothing gives way to it.
    let is_bought = wanted.price().map_err(refused)?.is_some();
    let mut replaced = purchases
        .iter()
        .filter(|purchase| is_bought && Some(purchase.id) == replaced);
    match replaced.next().and_then(Purchase::stripe_subscription) {
        Some(id) => Ok(checkout::cancel(&require_connected(app, project)?, id).await?),
        None => Ok(()),
    }
}
