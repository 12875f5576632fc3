//! Forwarding messages to a Svix server, which delivers them.
//!
//! One process at a time does, by an advisory lock. A message stays in the queue until Svix has
//! taken it.

use std::time::Duration;

use futures_util::future::join_all;
use muniment_event_store::LedgerError;
use muniment_event_store::leader_lock::run_as_leader;
use muniment_projections::webhooks::submissions::{self, Submission};
use sqlx::{PgConnection, PgPool};

use super::LOCK;
use crate::clients::svix::{SvixError, SvixServer};
use crate::clock::Clock;
use crate::workers::backoff::Backoff;

/// Messages in flight at once.
const IN_FLIGHT: i64 = 16;
/// How often the queue is looked at when nothing is announced.
const POLL: Duration = Duration::from_millis(250);
/// How long to wait after the database or Svix failed, or while another process holds the lock.
const PAUSE: Duration = Duration::from_secs(2);
/// The first retry comes after a second, each further one after twice as long, up to the longest pause.
const RETRIES: Backoff = Backoff {
    first: 1000,
    longest: 5 * 60 * 1000,
};
/// A message that Svix refuses that often, for about a week, is dropped.
const ATTEMPTS: i32 = 2000;

/// Forwards the messages that are due to a Svix server.
#[derive(Clone)]
pub struct SvixForwarder {
    /// The database with the queue.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
    /// The server that takes the messages.
    pub server: SvixServer,
}

impl SvixForwarder {
    /// Forwards messages whenever this process is the leader. Never returns.
    pub async fn run(self) {
        let trouble = "webhooks cannot be submitted at the moment; trying again";
        let lead = |connection| self.lead(connection);
        run_as_leader(&self.pool, LOCK, PAUSE, trouble, lead).await;
    }

    async fn lead(&self, mut connection: PgConnection) -> Result<(), LedgerError> {
        while let Err(error) = self.server.declare_event_types().await {
            tracing::warn!(%error, "event types could not be declared; trying again");
            tokio::time::sleep(PAUSE).await;
        }
        loop {
            if self.submit_due(&mut connection).await? == 0 {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    /// Submits a few messages. Returns how many were due.
    async fn submit_due(&self, connection: &mut PgConnection) -> Result<usize, LedgerError> {
        let due = submissions::due(connection, self.clock.now(), IN_FLIGHT).await?;
        let submitting = due.iter().map(|submission| self.server.submit(submission));
        let outcomes = join_all(submitting).await;
        for (submission, outcome) in due.iter().zip(outcomes) {
            self.settle(connection, submission, outcome).await?;
        }
        Ok(due.len())
    }

    async fn settle(
        &self,
        connection: &mut PgConnection,
        submission: &Submission,
        outcome: Result<(), SvixError>,
    ) -> Result<(), LedgerError> {
        let id = &submission.message_id;
        metrics::counter!("muniment_webhook_attempts_total",
            "outcome" => if outcome.is_ok() { "success" } else { "failure" })
        .increment(1);
        let Err(error) = outcome else {
            return submissions::settle(connection, id).await;
        };
        if submission.failures + 1 >= ATTEMPTS {
            tracing::error!(message = id, %error, "Svix does not take a message; it is dropped");
            return submissions::settle(connection, id).await;
        }
        tracing::warn!(message = id, %error, "a message could not be submitted; trying again");
        let retry_at = RETRIES.retry_at(self.clock.now(), submission.failures);
        submissions::postpone(connection, id, retry_at).await
    }
}
