//! What the outside world is told of what happened, and the queue it is sent from.
//!
//! - [`webhook_events`]: which events are told of, in one table, and what was the case then;
//! - [`endpoints`]: where messages go; [`queue`]: messages, what is due, and how it went;
//!   [`submissions`]: messages on their way to a Svix server.
//!
//! Sending is the server's.

pub mod endpoints;
pub mod event_types;
pub mod queue;
pub mod submissions;
pub mod webhook_events;

pub use crate::webhooks::webhook_events::{Change, Occasion, WebhookData, WebhookEvent};

use muniment_event_store::{ConstraintMeaning, LedgerError, Reservation};

/// What it means that a write to these tables fails: names that a project gives must be unique.
fn unique_violation(error: sqlx::Error) -> LedgerError {
    LedgerError::from(error).explained(|constraint| match constraint {
        "webhook_endpoints_uid" => Some(ConstraintMeaning::Taken(Reservation::WebhookEndpointUid)),
        "webhook_messages_event_id" => Some(ConstraintMeaning::Taken(Reservation::WebhookEventId)),
        _ => None,
    })
}
