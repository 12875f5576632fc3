//! `/internal/payments/transactions/refund`: money goes back, and products with it (contract 06
//! §11.2).

use muniment_domain::PurchaseId;
use muniment_domain::customer::money::{Cents, minor_units};
use muniment_domain::customer::{
    Currency, CustomerCommand, CustomerError, History, PendingRefund, Purchase, PurchaseSource,
    RefundEntry, RefundPlan, RefundStep, Revocation, derived_uuid,
};
use muniment_projections::read_models::customers;
use muniment_projections::read_models::customers::OwnedPurchase;
use muniment_projections::{EventContext, LedgerError};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::require_connected;
use crate::app::App;
use crate::app::payments::customers::carry_out;
use crate::clients::stripe::{ConnectedStripe, Metadata, Refund, StripeError};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::{AdminAccess, ProjectAccess};
use crate::http::request::input::{Input, integer, one_of, text};

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
async fn refund(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
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
    let turn = derived_uuid(&["refund", access.project_id().as_str(), &id]);
    let _turn = access.app.queues.wait(turn).await;
    let found = match kind {
        SUBSCRIPTION => subscription(&access, &id).await?,
        _ => one_time_purchase(&access, &id).await?,
    };
    let desk = Desk {
        context: access.event_context().clone(),
        app: &access.app,
        found: &found,
    };
    let purchase = &found.owned.purchase;
    let begun = purchase.pending_refund.clone();
    let plan = match &begun {
        Some(begun) => begun.plan.clone(),
        None => RefundPlan::of(purchase, &entries).map_err(|problem| {
            KnownError::schema_error(format!("body.refund_entries: {problem}"))
        })?,
    };
    let intent = desk.payment().await?;
    let (refund, attempt) = match begun {
        // The process that began it did not come back. It is brought to its end.
        Some(begun) => (begun, Attempt::Repeated),
        None => (desk.begin(plan).await?, Attempt::First),
    };
    desk.make(&intent, &refund, attempt).await?;
    if refund.plan.is_of(&entries) {
        Ok(success())
    } else {
        Err(already_refunded(purchase))
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

async fn subscription(access: &ProjectAccess, id: &str) -> ApiResult<Refundable> {
    let missing = || KnownError::subscription_invoice_not_found(id);
    let owned = find(access, id).await?;
    let owned = owned.filter(|owned| owned.purchase.subscription.is_some());
    let owned = owned.ok_or_else(missing)?;
    if owned.purchase.refund.is_some() {
        return Err(already_refunded(&owned.purchase));
    }
    let (project, purchase) = (access.project_id(), owned.purchase.id);
    let invoice = customers::creation_invoice(access.app.pool(), project, purchase).await?;
    let invoice = invoice.ok_or_else(missing)?;
    Ok(Refundable {
        stripe: require_connected(&access.app, &access.project)?,
        owned,
        paid_by: PaidBy::Invoice(invoice),
    })
}

async fn one_time_purchase(access: &ProjectAccess, id: &str) -> ApiResult<Refundable> {
    let missing = || KnownError::one_time_purchase_not_found(id);
    let owned = find(access, id).await?;
    let owned = owned.filter(|owned| owned.purchase.subscription.is_none());
    let owned = owned.ok_or_else(missing)?;
    if owned.purchase.refund.is_some() {
        return Err(already_refunded(&owned.purchase));
    }
    if owned.purchase.source == PurchaseSource::TestMode {
        return Err(KnownError::test_mode_purchase_non_refundable().into());
    }
    let stripe = require_connected(&access.app, &access.project)?;
    let intent = owned.purchase.payment_intent_id.clone();
    Ok(Refundable {
        stripe,
        paid_by: PaidBy::Intent(intent.ok_or_else(missing)?),
        owned,
    })
}

async fn find(access: &ProjectAccess, id: &str) -> ApiResult<Option<OwnedPurchase>> {
    let Ok(id) = id.parse::<PurchaseId>() else {
        return Ok(None);
    };
    Ok(customers::purchase(access.app.pool(), access.project_id(), id).await?)
}

fn already_refunded(purchase: &Purchase) -> ApiError {
    let id = purchase.id;
    match purchase.subscription {
        Some(_) => KnownError::subscription_already_refunded(id).into(),
        None => KnownError::one_time_purchase_already_refunded(id).into(),
    }
}

/// Whether Stripe may have been asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// It was not.
    First,
    /// It was, by a process that could not note what came of it.
    Repeated,
}

/// Where a purchase is refunded. A process may die after every step, and the next one goes on from
/// there: what is asked of Stripe is noted first ([`Desk::begin`]), Stripe does it once, and then it
/// is noted that it is done.
struct Desk<'r> {
    app: &'r App,
    context: EventContext,
    found: &'r Refundable,
}

impl Desk<'_> {
    /// Notes what Stripe is about to be asked for. Everything that may be wrong is found out before.
    /// Yields what is to be made: if another process was faster, what that one began.
    async fn begin(&self, plan: RefundPlan) -> ApiResult<PendingRefund> {
        let purchase = &self.found.owned.purchase;
        let seats = match plan.revoked() {
            0 => None,
            _ => self.seats().await?,
        };
        let left = seats.map(|seats| seats.quantity.saturating_sub(plan.revoked()));
        if left.is_some_and(|left| left < 0) {
            let problem = "the subscription is for fewer at Stripe than are to be taken back";
            return Err(ApiError::internal(problem));
        }
        let refund = PendingRefund {
            id: self.app.random.uuid(),
            plan,
            quantity: purchase.quantity,
            left,
        };
        self.note(CustomerCommand::BeginRefund, &refund).await?;
        let (pool, project) = (self.app.pool(), &self.context.project_id);
        let now = customers::purchase(pool, project, purchase.id).await?;
        let begun = now.and_then(|now| now.purchase.pending_refund);
        begun.ok_or_else(|| already_refunded(purchase))
    }

    /// Has Stripe do what was begun, and notes that it is done. What Stripe refuses before anything
    /// was done is not begun any more, and something else may be tried.
    async fn make(&self, intent: &str, refund: &PendingRefund, attempt: Attempt) -> ApiResult<()> {
        if let Err(error) = self.pay_back(intent, refund, attempt).await {
            if error.is_refusal() {
                self.note(CustomerCommand::DropRefund, refund).await?;
            }
            return Err(error.into());
        }
        self.shrink(refund).await?;
        self.note(CustomerCommand::Refund, refund).await
    }

    /// The payment that is paid back: its id at Stripe.
    async fn payment(&self) -> ApiResult<String> {
        match &self.found.paid_by {
            PaidBy::Intent(intent) => Ok(intent.clone()),
            PaidBy::Invoice(id) => {
                let invoice = self.found.stripe.retrieve_invoice(id).await?;
                let problem = "the invoice to refund has no payment that arrived";
                let intent = invoice.paid_by().map(str::to_owned);
                intent.ok_or_else(|| ApiError::internal(problem))
            }
        }
    }

    /// Pays back, once. Stripe remembers for a day only what it was asked for under a key, so an
    /// attempt that is repeated looks first whether the money has gone.
    async fn pay_back(
        &self,
        intent: &str,
        refund: &PendingRefund,
        attempt: Attempt,
    ) -> Result<(), StripeError> {
        let amount = refund.plan.amount;
        if amount == 0 {
            return Ok(());
        }
        let (stripe, metadata) = (&self.found.stripe, self.origin());
        if attempt == Attempt::Repeated {
            let made = stripe.list_refunds(intent).await?;
            let is_it = |made: &Refund| {
                let purchase = |of: &Metadata| of.get("purchaseId").cloned();
                made.counts() && purchase(&made.metadata) == purchase(&metadata)
            };
            if made.iter().any(is_it) {
                return Ok(());
            }
        }
        let key = key("money", refund);
        stripe
            .create_refund(intent, amount, &metadata, Some(&key))
            .await?;
        Ok(())
    }

    /// Has the subscription be for fewer at Stripe, if it is not so already.
    async fn shrink(&self, refund: &PendingRefund) -> ApiResult<()> {
        let Some(left) = refund.left else {
            return Ok(());
        };
        let seats = self.seats().await?;
        let Some(seats) = seats.filter(|seats| refund.is_to_shrink(seats.quantity)) else {
            return Ok(());
        };
        let key = key("quantity", refund);
        self.found
            .stripe
            .update_subscription_quantity(&seats.subscription, &seats.item, left, Some(&key))
            .await?;
        Ok(())
    }

    /// What the purchase is at Stripe, if it is a subscription that still runs there. Of one that
    /// has ended, only money can go back.
    async fn seats(&self) -> ApiResult<Option<Seats>> {
        let Some(id) = self.found.owned.purchase.stripe_subscription() else {
            return Ok(None);
        };
        let subscription = self.found.stripe.retrieve_subscription(id).await?;
        if subscription.has_ended() {
            return Ok(None);
        }
        let item = subscription.items.data.into_iter().next();
        let item = item.ok_or_else(|| ApiError::internal("the subscription is to nothing"))?;
        Ok(Some(Seats {
            subscription: subscription.id,
            item: item.id,
            quantity: item.quantity.unwrap_or(1),
        }))
    }

    /// What Stripe remembers of a refund.
    fn origin(&self) -> Metadata {
        let purchase = self.found.owned.purchase.id;
        Metadata::from([
            ("tenancyId".to_owned(), self.context.project_id.to_string()),
            ("purchaseId".to_owned(), purchase.to_string()),
        ])
    }

    async fn note(
        &self,
        command: fn(Box<RefundStep>) -> CustomerCommand,
        refund: &PendingRefund,
    ) -> ApiResult<()> {
        let OwnedPurchase { customer, purchase } = &self.found.owned;
        let step = RefundStep {
            customer: customer.clone(),
            purchase: purchase.id,
            refund: refund.clone(),
            history: History::default(),
            now: self.context.now,
        };
        let command = command(Box::new(step));
        let done = carry_out(self.app, &self.context, customer, &command, None).await;
        match done {
            Err(LedgerError::Customer(CustomerError::AlreadyRefunded)) => {
                Err(already_refunded(purchase))
            }
            done => Ok(done?),
        }
    }
}

/// The key under which Stripe does a part of a refund once.
fn key(part: &str, refund: &PendingRefund) -> String {
    derived_uuid(&["stripe-refund", part, &refund.id.to_string()]).to_string()
}

/// So many of an item that a subscription at Stripe is for.
struct Seats {
    subscription: String,
    item: String,
    quantity: i64,
}

/// An amount of US dollars.
fn usd(value: &Value) -> Result<Cents, String> {
    let cents = minor_units(&text(value)?, Currency::Usd);
    cents.ok_or_else(|| "must be an amount of money, as 12.34".to_owned())
}
