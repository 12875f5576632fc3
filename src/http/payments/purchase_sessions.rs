//! What the page of a purchase link asks for: a session that pays, or one that tries it out
//! (contract 06 §6.4, §6.5).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::customer::{
    CustomerCommand, CustomerRef, Purchase, PurchaseSource, WantedPurchase, check,
};
use muniment_domain::verification_code::{VerificationCode, VerificationCodeCommand};
use muniment_domain::{PurchaseId, VerificationCodeId};
use muniment_projections::EventContext;
use muniment_projections::read_models::customers;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::purchases::{Offer, Opened, open};
use super::{make_way, no_payments, refused};
use crate::app::App;
use crate::app::payments::checkout::{self, Charge, Sale};
use crate::app::payments::customers::{carry_out, purchase, record_product_version};
use crate::app::projects::LoadedProject;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::caller::Caller;
use crate::http::request::input::{Input, integer, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(purchase_session))
        .routes(routes!(test_mode_session))
}

/// A purchase that a page asks for.
struct Session {
    full_code: String,
    price_id: String,
    quantity: i64,
}

impl Session {
    fn read(input: &Input) -> ApiResult<Self> {
        let mut form = input.form(None).no_query();
        let mut body = form.body();
        let full_code = body.required("full_code", text);
        let price_id = body.required("price_id", text);
        let quantity = body.or_default("quantity", integer(1..=i64::from(i32::MAX)), 1);
        body.close();
        form.finish((|| {
            Some(Self {
                full_code: full_code?,
                price_id: price_id?,
                quantity: quantity?,
            })
        })())
    }

    fn wanted(self, app: &App, offer: Offer, source: PurchaseSource) -> WantedPurchase {
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

fn require_project_open(project: &LoadedProject) -> ApiResult<()> {
    if project.catalogue.block_new_purchases {
        return Err(KnownError::new_purchases_blocked().into());
    }
    Ok(())
}

/// Begins to pay for what a purchase code sells, and uses the code up. It belongs to the customer
/// once Stripe says that it was paid.
#[utoipa::path(post, path = "/payments/purchases/purchase-session", tag = "payments", request_body = serde_json::Value,
    responses((status = 200, description = "`{client_secret}`"), (status = 400, description = "SCHEMA_ERROR, PRODUCT_ALREADY_GRANTED, or a sentence; payments are not set up"),
        (status = 403, description = "NEW_PURCHASES_BLOCKED"), (status = 404, description = "VERIFICATION_CODE_NOT_FOUND"), (status = 503, description = "Stripe cannot be reached")))]
async fn purchase_session(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let session = Session::read(&input)?;
    let Opened {
        project,
        row,
        offer,
    } = open(&app, &session.full_code).await?;
    require_project_open(&project)?;
    let seller = offer.stripe.clone();
    let wanted = session.wanted(&app, offer, PurchaseSource::PurchasePage);
    let (product_id, customer_id) = (wanted.product_id.as_deref(), wanted.customer.id_text());
    let stream = wanted.customer.stream(&project.id);
    let purchases = customers::purchases_of(app.pool(), stream).await?;
    let replaced = check(&purchases, &wanted, app.now())
        .map_err(|refusal| refused(refusal.into(), product_id, &customer_id))?;
    let (charge, price_id) = charged(&wanted)?;
    let seller = seller.ok_or_else(no_payments)?;
    let stripe = app.stripe.as_ref().ok_or_else(no_payments)?;
    let stripe = stripe.on(&seller.account_id);
    let context = caller.event_context(&app, &project.id);
    let (customer, product) = (&wanted.customer, &wanted.product);
    let version = record_product_version(&app, &context, customer, product_id, product).await?;
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
    settle(&app, &context, &wanted.customer, row.code_id(), local).await?;
    Ok(Json(json!({"client_secret": secret})).into_response())
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
        let redeem = VerificationCodeCommand::Redeem(now);
        app.execute::<VerificationCode>(context, &code, &redeem)
            .await
    };
    done.map_err(|error| refused(error, None, &customer.id_text()))
}

/// Buys what a purchase code sells without paying, to try it out. Uses the code up.
#[utoipa::path(post, path = "/internal/payments/test-mode-purchase-session", tag = "payments", request_body = serde_json::Value,
    responses((status = 200, description = "Bought"), (status = 400, description = "SCHEMA_ERROR, PRODUCT_ALREADY_GRANTED, or a sentence"), (status = 403, description = "NEW_PURCHASES_BLOCKED; not in test mode"), (status = 404, description = "VERIFICATION_CODE_NOT_FOUND")))]
async fn test_mode_session(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let session = Session::read(&input)?;
    let opened = open(&app, &session.full_code).await?;
    require_project_open(&opened.project)?;
    if !opened.project.catalogue.test_mode {
        return Err(ApiError::text(
            StatusCode::FORBIDDEN,
            "The project is not in test mode.",
        ));
    }
    let wanted = session.wanted(&app, opened.offer, PurchaseSource::TestMode);
    let (product, customer) = (wanted.product_id.clone(), wanted.customer.id_text());
    let context = caller.event_context(&app, &opened.project.id);
    make_way(&app, &opened.project, &wanted).await?;
    purchase(&app, &context, wanted, Some(opened.row.code_id()))
        .await
        .map_err(|error| refused(error, product.as_deref(), &customer))?;
    Ok(success())
}
