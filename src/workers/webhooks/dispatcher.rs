//! Delivering what is due.
//!
//! One process at a time does, by an advisory lock; others stand by. Every endpoint to which
//! something is due has a task of its own, so that a slow one keeps only itself waiting.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use muniment_domain::{Millis, ProjectId};
use muniment_projections::webhooks::endpoints::{self, Endpoint, Failing};
use muniment_projections::webhooks::queue::{self, Attempt, Due, Fate, Message, Replay};
use muniment_projections::{LedgerError, sole_holder};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::message_producer::{messages, pairs};
use super::health::{self, Verdict};
use crate::app::App;
use crate::app::webhooks::{HOLDER, body};
use crate::clients::delivery_client::{Courier, Parcel};
use muniment_projections::webhooks::event_types::TEST;

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
/// How long to wait after the database failed, or to stand by for the lock.
const PAUSE: Duration = Duration::from_secs(2);
/// Events that are replayed at once.
const REPLAYED: i64 = 2_000;
/// How long messages and attempts are kept: ninety days.
const KEPT_MILLIS: i64 = 90 * 24 * 60 * 60 * 1000;
/// How often old ones, and those about people who were erased, are forgotten.
const TIDY: Duration = Duration::from_secs(600);

/// Delivers, or stands by, for ever.
pub async fn run(app: App, courier: Courier) {
    loop {
        if let Err(error) = hold_office(&app, &courier).await {
            tracing::warn!(%error, "webhooks cannot be delivered at the moment; trying again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tasks by endpoint; they end with whoever holds them.
#[derive(Default)]
struct Rounds(HashMap<String, JoinHandle<()>>);

impl Drop for Rounds {
    fn drop(&mut self) {
        for round in self.0.values() {
            round.abort();
        }
    }
}

/// Delivers as long as the lock is held. Returns when another process holds it.
async fn hold_office(app: &App, courier: &Courier) -> Result<(), LedgerError> {
    let Some(mut connection) = sole_holder(app.pool(), HOLDER).await? else {
        return Ok(());
    };
    let mut rounds = Rounds::default();
    let mut tidied = Instant::now();
    loop {
        rounds.0.retain(|_, round| !round.is_finished());
        for endpoint in queue::endpoints_in_demand(&mut connection, app.now()).await? {
            if rounds.0.len() < ENDPOINTS && !rounds.0.contains_key(&endpoint) {
                let round = serve(app.clone(), courier.clone(), endpoint.clone());
                rounds.0.insert(endpoint, tokio::spawn(round));
            }
        }
        let is_replaying = replay_some(app, &mut connection).await?;
        if tidied.elapsed() >= TIDY {
            tidy(app, &mut connection).await?;
            tidied = Instant::now();
        }
        if !is_replaying {
            // Either way it is time to look again.
            let _ = tokio::time::timeout(POLL, courier.woken()).await;
            tokio::time::sleep(COMMIT).await;
        }
    }
}

async fn tidy(app: &App, connection: &mut PgConnection) -> Result<(), LedgerError> {
    queue::forget_erased(connection).await?;
    queue::forget_old(connection, app.now().plus(-KEPT_MILLIS)).await?;
    Ok(())
}

/// Delivers what is due to an endpoint until nothing is.
async fn serve(app: App, courier: Courier, id: String) {
    loop {
        match serve_round(&app, &courier, &id).await {
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
async fn serve_round(app: &App, courier: &Courier, id: &str) -> Result<usize, LedgerError> {
    let Some(endpoint) = endpoints::by_id(app.pool(), id).await? else {
        return Ok(0);
    };
    if endpoint.is_disabled {
        return Ok(0);
    }
    let (now, begun) = (app.now(), Instant::now());
    let secrets = endpoints::secrets(app.pool(), app.log.sealer(), &endpoint, now).await?;
    let limit = endpoint.rate_limit.map_or(BATCH, i64::from);
    let due = queue::due(app.pool(), id, now, limit.min(BATCH)).await?;
    let (outcomes, made) = mpsc::channel(NOTED);
    let sending = async {
        let mut waiting = due.iter();
        let mut in_flight = FuturesUnordered::new();
        loop {
            while in_flight.len() < IN_FLIGHT && begun.elapsed() < ROUND {
                let Some(due) = waiting.next() else { break };
                in_flight.push(attempt(app, courier, &endpoint, &secrets, due));
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
    let ((), noted) = tokio::join!(sending, note_all(app, &endpoint, made));
    let noted = noted?;
    if endpoint.rate_limit.is_some() && noted > 0 {
        tokio::time::sleep_until(begun + SECOND).await;
    }
    Ok(noted)
}

/// Notes attempts as they are made, as many at once as there are. Returns how many there were.
async fn note_all(
    app: &App,
    endpoint: &Endpoint,
    mut made: mpsc::Receiver<(Attempt, Fate)>,
) -> Result<usize, LedgerError> {
    let mut record = endpoint.failing();
    let mut attempts = Vec::with_capacity(NOTED);
    let mut noted = 0;
    loop {
        let is_over = made.recv_many(&mut attempts, NOTED).await == 0;
        if attempts.is_empty() {
            return Ok(noted);
        }
        let (after, verdict) = judge(record, &attempts, app.now());
        // An endpoint is disabled with the last attempt of a batch: none follows, and one that
        // succeeds would still save it.
        if verdict == Verdict::Disable && !is_over {
            continue;
        }
        let mut transaction = app.pool().begin().await?;
        queue::note(&mut transaction, &attempts).await?;
        if after != record {
            endpoints::note_failing(&mut transaction, &endpoint.id, after).await?;
        }
        if verdict == Verdict::Disable {
            endpoints::disable(&mut transaction, &endpoint.id, app.now()).await?;
            metrics::counter!("muniment_webhook_endpoints_disabled_total").increment(1);
            tracing::warn!(
                endpoint = endpoint.id,
                project = endpoint.project_id,
                "a webhook endpoint failed for days and was disabled"
            );
        }
        transaction.commit().await?;
        record = after;
        noted += attempts.len();
        attempts.clear();
    }
}

/// Tries once to deliver a message.
async fn attempt(
    app: &App,
    courier: &Courier,
    endpoint: &Endpoint,
    secrets: &[String],
    due: &Due,
) -> (Attempt, Fate) {
    let at = app.now();
    let mut attempt = Attempt {
        id: format!("atmpt_{}", app.random.base62(27)),
        endpoint_id: endpoint.id.clone(),
        message_id: due.message_id.clone(),
        url: endpoint.url.clone(),
        status: "fail".to_owned(),
        response_status_code: 0,
        response: String::new(),
        duration_millis: 0,
        is_manual: due.is_manual,
        created_at: at.0,
    };
    let Some(content) = &due.content else {
        attempt.response = String::from("what the message told of was erased");
        return (attempt, Fate::GivenUp);
    };
    let parcel = Parcel {
        message_id: &due.message_id,
        content,
        secrets,
        headers: &headers_of(endpoint),
        at,
    };
    let reply = courier.carry(&endpoint.url, parcel).await;
    metrics::counter!("muniment_webhook_attempts_total",
        "outcome" => if reply.is_success() { "success" } else { "failure" })
    .increment(1);
    attempt.response_status_code = i32::from(reply.status);
    attempt.duration_millis = i64::try_from(reply.took.as_millis()).unwrap_or(i64::MAX);
    let fate = if reply.is_success() {
        attempt.status = String::from("success");
        Fate::Delivered
    } else if due.is_manual {
        // What somebody asked for does not use the schedule up.
        health::after_failure(due.failures.saturating_sub(1).max(0), app.now())
    } else {
        health::after_failure(due.failures, app.now())
    };
    attempt.response = reply.text;
    (attempt, fate)
}

fn headers_of(endpoint: &Endpoint) -> HeaderMap {
    let fields = endpoint.headers.as_object().into_iter().flatten();
    let headers = fields.filter_map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value.as_str()?).ok()?))
    });
    headers.collect()
}

/// One success among attempts clears the record.
fn judge(record: Failing, attempts: &[(Attempt, Fate)], now: Millis) -> (Failing, Verdict) {
    let any_success = attempts.iter().any(|(_, fate)| *fate == Fate::Delivered);
    if any_success {
        return (Failing::default(), Verdict::Keep);
    }
    attempts
        .iter()
        .fold((record, Verdict::Keep), |(record, _), _| {
            health::after_another_failure(record, now)
        })
}

/// Queues a page of the oldest replay. Returns whether there was one.
async fn replay_some(app: &App, connection: &mut PgConnection) -> Result<bool, LedgerError> {
    let Some(replay) = queue::next_replay(connection).await? else {
        return Ok(false);
    };
    let Some(endpoint) = endpoints::by_id(app.pool(), &replay.endpoint_id).await? else {
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
    let events = app
        .log
        .read_sealed_stretch(&project, stretch, position, REPLAYED)
        .await?;
    let reached = events.last().map(|event| event.cursor.position);
    let mut messages = messages(app, &events).await?;
    messages.retain(|message| endpoint.wants(&message.event_type));
    let mut transaction = sqlx::Connection::begin(connection).await?;
    queue::keep(&mut transaction, &messages).await?;
    let pairs = pairs(&messages, std::slice::from_ref(&endpoint));
    queue::enqueue(&mut transaction, &pairs, Some(app.now())).await?;
    queue::advance_replay(&mut transaction, replay.id, reached).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Sends a message that tests an endpoint, at once. Yields what the endpoint answered.
///
/// # Errors
/// When the database fails.
pub async fn test_delivery(
    app: &App,
    courier: &Courier,
    endpoint: &Endpoint,
) -> Result<Attempt, LedgerError> {
    let text = "This message tests a webhook endpoint. Nothing happened.";
    let data = json!({"message": text, "endpointUrl": endpoint.url});
    let content = body(TEST, &data);
    let message = Message {
        id: format!("msg_{}", app.random.base62(27)),
        project_id: endpoint.project_id.clone(),
        event_type: TEST.to_owned(),
        subject: endpoint.id.clone(),
        content: Some(content.clone()),
        created_at: app.now().0,
        event_id: None,
        channels: None,
    };
    let due = Due {
        message_id: message.id.clone(),
        content: Some(content),
        // It is not tried again.
        failures: i32::MAX,
        is_manual: true,
    };
    let mut transaction = app.pool().begin().await?;
    let pair = [(endpoint.id.clone(), message.id.clone())];
    queue::keep(&mut transaction, &[message]).await?;
    queue::enqueue(&mut transaction, &pair, None).await?;
    transaction.commit().await?;
    let now = app.now();
    let secrets = endpoints::secrets(app.pool(), app.log.sealer(), endpoint, now).await?;
    let tried = attempt(app, courier, endpoint, &secrets, &due).await;
    // A test says nothing about how the endpoint has been doing.
    let mut connection = app.pool().acquire().await?;
    queue::note(&mut connection, std::slice::from_ref(&tried)).await?;
    Ok(tried.0)
}
