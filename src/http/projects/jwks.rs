//! `/projects/{project_id}/.well-known/jwks.json`: the keys that access tokens are verified with.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use muniment_domain::ProjectId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::error::codes::{Errors, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::describe::{OperationDescription, OperationInput, OperationOutput};
use crate::http::openapi::operations;
use crate::http::request::declare::request;
use crate::http::request::presence::{or_default, required};
use crate::http::request::shape::scalars::{query_boolean, text};
use crate::security::tokens::Include;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_project_key_set))
        .routes(operations!(find_key_set_of_anonymous_users))
        .routes(operations!(find_key_set_of_restricted_users))
}

request! {
    /// Whose keys are asked for.
    struct GetProjectKeySet {
        path {
            /// The project's id.
            project_id: String = required(text());
        }
        query {
            /// Whether to include the keys for access tokens of restricted users.
            include_restricted: bool = or_default(query_boolean(), "false");
            /// Whether to include the keys for access tokens of anonymous and restricted users.
            include_anonymous: bool = or_default(query_boolean(), "false");
        }
    }
}

impl GetProjectKeySet {
    fn include(&self) -> Include {
        match (self.include_restricted, self.include_anonymous) {
            (_, true) => Include::Anonymous,
            (true, false) => Include::Restricted,
            (false, false) => Include::Regular,
        }
    }
}

/// Public keys (RFC 7517, JSON Web Key Set).
#[derive(Serialize, Deserialize, ToSchema)]
struct JsonWebKeySet {
    keys: Vec<JsonWebKey>,
}

/// A public key on P-256 (RFC 7518 §6.2.1).
#[derive(Serialize, Deserialize, ToSchema)]
struct JsonWebKey {
    /// Always `EC`.
    kty: String,
    /// Always `ES256`.
    alg: String,
    /// Always `P-256`.
    crv: String,
    /// In base64url.
    x: String,
    /// In base64url.
    y: String,
    /// The key's id, which is in the header of tokens that it verifies.
    kid: String,
}

/// A key set that caches may keep for an hour.
struct CacheableKeySet(JsonWebKeySet);

impl IntoResponse for CacheableKeySet {
    fn into_response(self) -> Response {
        let cache = HeaderValue::from_static("public, max-age=3600");
        ([(header::CACHE_CONTROL, cache)], Json(self.0)).into_response()
    }
}

impl OperationOutput for CacheableKeySet {
    fn describe(operation: &mut OperationDescription) {
        operation.answers_json::<JsonWebKeySet>(200, "A key set.");
    }
}

/// The public keys of a project, as a JSON Web Key Set (RFC 7517).
#[utoipa::path(get, path = "/projects/{project_id}/.well-known/jwks.json", tag = "projects",
    responses(Errors<Text<404>>))]
async fn get_project_key_set(
    State(app): State<App>,
    wanted: GetProjectKeySet,
) -> ApiResult<CacheableKeySet> {
    let project = ProjectId::from_caller(&wanted.project_id);
    if app.projects.find(&project).await?.is_none() {
        let text = format!("There is no project {project}.");
        return Err(ApiError::not_found(text));
    }
    let keys = app.tokens.jwks(&project, wanted.include());
    let keys = serde_json::from_value(keys.map_err(ApiError::internal)?);
    Ok(CacheableKeySet(keys.map_err(ApiError::internal)?))
}

/// A request to where an issuer of tokens would be. Nothing can be wrong with it.
struct IssuerPath(Uri);

impl<S: Send + Sync> FromRequestParts<S> for IssuerPath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.uri.clone()))
    }
}

impl OperationInput for IssuerPath {
    fn describe(operation: &mut OperationDescription) {
        let described = [
            ("project_id", "The project's id."),
            ("rest", "What is looked for: `jwks.json`."),
        ];
        operation
            .parameters
            .extend(described.map(|(name, about)| {
                json!({"name": name, "in": "path", "required": true, "description": about, "schema": {"type": "string"}})
            }));
    }
}

/// Leads verifiers on that start from the issuer of an anonymous user's token.
#[utoipa::path(get, path = "/projects-anonymous-users/{project_id}/.well-known/{*rest}", tag = "projects",
    responses((status = 307, description = "To the project's key set, with such users' keys included.")))]
async fn find_key_set_of_anonymous_users(IssuerPath(uri): IssuerPath) -> Response {
    redirect(&uri, "projects-anonymous-users", "include_anonymous")
}

/// Leads verifiers on that start from the issuer of a restricted user's token.
#[utoipa::path(get, path = "/projects-restricted-users/{project_id}/.well-known/{*rest}", tag = "projects",
    responses((status = 307, description = "To the project's key set, with such users' keys included.")))]
async fn find_key_set_of_restricted_users(IssuerPath(uri): IssuerPath) -> Response {
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
