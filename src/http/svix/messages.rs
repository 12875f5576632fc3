//! Messages.

use axum::Json;
use axum::extract::State;
use muniment_domain::Patch;
use muniment_projections::webhooks::queue::Message;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::access::Access;
use super::answer::Accepted;
use super::error::{SvixRefusal, SvixResult};
use super::request::{Application, SvixRequest};
use super::shapes::{channels, shown_time, uid};
use crate::app::App;
use crate::app::webhooks::management;
use crate::http::answer::Empty;
use crate::http::openapi::operations;
use crate::http::request::declare::{fields, request};
use crate::http::request::presence::{nullable, or_default, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{json_object, query_boolean, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(create_svix_message))
        .routes(operations!(get_svix_message))
        .routes(operations!(resend_svix_message))
}

request! {
    /// A message to be sent.
    struct CreateSvixMessage {
        path {
            .. _application: Application;
        }
        query(open) {
            .. wanted: WantedContent;
        }
        body(open) {
            /// What the message tells of.
            event_type as "eventType": String = required(uid());
            /// What is sent to the endpoints.
            payload: Value = required(json_object());
            /// The sender's own name for the message, under which it is sent once.
            event_id as "eventId": Patch<String> = nullable(uid());
            /// Names of channels, which are kept with the message.
            channels: Patch<Vec<String>> = nullable(channels());
        }
    }

    /// A message that is wanted.
    struct GetSvixMessage {
        path {
            .. _application: Application;
            /// The message's id or event id.
            msg_id: String = required(text());
        }
        query(open) {
            .. wanted: WantedContent;
        }
    }

    /// That a message shall be sent once more.
    struct ResendSvixMessage {
        path {
            .. _application: Application;
            /// The message's id or event id.
            msg_id: String = required(text());
            /// The endpoint's id or uid.
            endpoint_id: String = required(text());
        }
        query(open) {}
    }
}

fields! {
    /// How much of what was said is shown.
    pub(super) struct WantedContent {
        /// Whether payloads and responses are shown; else they are empty.
        content as "with_content": Content = or_default(shown(), "true");
    }
}

/// Whether what was said is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It is.
    Shown,
    /// It is left out.
    Hidden,
}

/// Whether something is shown.
pub(super) fn shown() -> impl Shape<Value = Content> {
    query_boolean().map(|shown| {
        if shown {
            Content::Shown
        } else {
            Content::Hidden
        }
    })
}

/// A message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SvixMessage {
    /// Names of channels.
    #[schema(required)]
    channels: Option<Vec<String>>,
    /// The sender's own name for the message.
    #[schema(required)]
    event_id: Option<String>,
    /// What the message tells of.
    event_type: String,
    /// The id: `msg_…`.
    id: String,
    /// What is sent to the endpoints. It is empty once those whom it is about were deleted.
    #[schema(value_type = Object)]
    payload: Value,
    /// Always null.
    #[schema(required)]
    tags: Option<Vec<String>>,
    /// When that happened of which the message tells, in RFC 3339.
    #[schema(format = DateTime)]
    timestamp: String,
}

impl SvixMessage {
    /// Shows a message.
    pub(super) fn of(message: Message, content: Content) -> Self {
        let payload = match (content, message.content.as_deref()) {
            (Content::Shown, Some(content)) => serde_json::from_str(content).unwrap_or_default(),
            _ => json!({}),
        };
        Self {
            channels: message.channels,
            event_id: message.event_id,
            event_type: message.event_type,
            id: message.id,
            payload,
            tags: None,
            timestamp: shown_time(message.created_at),
        }
    }
}

/// Sends a message to all endpoints that want it.
#[utoipa::path(post, path = "/app/{app_id}/msg", tag = "svix",
    responses((status = 409, description = "conflict", body = SvixRefusal)))]
async fn create_svix_message(
    State(app): State<App>,
    access: Access,
    SvixRequest(new): SvixRequest<CreateSvixMessage>,
) -> SvixResult<Accepted<SvixMessage>> {
    let message = Message {
        id: format!("msg_{}", app.random.base62(27)),
        project_id: access.project().to_string(),
        event_type: new.event_type,
        // It is about nobody in particular, and goes with the project.
        subject: access.project().to_string(),
        content: Some(new.payload.to_string()),
        created_at: app.now().0,
        event_id: new.event_id.into_value(),
        channels: new.channels.into_value(),
    };
    management::send(&app, &access.delivery_client, &message).await?;
    Ok(Accepted(SvixMessage::of(message, new.wanted.content)))
}

/// Shows a message.
#[utoipa::path(get, path = "/app/{app_id}/msg/{msg_id}", tag = "svix")]
async fn get_svix_message(
    State(app): State<App>,
    access: Access,
    SvixRequest(wanted): SvixRequest<GetSvixMessage>,
) -> SvixResult<Json<SvixMessage>> {
    let message = access.message(&app, &wanted.msg_id).await?;
    Ok(Json(SvixMessage::of(message, wanted.wanted.content)))
}

/// Sends a message to an endpoint once more.
#[utoipa::path(post, path = "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend", tag = "svix",
    responses((status = 400, description = "bad_request", body = SvixRefusal)))]
async fn resend_svix_message(
    State(app): State<App>,
    access: Access,
    SvixRequest(wanted): SvixRequest<ResendSvixMessage>,
) -> SvixResult<Accepted<Empty>> {
    let message = access.message(&app, &wanted.msg_id).await?;
    let endpoint = access.endpoint(&app, &wanted.endpoint_id).await?;
    management::resend(&app, &access.delivery_client, &endpoint, &message).await?;
    Ok(Accepted(Empty {}))
}
