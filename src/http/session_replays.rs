//! `/session-replays`: what users saw, as their browsers record it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_projections::session_replays::{Added, Recorded};
use serde_json::json;
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::session_replays::{Upload, store};
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ClientAccess;
use crate::http::request::body::Body;
use crate::http::request::ingestion::{browser_id, millis, observed_session};
use crate::http::request::input::{Form, Input};

/// The largest upload, in bytes.
const MAX_BYTES: usize = 1_000_000;
/// Events in an upload, at most.
const MAX_EVENTS: usize = 5_000;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(upload))
}

/// Takes a chunk of a recording. Chunks of one session that follow each other within three minutes
/// make up one recording, from whichever tabs they come.
#[utoipa::path(post, path = "/session-replays/batch", tag = "analytics", request_body = Value,
    responses((status = 200, description = "`{session_replay_id, batch_id, s3_key, deduped}`"),
        (status = 400, description = "SCHEMA_ERROR, ANALYTICS_NOT_ENABLED, no events, or too many"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 413, description = "More than 1,000,000 bytes")))]
async fn upload(access: ClientAccess, input: Input) -> ApiResult {
    let size = match &input.body {
        Body::OversizedRecording => {
            observed_session(&access)?;
            return Err(too_large());
        }
        Body::Observations(observations) => observations.size,
        _ => 0,
    };
    let upload = read_upload(access.form(&input))?;
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
    Ok(Json(json!({
        "session_replay_id": stored.replay,
        "batch_id": upload.batch_id,
        "s3_key": stored.object_key,
        "deduped": stored.added == Added::Repeated,
    }))
    .into_response())
}

fn check_events(count: usize) -> Result<(), ApiError> {
    match count {
        0 => Err(bad_request("events must not be empty.")),
        1..=MAX_EVENTS => Ok(()),
        _ => Err(bad_request(
            "events must have at most 5000 items. Send more uploads.",
        )),
    }
}

fn read_upload<'i>(mut form: Form<'i>) -> Result<Upload<'i>, ApiError> {
    let mut body = form.body();
    let browser_session_id = body.required("browser_session_id", browser_id);
    let segment_id = body.required("session_replay_segment_id", browser_id);
    let batch_id = body.required("batch_id", browser_id);
    let started_at_ms = body.required("started_at_ms", millis);
    let sent_at_ms = body.required("sent_at_ms", millis);
    body.close();
    let events: Option<Vec<&'i RawValue>> = form.events();
    form.finish((|| {
        Some(Upload {
            browser_session_id: browser_session_id?,
            segment_id: segment_id?,
            batch_id: batch_id?,
            started_at_ms: started_at_ms?,
            sent_at_ms: sent_at_ms?,
            events: events?,
        })
    })())
}

fn too_large() -> ApiError {
    let text = "The upload is larger than 1,000,000 bytes. Send fewer events at once.";
    ApiError::text(StatusCode::PAYLOAD_TOO_LARGE, text)
}

fn bad_request(text: &str) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, text)
}
