//! The API: a folder per URL, and what all of them share.
//!
//! A request passes [`request::envelope`] (id, CORS, status override), then its body is read
//! ([`request::body`]) and its caller established ([`request::caller`]), in that order and also for
//! paths that do not exist; then it is routed. A handler says which access it wants, reads its
//! [`request::input`], acts, and answers with one of the [`crate::views`] or an [`ApiError`].

mod analytics;
pub(crate) mod answer;
mod api_keys;
mod auth;
mod contact_channels;
mod data_vault;
mod emails;
mod images;
mod integrations;
mod internal;
pub(crate) mod openapi;
mod operations;
mod payments;
mod permissions;
mod projects;
mod request;
mod root;
mod session_replays;
mod svix;
mod teams;
mod users;
mod webhooks;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::clients::mail::Carrier;
use crate::error::ApiError;
pub use operations::Metrics;
use request::{authentication, body, envelope};

/// The prefixes under which the same API is served.
const VERSIONS: [&str; 7] = [
    "/api/v1",
    "/api/v2beta1",
    "/api/v2beta2",
    "/api/v2beta3",
    "/api/v2beta4",
    "/api/v2beta5",
    "/api/latest",
];
/// The longest that a request may take: a query over analytics may run for two minutes.
const TIMEOUT: Duration = Duration::from_secs(140);

/// The description of the API, to which every handler adds its own.
#[derive(OpenApi)]
#[openapi(info(
    title = "Muniment",
    description = "An identity ledger: users, teams and sessions on an event log. \
        Send x-stack-access-type (client, server or admin), x-stack-project-id and the matching key."
))]
struct Documentation;

/// The whole server: the API in all versions, and the operator's pages.
pub fn router(app: App, metrics: Metrics) -> Router {
    let (api, _) = api().split_for_parts();
    let mut versions = Router::new();
    for prefix in VERSIONS {
        let trailing_slash = format!("{prefix}/");
        versions = versions
            .nest(prefix, api.clone())
            .route(&trailing_slash, get(root::get_welcome));
    }
    let api = versions
        .fallback(unknown_path)
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(app.clone(), prepare))
        .layer(CatchPanicLayer::custom(envelope::panicked))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            TIMEOUT,
        ))
        .layer(from_fn_with_state(app.clone(), envelope::wrap));
    let mailbox = match &app.mail.carrier {
        Carrier::Catcher(catcher) => catcher.router(),
        Carrier::Server(_) | Carrier::Nobody => Router::new(),
    };
    Router::new()
        .merge(operations::router(metrics))
        .merge(mailbox)
        .merge(images::router())
        .merge(openapi::pages(reference, &app.docs_credentials))
        .fallback_service(api.with_state(app.clone()))
        .with_state(app)
}

/// The reference. The routes are made once more, because describing them takes longer than starting
/// the server should.
fn reference() -> Value {
    let described = openapi::describe::describing(api);
    openapi::document(&described.into_openapi(), VERSIONS[0])
}

fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Documentation::openapi())
        .merge(root::router())
        .merge(users::router())
        .merge(contact_channels::router())
        .merge(teams::router())
        .merge(permissions::router())
        .merge(auth::router())
        .merge(projects::router())
        .merge(api_keys::router())
        .merge(emails::router())
        .merge(payments::router())
        .merge(webhooks::router())
        .merge(svix::router())
        .merge(analytics::router())
        .merge(session_replays::router())
        .merge(data_vault::router())
        .merge(integrations::router())
        .merge(internal::router())
}

/// Reads the body and establishes the caller, for every path.
async fn prepare(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if !request.uri().path().starts_with("/api/") {
        return Ok(next.run(request).await);
    }
    let (mut parts, http_body) = request.into_parts();
    let reading = body::Reading::at(parts.uri.path());
    let (body, sent) = body::read(&parts.method, &parts.headers, http_body, reading).await?;
    let id = parts
        .extensions
        .get::<envelope::RequestId>()
        .map(|id| id.0.clone());
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(address)| address.ip());
    let caller = authentication::establish(&app, &parts, peer, id.unwrap_or_default()).await?;
    parts.extensions.insert(caller);
    parts.extensions.insert(body);
    parts.extensions.insert(sent);
    Ok(next
        .run(Request::from_parts(parts, axum::body::Body::empty()))
        .await)
}

async fn unknown_path(uri: Uri) -> Response {
    if uri.path() == "/" {
        return Redirect::temporary("/docs").into_response();
    }
    let text = format!("There is nothing at {uri}. The API's paths are listed at /docs.");
    ApiError::text(StatusCode::NOT_FOUND, text).into_response()
}
