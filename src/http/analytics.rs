//! `/analytics/events`: what browsers observe, on its way to the analytics store.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::Millis;
use muniment_projections::session_replays;
use muniment_projections::telemetry::TelemetryEvent;
use muniment_projections::telemetry::event::{CLICK, PAGE_VIEW};
use muniment_projections::telemetry::recorder::Destination;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ClientAccess;
use crate::http::request::ingestion::{browser_id, millis, observed_session};
use crate::http::request::input::{Form, Input};
use crate::http::request::values::one_of;

/// Events in a batch, at most.
const MAX_EVENTS: usize = 500;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(take))
}

/// Takes a batch of what a browser observed. It is on disk when this answers, and can be queried a
/// moment later.
#[utoipa::path(post, path = "/analytics/events/batch", tag = "analytics", request_body = Value,
    responses((status = 200, description = "`{inserted}`"), (status = 400, description = "SCHEMA_ERROR, ANALYTICS_NOT_ENABLED"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 503, description = "The server has no analytics store")))]
async fn take(access: ClientAccess, input: Input) -> ApiResult {
    let (segment, events) = read_batch(access.form(&input))?;
    let current = observed_session(&access)?;
    if access.app.recorder.destination() == Destination::Nowhere {
        let text =
            "This server has no analytics store. Its operator sets CLICKHOUSE_URL to have one.";
        return Err(ApiError::text(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    let now = access.app.now();
    let project = access.project_id();
    let replay = session_replays::live(access.app.pool(), project, current.session, now).await?;
    let events: Vec<TelemetryEvent> = events
        .into_iter()
        .map(|event| TelemetryEvent {
            event_type: event.event_type.to_owned(),
            at: Millis(event.at),
            data: event.data,
            project_id: project.clone(),
            user: access.user_id(),
            session: Some(current.session),
            replay,
            segment: Some(segment.clone()),
            created_at: now,
        })
        .collect();
    access.app.recorder.keep(&events).await?;
    Ok(Json(json!({"inserted": events.len()})).into_response())
}

/// An event as a browser sends it.
struct BrowserEvent {
    event_type: &'static str,
    at: i64,
    data: String,
}

fn read_batch(mut form: Form<'_>) -> Result<(String, Vec<BrowserEvent>), ApiError> {
    let mut body = form.body();
    let segment = body.required("session_replay_segment_id", browser_id);
    let batch = body.required("batch_id", browser_id);
    let sent_at = body.required("sent_at_ms", millis);
    body.close();
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
        batch?;
        sent_at?;
        Some((segment?, events?))
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
    let mut fields = form.part(path, members);
    let event_type = fields.required("event_type", one_of(&[PAGE_VIEW, CLICK]));
    let at = fields.required("event_at_ms", millis);
    fields.close();
    Some(BrowserEvent {
        event_type: event_type?,
        at: at?,
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
