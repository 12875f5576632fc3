//! What the page of a purchase link asks for: a session that pays, or one that tries it out.

use axum::http::StatusCode;
use muniment_domain::customer::{
    CustomerCommand, CustomerRef, Purchase, PurchaseSource, WantedPurchase, check,
};
use muniment_domain::{PurchaseId, VerificationCodeId};
use muniment_event_store::EventContext;
use muniment_projections::read_models::customers;

use super::checkout::{self, Charge, Sale};
use super::customers::{carry_out, purchase, record_product_version, redeem};
use super::purchase_links::{Offer, Opened};
use super::purchases::{make_way, refused};
use super::stripe_customers::no_payments;
use crate::app::App;
use crate::error::{ApiError, ApiResult};

/// What a page asks for, at which price and how often.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The price.
    pub price_id: String,
    /// How many.
    pub quantity: i64,
}

impl Choice {
    fn of(self, app: &App, offer: Offer, source: PurchaseSource) -> WantedPurchase {
        WantedPurchase {
            customer: offer.customer,
            id: PurchaseId(app.random.uuid()),
            product_id: offer.product_id,
            product: offer.product,
            price_id: Some(self.price_id),
            quantity: self.quantity,
            source,
            now: app.now(),
        }
    }
}

/// Begins to pay for what a purchase code sells, and uses the code up. Yields the secret with which
/// the page pays.
///
/// # Errors
/// What the customer refuses; text 400 for a price that cannot be charged, and when payments are
/// not set up; what Stripe refuses.
pub async fn begin(
    app: &App,
    context: &EventContext,
    opened: Opened,
    choice: Choice,
) -> ApiResult<String> {
    let Opened {
        project,
        row,
        offer,
    } = opened;
    let seller = offer.stripe.clone();
    let wanted = choice.of(app, offer, PurchaseSource::PurchasePage);
    let (product_id, customer_id) = (wanted.product_id.as_deref(), wanted.customer.id_text());
    let stream = wanted.customer.stream(&project.id);
    let purchases = customers::purchases_of(app.pool(), stream).await?;
    let replaced = check(&purchases, &wanted, app.now())
        .map_err(|refusal| refused(refusal.into(), product_id, &customer_id))?;
    let (charge, price_id) = charged(&wanted)?;
    let seller = seller.ok_or_else(no_payments)?;
    let stripe = app.stripe.as_ref().ok_or_else(no_payments)?;
    let stripe = stripe.on(&seller.account_id);
    let (customer, product) = (&wanted.customer, &wanted.product);
    let version = record_product_version(app, context, customer, product_id, product).await?;
    let sale = Sale {
        project: &project.id,
        customer,
        payer: &seller.customer_id,
        product_id,
        product,
        version: &version,
        price_id,
        quantity: wanted.quantity,
        code: row.code_id(),
        now: context.now,
    };
    let replaced = purchases.iter().find(|it| Some(it.id) == replaced);
    let at_stripe = replaced.and_then(Purchase::stripe_subscription);
    let secret = checkout::begin(&stripe, &sale, charge, at_stripe)
        .await?
        .ok_or_else(|| ApiError::internal("Stripe gave no secret to pay with"))?;
    let local = replaced.filter(|_| at_stripe.is_none());
    settle(app, context, &wanted.customer, row.code_id(), local).await?;
    Ok(secret)
}

/// Buys what a purchase code sells without paying, to try it out. Uses the code up.
///
/// # Errors
/// What the customer refuses; what Stripe refuses.
pub async fn try_out(
    app: &App,
    context: &EventContext,
    opened: Opened,
    choice: Choice,
) -> ApiResult<()> {
    let wanted = choice.of(app, opened.offer, PurchaseSource::TestMode);
    let (product, customer) = (wanted.product_id.clone(), wanted.customer.id_text());
    make_way(app, &opened.project, &wanted).await?;
    purchase(app, context, wanted, Some(opened.row.code_id()))
        .await
        .map_err(|error| refused(error, product.as_deref(), &customer))
}

/// What is charged, at which price.
fn charged(wanted: &WantedPurchase) -> ApiResult<(Charge, &str)> {
    let chosen = wanted.price_id.as_deref().and_then(|id| {
        let price = wanted.product.prices.listed().get(id)?;
        Some((Charge::of(price, wanted.quantity)?, id))
    });
    chosen.ok_or_else(|| {
        ApiError::text(
            StatusCode::BAD_REQUEST,
            "The price cannot be charged: it is not in US dollars, or beyond counting. Choose another one.",
        )
    })
}

/// Uses the code up and ends the subscription that gives way, together.
async fn settle(
    app: &App,
    context: &EventContext,
    customer: &CustomerRef,
    code: VerificationCodeId,
    replaced: Option<&Purchase>,
) -> ApiResult<()> {
    let now = context.now;
    let done = if let Some(replaced) = replaced {
        let subscription = replaced.id;
        let command = CustomerCommand::EndNow { subscription, now };
        carry_out(app, context, customer, &command, Some(code)).await
    } else {
        redeem(app, context, customer, code).await
    };
    done.map_err(|error| refused(error, None, &customer.id_text()))
}
