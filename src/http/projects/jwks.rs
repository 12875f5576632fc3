//! `/projects/{project_id}/.well-known/jwks.json`: the keys that access tokens are verified with.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use muniment_domain::ProjectId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::http::request::caller::Caller;
use crate::http::request::input::Input;
use crate::http::request::values::{query_boolean, text};
use crate::security::tokens::Include;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(key_set))
        .routes(routes!(of_anonymous_users))
        .routes(routes!(of_restricted_users))
}

/// The public keys of a project, as a JSON Web Key Set (RFC 7517).
#[utoipa::path(get, path = "/projects/{project_id}/.well-known/jwks.json", tag = "projects",
    params(("project_id" = String, Path), ("include_restricted" = Option<bool>, Query), ("include_anonymous" = Option<bool>, Query)),
    responses((status = 200, description = "A key set"), (status = 404, description = "No such project")))]
async fn key_set(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let mut form = input.form(caller.user_id());
    let project = form.params().required("project_id", text);
    let mut query = form.query();
    let restricted = query.or_default("include_restricted", query_boolean, false);
    let anonymous = query.or_default("include_anonymous", query_boolean, false);
    query.close();
    let (project, restricted, anonymous) = form.finish((|| {
        Some((ProjectId::from_caller(&project?), restricted?, anonymous?))
    })())?;
    if app.projects.find(&project).await?.is_none() {
        let text = format!("There is no project {project}.");
        return Err(ApiError::text(StatusCode::NOT_FOUND, text));
    }
    let include = match (restricted, anonymous) {
        (_, true) => Include::Anonymous,
        (true, false) => Include::Restricted,
        (false, false) => Include::Regular,
    };
    let keys = app
        .tokens
        .jwks(&project, include)
        .map_err(ApiError::internal)?;
    let cache = HeaderValue::from_static("public, max-age=3600");
    Ok(([(header::CACHE_CONTROL, cache)], Json(keys)).into_response())
}

/// Where verifiers look that start from the issuer of an anonymous user's token.
#[utoipa::path(get, path = "/projects-anonymous-users/{project_id}/.well-known/{*rest}", tag = "projects",
    params(("project_id" = String, Path), ("rest" = String, Path)), responses((status = 307, description = "To the project's key set")))]
async fn of_anonymous_users(uri: Uri, _caller: Caller) -> Response {
    redirect(&uri, "projects-anonymous-users", "include_anonymous")
}

/// Where verifiers look that start from the issuer of a restricted user's token.
#[utoipa::path(get, path = "/projects-restricted-users/{project_id}/.well-known/{*rest}", tag = "projects",
    params(("project_id" = String, Path), ("rest" = String, Path)), responses((status = 307, description = "To the project's key set")))]
async fn of_restricted_users(uri: Uri, _caller: Caller) -> Response {
    redirect(&uri, "projects-restricted-users", "include_restricted")
}

/// To the same path under `/projects`, with the keys of such users included.
fn redirect(uri: &Uri, from: &str, include: &str) -> Response {
    // Nesting strips the version from the path, and all versions are the same: v1 it is.
    let path = uri.path().replacen(from, "projects", 1);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let sent = uri.query().unwrap_or_default();
    let others = url::form_urlencoded::parse(sent.as_bytes()).filter(|(name, _)| name != include);
    query.extend_pairs(others).append_pair(include, "true");
    Redirect::temporary(&format!("/api/v1{path}?{}", query.finish())).into_response()
}
