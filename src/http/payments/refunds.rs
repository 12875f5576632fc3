//! `/internal/payments/transactions/refund`: money goes back, and products with it (contract 06
//! §11.2).

use axum::extract::State;
use axum::response::Response;
use muniment_domain::PurchaseId;
use muniment_domain::customer::money::{Cents, minor_units};
use muniment_domain::customer::{
    Currency, CustomerCommand, CustomerError, History, MadeRefund, Purchase, PurchaseSource,
    RefundEntry, RefundPlan, Revocation, derived_uuid,
};
use muniment_projections::customers::OwnedPurchase;
use muniment_projections::{LedgerError, customers};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::require_connected;
use crate::app::App;
use crate::app::customers::carry_out;
use crate::http::caller::{Auth, Caller};
use crate::http::error::{ApiError, ApiResult};
use crate::http::input::{Input, integer, one_of, text};
use crate::http::known_error::KnownError;
use crate::http::success;
use crate::stripe::{ConnectedStripe, Metadata};

/// How a request names subscriptions.
const SUBSCRIPTION: &str = "subscription";
/// How a request names one-time purchases.
const ONE_TIME: &str = "one-time-purchase";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(refund))
}

/// Pays a purchase back, at least in part, and takes products back. Items stay. There is one refund
/// per purchase.
#[utoipa::path(post, path = "/internal/payments/transactions/refund", tag = "payments", request_body = Value,
    responses((status = 200, description = "Refunded"),
        (status = 400, description = "SCHEMA_ERROR, SUBSCRIPTION_ALREADY_REFUNDED, ONE_TIME_PURCHASE_ALREADY_REFUNDED, TEST_MODE_PURCHASE_NON_REFUNDABLE; payments are not set up; Stripe refuses"),
        (status = 404, description = "SUBSCRIPTION_INVOICE_NOT_FOUND, ONE_TIME_PURCHASE_NOT_FOUND"), (status = 503, description = "Stripe cannot be reached")))]
async fn refund(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    let mut form = input.form(auth.user_id()).no_query();
    let mut body = form.body();
    let kind = body.required("type", one_of(&[SUBSCRIPTION, ONE_TIME]));
    let id = body.required("id", text);
    let any = || integer(i64::from(i32::MIN)..=i64::from(i32::MAX));
    let entries = body.optional_list("refund_entries", |entry| {
        let entry_index = entry.required("entry_index", any());
        let quantity = entry.required("quantity", any());
        let amount = entry.required("amount_usd", usd);
        Some(RefundEntry {
            revocation: Revocation {
                entry_index: entry_index?,
                quantity: quantity?,
            },
            amount: amount?,
        })
    });
    body.close();
    if entries.as_ref().is_some_and(Option::is_none) {
        form.violation("body.refund_entries", "is required");
    }
    let (kind, id, entries) = form.finish((|| Some((kind?, id?, entries??)))())?;
    // One at a time: the second finds what the first has done.
    let turn = derived_uuid(&["refund", auth.project_id().as_str(), &id]);
    let _turn = app.queues.wait(turn).await;
    let found = match kind {
        SUBSCRIPTION => subscription(&app, auth, &id).await?,
        _ => one_time_purchase(&app, auth, &id).await?,
    };
    let purchase = &found.owned.purchase;
    let plan = RefundPlan::of(purchase, &entries)
        .map_err(|problem| KnownError::schema_error(format!("body.refund_entries: {problem}")))?;
    let left = pay_back(&found, auth, &plan).await?;
    let context = caller.event_context(&app, auth.project_id());
    let made = MadeRefund {
        customer: found.owned.customer.clone(),
        purchase: purchase.id,
        quantity: purchase.quantity,
        plan,
        left,
        history: History::default(),
        now: context.now,
    };
    let command = CustomerCommand::Refund(Box::new(made));
    let done = carry_out(&app, &context, &found.owned.customer, &command, None, None).await;
    noted(done, purchase)
}

fn noted(done: Result<(), LedgerError>, purchase: &Purchase) -> ApiResult<Response> {
    match done {
        Err(LedgerError::Customer(CustomerError::AlreadyRefunded)) => {
            Err(already_refunded(purchase))
        }
        done => {
            done?;
            Ok(success())
        }
    }
}

/// A purchase that can be refunded.
struct Refundable {
    owned: OwnedPurchase,
    stripe: ConnectedStripe,
    paid_by: PaidBy,
}

/// What was paid.
enum PaidBy {
    /// That payment.
    Intent(String),
    /// The invoice with which a subscription began.
    Invoice(String),
}

async fn subscription(app: &App, auth: &Auth, id: &str) -> ApiResult<Refundable> {
    let missing = || KnownError::subscription_invoice_not_found(id);
    let owned = find(app, auth, id).await?;
    let owned = owned.filter(|owned| owned.purchase.subscription.is_some());
    let owned = owned.ok_or_else(missing)?;
    if owned.purchase.refund.is_some() {
        return Err(already_refunded(&owned.purchase));
    }
    let (project, purchase) = (auth.project_id(), owned.purchase.id);
    let invoice = customers::creation_invoice(app.pool(), project, purchase).await?;
    let invoice = invoice.ok_or_else(missing)?;
    Ok(Refundable {
        stripe: require_connected(app, &auth.project)?,
        owned,
        paid_by: PaidBy::Invoice(invoice),
    })
}

async fn one_time_purchase(app: &App, auth: &Auth, id: &str) -> ApiResult<Refundable> {
    let missing = || KnownError::one_time_purchase_not_found(id);
    let owned = find(app, auth, id).await?;
    let owned = owned.filter(|owned| owned.purchase.subscription.is_none());
    let owned = owned.ok_or_else(missing)?;
    if owned.purchase.refund.is_some() {
        return Err(already_refunded(&owned.purchase));
    }
    if owned.purchase.source == PurchaseSource::TestMode {
        return Err(KnownError::test_mode_purchase_non_refundable().into());
    }
    let stripe = require_connected(app, &auth.project)?;
    let intent = owned.purchase.payment_intent_id.clone();
    Ok(Refundable {
        stripe,
        paid_by: PaidBy::Intent(intent.ok_or_else(missing)?),
        owned,
    })
}

async fn find(app: &App, auth: &Auth, id: &str) -> ApiResult<Option<OwnedPurchase>> {
    let Ok(id) = id.parse::<PurchaseId>() else {
        return Ok(None);
    };
    Ok(customers::purchase(app.pool(), auth.project_id(), id).await?)
}

fn already_refunded(purchase: &Purchase) -> ApiError {
    let id = purchase.id;
    match purchase.subscription {
        Some(_) => KnownError::subscription_already_refunded(id).into(),
        None => KnownError::one_time_purchase_already_refunded(id).into(),
    }
}

/// Has Stripe pay back. Of a subscription, as many as are taken back end there; yields how many are
/// left, if any were. Everything that may be wrong is found out before money moves.
async fn pay_back(found: &Refundable, auth: &Auth, plan: &RefundPlan) -> ApiResult<Option<i64>> {
    let (stripe, purchase) = (&found.stripe, &found.owned.purchase);
    let (intent, metadata) = match &found.paid_by {
        PaidBy::Intent(intent) => (intent.clone(), origin(auth, purchase)),
        PaidBy::Invoice(id) => {
            let invoice = stripe.retrieve_invoice(id).await?;
            let intent = invoice.paid_by().map(str::to_owned);
            let unpaid = || ApiError::internal("the invoice to refund has no payment that arrived");
            (intent.ok_or_else(unpaid)?, Metadata::new())
        }
    };
    let shrunk = match purchase.stripe_subscription() {
        Some(id) if plan.revoked() > 0 => Some(Shrunk::of(stripe, id, plan).await?),
        _ => None,
    };
    if plan.amount > 0 {
        let (id, amount) = (purchase.id.to_string(), plan.amount.to_string());
        let key = derived_uuid(&["stripe-refund", &id, &amount]).to_string();
        stripe
            .create_refund(&intent, plan.amount, &metadata, Some(&key))
            .await?;
    }
    let Some(shrunk) = shrunk else {
        return Ok(None);
    };
    let left = shrunk.left;
    stripe
        .update_subscription_quantity(&shrunk.subscription, &shrunk.item, left)
        .await?;
    Ok(Some(left))
}

/// What Stripe remembers of a refund.
fn origin(auth: &Auth, purchase: &Purchase) -> Metadata {
    Metadata::from([
        ("tenancyId".to_owned(), auth.project_id().to_string()),
        ("purchaseId".to_owned(), purchase.id.to_string()),
    ])
}

/// A subscription at Stripe that is to be for fewer than it is.
struct Shrunk {
    subscription: String,
    item: String,
    left: i64,
}

impl Shrunk {
    async fn of(stripe: &ConnectedStripe, id: &str, plan: &RefundPlan) -> ApiResult<Self> {
        let subscription = stripe.retrieve_subscription(id).await?;
        let item = subscription.items.data.into_iter().next();
        let item = item.ok_or_else(|| ApiError::internal("the subscription is to nothing"))?;
        let left = item.quantity.unwrap_or(1).saturating_sub(plan.revoked());
        if left < 0 {
            let problem = "the subscription is for fewer at Stripe than are to be taken back";
            return Err(ApiError::internal(problem));
        }
        Ok(Self {
            subscription: id.to_owned(),
            item: item.id,
            left,
        })
    }
}

/// An amount of US dollars.
fn usd(value: &Value) -> Result<Cents, String> {
    let cents = minor_units(&text(value)?, Currency::Usd);
    cents.ok_or_else(|| "must be an amount of money, as 12.34".to_owned())
}
