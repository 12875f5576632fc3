//! `/auth/oauth/token`: the OAuth token endpoint (RFC 6749 §3.2), with the refresh grant that client
//! libraries use.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use muniment_domain::ProjectId;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::auth::sessions::{by_refresh_token, issue_access_token};
use crate::app::projects::directory::{KeyKind, LoadedProject};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::body::Body;
use crate::http::request::caller::Caller;
use crate::http::request::input::{Form, Input};

/// Stands for "no publishable key".
const PUBLIC_CLIENT: &str = "__stack_public_client__";

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(token))
}

/// Issues an access token for a grant. The refresh token stays the same.
#[utoipa::path(post, path = "/auth/oauth/token", tag = "oauth", request_body = Value,
    responses((status = 200, description = "`{access_token, token_type, expires_in, scope}`"), (status = 400, description = "INVALID_OAUTH_CLIENT_ID_OR_SECRET, SCHEMA_ERROR, invalid_request"),
        (status = 401, description = "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED, PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT")))]
async fn token(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    input: Input,
) -> ApiResult {
    let mut form = input.form(caller.user_id());
    let empty = Map::new();
    let fields = match &input.body {
        Body::Json(Value::Object(fields)) | Body::Form(fields) => fields,
        _ => &empty,
    };
    check_grant_type(fields, &mut form);
    form.finish(Some(()))?;
    let client = Client::read(fields, &headers);
    let project = client.authenticate(&app).await?;
    if fields.get("grant_type").and_then(Value::as_str) == Some("authorization_code") {
        return Err(KnownError::invalid_authorization_code().into());
    }
    let Some(refresh_token) = fields.get("refresh_token").and_then(Value::as_str) else {
        return Ok(invalid_request("refresh_token is missing"));
    };
    let (session, record) = by_refresh_token(&app, &project.id, refresh_token).await?;
    let geo = caller.end_user().geo.as_ref();
    let access_token = issue_access_token(&app, &project, &record.user, session, geo)?;
    let answer = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": app.tokens.lifetime_seconds(),
        "scope": "legacy",
    });
    let pragma = (header::PRAGMA, HeaderValue::from_static("no-cache"));
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(([pragma, cache], Json(answer)).into_response())
}

fn check_grant_type(fields: &Map<String, Value>, form: &mut Form<'_>) {
    match fields.get("grant_type").and_then(Value::as_str) {
        Some("refresh_token" | "authorization_code") => {}
        Some(_) => form.violation(
            "body.grant_type",
            "must be refresh_token or authorization_code",
        ),
        None => form.violation("body.grant_type", "is required"),
    }
}

/// RFC 6749 §5.2: the one kind of error that is the standard's and not this API's.
fn invalid_request(description: &str) -> Response {
    let body = json!({"error": "invalid_request", "error_description": description});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// The credentials of an OAuth client: a project's id and a publishable key.
struct Client {
    id: Option<String>,
    secret: Option<String>,
}

impl Client {
    /// From the body, or by HTTP Basic (RFC 6749 §2.3.1).
    fn read(fields: &Map<String, Value>, headers: &HeaderMap) -> Self {
        let field = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let (id, secret) = (field("client_id"), field("client_secret"));
        if id.is_some() {
            return Self { id, secret };
        }
        let basic = basic_credentials(headers);
        Self {
            id: basic.as_ref().map(|(id, _)| id.clone()),
            secret: basic.map(|(_, secret)| secret).or(secret),
        }
    }

    async fn authenticate(&self, app: &App) -> Result<Arc<LoadedProject>, ApiError> {
        let id = self.id.as_deref().unwrap_or_default();
        // A client id may name a branch: `project#branch`.
        let (project_id, branch) = id.split_once('#').unwrap_or((id, "main"));
        let project = app
            .projects
            .find(&ProjectId::from_caller(project_id))
            .await?;
        let project = project
            .filter(|_| branch == "main")
            .ok_or_else(|| KnownError::invalid_oauth_client_id_or_secret(self.id.as_deref()))?;
        let required = project.config.project.require_publishable_client_key;
        match self.secret.as_deref().filter(|secret| !secret.is_empty()) {
            None | Some(PUBLIC_CLIENT) if required => Err(
                KnownError::publishable_client_key_required_for_project(Some(&project.id)).into(),
            ),
            None => Err(KnownError::invalid_oauth_client_id_or_secret(self.id.as_deref()).into()),
            Some(PUBLIC_CLIENT) => Ok(project),
            Some(key) if project.accepts_key(KeyKind::PublishableClient, key, app.now()) => {
                Ok(project)
            }
            Some(_) => Err(KnownError::invalid_oauth_client_id_or_secret(None).into()),
        }
    }
}

fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = BASE64
        .decode(value.strip_prefix("Basic ")?.trim().as_bytes())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
