//! `/internal/webhooks`: where the project's webhooks go, and how that went. These routes are our own,
//! beside those of Svix, and answer 400 where a Svix server delivers.

mod views;

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::Millis;
use muniment_projections::webhooks::endpoints::{self, Endpoint};
use muniment_projections::webhooks::queue::{self, AttemptListing, Message, Place};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::views::{attempt_view, endpoint_view, message_view};
use crate::app::App;
use crate::app::webhooks::management::{self, Refusal};
use crate::app::webhooks::settings::{self, EndpointChange};
use crate::app::webhooks::{Webhooks, new_secret};
use crate::clients::delivery_client::DeliveryClient;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{success, whole_list};
use crate::http::request::access::{AdminAccess, ProjectAccess};
use crate::http::request::fields::Fields;
use crate::http::request::input::Input;
use crate::http::request::values::{boolean, integer, one_of, text};

/// Attempts on a page, unless something else is asked for, and at most.
const PAGE: (i64, i64) = (50, 250);

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update, delete))
        .routes(routes!(read_secret))
        .routes(routes!(rotate_secret))
        .routes(routes!(stats))
        .routes(routes!(attempts))
        .routes(routes!(recover))
        .routes(routes!(replay))
        .routes(routes!(message))
        .routes(routes!(resend))
}

/// The project's endpoints, oldest first.
#[utoipa::path(get, path = "/internal/webhooks/endpoints", tag = "webhooks", responses((status = 200, description = "Endpoints")))]
async fn list(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    delivery_client(&access.app)?;
    let endpoints = endpoints::of_project(access.app.pool(), access.project_id()).await?;
    let items: Vec<Value> = endpoints.iter().map(endpoint_view).collect();
    Ok(whole_list(&items))
}

/// Makes an endpoint. Without a secret, one is drawn.
#[utoipa::path(post, path = "/internal/webhooks/endpoints", tag = "webhooks", request_body = Value,
    responses((status = 201, description = "The endpoint"), (status = 400, description = "SCHEMA_ERROR, or there are too many")))]
async fn create(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let url = body.required("url", settings::endpoint_url);
    let secret = body.optional("secret", settings::signing_secret);
    let change = read_change(&mut body);
    body.close();
    let (url, secret, change) = form.finish((|| Some((url?, secret?, change?)))())?;
    let change = EndpointChange {
        url: Some(url),
        ..change
    };
    let (endpoint, _) = register(&access, change, secret).await?;
    Ok((StatusCode::CREATED, Json(endpoint_view(&endpoint))).into_response())
}

/// Reads where an endpoint is and, if that is said, what it is for.
pub(crate) fn read_place(body: &mut Fields<'_>) -> Option<EndpointChange> {
    let url = body.required("url", settings::endpoint_url);
    let description = body.optional("description", settings::description);
    Some(EndpointChange {
        url: Some(url?),
        description: description?,
        ..EndpointChange::default()
    })
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

/// One endpoint.
#[utoipa::path(get, path = "/internal/webhooks/endpoints/{endpoint_id}", tag = "webhooks", params(("endpoint_id" = String, Path)),
    responses((status = 200, description = "The endpoint"), (status = 404, description = "There is none")))]
async fn read(access: AdminAccess, input: Input) -> ApiResult {
    let endpoint = named_endpoint(&access, &input).await?;
    Ok(Json(endpoint_view(&endpoint)).into_response())
}

/// Changes an endpoint. One that is enabled again starts with a clean record.
#[utoipa::path(patch, path = "/internal/webhooks/endpoints/{endpoint_id}", tag = "webhooks", params(("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 200, description = "The endpoint"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "There is none")))]
async fn update(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = form.params().required("endpoint_id", text);
    let mut body = form.body();
    let url = body.optional("url", settings::endpoint_url);
    let change = read_change(&mut body);
    body.close();
    let (id, url, change) = form.finish((|| Some((id?, url?, change?)))())?;
    delivery_client(&access.app)?;
    let endpoint = find(&access, &id).await?;
    let change = EndpointChange { url, ..change };
    let endpoint = management::change(&access.app, endpoint, change).await?;
    Ok(Json(endpoint_view(&endpoint)).into_response())
}

/// Deletes an endpoint with its attempts.
#[utoipa::path(delete, path = "/internal/webhooks/endpoints/{endpoint_id}", tag = "webhooks", params(("endpoint_id" = String, Path)),
    responses((status = 200, description = "Deleted"), (status = 404, description = "There is none")))]
async fn delete(access: AdminAccess, input: Input) -> ApiResult {
    let endpoint = named_endpoint(&access, &input).await?;
    endpoints::delete(access.app.pool(), &endpoint.id).await?;
    Ok(success())
}

/// The secret that messages to the endpoint are signed with.
#[utoipa::path(get, path = "/internal/webhooks/endpoints/{endpoint_id}/secret", tag = "webhooks", params(("endpoint_id" = String, Path)),
    responses((status = 200, description = "`{secret}`"), (status = 404, description = "There is no such endpoint")))]
async fn read_secret(access: AdminAccess, input: Input) -> ApiResult {
    let endpoint = named_endpoint(&access, &input).await?;
    let secret = management::secret(&access.app, &endpoint).await?;
    Ok(Json(json!({"secret": secret})).into_response())
}

/// Replaces the secret. For a day, messages are signed with the old one as well.
#[utoipa::path(post, path = "/internal/webhooks/endpoints/{endpoint_id}/secret/rotate", tag = "webhooks", params(("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{secret}`"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "There is no such endpoint")))]
async fn rotate_secret(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = form.params().required("endpoint_id", text);
    let mut body = form.optional_body();
    let secret = body.nullable("secret", settings::signing_secret);
    body.close();
    let (id, secret) = form.finish((|| Some((id?, secret?)))())?;
    delivery_client(&access.app)?;
    let endpoint = find(&access, &id).await?;
    let secret = management::rotate_secret(&access.app, &endpoint, secret.into_value()).await?;
    Ok(Json(json!({"secret": secret})).into_response())
}

/// How deliveries to the endpoint stand, of messages since a time (in milliseconds since 1970).
#[utoipa::path(get, path = "/internal/webhooks/endpoints/{endpoint_id}/stats", tag = "webhooks",
    params(("endpoint_id" = String, Path), ("since_millis" = Option<i64>, Query)),
    responses((status = 200, description = "`{success, pending, fail}`"), (status = 404, description = "There is no such endpoint")))]
async fn stats(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let id = form.params().required("endpoint_id", text);
    let mut query = form.query();
    let since = query.or_default("since_millis", integer(0..=i64::MAX), 0);
    query.close();
    let (id, since) = form.finish((|| Some((id?, since?)))())?;
    delivery_client(&access.app)?;
    let endpoint = find(&access, &id).await?;
    let stats = queue::stats(
        access.app.pool(),
        &endpoint.id,
        (Millis(since), Millis(MAX_MILLIS)),
    )
    .await?;
    let body = json!({"success": stats.success, "pending": stats.pending, "fail": stats.fail});
    Ok(Json(body).into_response())
}

/// Attempts at delivering, newest first.
#[utoipa::path(get, path = "/internal/webhooks/attempts", tag = "webhooks",
    params(("endpoint_id" = Option<String>, Query), ("message_id" = Option<String>, Query), ("status" = Option<String>, Query, description = "`success` or `fail`"),
        ("event_type" = Option<String>, Query), ("cursor" = Option<String>, Query), ("limit" = Option<i64>, Query, description = "1 to 250")),
    responses((status = 200, description = "Attempts"), (status = 400, description = "SCHEMA_ERROR")))]
async fn attempts(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut query = form.query();
    let endpoint = query.optional("endpoint_id", text);
    let message = query.optional("message_id", text);
    let status = query.optional("status", one_of(&["success", "fail"]));
    let event_type = query.optional("event_type", settings::event_type);
    let cursor = query.optional("cursor", text);
    let limit = query.or_default("limit", integer(1..=PAGE.1), PAGE.0);
    query.close();
    let listing = form.finish((|| {
        Some(AttemptListing {
            endpoint: endpoint?,
            message: message?,
            status: status?.map(str::to_owned),
            event_types: event_type?.map(|name| vec![name]),
            place: cursor?.map_or(Place::Newest, Place::From),
            limit: limit?,
            ..AttemptListing::default()
        })
    })())?;
    delivery_client(&access.app)?;
    let mut logged = queue::attempts(access.app.pool(), access.project_id(), &listing).await?;
    let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
    let next = logged.get(limit).map(|logged| logged.attempt.id.clone());
    logged.truncate(limit);
    let items: Vec<Value> = logged.iter().map(attempt_view).collect();
    let body = json!({
        "items": items, "is_paginated": true, "pagination": {"next_cursor": next},
    });
    Ok(Json(body).into_response())
}

/// Sends again what failed, of the messages of a stretch of time.
#[utoipa::path(post, path = "/internal/webhooks/endpoints/{endpoint_id}/recover", tag = "webhooks", params(("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 202, description = "`{count}` messages will be sent"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "There is no such endpoint")))]
async fn recover(access: AdminAccess, input: Input) -> ApiResult {
    let (endpoint, stretch) = endpoint_and_stretch(&access, &input).await?;
    let count = management::recover(
        &access.app,
        delivery_client(&access.app)?,
        &endpoint,
        stretch,
    )
    .await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"count": count}))).into_response())
}

/// Sends what happened in a stretch of time and was never sent to the endpoint. The messages are
/// made from the log anew, so the endpoint may be younger than what it is told.
#[utoipa::path(post, path = "/internal/webhooks/endpoints/{endpoint_id}/replay", tag = "webhooks", params(("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 202, description = "It will be sent"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "There is no such endpoint")))]
async fn replay(access: AdminAccess, input: Input) -> ApiResult {
    let (endpoint, stretch) = endpoint_and_stretch(&access, &input).await?;
    management::replay(
        &access.app,
        delivery_client(&access.app)?,
        &endpoint,
        stretch,
    )
    .await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"success": true}))).into_response())
}

/// One message.
#[utoipa::path(get, path = "/internal/webhooks/messages/{message_id}", tag = "webhooks", params(("message_id" = String, Path)),
    responses((status = 200, description = "The message"), (status = 404, description = "There is none")))]
async fn message(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = form.params().required("message_id", text);
    let id = form.finish(id)?;
    delivery_client(&access.app)?;
    Ok(Json(message_view(&find_message(&access, &id).await?)).into_response())
}

/// Sends a message to an endpoint once more.
#[utoipa::path(post, path = "/internal/webhooks/messages/{message_id}/endpoints/{endpoint_id}/resend", tag = "webhooks",
    params(("message_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 202, description = "It will be sent"), (status = 404, description = "There is no such message, or no such endpoint")))]
async fn resend(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut params = form.params();
    let message = params.required("message_id", text);
    let endpoint = params.required("endpoint_id", text);
    params.close();
    form.optional_body().close();
    let (message, endpoint) = form.finish((|| Some((message?, endpoint?)))())?;
    delivery_client(&access.app)?;
    let message = find_message(&access, &message).await?;
    let endpoint = find(&access, &endpoint).await?;
    management::resend(
        &access.app,
        delivery_client(&access.app)?,
        &endpoint,
        &message,
    )
    .await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"success": true}))).into_response())
}

/// What delivers, if it is this server.
fn delivery_client(app: &App) -> Result<&DeliveryClient, ApiError> {
    match &app.webhooks {
        Webhooks::Embedded(delivery_client) => Ok(delivery_client),
        Webhooks::Svix(_) => {
            let text = "A Svix server delivers the webhooks. Manage them there, with the token of POST /webhooks/svix-token.";
            Err(ApiError::text(StatusCode::BAD_REQUEST, text))
        }
    }
}

async fn find(access: &ProjectAccess, id: &str) -> Result<Endpoint, ApiError> {
    let endpoint = management::find(&access.app, access.project_id(), id).await?;
    endpoint.ok_or_else(|| ApiError::text(StatusCode::NOT_FOUND, "There is no such endpoint."))
}

async fn find_message(access: &ProjectAccess, id: &str) -> Result<Message, ApiError> {
    let message = queue::message(access.app.pool(), access.project_id(), id).await?;
    message.ok_or_else(|| ApiError::text(StatusCode::NOT_FOUND, "There is no such message."))
}

async fn named_endpoint(access: &ProjectAccess, input: &Input) -> Result<Endpoint, ApiError> {
    let mut form = access.form(input).no_query();
    let id = form.params().required("endpoint_id", text);
    let id = form.finish(id)?;
    delivery_client(&access.app)?;
    find(access, &id).await
}

type Stretch = (Millis, Millis);

async fn endpoint_and_stretch(
    access: &ProjectAccess,
    input: &Input,
) -> Result<(Endpoint, Stretch), ApiError> {
    let mut form = access.form(input).no_query();
    let id = form.params().required("endpoint_id", text);
    let mut body = form.body();
    let since = body.required("since_millis", integer(0..=MAX_MILLIS));
    let until = body.or_default("until_millis", integer(0..=MAX_MILLIS), MAX_MILLIS);
    body.close();
    let (id, since, until) = form.finish((|| Some((id?, since?, until?)))())?;
    delivery_client(&access.app)?;
    let endpoint = find(access, &id).await?;
    Ok((endpoint, (Millis(since), Millis(until))))
}

/// The end of the year 9999: Postgres and RFC 3339 know no later time by four digits.
pub(crate) const MAX_MILLIS: i64 = 253_402_300_799_999;

fn read_change(body: &mut Fields<'_>) -> Option<EndpointChange> {
    let description = body.optional("description", settings::description);
    let is_disabled = body.optional("disabled", boolean);
    let filter_types = body.nullable("filter_types", settings::filter);
    let headers = body.optional("headers", settings::custom_headers);
    Some(EndpointChange {
        description: description?,
        is_disabled: is_disabled?,
        filter_types: filter_types?,
        headers: headers?,
        ..EndpointChange::default()
    })
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Ledger(error) => error.into(),
            Refusal::TooManyEndpoints | Refusal::Disabled => {
                Self::text(StatusCode::BAD_REQUEST, refusal.to_string())
            }
        }
    }
}
