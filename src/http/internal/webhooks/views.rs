//! How endpoints, messages and attempts are shown.

use muniment_projections::webhooks::endpoints::Endpoint;
use muniment_projections::webhooks::queue::{LoggedAttempt, Message};
use serde_json::{Value, json};

pub(super) fn endpoint_view(endpoint: &Endpoint) -> Value {
    json!({
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "disabled": endpoint.is_disabled,
        "filter_types": endpoint.filter_types,
        "headers": endpoint.headers,
        "failing_since_millis": endpoint.failing_since,
        "created_at_millis": endpoint.created_at,
        "updated_at_millis": endpoint.updated_at,
    })
}

fn parsed(content: Option<&str>) -> Value {
    content
        .and_then(|content| serde_json::from_str(content).ok())
        .unwrap_or_default()
}

pub(super) fn message_view(message: &Message) -> Value {
    json!({
        "id": message.id,
        "event_type": message.event_type,
        "payload": parsed(message.content.as_deref()),
        "created_at_millis": message.created_at,
    })
}

pub(super) fn attempt_view(logged: &LoggedAttempt) -> Value {
    let LoggedAttempt {
        attempt,
        event_type,
        content,
        ..
    } = logged;
    json!({
        "id": attempt.id,
        "endpoint_id": attempt.endpoint_id,
        "message_id": attempt.message_id,
        "event_type": event_type,
        "payload": parsed(content.as_deref()),
        "url": attempt.url,
        "status": attempt.status,
        "response_status_code": attempt.response_status_code,
        "response": attempt.response,
        "response_duration_millis": attempt.duration_millis,
        "trigger": if attempt.is_manual { "manual" } else { "scheduled" },
        "created_at_millis": attempt.created_at,
    })
}
