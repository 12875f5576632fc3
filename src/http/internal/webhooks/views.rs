//! How endpoints, messages and attempts are shown.

use muniment_projections::webhooks::endpoints::Endpoint;
use muniment_projections::webhooks::queue::{LoggedAttempt, Message, Stats};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An endpoint.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookEndpoint {
    /// Milliseconds since the Unix epoch.
    created_at_millis: i64,
    description: String,
    /// Whether nothing is sent to it.
    disabled: bool,
    /// Since when it counts as failing, in milliseconds since the Unix epoch. Null if it does not.
    #[schema(required)]
    failing_since_millis: Option<i64>,
    /// The event types that it wants. Null for all.
    #[schema(required)]
    filter_types: Option<Vec<String>>,
    /// Headers that are sent along.
    #[schema(value_type = BTreeMap<String, String>)]
    headers: Value,
    /// `ep_…`
    id: String,
    /// When its settings were last changed, in milliseconds since the Unix epoch.
    updated_at_millis: i64,
    url: String,
}

/// A message.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookMessage {
    /// When what it tells of happened, in milliseconds since the Unix epoch.
    created_at_millis: i64,
    event_type: String,
    /// `msg_…`
    id: String,
    /// What is sent. Null once the user whom it is about is deleted.
    payload: Value,
}

/// An attempt at delivering a message.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookAttempt {
    /// When it began, in milliseconds since the Unix epoch.
    created_at_millis: i64,
    endpoint_id: String,
    event_type: String,
    /// `atmpt_…`
    id: String,
    message_id: String,
    /// What was sent. Null once the user whom it is about is deleted.
    payload: Value,
    /// The beginning of the response, or why there was none.
    response: String,
    /// How long it took.
    response_duration_millis: i64,
    /// 0 if there was no response.
    response_status_code: i32,
    status: AttemptStatus,
    trigger: AttemptTrigger,
    /// Where the endpoint was.
    url: String,
}

/// Whether an endpoint took a message.
#[derive(Serialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum AttemptStatus {
    Success,
    Fail,
}

impl AttemptStatus {
    /// All of them, by their names.
    pub(super) const NAMED: [(&'static str, Self); 2] =
        [("success", Self::Success), ("fail", Self::Fail)];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Fail => "fail",
        }
    }
}

/// Why an attempt was made: it was time, or somebody asked for it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AttemptTrigger {
    Scheduled,
    Manual,
}

/// What messages are signed with.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookSecret {
    /// `whsec_` and base64.
    #[schema(required)]
    pub(super) secret: Option<String>,
}

/// How many deliveries stand how.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookStats {
    /// Given up.
    fail: i64,
    /// Not tried yet, or to be tried again.
    pending: i64,
    /// Arrived.
    success: i64,
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
pub(super) struct Recovered {
    /// How many messages.
    pub(super) count: u64,
}

impl From<Endpoint> for WebhookEndpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            created_at_millis: endpoint.created_at,
            description: endpoint.description,
            disabled: endpoint.is_disabled,
            failing_since_millis: endpoint.failing_since,
            filter_types: endpoint.filter_types,
            headers: endpoint.headers,
            id: endpoint.id,
            updated_at_millis: endpoint.updated_at,
            url: endpoint.url,
        }
    }
}

fn parsed(content: Option<&str>) -> Value {
    content
        .and_then(|content| serde_json::from_str(content).ok())
        .unwrap_or_default()
}

impl From<Message> for WebhookMessage {
    fn from(message: Message) -> Self {
        Self {
            created_at_millis: message.created_at,
            event_type: message.event_type,
            id: message.id,
            payload: parsed(message.content.as_deref()),
        }
    }
}

impl From<LoggedAttempt> for WebhookAttempt {
    fn from(logged: LoggedAttempt) -> Self {
        let attempt = logged.attempt;
        Self {
            created_at_millis: attempt.created_at,
            event_type: logged.event_type,
            payload: parsed(logged.content.as_deref()),
            response_duration_millis: attempt.duration_millis,
            response_status_code: attempt.response_status_code,
            status: if attempt.is_success() {
                AttemptStatus::Success
            } else {
                AttemptStatus::Fail
            },
            trigger: if attempt.is_manual {
                AttemptTrigger::Manual
            } else {
                AttemptTrigger::Scheduled
            },
            endpoint_id: attempt.endpoint_id,
            id: attempt.id,
            message_id: attempt.message_id,
            response: attempt.response,
            url: attempt.url,
        }
    }
}

impl From<Stats> for WebhookStats {
    fn from(stats: Stats) -> Self {
        Self {
            fail: stats.fail,
            pending: stats.pending,
            success: stats.success,
        }
    }
}
