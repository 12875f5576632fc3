//! Endpoints, their secrets, headers and statistics.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::{Millis, Patch};
use muniment_projections::webhooks::endpoints::{self, Endpoint};
use muniment_projections::webhooks::queue;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Access;
use super::error::SvixResult;
use super::page::{self, Page};
use super::values::{param, shown_time, time};
use crate::app::App;
use crate::app::webhooks::management;
use crate::app::webhooks::settings::{self, EndpointChange};
use crate::http::internal::webhooks::MAX_MILLIS;
use crate::http::request::fields::{Checked, Fields, Violation};
use crate::http::request::input::Input;
use crate::http::request::values::{boolean, integer, one_of, text};

/// The parameter of paths that names the endpoint.
const ENDPOINT: &str = "endpoint_id";
const MAX_RATE: i64 = 10_000;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, replace, update, delete))
        .routes(routes!(read_secret))
        .routes(routes!(rotate_secret))
        .routes(routes!(read_headers, replace_headers, update_headers))
        .routes(routes!(stats))
        .routes(routes!(recover))
        .routes(routes!(replay_missing))
}

/// The application's endpoints, oldest first unless `order` is `descending`.
#[utoipa::path(get, path = "/app/{app_id}/endpoint", tag = "svix", params(("app_id" = String, Path), ("limit" = Option<i64>, Query), ("iterator" = Option<String>, Query), ("order" = Option<String>, Query)),
    responses((status = 200, description = "`{data, iterator, prevIterator, done}`"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn list(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let mut query = form.query();
    let page = Page::read(&mut query);
    let order = query.or_default("order", one_of(&["ascending", "descending"]), "ascending");
    query.close_leniently();
    let (page, order) = form.check((|| Some((page?, order?)))())?;
    let mut all = endpoints::of_project(app.pool(), access.project()).await?;
    if order == "descending" {
        all.reverse();
    }
    let (endpoints, rest) = page.cut(all, |endpoint| &endpoint.id);
    let data: Vec<Value> = endpoints.iter().map(view).collect();
    Ok(page::list(&data, rest))
}

/// Makes an endpoint. Without a secret, one is drawn.
#[utoipa::path(post, path = "/app/{app_id}/endpoint", tag = "svix", params(("app_id" = String, Path)), request_body = Value,
    responses((status = 201, description = "The endpoint"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 409, description = "The uid is taken"), (status = 422, description = "What is wrong, and where")))]
async fn create(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let mut body = form.body();
    let url = body.required("url", settings::endpoint_url);
    let secret = body.nullable("secret", settings::signing_secret);
    let change = read_change(&mut body);
    body.close_leniently();
    let (secret, change) = form.check((|| {
        let change = EndpointChange {
            url: Some(url?),
            ..change?
        };
        Some((secret?.into_value(), change))
    })())?;
    let (endpoint, _) = management::create(&app, access.project(), change, secret).await?;
    Ok((StatusCode::CREATED, Json(view(&endpoint))).into_response())
}

/// One endpoint.
#[utoipa::path(get, path = "/app/{app_id}/endpoint/{endpoint_id}", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 200, description = "The endpoint"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found")))]
async fn read(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let endpoint = named(&app, &access, &input).await?;
    Ok(Json(view(&endpoint)).into_response())
}

/// Puts other settings in the place of all that the endpoint has. Its headers stay.
#[utoipa::path(put, path = "/app/{app_id}/endpoint/{endpoint_id}", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 200, description = "The endpoint"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 409, description = "The uid is taken"), (status = 422, description = "What is wrong, and where")))]
async fn replace(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let id = param(&mut form, ENDPOINT);
    let mut body = form.body();
    let url = body.required("url", settings::endpoint_url);
    let change = read_change(&mut body);
    body.close_leniently();
    let (id, change) = form.check((|| {
        let change = EndpointChange {
            url: Some(url?),
            ..change?
        };
        Some((id?, change))
    })())?;
    let endpoint = access.endpoint(&app, &id).await?;
    let endpoint = management::change(&app, endpoint, change.of_everything()).await?;
    Ok(Json(view(&endpoint)).into_response())
}

/// Changes some settings.
#[utoipa::path(patch, path = "/app/{app_id}/endpoint/{endpoint_id}", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 200, description = "The endpoint"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 409, description = "The uid is taken"), (status = 422, description = "What is wrong, and where")))]
async fn update(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let id = param(&mut form, ENDPOINT);
    let mut body = form.body();
    let url = body.optional("url", settings::endpoint_url);
    let change = read_change(&mut body);
    body.close_leniently();
    let (id, change) = form.check((|| {
        let change = EndpointChange {
            url: url?,
            ..change?
        };
        Some((id?, change))
    })())?;
    let endpoint = access.endpoint(&app, &id).await?;
    let endpoint = management::change(&app, endpoint, change).await?;
    Ok(Json(view(&endpoint)).into_response())
}

/// Deletes an endpoint with its attempts.
#[utoipa::path(delete, path = "/app/{app_id}/endpoint/{endpoint_id}", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 204, description = "Deleted"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found")))]
async fn delete(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let endpoint = named(&app, &access, &input).await?;
    endpoints::delete(app.pool(), &endpoint.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The secret that messages to the endpoint are signed with.
#[utoipa::path(get, path = "/app/{app_id}/endpoint/{endpoint_id}/secret", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 200, description = "`{key}`"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found")))]
async fn read_secret(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let endpoint = named(&app, &access, &input).await?;
    let secret = management::secret(&app, &endpoint).await?;
    Ok(Json(json!({"key": secret})).into_response())
}

/// Replaces the secret. For a day, messages are signed with the old one as well.
#[utoipa::path(post, path = "/app/{app_id}/endpoint/{endpoint_id}/secret/rotate", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 204, description = "Replaced"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn rotate_secret(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let id = param(&mut form, ENDPOINT);
    let mut body = form.optional_body();
    let key = body.nullable("key", settings::signing_secret);
    body.close_leniently();
    let (id, key) = form.check((|| Some((id?, key?.into_value())))())?;
    let endpoint = access.endpoint(&app, &id).await?;
    management::rotate_secret(&app, &endpoint, key).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The headers that are sent along.
#[utoipa::path(get, path = "/app/{app_id}/endpoint/{endpoint_id}/headers", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 200, description = "`{headers, sensitive}`"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found")))]
async fn read_headers(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let endpoint = named(&app, &access, &input).await?;
    let body = json!({"headers": endpoint.headers, "sensitive": []});
    Ok(Json(body).into_response())
}

/// Puts other headers in the place of all that are sent along.
#[utoipa::path(put, path = "/app/{app_id}/endpoint/{endpoint_id}/headers", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 204, description = "Replaced"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn replace_headers(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let id = param(&mut form, ENDPOINT);
    let mut body = form.body();
    let headers = body.required("headers", settings::custom_headers);
    body.close_leniently();
    let (id, headers) = form.check((|| Some((id?, headers?)))())?;
    let endpoint = access.endpoint(&app, &id).await?;
    set_headers(&app, endpoint, headers).await
}

/// Changes some headers; null, or a name among `deleteHeaders`, takes one away.
#[utoipa::path(patch, path = "/app/{app_id}/endpoint/{endpoint_id}/headers", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 204, description = "Changed"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn update_headers(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let id = param(&mut form, ENDPOINT);
    let mut body = form.body();
    let changes = body.required("headers", crate::http::request::values::json_object);
    let deleted = body.optional_values("deleteHeaders", text);
    body.close_leniently();
    let (id, changes, deleted) =
        form.check((|| Some((id?, changes?, deleted?.unwrap_or_default())))())?;
    let endpoint = access.endpoint(&app, &id).await?;
    let mut headers = endpoint.headers.as_object().cloned().unwrap_or_default();
    for name in deleted {
        headers.remove(&name);
    }
    for (name, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            headers.remove(name);
        } else {
            headers.insert(name.clone(), value.clone());
        }
    }
    let headers = settings::custom_headers(&Value::Object(headers)).map_err(|problem| {
        vec![Violation {
            path: "body.headers".to_owned(),
            problem,
        }]
    })?;
    set_headers(&app, endpoint, headers).await
}

async fn set_headers(app: &App, endpoint: Endpoint, headers: Value) -> SvixResult {
    let change = EndpointChange {
        headers: Some(headers),
        ..EndpointChange::default()
    };
    management::change(app, endpoint, change).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// How deliveries to the endpoint stand.
#[utoipa::path(get, path = "/app/{app_id}/endpoint/{endpoint_id}/stats", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path), ("since" = Option<String>, Query), ("until" = Option<String>, Query)),
    responses((status = 200, description = "`{success, pending, sending, fail}`"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn stats(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let id = param(&mut form, ENDPOINT);
    let mut query = form.query();
    let since = query.or_default("since", time, Millis(0));
    let until = query.or_default("until", time, Millis(MAX_MILLIS));
    query.close_leniently();
    let (id, stretch) = form.check((|| Some((id?, (since?, until?))))())?;
    let endpoint = access.endpoint(&app, &id).await?;
    let stats = queue::stats(app.pool(), &endpoint.id, stretch).await?;
    let body = json!({
        "success": stats.success,
        "pending": stats.pending,
        // What is on its way counts as pending: it becomes something else within seconds.
        "sending": 0,
        "fail": stats.fail,
        "canceled": 0,
    });
    Ok(Json(body).into_response())
}

/// Sends again what failed, of the messages of a stretch of time.
#[utoipa::path(post, path = "/app/{app_id}/endpoint/{endpoint_id}/recover", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 202, description = "`{id, status, task}`"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn recover(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let (endpoint, stretch) = endpoint_and_stretch(&app, &access, &input).await?;
    management::recover(&app, &access.delivery_client, &endpoint, stretch).await?;
    Ok(task(&app, "finished", "endpoint.recover"))
}

/// Sends what was never sent to the endpoint, of the messages of a stretch of time.
#[utoipa::path(post, path = "/app/{app_id}/endpoint/{endpoint_id}/replay-missing", tag = "svix", params(("app_id" = String, Path), ("endpoint_id" = String, Path)), request_body = Value,
    responses((status = 202, description = "`{id, status, task}`"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn replay_missing(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let (endpoint, stretch) = endpoint_and_stretch(&app, &access, &input).await?;
    management::replay(&app, &access.delivery_client, &endpoint, stretch).await?;
    Ok(task(&app, "running", "endpoint.replay"))
}

fn task(app: &App, status: &str, task: &str) -> axum::response::Response {
    let body = json!({
        "id": format!("qtask_{}", app.random.base62(27)),
        "status": status,
        "task": task,
        "updatedAt": shown_time(app.now().0),
    });
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

async fn named(app: &App, access: &Access, input: &Input) -> SvixResult<Endpoint> {
    let mut form = input.form(None);
    let id = param(&mut form, ENDPOINT);
    let id = form.check(id)?;
    access.endpoint(app, &id).await
}

async fn endpoint_and_stretch(
    app: &App,
    access: &Access,
    input: &Input,
) -> SvixResult<(Endpoint, (Millis, Millis))> {
    let mut form = input.form(None);
    let id = param(&mut form, ENDPOINT);
    let mut body = form.body();
    let since = body.required("since", time);
    let until = body.nullable("until", time);
    body.close_leniently();
    let (id, since, until) = form.check((|| Some((id?, since?, until?)))())?;
    let until = until.into_value().unwrap_or(Millis(MAX_MILLIS));
    Ok((access.endpoint(app, &id).await?, (since, until)))
}

/// Everything but the URL and the secret. Null stands for what an endpoint has from the start.
fn read_change(body: &mut Fields<'_>) -> Checked<EndpointChange> {
    fn or_first<T>(patch: Patch<T>, first: T) -> Option<T> {
        match patch {
            Patch::Keep => None,
            Patch::Clear => Some(first),
            Patch::Set(value) => Some(value),
        }
    }
    let description = body.nullable("description", settings::description);
    let is_disabled = body.nullable("disabled", boolean);
    let headers = body.nullable("headers", settings::custom_headers);
    let metadata = body.nullable("metadata", settings::metadata);
    let uid = body.nullable("uid", settings::uid);
    let channels = body.nullable("channels", settings::channels);
    let older = body.nullable("filterTypes", settings::filter);
    let newer = body.nullable("eventTypes", settings::filter);
    let filter_types = newer.zip(older);
    let older = body.nullable("rateLimit", integer(1..=MAX_RATE));
    let newer = body.nullable("throttleRate", integer(1..=MAX_RATE));
    let rate_limit = newer.zip(older);
    Some(EndpointChange {
        url: None,
        description: or_first(description?, String::new()),
        is_disabled: or_first(is_disabled?, false),
        filter_types: newest(filter_types?),
        headers: or_first(headers?, json!({})),
        uid: uid?,
        channels: channels?,
        metadata: or_first(metadata?, json!({})),
        rate_limit: match newest(rate_limit?) {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(rate) => Patch::Set(i32::try_from(rate).ok()?),
        },
    })
}

/// The field under its newer name, if it was mentioned; else under the older one.
fn newest<T>((newer, older): (Patch<T>, Patch<T>)) -> Patch<T> {
    if newer.is_keep() { older } else { newer }
}

fn view(endpoint: &Endpoint) -> Value {
    json!({
        "id": endpoint.id,
        "uid": endpoint.uid,
        "url": endpoint.url,
        "description": endpoint.description,
        "disabled": endpoint.is_disabled,
        "filterTypes": endpoint.filter_types,
        "eventTypes": endpoint.filter_types,
        "channels": endpoint.channels,
        "rateLimit": endpoint.rate_limit,
        "throttleRate": endpoint.rate_limit,
        "version": 1,
        "metadata": endpoint.metadata,
        "createdAt": shown_time(endpoint.created_at),
        "updatedAt": shown_time(endpoint.updated_at),
    })
}
