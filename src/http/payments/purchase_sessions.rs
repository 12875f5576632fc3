//! What the page of a purchase link asks for: a session that pays, or one that tries it out
//! (contract 06 §6.4, §6.5).

use axum::extract::State;
use axum::http::StatusCode;
use muniment_domain::PurchaseId;
use muniment_domain::customer::{PurchaseSource, WantedPurchase, check};
use muniment_projections::customers;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::purchases::{Offer, open};
use super::{make_way, no_payments, refused};
use crate::app::App;
use crate::app::customers::purchase;
use crate::app::projects::LoadedProject;
use crate::http::caller::Caller;
use crate::http::error::{ApiError, ApiResult};
use crate::http::input::{Input, integer, text};
use crate::http::known_error::KnownError;
use crate::http::success;

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

    fn wanted(self, app: &App, offer: Offer) -> WantedPurchase {
        WantedPurchase {
            customer: offer.customer,
            id: PurchaseId(app.random.uuid()),
            product_id: offer.product_id,
            product: offer.product,
            price_id: Some(self.price_id),
            quantity: self.quantity,
            source: PurchaseSource::TestMode,
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

/// Begins to pay for what a purchase code sells.
#[utoipa::path(post, path = "/payments/purchases/purchase-session", tag = "payments", request_body = serde_json::Value,
    responses((status = 400, description = "SCHEMA_ERROR, PRODUCT_ALREADY_GRANTED, or a sentence; payments are not set up"), (status = 403, description = "NEW_PURCHASES_BLOCKED"), (status = 404, description = "VERIFICATION_CODE_NOT_FOUND")))]
async fn purchase_session(State(app): State<App>, input: Input) -> ApiResult {
    let session = Session::read(&input)?;
    let opened = open(&app, &session.full_code).await?;
    require_project_open(&opened.project)?;
    let wanted = session.wanted(&app, opened.offer);
    let stream = wanted.customer.stream(&opened.project.id);
    let purchases = customers::purchases_of(app.pool(), stream).await?;
    let (product, customer) = (wanted.product_id.as_deref(), wanted.customer.id_text());
    check(&purchases, &wanted, app.now())
        .map_err(|refusal| refused(refusal.into(), product, &customer))?;
    Err(no_payments())
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
    let wanted = session.wanted(&app, opened.offer);
    let (product, customer) = (wanted.product_id.clone(), wanted.customer.id_text());
    let context = caller.event_context(&app, &opened.project.id);
    make_way(&app, &opened.project, &wanted).await?;
    purchase(&app, &context, wanted, Some(opened.row.code_id()))
        .await
        .map_err(|error| refused(error, product.as_deref(), &customer))?;
    Ok(success())
}
