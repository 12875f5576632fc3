//! `/auth/oauth/token`: the OAuth token endpoint (RFC 6749 §3.2), with the refresh grant that client
//! libraries use.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use muniment_domain::ProjectId;
use serde::Serialize;
use serde_json::{Map, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::oauth_endpoint::{
    OauthAnswer, OauthError, OauthErrorCode, describe_fields, fields_of, text_of,
};
use crate::app::App;
use crate::app::auth::sessions::{by_refresh_token, issue_access_token};
use crate::app::projects::directory::{KeyKind, LoadedProject};
use crate::error::codes::{
    Errors, InvalidAuthorizationCode, InvalidOauthClientIdOrSecret,
    PublishableClientKeyRequiredForProject, RefreshTokenNotFoundOrExpired, SchemaError,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::describe::{OperationDescription, OperationInput, OperationOutput};
use crate::http::openapi::operations;
use crate::http::request::caller::Caller;
use crate::http::request::fields::Checked;
use crate::http::request::input::{Form, Input};

/// Stands for "no publishable key".
const PUBLIC_CLIENT: &str = "__stack_public_client__";

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(issue_oauth_token))
}

/// What a client wants a token for. What else is sent is ignored.
#[derive(ToSchema)]
struct OauthTokenRequest {
    grant_type: OauthGrantType,
    /// The refresh token of a session. The grant of that name needs it.
    #[schema(nullable = false)]
    refresh_token: Option<String>,
    /// The project's id. It may come by HTTP Basic instead.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// A publishable key of the project, or `__stack_public_client__` where none is required. It may
    /// come by HTTP Basic instead.
    #[schema(nullable = false)]
    client_secret: Option<String>,
}

/// What a token is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
enum OauthGrantType {
    /// A refresh token.
    RefreshToken,
    /// An authorization code. None works so far.
    AuthorizationCode,
}

impl FromRequestParts<App> for OauthTokenRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let input = Input::from_request_parts(parts, app).await?;
        let nothing = Map::new();
        let fields = fields_of(&input.body).unwrap_or(&nothing);
        let given = |name: &str| text_of(fields, name);
        let mut form = input.form(None);
        let grant_type = read_grant_type(given("grant_type").as_deref(), &mut form);
        let grant_type = form.finish(grant_type)?;
        let (mut id, mut secret) = (given("client_id"), given("client_secret"));
        // RFC 6749 §2.3.1
        if id.is_none()
            && let Some((basic_id, basic_secret)) = basic_credentials(&parts.headers)
        {
            (id, secret) = (Some(basic_id), Some(basic_secret));
        }
        Ok(Self {
            grant_type,
            refresh_token: given("refresh_token"),
            client_id: id,
            client_secret: secret,
        })
    }
}

impl OperationInput for OauthTokenRequest {
    fn describe(operation: &mut OperationDescription) {
        let example = json!({
            "grant_type": "refresh_token",
            "refresh_token": "a-refresh-token",
            "client_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
            "client_secret": PUBLIC_CLIENT,
        });
        describe_fields::<Self>(operation, &example);
        operation.fails_with::<SchemaError>();
    }
}

fn read_grant_type(given: Option<&str>, form: &mut Form<'_>) -> Checked<OauthGrantType> {
    let problem = match given {
        Some("refresh_token") => return Some(OauthGrantType::RefreshToken),
        Some("authorization_code") => return Some(OauthGrantType::AuthorizationCode),
        Some(_) => "must be refresh_token or authorization_code",
        None => "is required",
    };
    form.violation("body.grant_type", problem);
    None
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

impl OauthTokenRequest {
    /// The project whose client has these credentials: its id and a publishable key.
    async fn authenticate(&self, app: &App) -> Result<Arc<LoadedProject>, ApiError> {
        let id = self.client_id.as_deref();
        let wrong = |id| ApiError::from(KnownError::invalid_oauth_client_id_or_secret(id));
        // A client id may name a branch: `project#branch`.
        let name = id.unwrap_or_default();
        let (project_id, branch) = name.split_once('#').unwrap_or((name, "main"));
        let project_id = ProjectId::from_caller(project_id);
        let project = app.projects.find(&project_id).await?;
        let project = project.filter(|_| branch == "main");
        let project = project.ok_or_else(|| wrong(id))?;
        let required = project.config.project.require_publishable_client_key;
        let secret = self.client_secret.as_deref();
        match secret.filter(|secret| !secret.is_empty()) {
            None | Some(PUBLIC_CLIENT) if required => Err(
                KnownError::publishable_client_key_required_for_project(Some(&project.id)).into(),
            ),
            None => Err(wrong(id)),
            Some(PUBLIC_CLIENT) => Ok(project),
            Some(key) if project.accepts_key(KeyKind::PublishableClient, key, app.now()) => {
                Ok(project)
            }
            Some(_) => Err(wrong(None)),
        }
    }
}

/// An access token, as OAuth has it (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
struct OauthToken {
    access_token: String,
    /// How long it works, in seconds.
    expires_in: i64,
    scope: LegacyScope,
    token_type: BearerToken,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LegacyScope {
    Legacy,
}

/// How a token is sent along.
#[derive(Serialize, ToSchema)]
enum BearerToken {
    Bearer,
}

impl IntoResponse for OauthToken {
    fn into_response(self) -> Response {
        let pragma = (header::PRAGMA, HeaderValue::from_static("no-cache"));
        let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        ([pragma, cache], Json(self)).into_response()
    }
}

impl OperationOutput for OauthToken {
    fn describe(operation: &mut OperationDescription) {
        operation.answers_json::<Self>(200, "The token.");
    }
}

/// Issues an access token for a grant.
///
/// The refresh token stays the same.
#[utoipa::path(post, path = "/auth/oauth/token", tag = "oauth",
    responses(Errors<(InvalidOauthClientIdOrSecret, PublishableClientKeyRequiredForProject, InvalidAuthorizationCode,
        RefreshTokenNotFoundOrExpired)>))]
async fn issue_oauth_token(
    State(app): State<App>,
    caller: Caller,
    wanted: OauthTokenRequest,
) -> ApiResult<OauthAnswer<OauthToken>> {
    let project = wanted.authenticate(&app).await?;
    if wanted.grant_type == OauthGrantType::AuthorizationCode {
        return Err(KnownError::invalid_authorization_code().into());
    }
    let Some(refresh_token) = wanted.refresh_token else {
        return Ok(OauthAnswer(Err(OauthError {
            error: OauthErrorCode::InvalidRequest,
            error_description: "refresh_token is missing".to_owned(),
        })));
    };
    let (session, record) = by_refresh_token(&app, &project.id, &refresh_token).await?;
    let geo = caller.end_user().geo.as_ref();
    Ok(OauthAnswer(Ok(OauthToken {
        access_token: issue_access_token(&app, &project, &record.user, session, geo)?,
        expires_in: app.tokens.lifetime_seconds(),
        scope: LegacyScope::Legacy,
        token_type: BearerToken::Bearer,
    })))
}
