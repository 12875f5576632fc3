//! Refunds: money goes back, and products with it.

use muniment_domain::PurchaseId;
use muniment_domain::customer::{
    CustomerCommand, CustomerError, History, PendingRefund, Purchase, PurchaseSource, RefundEntry,
    RefundPlan, RefundStep, derived_uuid,
};
use muniment_event_store::{EventContext, LedgerError};
use muniment_projections::read_models::customers;
use muniment_projections::read_models::customers::OwnedPurchase;

use super::customers::carry_out;
use super::stripe_customers::require_connected;
use crate::app::App;
use crate::app::request_context::RequestContext;
use crate::clients::stripe::{ConnectedStripe, Metadata, Refund, StripeError};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};

/// What kind of purchase is paid back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundKind {
    /// One that is paid again and again.
    Subscription,
    /// One that was paid once.
    OneTimePurchase,
}

/// Pays a purchase back, at least in part, and takes products back. There is one refund per
/// purchase; one whose process died is brought to its end by the next request.
///
/// # Errors
/// `SUBSCRIPTION_INVOICE_NOT_FOUND`, `ONE_TIME_PURCHASE_NOT_FOUND`, `SUBSCRIPTION_ALREADY_REFUNDED`,
/// `ONE_TIME_PURCHASE_ALREADY_REFUNDED`, `TEST_MODE_PURCHASE_NON_REFUNDABLE`; `SCHEMA_ERROR` for
/// entries that the purchase does not bear; what Stripe refuses.
pub async fn refund(
    request: RequestContext<'_>,
    kind: RefundKind,
    id: &str,
    entries: &[RefundEntry],
) -> ApiResult<()> {
    let RequestContext { app, project, .. } = request;
    // One at a time: the second finds what the first has done.
    let turn = derived_uuid(&["refund", project.id.as_str(), id]);
    let _turn = app.customer_locks.lock(turn).await;
    let found = match kind {
        RefundKind::Subscription => subscription(request, id).await?,
        RefundKind::OneTimePurchase => one_time_purchase(request, id).await?,
    };
    let desk = Desk {
        context: request.context_now(),
        app,
        found: &found,
    };
    let purchase = &found.owned.purchase;
    let begun = purchase.pending_refund.clone();
    let plan = match &begun {
        Some(begun) => begun.plan.clone(),
        None => RefundPlan::of(purchase, entries).map_err(|problem| {
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
    if refund.plan.is_of(entries) {
        Ok(())
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

async fn subscription(request: RequestContext<'_>, id: &str) -> ApiResult<Refundable> {
    let missing = || KnownError::subscription_invoice_not_found(id);
    let owned = find(request, id).await?;
    let owned = owned.filter(|owned| owned.purchase.subscription.is_some());
    let owned = owned.ok_or_else(missing)?;
    if owned.purchase.refund.is_some() {
        return Err(already_refunded(&owned.purchase));
    }
    let (project, purchase) = (&request.project.id, owned.purchase.id);
    let invoice = customers::creation_invoice(request.app.pool(), project, purchase).await?;
    let invoice = invoice.ok_or_else(missing)?;
    Ok(Refundable {
        stripe: require_connected(request.app, request.project)?,
        owned,
        paid_by: PaidBy::Invoice(invoice),
    })
}

async fn one_time_purchase(request: RequestContext<'_>, id: &str) -> ApiResult<Refundable> {
    let missing = || KnownError::one_time_purchase_not_found(id);
    let owned = find(request, id).await?;
    let owned = owned.filter(|owned| owned.purchase.subscription.is_none());
    let owned = owned.ok_or_else(missing)?;
    if owned.purchase.refund.is_some() {
        return Err(already_refunded(&owned.purchase));
    }
    if owned.purchase.source == PurchaseSource::TestMode {
        return Err(KnownError::test_mode_purchase_non_refundable().into());
    }
    let stripe = require_connected(request.app, request.project)?;
    let intent = owned.purchase.payment_intent_id.clone();
    Ok(Refundable {
        stripe,
        paid_by: PaidBy::Intent(intent.ok_or_else(missing)?),
        owned,
    })
}

async fn find(request: RequestContext<'_>, id: &str) -> ApiResult<Option<OwnedPurchase>> {
    let Ok(id) = id.parse::<PurchaseId>() else {
        return Ok(None);
    };
    Ok(customers::purchase(request.app.pool(), &request.project.id, id).await?)
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
