//! `/session-replays`: what users saw, as their browsers record it.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use muniment_projections::session_replays::{Added, Recorded};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::app::App;
use crate::app::session_replays::{Upload, store};
use crate::error::codes::{AnalyticsNotEnabled, Errors, Text, UserAuthenticationRequired};
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::describe::{OperationDescription, OperationInput, describe_request};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::body::Body;
use crate::http::request::declare::{Request, request};
use crate::http::request::ingestion::{browser_id, browser_millis, observed_session};
use crate::http::request::input::{Form, Input};
use crate::http::request::presence::required;

/// The largest upload, in bytes.
const MAX_BYTES: usize = 1_000_000;
/// Events in an upload, at most.
const MAX_EVENTS: usize = 5_000;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(upload_session_replay))
}

request! {
    /// A chunk of a recording, but for its events.
    struct SessionReplayUpload {
        query(open) {}
        body {
            /// The id that the browser drew for its session: a UUID.
            browser_session_id: String = required(browser_id());
            /// The id that the browser drew for the tab's part of the recording: a UUID.
            session_replay_segment_id: String = required(browser_id());
            /// The id that the browser drew for this chunk: a UUID. A chunk is kept once, however
            /// often it is sent.
            batch_id: String = required(browser_id());
            /// When the part began by the browser's clock, in milliseconds since the Unix epoch.
            started_at_ms: i64 = required(browser_millis());
            /// When the chunk was sent by the browser's clock, in milliseconds since the Unix epoch.
            sent_at_ms: i64 = required(browser_millis());
        }
    }
}

/// A chunk that is not read yet: its events are borrowed from it, and its size is checked between
/// its fields and its events.
struct UnreadChunk(Input);

impl FromRequestParts<App> for UnreadChunk {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Input::from_request_parts(parts, app).await.map(Self)
    }
}

impl OperationInput for UnreadChunk {
    fn describe(operation: &mut OperationDescription) {
        let mut request = <SessionReplayUpload as Request>::describe();
        if let Some(body) = &mut request.body {
            let about =
                "The events of the recording, as rrweb makes them. They are not looked into.";
            let events = json!({"type": "array", "description": about, "items": {}, "minItems": 1, "maxItems": MAX_EVENTS});
            body.add_field("events", &events);
        }
        describe_request(operation, &request);
    }
}

/// A chunk that was kept.
#[derive(Serialize, ToSchema)]
struct KeptSessionReplayUpload {
    /// The recording that it belongs to.
    session_replay_id: Uuid,
    /// The chunk's id, as it was sent.
    batch_id: String,
    /// The name under which it is kept.
    s3_key: String,
    /// Whether it had been kept already.
    deduped: bool,
}

/// Keeps a chunk of a recording.
///
/// Chunks of one session that follow each other within three minutes make up one recording, from
/// whichever tabs they come.
#[utoipa::path(post, path = "/session-replays/batch", tag = "analytics",
    responses(Errors<(AnalyticsNotEnabled, UserAuthenticationRequired, Text<400>, Text<413>)>))]
async fn upload_session_replay(
    access: ClientAccess,
    UnreadChunk(input): UnreadChunk,
) -> ApiResult<Json<KeptSessionReplayUpload>> {
    let size = match &input.body {
        Body::OversizedRecording => {
            observed_session(&access)?;
            return Err(too_large());
        }
        Body::Observations(observations) => observations.size,
        _ => 0,
    };
    let upload = read_upload(input.form_by(&access.caller))?;
    let current = observed_session(&access)?;
    if size > MAX_BYTES {
        return Err(too_large());
    }
    check_events(upload.events.len())?;
    let recorded = Recorded {
        project: access.project_id(),
        user: current.record.user.user_id(),
        session: current.session,
    };
    let stored = store(&access.app, &recorded, &upload).await?;
    Ok(Json(KeptSessionReplayUpload {
        session_replay_id: stored.replay,
        batch_id: upload.batch_id,
        s3_key: stored.object_key,
        deduped: stored.added == Added::Repeated,
    }))
}

fn check_events(count: usize) -> Result<(), ApiError> {
    match count {
        0 => Err(ApiError::bad_request("events must not be empty.")),
        1..=MAX_EVENTS => Ok(()),
        _ => Err(ApiError::bad_request(
            "events must have at most 5000 items. Send more uploads.",
        )),
    }
}

fn read_upload(mut form: Form<'_>) -> Result<Upload<'_>, ApiError> {
    let chunk = SessionReplayUpload::read(&mut form);
    let events = form.events();
    form.finish((|| {
        let chunk = chunk?;
        Some(Upload {
            browser_session_id: chunk.browser_session_id,
            segment_id: chunk.session_replay_segment_id,
            batch_id: chunk.batch_id,
            started_at_ms: chunk.started_at_ms,
            sent_at_ms: chunk.sent_at_ms,
            events: events?,
        })
    })())
}

fn too_large() -> ApiError {
    let text = "The upload is larger than 1,000,000 bytes. Send fewer events at once.";
    ApiError::text(StatusCode::PAYLOAD_TOO_LARGE, text)
}
