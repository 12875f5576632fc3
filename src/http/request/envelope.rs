//! What every answer of the API carries: request id, caching, CORS, and the status override.

use std::any::Any;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tracing::Instrument;

use crate::app::App;
use crate::error::{ApiError, INTERNAL};

/// The id of a request; in the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub String);

const ALLOW_METHODS: &str = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
const ALLOW_HEADERS: &str = "content-type, authorization, x-stack-project-id, x-stack-branch-id, \
    x-stack-override-error-status, x-stack-random-nonce, x-stack-client-version, \
    x-stack-disable-artificial-development-delay, x-stack-access-type, \
    x-stack-publishable-client-key, x-stack-secret-server-key, x-stack-super-secret-admin-key, \
    x-stack-admin-access-token, x-stack-refresh-token, x-stack-access-token, \
    x-stack-allow-anonymous-user, x-stack-allow-restricted-user, x-hexclave-project-id, \
    x-hexclave-branch-id, x-hexclave-override-error-status, x-hexclave-random-nonce, \
    x-hexclave-client-version, x-hexclave-access-type, x-hexclave-publishable-client-key, \
    x-hexclave-secret-server-key, x-hexclave-super-secret-admin-key, \
    x-hexclave-admin-access-token, x-hexclave-refresh-token, x-hexclave-access-token, \
    x-hexclave-allow-anonymous-user, x-hexclave-allow-restricted-user, baggage, sentry-trace, \
    x-vercel-protection-bypass, ngrok-skip-browser-warning";
const PREFIX: &str = "x-stack-";
const NEW_PREFIX: &str = "x-hexclave-";
const EXPOSE_HEADERS: &str = "content-type, x-stack-actual-status, x-stack-known-error";
/// How long a browser may remember the answer to a preflight request, in seconds.
const MAX_AGE: &str = "86400";
const OVERRIDE: &str = "x-stack-override-error-status";
const ACTUAL_STATUS: HeaderName = HeaderName::from_static("x-stack-actual-status");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-stack-request-id");

/// Wraps the answering of a request.
pub(crate) async fn wrap(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = app.random.request_id();
    accept_new_prefix(request.headers_mut());
    let wishes = Wishes::read(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let response = match request.method() {
        &Method::OPTIONS => StatusCode::OK.into_response(),
        method if is_offered(method) => {
            let span =
                tracing::info_span!("request", id, method = %method, path = request.uri().path());
            next.run(request).instrument(span).await
        }
        method => {
            let refusal = format!("The method {method} is not offered.");
            ApiError::text(StatusCode::METHOD_NOT_ALLOWED, refusal).into_response()
        }
    };
    finish(response, &id, wishes).await
}

/// Releases of the SDK since the vendor's change of name send `x-hexclave-…` where this API has
/// `x-stack-…`. What follows the prefix is the same. A header under its old name wins.
fn accept_new_prefix(headers: &mut HeaderMap) {
    let renamed: Vec<(HeaderName, HeaderValue)> = headers
        .iter()
        .filter_map(|(name, value)| {
            let rest = name.as_str().strip_prefix(NEW_PREFIX)?;
            let name = HeaderName::try_from(format!("{PREFIX}{rest}")).ok()?;
            Some((name, value.clone()))
        })
        .collect();
    for (name, value) in renamed {
        headers.entry(name).or_insert(value);
    }
}

fn is_offered(method: &Method) -> bool {
    [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ]
    .contains(method)
}

/// What the request asks of the form of its answer.
#[derive(Clone, Copy)]
struct Wishes {
    override_error_status: bool,
    readable_json: bool,
}

impl Wishes {
    fn read(headers: &HeaderMap) -> Self {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok());
        Self {
            override_error_status: headers.contains_key(OVERRIDE),
            readable_json: accept.is_some_and(|accept| accept.contains("text/html")),
        }
    }
}

async fn finish(response: Response, id: &str, wishes: Wishes) -> Response {
    let mut response = match response.status() {
        StatusCode::INTERNAL_SERVER_ERROR => internal(response, id),
        _ if wishes.readable_json => indent(response).await,
        _ => response,
    };
    let status = response.status();
    if wishes.override_error_status && status.is_client_error() {
        *response.status_mut() = StatusCode::OK;
        response
            .headers_mut()
            .insert(ACTUAL_STATUS, HeaderValue::from(status.as_u16()));
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(kind) = headers
        .get_mut(header::CONTENT_TYPE)
        .filter(|kind| *kind == "application/json")
    {
        *kind = HeaderValue::from_static("application/json; charset=utf-8");
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store, max-age=0"));
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        (header::VARY, ALLOW_HEADERS),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An error of ours says no more than the id under which the log explains it.
fn internal(response: Response, id: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    parts.headers.insert(header::CONTENT_TYPE, kind);
    let text = format!("{INTERNAL} The operator finds the reason in the log under request {id}.");
    Response::from_parts(parts, Body::from(text))
}

/// Lays JSON out for a person in front of a browser.
async fn indent(response: Response) -> Response {
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let value = serde_json::from_slice::<Value>(&bytes);
    match value.and_then(|value| serde_json::to_vec_pretty(&value)) {
        Ok(pretty) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(pretty))
        }
        Err(_) => Response::from_parts(parts, Body::from(bytes)),
    }
}

/// The answer when a handler panicked: a bug, but the connection and the server live on.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::internal(format!("a handler panicked: {text}")).into_response()
}
