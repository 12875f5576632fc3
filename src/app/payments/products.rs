//! Products that are given without payment, and cancelling.

use muniment_domain::PurchaseId;
use muniment_domain::customer::{
    CustomerCommand, CustomerRef, Product, Purchase, PurchaseSource, Selection, WantedPurchase,
    owned,
};
use muniment_projections::read_models::customers;

use super::checkout;
use super::customers::{carry_out, purchase};
use super::named_customer::NamedCustomer;
use super::purchases::{make_way, refused};
use super::stripe_customers::require_connected;
use crate::app::request_context::RequestContext;
use crate::error::ApiResult;

/// Gives a customer who exists a product without payment. Yields the subscription, if it is one.
///
/// # Errors
/// What the customer refuses; what Stripe refuses.
pub async fn grant(
    request: RequestContext<'_>,
    named: &NamedCustomer,
    (product_id, product): (Option<String>, Product),
    quantity: i64,
) -> ApiResult<Option<PurchaseId>> {
    let RequestContext {
        app,
        context,
        project,
        ..
    } = request;
    let id = PurchaseId(app.random.uuid());
    let wanted = WantedPurchase {
        customer: named.unchecked()?,
        id,
        product_id: product_id.clone(),
        product,
        price_id: None,
        quantity,
        source: PurchaseSource::ApiGrant,
        now: context.now,
    };
    make_way(app, project, &wanted).await?;
    purchase(app, context, wanted, None)
        .await
        .map_err(|error| refused(error, product_id.as_deref(), &named.id))?;
    let made = customers::purchase(app.pool(), &project.id, id).await?;
    let is_subscription = made.is_some_and(|made| made.purchase.subscription.is_some());
    Ok(is_subscription.then_some(id))
}

/// Cancels what is selected at the end of what is paid. What is at Stripe is cancelled there, and is
/// so here once Stripe says so.
///
/// # Errors
/// When there is nothing to cancel; what Stripe refuses.
pub async fn cancel(
    request: RequestContext<'_>,
    customer: &CustomerRef,
    selection: Selection,
) -> ApiResult<()> {
    cancel_at_stripe(request, customer, &selection).await?;
    let context = request.context_now();
    let command = CustomerCommand::Cancel {
        selection,
        now: context.now,
    };
    carry_out(request.app, &context, customer, &command, None)
        .await
        .map_err(|error| refused(error, None, &customer.id_text()))
}

/// Ends what is selected at Stripe. Whether anything is, the customer says.
async fn cancel_at_stripe(
    request: RequestContext<'_>,
    customer: &CustomerRef,
    selection: &Selection,
) -> ApiResult<()> {
    let stream = customer.stream(&request.project.id);
    let purchases = customers::purchases_of(request.app.pool(), stream).await?;
    if let Selection::Product(id) = selection
        && !owned(&purchases, request.app.now()).contains_key(&Some(id))
    {
        return Ok(());
    }
    let selected = purchases
        .iter()
        .filter(|purchase| purchase.is_active() && selection.means(purchase));
    for id in selected.filter_map(Purchase::stripe_subscription) {
        checkout::cancel(&require_connected(request.app, request.project)?, id).await?;
    }
    Ok(())
}
