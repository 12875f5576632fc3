//! Cancelling subscriptions at Stripe whose customer was deleted, so that no card is charged for nobody.
//!
//! One process at a time does, by an advisory lock. A subscription stays in the queue until Stripe has
//! cancelled it, or knows of none; see `docs/operations.md` for how operators see what is stuck.

use std::time::Duration;

use muniment_event_store::LedgerError;
use muniment_event_store::leader_lock::run_as_leader;
use muniment_projections::stripe_cancellations::{self, Cancellation};
use sqlx::{PgConnection, PgPool};

use super::backoff::Backoff;
use crate::clients::stripe::{Stripe, StripeError};
use crate::clock::Clock;

/// What serialises the processes.
const LOCK: &str = "muniment stripe cancellations";
/// How often the queue is looked at.
const POLL: Duration = Duration::from_secs(1);
/// How long to wait after the database failed, or while another process holds the lock.
const PAUSE: Duration = Duration::from_secs(5);
/// Cancellations per look.
const BATCH: i64 = 16;
/// The first retry comes after a second, each further one after twice as long, up to the longest pause.
const RETRIES: Backoff = Backoff {
    first: 1000,
    longest: 60 * 60 * 1000,
};

/// Cancels the subscriptions that are queued.
#[derive(Clone)]
pub struct StripeCanceller {
    /// The database with the queue.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
    /// Where they are cancelled.
    pub stripe: Stripe,
}

impl StripeCanceller {
    /// Cancels whenever this process is the leader. Never returns.
    pub async fn run(self) {
        let trouble = "subscriptions cannot be cancelled at the moment; trying again";
        let lead = |connection| self.lead(connection);
        run_as_leader(&self.pool, LOCK, PAUSE, trouble, lead).await;
    }

    async fn lead(&self, mut connection: PgConnection) -> Result<(), LedgerError> {
        loop {
            let now = self.clock.now();
            let due = stripe_cancellations::due(&mut connection, now, BATCH).await?;
            for cancellation in &due {
                let stripe = self.stripe.on(&cancellation.account_id);
                let id = &cancellation.stripe_subscription_id;
                let outcome = stripe.cancel_subscription(id).await.map(drop);
                self.settle(&mut connection, cancellation, outcome).await?;
            }
            #[expect(
                clippy::cast_precision_loss,
                reason = "a gauge is a float, and no queue is that long"
            )]
            let left = stripe_cancellations::count(&mut connection).await? as f64;
            metrics::gauge!("muniment_stripe_cancellations_pending").set(left);
            if due.is_empty() {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    async fn settle(
        &self,
        connection: &mut PgConnection,
        cancellation: &Cancellation,
        outcome: Result<(), StripeError>,
    ) -> Result<(), LedgerError> {
        let id = &cancellation.stripe_subscription_id;
        let error = match outcome {
            Ok(()) => return stripe_cancellations::settle(connection, id).await,
            // It ended by itself, or its account is gone.
            Err(error) if error.is_missing() => {
                return stripe_cancellations::settle(connection, id).await;
            }
            Err(error) => error,
        };
        tracing::warn!(
            subscription = id,
            failures = cancellation.failures + 1,
            %error,
            "the subscription of a deleted customer could not be cancelled at Stripe; trying again"
        );
        let retry_at = RETRIES.retry_at(self.clock.now(), cancellation.failures);
        stripe_cancellations::postpone(connection, id, &error.to_string(), retry_at).await
    }
}
