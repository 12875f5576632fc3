//! Delivering what is due.
//!
//! One process at a time does, by an advisory lock. Every endpoint to which something is due has a
//! task of its own, so that a slow one keeps only itself waiting.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use muniment_domain::{Millis, ProjectId};
use muniment_event_store::leader_lock::run_as_leader;
use muniment_event_store::{EventLog, LedgerError};
use muniment_projections::webhooks::endpoints::{self, Endpoint, Failing};
use muniment_projections::webhooks::queue::{self, Attempt, DeliveryOutcome, Due, Replay};
use sqlx::{PgConnection, PgPool};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::LOCK;
use super::health::{self, EndpointHealth};
use super::message_producer::{messages, pairs};
use crate::app::webhooks::sender::Sender;
use crate::clock::Clock;

/// What rate limits count in.
const SECOND: Duration = Duration::from_secs(1);
/// Messages in flight to one endpoint at once.
const IN_FLIGHT: usize = 64;
/// Messages of an endpoint that are taken from the queue at once.
const BATCH: i64 = 1_000;
/// How long a batch goes on to begin attempts. Then what was set about the endpoint meanwhile
/// counts, and what it has not come to is taken from the queue again.
const ROUND: Duration = Duration::from_secs(1);
/// Outcomes that are noted in one transaction, at most. After a crash, what was not noted is sent
/// again.
const NOTED: usize = 256;
/// Endpoints that are served at once.
const ENDPOINTS: usize = 64;
/// How often the queue is looked at when nothing announces a message: for retries that are due,
/// and for what other processes queued.
const POLL: Duration = Duration::from_millis(250);
/// What wakes us is not committed yet.
const COMMIT: Duration = Duration::from_millis(3);
/// How long to wait after the database failed, or while another process holds the lock.
const PAUSE: Duration = Duration::from_secs(2);
/// Events that are replayed at once.
const REPLAYED: i64 = 2_000;
/// How long messages and attempts are kept: ninety days.
const KEPT_MILLIS: i64 = 90 * 24 * 60 * 60 * 1000;
/// How often old ones, and those about people who were erased, are forgotten.
const TIDY: Duration = Duration::from_secs(600);

/// Delivers the messages that are due.
#[derive(Clone)]
pub struct Dispatcher {
    /// The event log, and its database with the queue.
    pub log: EventLog,
    /// The time.
    pub clock: Clock,
    /// The sender of one message.
    pub sender: Sender,
}

/// The tasks that deliver, by endpoint. They end when this is dropped.
type Rounds = HashMap<String, AbortOnDropHandle<()>>;

impl Dispatcher {
    /// Delivers messages whenever this process is the leader. Never returns; messages in flight
    /// when this is dropped are sent again by the next leader.
    pub async fn run(self) {
        let trouble = "webhooks cannot be delivered at the moment; trying again";
        let lead = |connection| self.lead(connection);
        run_as_leader(self.pool(), LOCK, PAUSE, trouble, lead).await;
    }

    fn pool(&self) -> &PgPool {
        self.log.pool()
    }

    async fn lead(&self, mut connection: PgConnection) -> Result<(), LedgerError> {
        let mut rounds = Rounds::new();
        let mut tidied = Instant::now();
        loop {
            rounds.retain(|_, round| !round.is_finished());
            let now = self.clock.now();
            for endpoint in queue::endpoints_in_demand(&mut connection, now).await? {
                if rounds.len() < ENDPOINTS && !rounds.contains_key(&endpoint) {
                    let round = tokio::spawn(self.clone().serve(endpoint.clone()));
                    rounds.insert(endpoint, AbortOnDropHandle::new(round));
                }
            }
            let is_replaying = self.replay_some(&mut connection).await?;
            if tidied.elapsed() >= TIDY {
                self.tidy(&mut connection).await?;
                tidied = Instant::now();
            }
            if !is_replaying {
                // Either way it is time to look again.
                let _ = tokio::time::timeout(POLL, self.sender.client.woken()).await;
                tokio::time::sleep(COMMIT).await;
            }
        }
    }

    async fn tidy(&self, connection: &mut PgConnection) -> Result<(), LedgerError> {
        queue::forget_erased(connection).await?;
        queue::forget_old(connection, self.clock.now().plus(-KEPT_MILLIS)).await?;
        Ok(())
    }

    /// Delivers what is due to an endpoint until nothing is.
    async fn serve(self, id: String) {
        loop {
            match self.serve_round(&id).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(endpoint = id, %error, "webhooks could not be delivered; trying again");
                    tokio::time::sleep(PAUSE).await;
                    return;
                }
            }
        }
    }

    /// Delivers a batch: several messages at once, while the outcomes of others are noted.
    async fn serve_round(&self, id: &str) -> Result<usize, LedgerError> {
        let endpoint = endpoints::by_id(self.pool(), id).await?;
        let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_disabled) else {
            return Ok(0);
        };
        let (now, begun) = (self.clock.now(), Instant::now());
        let secrets = endpoints::secrets(self.pool(), self.log.sealer(), &endpoint, now).await?;
        let limit = endpoint.rate_limit.map_or(BATCH, i64::from);
        let due = queue::due(self.pool(), id, now, limit.min(BATCH)).await?;
        let (outcomes, made) = mpsc::channel(NOTED);
        let sending = async {
            let mut waiting = due.iter();
            let mut in_flight = FuturesUnordered::new();
            loop {
                while in_flight.len() < IN_FLIGHT && begun.elapsed() < ROUND {
                    let Some(due) = waiting.next() else { break };
                    in_flight.push(self.attempt(&endpoint, &secrets, due));
                }
                let Some(attempt) = in_flight.next().await else {
                    break;
                };
                if outcomes.send(attempt).await.is_err() {
                    // Noting has failed, and says so itself.
                    break;
                }
            }
            drop(outcomes);
        };
        let ((), noted) = tokio::join!(sending, self.note_all(&endpoint, made));
        let noted = noted?;
        if endpoint.rate_limit.is_some() && noted > 0 {
            tokio::time::sleep_until(begun + SECOND).await;
        }
        Ok(noted)
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        secrets: &[String],
        due: &Due,
    ) -> (Attempt, DeliveryOutcome) {
        let attempt = self.sender.attempt(endpoint, secrets, due).await;
        let outcome = health::outcome(due, &attempt, self.clock.now());
        (attempt, outcome)
    }

    /// Notes attempts as they are made, as many at once as there are. Returns how many there were.
    async fn note_all(
        &self,
        endpoint: &Endpoint,
        mut made: mpsc::Receiver<(Attempt, DeliveryOutcome)>,
    ) -> Result<usize, LedgerError> {
        let mut record = endpoint.failing();
        let mut attempts = Vec::with_capacity(NOTED);
        let mut noted = 0;
        loop {
            let is_over = made.recv_many(&mut attempts, NOTED).await == 0;
            if attempts.is_empty() {
                return Ok(noted);
            }
            let (after, health) = judge(record, &attempts, self.clock.now());
            // An endpoint is disabled with the last attempt of a batch: none follows, and one that
            // succeeds would still save it.
            if health == EndpointHealth::GivenUp && !is_over {
                continue;
            }
            let mut transaction = self.pool().begin().await?;
            queue::note(&mut transaction, &attempts).await?;
            if after != record {
                endpoints::note_failing(&mut transaction, &endpoint.id, after).await?;
            }
            if health == EndpointHealth::GivenUp {
                self.disable(&mut transaction, endpoint).await?;
            }
            transaction.commit().await?;
            record = after;
            noted += attempts.len();
            attempts.clear();
        }
    }

    async fn disable(
        &self,
        connection: &mut PgConnection,
        endpoint: &Endpoint,
    ) -> Result<(), LedgerError> {
        endpoints::disable(connection, &endpoint.id, self.clock.now()).await?;
        metrics::counter!("muniment_webhook_endpoints_disabled_total").increment(1);
        tracing::warn!(
            endpoint = endpoint.id,
            project = endpoint.project_id,
            "a webhook endpoint failed for days and was disabled"
        );
        Ok(())
    }

    /// Queues a page of the oldest replay. Returns whether there was one.
    async fn replay_some(&self, connection: &mut PgConnection) -> Result<bool, LedgerError> {
        let Some(replay) = queue::next_replay(connection).await? else {
            return Ok(false);
        };
        let Some(endpoint) = endpoints::by_id(self.pool(), &replay.endpoint_id).await? else {
            return Ok(true);
        };
        let project = ProjectId::from_caller(&endpoint.project_id);
        let Replay {
            since,
            until,
            position,
            ..
        } = replay;
        let stretch = (Millis(since), Millis(until));
        let events = self
            .log
            .read_sealed_stretch(&project, stretch, position, REPLAYED)
            .await?;
        let reached = events.end.map(|end| end.position);
        // What cannot be read is missing from what is sent again as well.
        let (mut messages, _) = messages(&self.log, &events.events).await?;
        messages.retain(|message| endpoint.wants(&message.event_type));
        let mut transaction = sqlx::Connection::begin(connection).await?;
        queue::keep(&mut transaction, &messages).await?;
        let pairs = pairs(&messages, std::slice::from_ref(&endpoint));
        queue::enqueue(&mut transaction, &pairs, Some(self.clock.now())).await?;
        queue::advance_replay(&mut transaction, replay.id, reached).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// One success among attempts clears the record.
fn judge(
    record: Failing,
    attempts: &[(Attempt, DeliveryOutcome)],
    now: Millis,
) -> (Failing, EndpointHealth) {
    let is_delivered = |outcome: &DeliveryOutcome| *outcome == DeliveryOutcome::Delivered;
    if attempts.iter().any(|(_, outcome)| is_delivered(outcome)) {
        return (Failing::default(), EndpointHealth::WorthTrying);
    }
    attempts
        .iter()
        .fold((record, EndpointHealth::WorthTrying), |(record, _), _| {
            health::after_another_failure(record, now)
        })
}
