//! Messages.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_projections::webhooks::queue::Message;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Access;
use super::error::SvixResult;
use super::values::{param, shown_time};
use crate::app::App;
use crate::app::webhooks::{management, settings};
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::input::Input;
use crate::http::request::values::{json_object, query_boolean};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(read))
        .routes(routes!(resend))
}

/// Sends a message to all endpoints that want it.
#[utoipa::path(post, path = "/app/{app_id}/msg", tag = "svix", params(("app_id" = String, Path), ("with_content" = Option<bool>, Query)), request_body = Value,
    responses((status = 202, description = "The message"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 409, description = "The event id is taken"), (status = 422, description = "What is wrong, and where")))]
async fn create(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let mut query = form.query();
    let content = read_content(&mut query);
    query.close_leniently();
    let mut body = form.body();
    let event_type = body.required("eventType", settings::uid);
    let payload = body.required("payload", json_object);
    let event_id = body.nullable("eventId", settings::uid);
    let channels = body.nullable("channels", settings::channels);
    body.close_leniently();
    let (content, message) = form.check((|| {
        let message = Message {
            id: format!("msg_{}", app.random.base62(27)),
            project_id: access.project().to_string(),
            event_type: event_type?,
            // It is about nobody in particular, and goes with the project.
            subject: access.project().to_string(),
            content: Some(payload?.to_string()),
            created_at: app.now().0,
            event_id: event_id?.into_value(),
            channels: channels?.into_value(),
        };
        Some((content?, message))
    })())?;
    management::send(&app, &access.delivery_client, &message).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&message, content))).into_response())
}

/// One message, by its id or event id.
#[utoipa::path(get, path = "/app/{app_id}/msg/{msg_id}", tag = "svix", params(("app_id" = String, Path), ("msg_id" = String, Path), ("with_content" = Option<bool>, Query)),
    responses((status = 200, description = "The message"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn read(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let id = param(&mut form, "msg_id");
    let mut query = form.query();
    let content = read_content(&mut query);
    query.close_leniently();
    let (id, content) = form.check((|| Some((id?, content?)))())?;
    let message = access.message(&app, &id).await?;
    Ok(Json(view(&message, content)).into_response())
}

/// Sends a message to an endpoint once more.
#[utoipa::path(post, path = "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend", tag = "svix", params(("app_id" = String, Path), ("msg_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 202, description = "It will be sent"), (status = 400, description = "The endpoint is disabled"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found")))]
async fn resend(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let message = param(&mut form, "msg_id");
    let endpoint = param(&mut form, "endpoint_id");
    let (message, endpoint) = form.check((|| Some((message?, endpoint?)))())?;
    let message = access.message(&app, &message).await?;
    let endpoint = access.endpoint(&app, &endpoint).await?;
    management::resend(&app, &access.delivery_client, &endpoint, &message).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}

/// Whether what was said is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It is.
    Shown,
    /// It is left out.
    Hidden,
}

/// Reads `with_content`.
pub(super) fn read_content(query: &mut Fields<'_>) -> Checked<Content> {
    let shown = query.or_default("with_content", query_boolean, true)?;
    Some(if shown {
        Content::Shown
    } else {
        Content::Hidden
    })
}

/// Shows a message.
pub(super) fn view(message: &Message, content: Content) -> Value {
    let payload = match (content, message.content.as_deref()) {
        (Content::Shown, Some(content)) => serde_json::from_str(content).unwrap_or_default(),
        _ => json!({}),
    };
    json!({
        "id": message.id,
        "eventId": message.event_id,
        "eventType": message.event_type,
        "payload": payload,
        "channels": message.channels,
        "timestamp": shown_time(message.created_at),
        "tags": null,
    })
}
