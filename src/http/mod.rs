//! The API: one file per family of routes, and what all of them share.
//!
//! A request passes [`envelope`] (id, CORS, status override), then its body is read ([`body`]) and
//! its caller established ([`caller`]), in that order and also for paths that do not exist; then
//! it is routed. A handler says which access it wants, reads its [`input`], acts, and answers with
//! one of the [`views`] or an [`error`].

mod ai_conversations;
mod analytics_events;
mod anonymous;
mod api_keys;
mod body;
mod caller;
mod cli_login;
mod codes;
mod contact_channels;
mod credential_scanning;
mod data_vault;
mod end_user;
mod envelope;
mod error;
mod images;
mod ingestion;
mod input;
mod integrations;
mod internal_analytics;
mod internal_config;
mod internal_metrics;
mod internal_projects;
mod internal_session_replays;
mod internal_sign_up_rules;
mod internal_webhooks;
mod jwks;
mod known_error;
mod mfa;
mod notification_preferences;
mod oauth_token;
mod onboarding;
mod operations;
mod otp;
mod owner_api_keys;
mod passkeys;
mod passwords;
mod payments;
mod permission_definitions;
mod project_permissions;
mod projects;
mod root;
mod session_replays;
mod sessions;
mod stripe_webhooks;
mod support_conversations;
mod svix;
mod team_api_keys;
mod team_invitations;
mod team_member_profiles;
mod team_memberships;
mod team_permissions;
mod teams;
mod user_api_keys;
mod users;
pub(crate) mod views;
mod webhooks;

use axum::Json;
use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use crate::mail::Carrier;
pub use error::{ApiError, ApiResult};
pub use known_error::KnownError;
pub use operations::Metrics;

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
    let (api, documentation) = api().split_for_parts();
    let documentation = documented(documentation);
    let mut versions = Router::new();
    for prefix in VERSIONS {
        let trailing_slash = format!("{prefix}/");
        versions = versions
            .nest(prefix, api.clone())
            .route(&trailing_slash, get(root::welcome));
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
        .merge(SwaggerUi::new("/docs").url("/openapi.json", documentation))
        .fallback_service(api.with_state(app.clone()))
        .with_state(app)
}

fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Documentation::openapi())
        .merge(root::router())
        .merge(users::router())
        .merge(teams::router())
        .merge(team_memberships::router())
        .merge(sessions::router())
        .merge(passwords::router())
        .merge(otp::router())
        .merge(mfa::router())
        .merge(passkeys::router())
        .merge(contact_channels::router())
        .merge(cli_login::router())
        .merge(anonymous::router())
        .merge(oauth_token::router())
        .merge(projects::router())
        .merge(jwks::router())
        .merge(internal_projects::router())
        .merge(internal_analytics::router())
        .merge(internal_config::router())
        .merge(internal_sign_up_rules::router())
        .merge(api_keys::router())
        .merge(permission_definitions::router())
        .merge(team_permissions::router())
        .merge(project_permissions::router())
        .merge(team_member_profiles::router())
        .merge(team_invitations::router())
        .merge(user_api_keys::router())
        .merge(team_api_keys::router())
        .merge(credential_scanning::router())
        .merge(notification_preferences::router())
        .merge(webhooks::router())
        .merge(internal_webhooks::router())
        .merge(svix::router())
        .merge(data_vault::router())
        .merge(ai_conversations::router())
        .merge(support_conversations::router())
        .merge(integrations::router())
        .merge(onboarding::router())
        .merge(payments::router())
        .merge(analytics_events::router())
        .merge(session_replays::router())
        .merge(internal_session_replays::router())
        .merge(internal_metrics::router())
        .merge(stripe_webhooks::router())
}

/// The paths as callers see them: below the version that everybody uses.
fn documented(mut documentation: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    documentation.servers = Some(vec![utoipa::openapi::Server::new(VERSIONS[0])]);
    internal_config::document(&mut documentation);
    documentation
}

/// Reads the body and establishes the caller, for every path (contract 01 §1.3).
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
    let caller = caller::establish(&app, &parts.headers, peer, id.unwrap_or_default()).await?;
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

/// `{"success": true}`
fn success() -> Response {
    Json(json!({"success": true})).into_response()
}

/// A list that is not paginated.
fn whole_list<T: serde::Serialize>(items: &[T]) -> Response {
    Json(json!({"items": items, "is_paginated": false})).into_response()
}
