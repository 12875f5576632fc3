//! Subscriptions at Stripe whose customer was deleted, on their way to be cancelled there.
//!
//! A customer that is closed has no purchases any more, so what there was is read from its stream. The
//! queue fills with the cursor: no cancellation is forgotten, whenever the server goes down.

use cqrs_es::Aggregate;
use muniment_domain::Millis;
use muniment_domain::customer::{Customer, CustomerEvent, Purchase};
use muniment_event_store::subscription::{EventView, Subscriber};
use muniment_event_store::{EventLog, LedgerError, LedgerEvent, RecordedEvent};
use sqlx::PgConnection;

/// Queues the running subscriptions of customers that are closed.
pub struct StripeCancellations {
    log: EventLog,
}

impl StripeCancellations {
    /// Queues in the log's database.
    #[must_use]
    pub fn new(log: &EventLog) -> Self {
        Self { log: log.clone() }
    }

    /// The customer as it was before that event.
    async fn customer_before(&self, closed: &RecordedEvent) -> Result<Customer, LedgerError> {
        let mut customer = Customer::default();
        let stream = self
            .log
            .stream(Customer::TYPE, &closed.aggregate_id)
            .await?;
        for event in stream.events {
            if event.sequence >= closed.sequence {
                break;
            }
            if let LedgerEvent::Customer(event) = event.event {
                customer.apply(event);
            }
        }
        Ok(customer)
    }
}

impl Subscriber for StripeCancellations {
    fn name(&self) -> &'static str {
        "stripe_cancellations"
    }

    fn view(&self) -> EventView {
        EventView::Bare
    }

    async fn accept(
        &self,
        connection: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        for event in batch {
            if !matches!(
                event.event,
                LedgerEvent::Customer(CustomerEvent::CustomerClosed {})
            ) {
                continue;
            }
            let customer = self.customer_before(event).await?;
            let running = customer.purchases().iter().filter(|it| it.is_active());
            for id in running.filter_map(Purchase::stripe_subscription) {
                request(&mut *connection, event, id).await?;
            }
        }
        Ok(())
    }
}

/// Nothing is queued for a project without an account: there is nobody to ask.
async fn request(
    connection: &mut PgConnection,
    closed: &RecordedEvent,
    subscription: &str,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO stripe_cancellations
             (stripe_subscription_id, project_id, account_id, requested_at, due_at)
         SELECT $1, id, stripe_account_id, $3, 0 FROM projects
         WHERE id = $2 AND stripe_account_id IS NOT NULL
         ON CONFLICT DO NOTHING",
        subscription,
        closed.project_id.as_str(),
        closed.recorded_at.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A subscription that is to be cancelled.
#[derive(Clone, Debug)]
pub struct Cancellation {
    /// Its id at Stripe.
    pub stripe_subscription_id: String,
    /// The project's account there.
    pub account_id: String,
    /// How often it was tried in vain.
    pub failures: i32,
}

/// What is to be tried now.
///
/// # Errors
/// When the database fails.
pub async fn due(
    connection: &mut PgConnection,
    now: Millis,
    limit: i64,
) -> Result<Vec<Cancellation>, LedgerError> {
    let due = sqlx::query_as!(
        Cancellation,
        "SELECT stripe_subscription_id, account_id, failures FROM stripe_cancellations
         WHERE due_at <= $1 ORDER BY due_at, stripe_subscription_id LIMIT $2",
        now.0,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(due)
}

/// It is cancelled.
///
/// # Errors
/// When the database fails.
pub async fn settle(connection: &mut PgConnection, subscription: &str) -> Result<(), LedgerError> {
    sqlx::query!(
        "DELETE FROM stripe_cancellations WHERE stripe_subscription_id = $1",
        subscription
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// It was tried in vain, and is to be tried again then.
///
/// # Errors
/// When the database fails.
pub async fn postpone(
    connection: &mut PgConnection,
    subscription: &str,
    error: &str,
    due_at: Millis,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE stripe_cancellations
         SET failures = failures + 1, last_error = $2, due_at = $3
         WHERE stripe_subscription_id = $1",
        subscription,
        error,
        due_at.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How many are still to be cancelled.
///
/// # Errors
/// When the database fails.
pub async fn count(connection: &mut PgConnection) -> Result<i64, LedgerError> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM stripe_cancellations"#)
        .fetch_one(connection)
        .await?;
    Ok(count)
}
