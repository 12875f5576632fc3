//! What Stripe tells, and what becomes of it.
//!
//! Events arrive twice, late, or in the wrong order. So an event about a subscription only makes the
//! server ask Stripe how things stand; everything else is noted under Stripe's own ids, and emails
//! go out under ids that follow from the event.

mod emails;
mod one_time;
mod subscriptions;

use muniment_domain::customer::{CustomerError, CustomerRef, CustomerType, Product};
use muniment_domain::{Millis, ProjectId};
use muniment_event_store::{EventContext, LedgerError};
use muniment_projections::read_models::customers;
use serde_json::Value;

use crate::app::App;
use crate::clients::stripe::webhook::StripeEvent;
use crate::clients::stripe::{ConnectedStripe, Metadata, Stripe, StripeError, metadata_of};

pub use subscriptions::told;

/// What the metadata of a payment for a one-time purchase say in `purchaseKind`.
const ONE_TIME: &str = "ONE_TIME";
/// Where tests put what the mock shall answer while an event is taken in.
const MOCK_DATA: &str = "stack_stripe_mock_data";

/// Events that say that something about a customer's subscriptions changed.
const SYNCED: [&str; 22] = [
    "checkout.session.completed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.trial_will_end",
    "invoice.created",
    "invoice.finalized",
    "invoice.updated",
    "invoice.voided",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.upcoming",
    "invoice.marked_uncollectible",
    "invoice.payment_succeeded",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
];

/// Events that nothing follows from.
const IGNORED: [&str; 7] = [
    "charge.dispute.created",
    "account.updated",
    "account.application.authorized",
    "capability.updated",
    "charge.failed",
    "balance.available",
    "customer.updated",
];

/// Why an event could not be taken in. Stripe sends it again.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Nobody knows what to do about it.
    #[error("Stripe sent an event of a type that is not handled: {0}")]
    UnknownType(String),
    /// It does not say what it must.
    #[error("Stripe's event lacks something: {0}")]
    Incomplete(&'static str),
    /// Tests cannot prescribe what a real Stripe answers.
    #[error("the event prescribes answers of Stripe, which is for the mock only")]
    MockDataRefused,
    /// The project is none of this server's.
    #[error("the Stripe account {0} belongs to no project of this server")]
    UnknownAccount(String),
    /// Stripe could not be asked.
    #[error(transparent)]
    Stripe(#[from] StripeError),
    /// It could not be noted.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Takes an event in, on behalf of the request of that id.
///
/// # Errors
/// Why it has to be sent again.
pub async fn take_in(
    app: &App,
    stripe: &Stripe,
    event: &StripeEvent,
    request: &str,
) -> Result<(), EventError> {
    let kind = event.kind.as_str();
    if IGNORED.contains(&kind) {
        return Ok(());
    }
    if !SYNCED.contains(&kind) {
        return Err(EventError::UnknownType(event.kind.clone()));
    }
    let stripe = &with_mock_data(stripe, event)?;
    let account = event.account.as_deref();
    let account = account.ok_or(EventError::Incomplete("account"))?;
    let project = project_of(app, stripe, account).await?;
    let news = News {
        app,
        stripe: stripe.on(account),
        context: EventContext {
            causation_id: Some(format!("stripe/{}", event.id)),
            ..EventContext::system(project, request, app.now())
        },
        event,
    };
    let is_one_time = news.event.data.object["metadata"]["purchaseKind"] == ONE_TIME;
    let done = match kind {
        "payment_intent.succeeded" if is_one_time => news.one_time_paid().await,
        "payment_intent.payment_failed" if is_one_time => news.one_time_failed().await,
        // Nothing was bought.
        "payment_intent.canceled" if is_one_time => Ok(()),
        _ => news.subscriptions_changed().await,
    };
    match done {
        // Who was deleted is not written about any more, whatever Stripe has to say.
        Err(EventError::Ledger(LedgerError::Customer(CustomerError::Gone(..)))) => Ok(()),
        done => done,
    }
}

fn with_mock_data(stripe: &Stripe, event: &StripeEvent) -> Result<Stripe, EventError> {
    match event.data.object.get(MOCK_DATA) {
        None => Ok(stripe.clone()),
        Some(Value::Object(data)) => {
            let mocked = stripe.with_mock_data(data.clone());
            mocked.ok_or(EventError::MockDataRefused)
        }
        Some(_) => Err(EventError::Incomplete("an object of mock data")),
    }
}

/// The project is what the account says, and not what the event does.
async fn project_of(app: &App, stripe: &Stripe, account: &str) -> Result<ProjectId, EventError> {
    let described = stripe.retrieve_account(account).await?;
    let unknown = || EventError::UnknownAccount(account.to_owned());
    let id = described.metadata.get("tenancyId").ok_or_else(unknown)?;
    let project = app.projects.find(&ProjectId::from_caller(id)).await?;
    project
        .map(|project| project.id.clone())
        .ok_or_else(unknown)
}

/// An event that concerns a project.
struct News<'e> {
    app: &'e App,
    stripe: ConnectedStripe,
    context: EventContext,
    event: &'e StripeEvent,
}

impl News<'_> {
    fn object(&self) -> &Value {
        &self.event.data.object
    }

    fn metadata(&self) -> Metadata {
        metadata_of(&self.object()["metadata"])
    }

    /// When Stripe said so, by its own clock.
    fn told_at(&self) -> Millis {
        let created = self.event.created;
        created.map_or(self.context.now, from_seconds)
    }

    /// The product that metadata name: by its version, or all of it.
    async fn product(&self, metadata: &Metadata) -> Result<Product, EventError> {
        if let Some(version) = given(metadata, "productVersionId") {
            let project = &self.context.project_id;
            let known = customers::product_version(self.app.pool(), project, version).await?;
            if let Some(product) = known {
                return Ok(product);
            }
        }
        let json = given(metadata, "product").or_else(|| given(metadata, "offer"));
        let product = json.and_then(|json| serde_json::from_str(json).ok());
        product.ok_or(EventError::Incomplete("a known product in the metadata"))
    }
}

/// The customer that metadata name.
fn customer_in(metadata: &Metadata) -> Result<CustomerRef, EventError> {
    let kind = given(metadata, "customerType").map(str::to_ascii_lowercase);
    let kind = kind.and_then(|kind| CustomerType::named(&kind));
    let kind = kind.ok_or(EventError::Incomplete("customerType in the metadata"))?;
    let id = given(metadata, "customerId").and_then(|id| CustomerRef::named(kind, id));
    id.ok_or(EventError::Incomplete("customerId in the metadata"))
}

/// A value that is not empty.
fn given<'m>(metadata: &'m Metadata, name: &str) -> Option<&'m str> {
    let value = metadata.get(name)?;
    (!value.is_empty()).then_some(value)
}

fn from_seconds(seconds: i64) -> Millis {
    Millis(seconds.saturating_mul(1000))
}
