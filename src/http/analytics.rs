//! `/analytics/events`: what browsers observe, on its way to the analytics store.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use muniment_domain::Millis;
use muniment_projections::session_replays;
use muniment_projections::telemetry::TelemetryEvent;
use muniment_projections::telemetry::event::{CLICK, PAGE_VIEW};
use muniment_projections::telemetry::recorder::Destination;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::error::codes::{AnalyticsNotEnabled, Errors, Text, UserAuthenticationRequired};
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::describe::{OperationDescription, OperationInput, describe_request};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::caller::Caller;
use crate::http::request::declare::{Part, Request, fields, request};
use crate::http::request::ingestion::{browser_id, browser_millis, observed_session};
use crate::http::request::input::{Form, Input};
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::one_of;
use crate::http::request::shape::{Shape, object};

/// Events in a batch, at most.
const MAX_EVENTS: usize = 500;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(record_analytics_events))
}

request! {
    /// A batch of events, but for the events.
    struct AnalyticsEventBatch {
        query(open) {}
        body {
            /// The id that the browser drew for the segment of a recording which the events belong
            /// to: a UUID.
            session_replay_segment_id: String = required(browser_id());
            /// The id that the browser drew for this batch: a UUID.
            _batch_id as "batch_id": String = required(browser_id());
            /// When it was sent by the browser's clock, in milliseconds since the Unix epoch.
            _sent_at as "sent_at_ms": i64 = required(browser_millis());
        }
    }
}

fields! {
    /// An event, but for its data, which is passed on as the text it came as.
    struct BrowserEventHead {
        /// What the browser observed.
        event_type: &'static str = required(one_of(&[PAGE_VIEW, CLICK]));
        /// When, by the browser's clock, in milliseconds since the Unix epoch.
        event_at_ms: i64 = required(browser_millis());
    }
}

/// A batch of events. Their data is never looked into.
struct EventBatch {
    segment: String,
    events: Vec<BrowserEvent>,
}

impl FromRequestParts<App> for EventBatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let input = Input::from_request_parts(parts, app).await?;
        read_batch(input.form_by(Caller::of(parts)?))
    }
}

impl OperationInput for EventBatch {
    fn describe(operation: &mut OperationDescription) {
        let mut request = <AnalyticsEventBatch as Request>::describe();
        if let Some(body) = &mut request.body {
            let mut event = object::<BrowserEventHead>().schema();
            event["properties"]["data"] = json!({"description": "Whatever is to be known of the event. What is no object is kept as `{value}`."});
            event["required"] = json!(["event_type", "event_at_ms", "data"]);
            let about = "What was observed.";
            body.add_field("events", &json!({"type": "array", "description": about, "items": event, "minItems": 1, "maxItems": MAX_EVENTS}));
        }
        describe_request(operation, &request);
    }
}

/// How many events were taken.
#[derive(Serialize, ToSchema)]
struct InsertedEvents {
    inserted: usize,
}

/// Records a batch of what a browser observed.
///
/// It is on disk when this answers, and can be queried a moment later. The body may come compressed
/// with gzip, as `application/octet-stream`.
#[utoipa::path(post, path = "/analytics/events/batch", tag = "analytics",
    responses(Errors<(AnalyticsNotEnabled, UserAuthenticationRequired, Text<503>)>))]
async fn record_analytics_events(
    access: ClientAccess,
    EventBatch { segment, events }: EventBatch,
) -> ApiResult<Json<InsertedEvents>> {
    let current = observed_session(&access)?;
    if access.app.recorder.destination() == Destination::Nowhere {
        let text =
            "This server has no analytics store. Its operator sets CLICKHOUSE_URL to have one.";
        return Err(ApiError::text(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    let now = access.app.now();
    let project = access.project_id();
    let replay = session_replays::live(access.app.pool(), project, current.session, now).await?;
    let events = events.into_iter().map(|event| TelemetryEvent {
        event_type: event.head.event_type.to_owned(),
        at: Millis(event.head.event_at_ms),
        data: event.data,
        project_id: project.clone(),
        user: access.user_id(),
        session: Some(current.session),
        replay,
        segment: Some(segment.clone()),
        created_at: now,
    });
    let events: Vec<TelemetryEvent> = events.collect();
    access.app.recorder.keep(&events).await?;
    Ok(Json(InsertedEvents {
        inserted: events.len(),
    }))
}

/// An event as a browser sends it.
struct BrowserEvent {
    head: BrowserEventHead,
    data: String,
}

fn read_batch(mut form: Form<'_>) -> Result<EventBatch, ApiError> {
    let batch = AnalyticsEventBatch::read(&mut form);
    let events = form.events().unwrap_or_default();
    if events.is_empty() || events.len() > MAX_EVENTS {
        let limits = format!("must have 1 to {MAX_EVENTS} items");
        form.violation("body.events", &limits);
    }
    let events: Option<Vec<BrowserEvent>> = events
        .iter()
        .take(MAX_EVENTS)
        .enumerate()
        .map(|(at, event)| read_event(&mut form, at, event))
        .collect();
    form.finish((|| {
        Some(EventBatch {
            segment: batch?.session_replay_segment_id,
            events: events?,
        })
    })())
}

fn read_event(form: &mut Form<'_>, at: usize, event: &RawValue) -> Option<BrowserEvent> {
    let path = format!("body.events[{at}]");
    let Ok(mut members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(event.get()) else {
        form.violation(&path, "must be an object");
        return None;
    };
    let data = members.remove("data");
    if data.is_none() {
        form.violation(&format!("{path}.data"), "is required");
    }
    let members: Map<String, Value> = members
        .into_iter()
        .map(|(name, member)| (name, serde_json::from_str(member.get()).unwrap_or_default()))
        .collect();
    let head = BrowserEventHead::read(&mut form.part(path, members));
    Some(BrowserEvent {
        head: head?,
        data: as_object(data?),
    })
}

/// The analytics store keeps objects only; anything else is kept as one with a single member.
fn as_object(data: &RawValue) -> String {
    let text = data.get();
    if text.starts_with('{') {
        text.to_owned()
    } else {
        format!("{{\"value\":{text}}}")
    }
}
