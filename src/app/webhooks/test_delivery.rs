//! Testing an endpoint with a message that tells of nothing.

use muniment_event_store::LedgerError;
use muniment_projections::webhooks::endpoints::{self, Endpoint};
use muniment_projections::webhooks::event_types::TEST;
use muniment_projections::webhooks::queue::{self, Attempt, DeliveryOutcome, Due, Message};
use serde_json::json;

use super::body;
use super::sender::Sender;
use crate::app::App;
use crate::clients::delivery_client::DeliveryClient;

/// Sends a message that tests an endpoint, at once. Yields what the endpoint answered.
pub async fn test_delivery(
    app: &App,
    client: &DeliveryClient,
    endpoint: &Endpoint,
) -> Result<Attempt, LedgerError> {
    let due = keep_test_message(app, endpoint).await?;
    let now = app.now();
    let secrets = endpoints::secrets(app.pool(), app.log.sealer(), endpoint, now).await?;
    let sender = Sender {
        client: client.clone(),
        clock: app.clock.clone(),
        random: app.random.clone(),
    };
    let attempt = sender.attempt(endpoint, &secrets, &due).await;
    let outcome = if attempt.is_success() {
        DeliveryOutcome::Delivered
    } else {
        // A test is not tried again.
        DeliveryOutcome::GivenUp
    };
    let tried = (attempt, outcome);
    // A test says nothing about how the endpoint has been doing.
    let mut connection = app.pool().acquire().await?;
    queue::note(&mut connection, std::slice::from_ref(&tried)).await?;
    Ok(tried.0)
}

/// Makes the message, which the dispatcher leaves alone.
async fn keep_test_message(app: &App, endpoint: &Endpoint) -> Result<Due, LedgerError> {
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
        failures: 0,
        is_manual: true,
    };
    let mut transaction = app.pool().begin().await?;
    let pair = [(endpoint.id.clone(), message.id.clone())];
    queue::keep(&mut transaction, &[message]).await?;
    queue::enqueue(&mut transaction, &pair, None).await?;
    transaction.commit().await?;
    Ok(due)
}
