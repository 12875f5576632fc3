//! `/internal/webhooks`: where the project's webhooks go, and how that went. These routes are our own,
//! beside those of Svix, and answer 400 where a Svix server delivers.

mod named;
mod settings;
mod views;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muniment_domain::{Millis, Patch};
use muniment_projections::webhooks::endpoints::{self, Endpoint};
use muniment_projections::webhooks::queue::{self, AttemptListing, Place};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use self::named::{NamedEndpoint, NamedMessage, NamedMessageAndEndpoint};
pub(crate) use self::settings::EndpointPlace;
use self::settings::{EndpointFields, endpoint_url, event_type, signing_secret};
use self::views::{
    AttemptStatus, Recovered, WebhookAttempt, WebhookEndpoint, WebhookMessage, WebhookSecret,
    WebhookStats,
};
use crate::app::App;
use crate::app::webhooks::management::{self, Refusal};
use crate::app::webhooks::settings::EndpointChange;
use crate::app::webhooks::{Webhooks, new_secret};
use crate::clients::delivery_client::DeliveryClient;
use crate::error::codes::{Errors, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Created, List, Page, Success};
use crate::http::openapi::describe::{OperationDescription, OperationOutput};
use crate::http::openapi::operations;
use crate::http::request::access::{AdminAccess, ProjectAccess};
use crate::http::request::declare::{NoInput, request};
use crate::http::request::found::Found;
use crate::http::request::presence::{nullable, optional, or_default, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{choice, integer, millis, text};

/// Attempts on a page, unless something else is asked for, and at most.
const PAGE: (i64, i64) = (50, 250);

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_webhook_endpoints, create_webhook_endpoint))
        .routes(operations!(
            get_webhook_endpoint,
            update_webhook_endpoint,
            delete_webhook_endpoint
        ))
        .routes(operations!(get_webhook_secret))
        .routes(operations!(rotate_webhook_secret))
        .routes(operations!(get_webhook_stats))
        .routes(operations!(list_webhook_attempts))
        .routes(operations!(recover_webhooks))
        .routes(operations!(replay_webhooks))
        .routes(operations!(get_webhook_message))
        .routes(operations!(resend_webhook_message))
}

request! {
    /// An endpoint to be made.
    struct CreateWebhookEndpoint {
        body {
            .. fields: EndpointFields;
            /// Where the endpoint is.
            url: String = required(endpoint_url());
            /// What messages are signed with. Without it, a secret is drawn.
            secret: Option<String> = optional(signing_secret());
        }
        example {"url": "https://example.com/webhooks", "description": "the shop"}
    }

    /// A change of an endpoint.
    struct UpdateWebhookEndpoint {
        path {
            /// The endpoint's id, or its uid.
            endpoint_id: String = required(text());
        }
        body {
            .. fields: EndpointFields;
            /// Where the endpoint is.
            url: Option<String> = optional(endpoint_url());
        }
        example {"filter_types": ["user.created", "user.deleted"]}
    }

    /// Another secret for an endpoint.
    struct RotateWebhookSecret {
        path {
            /// The endpoint's id, or its uid.
            endpoint_id: String = required(text());
        }
        body(optional) {
            /// What messages are signed with from now on. Without it, a secret is drawn.
            secret: Patch<String> = nullable(signing_secret());
        }
    }

    /// An endpoint whose deliveries to count.
    struct GetWebhookStats {
        path {
            /// The endpoint's id, or its uid.
            endpoint_id: String = required(text());
        }
        query {
            /// Since when the messages that count were made, in milliseconds since the Unix epoch.
            since as "since_millis": Millis = or_default(millis().map(Millis), 0);
        }
    }

    /// Which attempts to list.
    struct ListWebhookAttempts {
        query {
            /// Only attempts at this endpoint.
            endpoint_id: Option<String> = optional(text());
            /// Only attempts at delivering this message.
            message_id: Option<String> = optional(text());
            /// Only attempts that ended so.
            status: Option<AttemptStatus> = optional(choice(&AttemptStatus::NAMED));
            /// Only attempts at delivering messages of this type.
            event_type: Option<String> = optional(event_type());
            /// Where the page begins: the `next_cursor` of the one before.
            cursor: Option<String> = optional(text());
            /// How many there should be at most.
            limit: i64 = or_default(integer(1..=PAGE.1), PAGE.0);
        }
    }

    /// A stretch of time whose messages to send.
    struct RecoverWebhooks {
        path {
            /// The endpoint's id, or its uid.
            endpoint_id: String = required(text());
        }
        body {
            .. stretch: settings::Stretch;
        }
    }

    /// A stretch of time whose messages to make and send.
    struct ReplayWebhooks {
        path {
            /// The endpoint's id, or its uid.
            endpoint_id: String = required(text());
        }
        body {
            .. stretch: settings::Stretch;
        }
    }
}

/// 202, with what is to be said of something that will be done.
struct Accepted<T>(T);

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self.0)).into_response()
    }
}

impl<T: ToSchema> OperationOutput for Accepted<T> {
    fn describe(operation: &mut OperationDescription) {
        operation.answers_json::<T>(202, "It will be done.");
    }
}

/// Lists the project's endpoints, oldest first.
#[utoipa::path(get, path = "/internal/webhooks/endpoints", tag = "webhooks", responses(Errors<Text<400>>))]
async fn list_webhook_endpoints(
    access: AdminAccess,
    _: NoInput,
) -> ApiResult<Json<List<WebhookEndpoint>>> {
    delivery_client(&access.app)?;
    let endpoints = endpoints::of_project(access.app.pool(), access.project_id()).await?;
    Ok(List::of(endpoints.into_iter().map(Into::into).collect()))
}

/// Creates an endpoint.
#[utoipa::path(post, path = "/internal/webhooks/endpoints", tag = "webhooks", responses(Errors<Text<400>>))]
async fn create_webhook_endpoint(
    access: AdminAccess,
    new: CreateWebhookEndpoint,
) -> ApiResult<Created<WebhookEndpoint>> {
    let change = EndpointChange {
        url: Some(new.url),
        ..new.fields.into()
    };
    let (endpoint, _) = register(&access, change, new.secret).await?;
    Ok(Created(endpoint.into()))
}

/// Makes an endpoint of the caller's project where its webhooks are delivered: here, or at the Svix
/// server. Yields its secret.
///
/// # Errors
/// Text 400 when there are too many, text 502 when Svix does not answer.
pub(crate) async fn register_anywhere(
    access: &ProjectAccess,
    wanted: EndpointChange,
) -> Result<String, ApiError> {
    let Webhooks::Svix(server) = &access.app.webhooks else {
        return Ok(register(access, wanted, None).await?.1);
    };
    let secret = new_secret(&access.app.random);
    let url = wanted.url.unwrap_or_default();
    let created = server.create_endpoint(access.project_id(), url, wanted.description, &secret);
    created
        .await
        .map_err(|error| ApiError::text(StatusCode::BAD_GATEWAY, error.to_string()))?;
    Ok(secret)
}

/// Makes an endpoint of the caller's project. Yields it with its secret.
///
/// # Errors
/// Text 400 when there are too many, or a Svix server delivers the webhooks.
async fn register(
    access: &ProjectAccess,
    settings: EndpointChange,
    secret: Option<String>,
) -> Result<(Endpoint, String), ApiError> {
    delivery_client(&access.app)?;
    Ok(management::create(&access.app, access.project_id(), settings, secret).await?)
}

/// Shows an endpoint.
#[utoipa::path(
    get,
    path = "/internal/webhooks/endpoints/{endpoint_id}",
    tag = "webhooks"
)]
async fn get_webhook_endpoint(
    _: AdminAccess,
    Found(endpoint, _): Found<NamedEndpoint>,
) -> ApiResult<Json<WebhookEndpoint>> {
    Ok(Json(endpoint.into()))
}

/// Changes an endpoint.
///
/// One that is enabled again starts with a clean record.
#[utoipa::path(
    patch,
    path = "/internal/webhooks/endpoints/{endpoint_id}",
    tag = "webhooks"
)]
async fn update_webhook_endpoint(
    access: AdminAccess,
    Found(endpoint, update): Found<UpdateWebhookEndpoint>,
) -> ApiResult<Json<WebhookEndpoint>> {
    let change = EndpointChange {
        url: update.url,
        ..update.fields.into()
    };
    let endpoint = management::change(&access.app, endpoint, change).await?;
    Ok(Json(endpoint.into()))
}

/// Deletes an endpoint with its attempts.
#[utoipa::path(
    delete,
    path = "/internal/webhooks/endpoints/{endpoint_id}",
    tag = "webhooks"
)]
async fn delete_webhook_endpoint(
    access: AdminAccess,
    Found(endpoint, _): Found<NamedEndpoint>,
) -> ApiResult<Json<Success>> {
    endpoints::delete(access.app.pool(), &endpoint.id).await?;
    Ok(Success::ANSWER)
}

/// Shows the secret that messages to an endpoint are signed with.
#[utoipa::path(
    get,
    path = "/internal/webhooks/endpoints/{endpoint_id}/secret",
    tag = "webhooks"
)]
async fn get_webhook_secret(
    access: AdminAccess,
    Found(endpoint, _): Found<NamedEndpoint>,
) -> ApiResult<Json<WebhookSecret>> {
    let secret = management::secret(&access.app, &endpoint).await?;
    Ok(Json(WebhookSecret { secret }))
}

/// Replaces the secret of an endpoint.
///
/// For a day, messages are signed with the old one as well.
#[utoipa::path(
    post,
    path = "/internal/webhooks/endpoints/{endpoint_id}/secret/rotate",
    tag = "webhooks"
)]
async fn rotate_webhook_secret(
    access: AdminAccess,
    Found(endpoint, wanted): Found<RotateWebhookSecret>,
) -> ApiResult<Json<WebhookSecret>> {
    let secret = wanted.secret.into_value();
    let secret = management::rotate_secret(&access.app, &endpoint, secret).await?;
    let secret = Some(secret);
    Ok(Json(WebhookSecret { secret }))
}

/// Counts how deliveries to an endpoint stand.
#[utoipa::path(
    get,
    path = "/internal/webhooks/endpoints/{endpoint_id}/stats",
    tag = "webhooks"
)]
async fn get_webhook_stats(
    access: AdminAccess,
    Found(endpoint, wanted): Found<GetWebhookStats>,
) -> ApiResult<Json<WebhookStats>> {
    let stretch = (wanted.since, Millis(MAX_MILLIS));
    let stats = queue::stats(access.app.pool(), &endpoint.id, stretch).await?;
    Ok(Json(stats.into()))
}

/// Lists attempts at delivering, newest first.
#[utoipa::path(get, path = "/internal/webhooks/attempts", tag = "webhooks", responses(Errors<Text<400>>))]
async fn list_webhook_attempts(
    access: AdminAccess,
    wanted: ListWebhookAttempts,
) -> ApiResult<Json<Page<WebhookAttempt>>> {
    delivery_client(&access.app)?;
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let listing = AttemptListing::from(wanted);
    let mut logged = queue::attempts(access.app.pool(), access.project_id(), &listing).await?;
    let next = logged.get(limit).map(|logged| logged.attempt.id.clone());
    logged.truncate(limit);
    Ok(Page::of(logged.into_iter().map(Into::into).collect(), next))
}

impl From<ListWebhookAttempts> for AttemptListing {
    fn from(wanted: ListWebhookAttempts) -> Self {
        Self {
            endpoint: wanted.endpoint_id,
            message: wanted.message_id,
            status: wanted.status.map(|status| status.as_str().to_owned()),
            event_types: wanted.event_type.map(|name| vec![name]),
            place: wanted.cursor.map_or(Place::Newest, Place::From),
            limit: wanted.limit,
            ..Self::default()
        }
    }
}

/// Sends again what failed, of the messages of a stretch of time.
#[utoipa::path(
    post,
    path = "/internal/webhooks/endpoints/{endpoint_id}/recover",
    tag = "webhooks"
)]
async fn recover_webhooks(
    access: AdminAccess,
    Found(endpoint, wanted): Found<RecoverWebhooks>,
) -> ApiResult<Accepted<Recovered>> {
    let (app, stretch) = (&access.app, wanted.stretch.into());
    let count = management::recover(app, delivery_client(app)?, &endpoint, stretch).await?;
    Ok(Accepted(Recovered { count }))
}

/// Sends what happened in a stretch of time and was never sent to the endpoint.
///
/// The messages are made from the log anew, so the endpoint may be younger than what it is told.
#[utoipa::path(
    post,
    path = "/internal/webhooks/endpoints/{endpoint_id}/replay",
    tag = "webhooks"
)]
async fn replay_webhooks(
    access: AdminAccess,
    Found(endpoint, wanted): Found<ReplayWebhooks>,
) -> ApiResult<Accepted<Success>> {
    let (app, stretch) = (&access.app, wanted.stretch.into());
    management::replay(app, delivery_client(app)?, &endpoint, stretch).await?;
    let Json(success) = Success::ANSWER;
    Ok(Accepted(success))
}

/// Shows a message.
#[utoipa::path(
    get,
    path = "/internal/webhooks/messages/{message_id}",
    tag = "webhooks"
)]
async fn get_webhook_message(
    _: AdminAccess,
    Found(message, _): Found<NamedMessage>,
) -> ApiResult<Json<WebhookMessage>> {
    Ok(Json(message.into()))
}

/// Sends a message to an endpoint once more.
#[utoipa::path(
    post,
    path = "/internal/webhooks/messages/{message_id}/endpoints/{endpoint_id}/resend",
    tag = "webhooks"
)]
async fn resend_webhook_message(
    access: AdminAccess,
    Found((message, endpoint), _): Found<NamedMessageAndEndpoint>,
) -> ApiResult<Accepted<Success>> {
    let app = &access.app;
    management::resend(app, delivery_client(app)?, &endpoint, &message).await?;
    let Json(success) = Success::ANSWER;
    Ok(Accepted(success))
}

/// What delivers, if it is this server.
fn delivery_client(app: &App) -> Result<&DeliveryClient, ApiError> {
    match &app.webhooks {
        Webhooks::Embedded(delivery_client) => Ok(delivery_client),
        Webhooks::Svix(_) => {
            let text = "A Svix server delivers the webhooks. Manage them there, with the token of POST /webhooks/svix-token.";
            Err(ApiError::bad_request(text))
        }
    }
}

/// The end of the year 9999: Postgres and RFC 3339 know no later time by four digits.
pub(crate) const MAX_MILLIS: i64 = 253_402_300_799_999;

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Ledger(error) => error.into(),
            Refusal::TooManyEndpoints | Refusal::Disabled => Self::bad_request(refusal.to_string()),
        }
    }
}
