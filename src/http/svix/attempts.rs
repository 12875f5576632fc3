//! Attempts at delivering.

use axum::Json;
use axum::extract::State;
use muniment_domain::Millis;
use muniment_projections::webhooks::queue::{self, AttemptListing, LoggedAttempt, Message, Place};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;

use super::access::Access;
use super::answer::SvixPage;
use super::error::SvixResult;
use super::messages::{Content, SvixMessage, WantedContent, shown};
use super::page::{Page, Position, Rest, WantedPage};
use super::request::{Application, EndpointAccess, NamedEndpoint, SvixRequest, names_endpoint};
use super::shapes::{shown_time, time};
use crate::app::App;
use crate::http::answer::schema_of;
use crate::http::openapi::operations;
use crate::http::request::declare::{fields, request};
use crate::http::request::presence::{optional, or_default, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{integer, text};

/// The statuses of attempts, by their numbers. Those that are logged are over.
const STATUSES: [&str; 4] = ["success", "pending", "fail", "sending"];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_svix_attempts_by_endpoint))
        .routes(operations!(list_svix_attempts_by_message))
}

request! {
    /// Which attempts at an endpoint are wanted.
    struct ListSvixAttemptsByEndpoint {
        path {
            .. named: NamedEndpoint;
        }
        query(open) {
            .. page: WantedPage;
            .. content: WantedContent;
            .. wanted: WantedAttempts;
        }
    }

    /// Which attempts at delivering a message are wanted.
    struct ListSvixAttemptsByMessage {
        path {
            .. _application: Application;
            /// The message's id or event id.
            msg_id: String = required(text());
        }
        query(open) {
            .. page: WantedPage;
            .. content: WantedContent;
            .. wanted: WantedAttempts;
            /// Only those at the endpoint of this id or uid.
            endpoint_id: Option<String> = optional(text());
        }
    }
}

names_endpoint!(ListSvixAttemptsByEndpoint);

fields! {
    /// Which attempts are wanted.
    struct WantedAttempts {
        /// Only those of a status: 0 for success, 1 pending, 2 failed, 3 sending.
        status: Option<&'static str> = optional(status());
        /// Only those of messages that tell of one of these, separated by commas.
        event_types: Option<Vec<String>> = optional(separated_by_commas());
        /// Only those that began before this time.
        before: Option<Millis> = optional(time());
        /// Only those that began after this time.
        after: Option<Millis> = optional(time());
        /// Whether the messages are shown as well.
        message as "with_msg": Content = or_default(shown(), "false");
    }
}

fn status() -> impl Shape<Value = &'static str> {
    integer(0..=3).refine(|number| {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let status = STATUSES.get(number).copied();
        status.ok_or_else(|| "must be a status".to_owned())
    })
}

fn separated_by_commas() -> impl Shape<Value = Vec<String>> {
    text().map(|types| types.split(',').map(str::to_owned).collect())
}

/// An attempt at delivering a message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SvixAttempt {
    /// The endpoint's id.
    endpoint_id: String,
    /// The id: `atmpt_…`.
    id: String,
    /// The message, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    msg: Option<SvixMessage>,
    /// The message's id.
    msg_id: String,
    /// The beginning of the response, or why there was none.
    response: String,
    /// How long it took, in milliseconds.
    response_duration_ms: i64,
    /// The status of the response. 0 if there was none.
    response_status_code: i32,
    /// 0 for success, 1 pending, 2 failed, 3 sending.
    #[schema(required, maximum = 3)]
    status: Option<usize>,
    /// The status in words.
    #[schema(schema_with = status_text)]
    status_text: String,
    /// When it began, in RFC 3339.
    #[schema(format = DateTime)]
    timestamp: String,
    /// 1 if somebody asked for it, else 0.
    #[schema(maximum = 1)]
    trigger_type: u8,
    /// Where the endpoint was.
    url: String,
}

fn status_text() -> RefOr<Schema> {
    schema_of(&json!({"type": "string", "enum": STATUSES}))
}

/// Lists attempts at an endpoint, newest first.
#[utoipa::path(
    get,
    path = "/app/{app_id}/attempt/endpoint/{endpoint_id}",
    tag = "svix"
)]
async fn list_svix_attempts_by_endpoint(
    State(app): State<App>,
    EndpointAccess {
        access,
        endpoint,
        request,
    }: EndpointAccess<ListSvixAttemptsByEndpoint>,
) -> SvixResult<Json<SvixPage<SvixAttempt>>> {
    let mut wanted = Wanted::of(request.page, &request.content, request.wanted);
    wanted.listing.endpoint = Some(endpoint.id);
    wanted.list(&app, &access).await
}

/// Lists attempts at delivering a message, newest first.
#[utoipa::path(get, path = "/app/{app_id}/attempt/msg/{msg_id}", tag = "svix")]
async fn list_svix_attempts_by_message(
    State(app): State<App>,
    access: Access,
    SvixRequest(request): SvixRequest<ListSvixAttemptsByMessage>,
) -> SvixResult<Json<SvixPage<SvixAttempt>>> {
    let mut wanted = Wanted::of(request.page, &request.content, request.wanted);
    wanted.listing.message = Some(access.message(&app, &request.msg_id).await?.id);
    if let Some(endpoint) = request.endpoint_id {
        wanted.listing.endpoint = Some(access.endpoint(&app, &endpoint).await?.id);
    }
    wanted.list(&app, &access).await
}

/// What is to be listed, and how much of it is shown.
struct Wanted {
    listing: AttemptListing,
    content: Content,
    message: Content,
}

impl Wanted {
    fn of(page: WantedPage, content: &WantedContent, wanted: WantedAttempts) -> Self {
        let page = Page::from(page);
        Self {
            listing: AttemptListing {
                status: wanted.status.map(str::to_owned),
                event_types: wanted.event_types,
                after: wanted.after,
                before: wanted.before,
                place: match page.position {
                    Position::Start => Place::Newest,
                    Position::After(id) => Place::After(id),
                    Position::Before(id) => Place::Before(id),
                },
                limit: page.limit,
                ..AttemptListing::default()
            },
            content: content.content,
            message: wanted.message,
        }
    }

    async fn list(self, app: &App, access: &Access) -> SvixResult<Json<SvixPage<SvixAttempt>>> {
        let listing = &self.listing;
        let mut found = queue::attempts(app.pool(), access.project(), listing).await?;
        let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
        let rest = if found.len() > limit {
            Rest::More
        } else {
            Rest::Nothing
        };
        // The one too many is at the end that the page leads to.
        match listing.place {
            Place::Before(_) if rest == Rest::More => drop(found.remove(0)),
            _ => found.truncate(limit),
        }
        let data = found.into_iter().map(|logged| self.view(logged)).collect();
        Ok(SvixPage::of(data, |attempt| &attempt.id, rest))
    }

    fn view(&self, logged: LoggedAttempt) -> SvixAttempt {
        let attempt = logged.attempt;
        let message = (self.message == Content::Shown).then(|| Message {
            id: attempt.message_id.clone(),
            project_id: String::new(),
            event_type: logged.event_type,
            subject: String::new(),
            content: logged.content,
            created_at: logged.message_created_at,
            event_id: logged.event_id,
            channels: logged.channels,
        });
        SvixAttempt {
            endpoint_id: attempt.endpoint_id,
            id: attempt.id,
            msg: message.map(|message| SvixMessage::of(message, self.content)),
            msg_id: attempt.message_id,
            response: match self.content {
                Content::Shown => attempt.response,
                Content::Hidden => String::new(),
            },
            response_duration_ms: attempt.duration_millis,
            response_status_code: attempt.response_status_code,
            status: STATUSES.iter().position(|name| *name == attempt.status),
            status_text: attempt.status,
            timestamp: shown_time(attempt.created_at),
            trigger_type: u8::from(attempt.is_manual),
            url: attempt.url,
        }
    }
}
