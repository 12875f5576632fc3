//! The subscriber that produces messages from events.
//!
//! Messages are kept in the transaction that moves the subscription's cursor, so none is lost and
//! none is made twice. Where this server delivers, they are made only for projects that have an
//! endpoint: should one want the past later, that is in the log.

use muniment_domain::project::ProjectEvent;
use muniment_event_store::subscription::{EventView, PassedOver, Subscriber, set_aside};
use muniment_event_store::{EventLog, LedgerError, LedgerEvent, RecordedEvent, Unreadable};
use muniment_projections::webhooks::endpoints::{self, Endpoint};
use muniment_projections::webhooks::queue::{self, Message};
use muniment_projections::webhooks::submissions;
use muniment_projections::webhooks::webhook_events::webhook_events;
use sqlx::PgConnection;

use super::payloads;
use crate::app::webhooks::Webhooks;
use crate::clock::Clock;

/// Produces the messages that tell receivers of events.
#[derive(Clone)]
pub struct MessageProducer {
    /// The event log.
    pub log: EventLog,
    /// The time.
    pub clock: Clock,
    /// What delivers the messages.
    pub webhooks: Webhooks,
}

impl MessageProducer {
    async fn queue(
        &self,
        connection: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        let mut projects: Vec<String> = batch.iter().map(|e| e.project_id.to_string()).collect();
        projects.sort();
        projects.dedup();
        let endpoints = endpoints::enabled(connection, &projects).await?;
        if endpoints.is_empty() {
            return Ok(());
        }
        let listened = |event: &&RecordedEvent| {
            let project = event.project_id.as_str();
            endpoints.iter().any(|e| e.project_id == project)
        };
        let events: Vec<RecordedEvent> = batch.iter().filter(listened).cloned().collect();
        let (messages, untold) = messages(&self.log, &events).await?;
        self.wait_with(connection, &untold).await?;
        let messages: Vec<Message> = messages
            .into_iter()
            .filter(|message| is_wanted(message, &endpoints))
            .collect();
        queue::keep(connection, &messages).await?;
        let pairs = pairs(&messages, &endpoints);
        queue::enqueue(connection, &pairs, Some(self.clock.now())).await
    }

    /// Sets aside what cannot be told yet, because of another event that cannot be read.
    async fn wait_with(
        &self,
        connection: &mut PgConnection,
        untold: &[Unreadable],
    ) -> Result<(), LedgerError> {
        set_aside(connection, self.name(), untold, PassedOver::SetAside).await
    }

    /// The settings and messages of projects that were deleted.
    async fn forget_projects(
        &self,
        connection: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        for event in batch {
            if let LedgerEvent::Project(ProjectEvent::ProjectDeleted {}) = &event.event {
                endpoints::delete_of_project(connection, &event.aggregate_id).await?;
            }
        }
        Ok(())
    }
}

impl Subscriber for MessageProducer {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    /// Events say what is to be told; what messages show is read from whole streams.
    fn view(&self) -> EventView {
        EventView::Sealed
    }

    async fn accept(
        &self,
        connection: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        match &self.webhooks {
            Webhooks::Embedded(delivery_client) => {
                self.queue(connection, batch).await?;
                self.forget_projects(connection, batch).await?;
                delivery_client.wake();
                Ok(())
            }
            Webhooks::Svix(_) => {
                let (messages, untold) = messages(&self.log, batch).await?;
                self.wait_with(connection, &untold).await?;
                submissions::keep(connection, &messages, self.clock.now()).await
            }
        }
    }
}

/// The messages that tell of events, and the events that cannot be told of yet.
pub(super) async fn messages(
    log: &EventLog,
    events: &[RecordedEvent],
) -> Result<(Vec<Message>, Vec<Unreadable>), LedgerError> {
    let told = webhook_events(log, events).await?;
    Ok((payloads::messages(told.events)?, told.untold))
}

fn is_wanted(message: &Message, endpoints: &[Endpoint]) -> bool {
    endpoints.iter().any(|endpoint| wants(endpoint, message))
}

fn wants(endpoint: &Endpoint, message: &Message) -> bool {
    endpoint.project_id == message.project_id && endpoint.wants(&message.event_type)
}

/// Which message goes to which endpoint: (endpoint, message).
pub(super) fn pairs(messages: &[Message], endpoints: &[Endpoint]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for message in messages {
        let wanting = endpoints.iter().filter(|endpoint| wants(endpoint, message));
        pairs.extend(wanting.map(|endpoint| (endpoint.id.clone(), message.id.clone())));
    }
    pairs
}
