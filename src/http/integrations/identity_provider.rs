//! `/integrations/{integration}/oauth/idp`: a small OpenID provider (OpenID Connect Core 1.0, code
//! flow, PKCE with S256) whose subjects are projects.
//!
//! It sets no cookies: what an interaction needs is in its id (see [`login`]). Errors are answered
//! as JSON with status 400, never by a redirect, so that nothing leads a browser to where a request
//! wants it before all of the request is known to be right.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use data_encoding::BASE64_NOPAD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::Url;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::platform_request::{BasicAuth, NamedIntegration, internal_context};
use crate::app::App;
use crate::app::integrations::clients::{Client, IdTokenSigning};
use crate::app::integrations::login::{self, Exchange, Interaction};
use crate::error::codes::{Errors, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::schema_of;
use crate::http::auth::oauth_endpoint::{
    OauthAnswer, OauthError, OauthErrorCode, describe_fields, fields_of, text_of,
};
use crate::http::openapi::describe::{OperationDescription, OperationInput};
use crate::http::openapi::operations;
use crate::http::openapi::security::Credentials;
use crate::http::request::caller::Caller;
use crate::http::request::declare::{fields, request};
use crate::http::request::input::Input;
use crate::http::request::presence::required;
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::text;
use crate::security::limits::Limit;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_openid_configuration))
        .routes(operations!(get_openid_key_set))
        .routes(operations!(authenticate_platform))
        .routes(operations!(issue_id_token))
        .routes(operations!(continue_interaction))
        .routes(operations!(get_interaction_return_page, finish_interaction))
}

/// What an identity provider offers (OpenID Connect Discovery 1.0).
#[derive(Serialize, ToSchema)]
struct OpenidConfiguration {
    authorization_endpoint: String,
    claims_supported: &'static [&'static str],
    code_challenge_methods_supported: &'static [&'static str],
    grant_types_supported: &'static [&'static str],
    id_token_signing_alg_values_supported: &'static [&'static str],
    issuer: String,
    jwks_uri: String,
    response_modes_supported: &'static [&'static str],
    response_types_supported: &'static [&'static str],
    scopes_supported: &'static [&'static str],
    subject_types_supported: &'static [&'static str],
    token_endpoint: String,
    token_endpoint_auth_methods_supported: &'static [&'static str],
}

/// Says what the identity provider offers (OpenID Connect Discovery 1.0).
#[utoipa::path(
    get,
    path = "/integrations/{integration}/oauth/idp/.well-known/openid-configuration",
    tag = "integrations"
)]
async fn get_openid_configuration(
    State(app): State<App>,
    NamedIntegration(integration): NamedIntegration,
) -> ApiResult<Json<OpenidConfiguration>> {
    let issuer = login::issuer(&app, integration);
    Ok(Json(OpenidConfiguration {
        authorization_endpoint: format!("{issuer}/auth"),
        claims_supported: &["aud", "exp", "iat", "iss", "nonce", "sub"],
        code_challenge_methods_supported: &["S256"],
        grant_types_supported: &["authorization_code"],
        id_token_signing_alg_values_supported: &IdTokenSigning::ALGORITHMS,
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        response_modes_supported: &["query"],
        response_types_supported: &["code"],
        scopes_supported: &["openid"],
        subject_types_supported: &["public"],
        token_endpoint: format!("{issuer}/token"),
        token_endpoint_auth_methods_supported: &["client_secret_basic", "client_secret_post"],
        issuer,
    }))
}

/// The keys of an identity provider (RFC 7517 §5).
#[derive(Serialize)]
#[serde(transparent)]
struct OpenidKeySet(Value);

impl PartialSchema for OpenidKeySet {
    fn schema() -> RefOr<Schema> {
        let text = json!({"type": "string"});
        schema_of(&json!({
            "description": "A JSON Web Key Set (RFC 7517 §5).",
            "type": "object",
            "required": ["keys"],
            "properties": {"keys": {"type": "array", "items": {
                "type": "object",
                "required": ["alg", "kid", "kty"],
                "properties": {
                    "alg": text, "crv": text, "kid": text, "kty": text, "x": text, "y": text,
                },
            }}},
        }))
    }
}

impl ToSchema for OpenidKeySet {}

/// Shows the keys that id tokens are verified with (RFC 7517).
#[utoipa::path(
    get,
    path = "/integrations/{integration}/oauth/idp/.well-known/jwks.json",
    tag = "integrations"
)]
async fn get_openid_key_set(
    State(app): State<App>,
    NamedIntegration(integration): NamedIntegration,
) -> ApiResult<Json<OpenidKeySet>> {
    let name = login::key_name(integration);
    let keys = app.tokens.key_set([name]).map_err(ApiError::internal)?;
    Ok(Json(OpenidKeySet(keys)))
}

/// An authentication request (OpenID Connect Core §3.1.2.1), as sent. What is wrong with it is told as
/// an error of OAuth; parameters that are not known are ignored, as RFC 6749 §3.1 wants.
struct AuthenticationRequest(Map<String, Value>);

/// Its parameters: whether they must be there, and what they are.
const AUTHENTICATION_PARAMETERS: [(&str, bool, &str); 8] = [
    ("client_id", true, "The platform's id."),
    (
        "redirect_uri",
        true,
        "Where the answer goes: one of the URIs that the platform registered.",
    ),
    ("response_type", true, "`code`"),
    ("scope", true, "Scopes, by spaces; `openid` is one of them."),
    (
        "code_challenge",
        true,
        "The hash of what the platform will show with the code: 43 to 128 letters, digits, `-`, \
         `.`, `_` and `~` (RFC 7636).",
    ),
    ("code_challenge_method", true, "`S256`"),
    (
        "state",
        false,
        "What the platform wants back with the answer. It may be JSON in base 64; \
         `details.external_project_name` in it is what the platform calls the project.",
    ),
    (
        "nonce",
        false,
        "What the platform wants back in the id token.",
    ),
];

impl FromRequestParts<App> for AuthenticationRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let input = Input::from_request_parts(parts, app).await?;
        Ok(Self(input.query))
    }
}

impl OperationInput for AuthenticationRequest {
    fn describe(operation: &mut OperationDescription) {
        let parameter = |(name, required, about): &(&str, bool, &str)| {
            json!({
                "name": name,
                "in": "query",
                "required": required,
                "description": about,
                "schema": {"type": "string"},
            })
        };
        let parameters = AUTHENTICATION_PARAMETERS.iter().map(parameter);
        operation.parameters.extend(parameters);
    }
}

impl AuthenticationRequest {
    fn read(&self, app: &App) -> Result<Interaction, OidcError> {
        let needed = |name| needed(&self.0, name);
        let client = app.integrations.clients.find(&needed("client_id")?);
        let client = client.ok_or_else(OidcError::unknown_client)?;
        let redirect_uri = needed("redirect_uri")?;
        require_registered(client, &redirect_uri)?;
        require_supported(&needed("response_type")?, &needed("scope")?)?;
        if needed("code_challenge_method")? != "S256" {
            return Err(OidcError::invalid("code_challenge_method must be S256"));
        }
        let code_challenge = needed("code_challenge")?;
        if !is_challenge(&code_challenge) {
            return Err(OidcError::invalid(
                "code_challenge must have 43 to 128 characters: letters, digits, - . _ ~",
            ));
        }
        Ok(Interaction {
            client_id: client.id.clone(),
            redirect_uri,
            state: text_of(&self.0, "state"),
            nonce: text_of(&self.0, "nonce"),
            code_challenge,
            asked_at: app.now(),
        })
    }
}

fn require_supported(response_type: &str, scope: &str) -> Result<(), OidcError> {
    if response_type != "code" {
        let (error, text) = (
            OauthErrorCode::UnsupportedResponseType,
            "response_type must be code",
        );
        return Err(OidcError::new(error, text));
    }
    if !scope.split(' ').any(|scope| scope == "openid") {
        let text = "scope must contain openid";
        return Err(OidcError::new(OauthErrorCode::InvalidScope, text));
    }
    Ok(())
}

fn needed(fields: &Map<String, Value>, name: &str) -> Result<String, OidcError> {
    let missing = || OidcError::invalid(format!("{name} is missing"));
    text_of(fields, name).ok_or_else(missing)
}

/// Begins an interaction: a platform asks to be let into a project.
#[utoipa::path(get, path = "/integrations/{integration}/oauth/idp/auth", tag = "integrations",
    responses((status = 307, description = "To the interaction.")))]
async fn authenticate_platform(
    State(app): State<App>,
    NamedIntegration(integration): NamedIntegration,
    wanted: AuthenticationRequest,
) -> ApiResult<OauthAnswer<Response, OidcError>> {
    let interaction = match wanted.read(&app) {
        Ok(interaction) => interaction,
        Err(error) => return Ok(OauthAnswer(Err(error))),
    };
    let uid = interaction.seal(&app, integration)?;
    let url = format!("{}/interaction/{uid}", login::issuer(&app, integration));
    Ok(OauthAnswer(Ok(Redirect::temporary(&url).into_response())))
}

/// RFC 9700 §2.1: redirect URIs are compared as texts, whole.
fn require_registered(client: &Client, redirect_uri: &str) -> Result<(), OidcError> {
    if client.redirect_uris.iter().any(|uri| uri == redirect_uri) {
        return Ok(());
    }
    let text = "redirect_uri is none of those that the client registered";
    Err(OidcError::new(OauthErrorCode::InvalidRedirectUri, text))
}

/// RFC 7636 §4.2. One that is the hash of nothing is never matched.
fn is_challenge(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(fits)
}

request! {
    /// An interaction that is named.
    struct ContinueInteraction {
        path(open) {
            .. interaction: InteractionPath;
        }
        query(open) {}
    }

    /// An interaction that an owner has agreed in.
    struct FinishInteraction {
        path(open) {
            .. interaction: InteractionPath;
        }
        query {
            /// The authorization code, with which the dashboard sends the browser back.
            code: String = required(text().map(|code| code.to_lowercase()));
        }
    }
}

fields! {
    /// What names an interaction in a path.
    struct InteractionPath {
        /// The interaction's id.
        uid: String = required(text());
    }
}

/// Sends the browser of an interaction to the dashboard, where an owner picks a project.
///
/// An interaction takes an hour at most.
#[utoipa::path(get, path = "/integrations/{integration}/oauth/idp/interaction/{uid}", tag = "integrations",
    responses((status = 307, description = "To the dashboard.")))]
async fn continue_interaction(
    State(app): State<App>,
    NamedIntegration(integration): NamedIntegration,
    ContinueInteraction { interaction }: ContinueInteraction,
) -> ApiResult<OauthAnswer<Response, OidcError>> {
    let uid = &interaction.uid;
    let Some(interaction) = Interaction::open(&app, integration, uid) else {
        return Ok(OauthAnswer(Err(OidcError::unknown_interaction())));
    };
    let url = format!("{}/integrations/{integration}/confirm", app.dashboard_url);
    let mut url = Url::parse(&url).map_err(ApiError::internal)?;
    url.query_pairs_mut().append_pair("interaction_uid", uid);
    if let Some(name) = interaction.state.as_deref().and_then(external_project_name) {
        url.query_pairs_mut()
            .append_pair("external_project_name", &name);
    }
    let redirect = Redirect::temporary(url.as_str());
    Ok(OauthAnswer(Ok(redirect.into_response())))
}

/// What the platform calls the project, if its state says so: base 64 of JSON, of either alphabet.
fn external_project_name(state: &str) -> Option<String> {
    let standard = state.trim_end_matches('=').replace('-', "+");
    let decoded = BASE64_NOPAD
        .decode(standard.replace('_', "/").as_bytes())
        .ok()?;
    let state: Value = serde_json::from_slice(&decoded).ok()?;
    let details = state.get("details")?;
    ["external_project_name", "neon_project_name"]
        .iter()
        .find_map(|name| details.get(name)?.as_str().map(str::to_owned))
}

/// Shows the page to which the dashboard returns.
///
/// It sends itself back by POST, because a GET must not use anything up.
#[utoipa::path(get, path = "/integrations/{integration}/oauth/idp/interaction/{uid}/done", tag = "integrations",
    responses((status = 200, description = "A page that sends itself back by POST.", body = String, content_type = "text/html")))]
async fn get_interaction_return_page(_: NamedIntegration, _: FinishInteraction) -> ApiResult {
    // A form without an action goes to the page's own address, code and all: there is nothing of
    // the request's to be written into it.
    Ok(Html(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>One moment</title></head>\n\
         <body onload=\"document.forms[0].submit()\">\n\
         <form method=\"post\"><button type=\"submit\">Continue</button></form>\n</body></html>\n",
    )
    .into_response())
}

/// Ends an interaction: uses the authorization code up and sends the browser to the platform.
#[utoipa::path(post, path = "/integrations/{integration}/oauth/idp/interaction/{uid}/done", tag = "integrations",
    responses((status = 303, description = "To the platform, with a login code."), Errors<(Text<400>, Text<429>)>))]
async fn finish_interaction(
    State(app): State<App>,
    caller: Caller,
    NamedIntegration(integration): NamedIntegration,
    FinishInteraction { interaction, code }: FinishInteraction,
) -> ApiResult {
    caller.limit(&app, Limit::CodeCheckFromIp)?;
    let context = internal_context(&app, &caller);
    let answer = login::finish(&app, &context, integration, &interaction.uid, &code).await?;
    let url = answer.ok_or_else(|| {
        ApiError::bad_request(
            "The authorization code does not work, or not for this interaction. \
             Start again from where you came.",
        )
    })?;
    // The platform is to be visited by GET.
    Ok(Redirect::to(url.as_str()).into_response())
}

/// A token request (OpenID Connect Core §3.1.3.1), as sent.
struct TokenRequest {
    credentials: BasicAuth,
    fields: Option<Map<String, Value>>,
}

/// What a platform exchanges. What else is sent is ignored.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "for the reference: what lacks is told as an error of OAuth"
)]
struct IdTokenRequest {
    grant_type: IdTokenGrantType,
    /// The login code.
    code: String,
    /// What the challenge of the request is the hash of (RFC 7636).
    code_verifier: String,
    /// Where the answer went.
    redirect_uri: String,
    /// The platform's id, unless it comes by HTTP Basic.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The platform's secret, unless it comes by HTTP Basic.
    #[schema(nullable = false)]
    client_secret: Option<String>,
}

/// What is exchanged.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "for the reference")]
enum IdTokenGrantType {
    AuthorizationCode,
}

impl FromRequestParts<App> for TokenRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let input = Input::from_request_parts(parts, app).await?;
        Ok(Self {
            credentials: BasicAuth::of(&parts.headers),
            fields: fields_of(&input.body).cloned(),
        })
    }
}

impl OperationInput for TokenRequest {
    fn describe(operation: &mut OperationDescription) {
        operation.credentials = Credentials::Platform;
        let example = json!({
            "grant_type": "authorization_code",
            "code": "a-login-code",
            "code_verifier": "a-verifier-that-only-the-platform-knows-yet",
            "redirect_uri": "https://platform.example.com/callback",
        });
        describe_fields::<IdTokenRequest>(operation, &example);
    }
}

/// A login code, and what belongs to it.
struct ShownCode {
    code: String,
    code_verifier: String,
    redirect_uri: String,
}

impl TokenRequest {
    /// The client, whose credentials may be in the header or in the body, and what it shows.
    fn read<'a>(&self, app: &'a App) -> Result<(&'a Client, ShownCode), OidcError> {
        let not_a_form = "the body must be application/x-www-form-urlencoded";
        let fields = self.fields.as_ref();
        let fields = fields.ok_or_else(|| OidcError::invalid(not_a_form))?;
        let by_post = || {
            let clients = &app.integrations.clients;
            let (id, secret) = (
                text_of(fields, "client_id")?,
                text_of(fields, "client_secret")?,
            );
            clients.authenticate(&id, &secret)
        };
        let client = self.credentials.client(app).or_else(by_post);
        let client = client.ok_or_else(OidcError::unknown_client)?;
        if needed(fields, "grant_type")? != "authorization_code" {
            let text = "grant_type must be authorization_code";
            return Err(OidcError::new(OauthErrorCode::UnsupportedGrantType, text));
        }
        let shown = ShownCode {
            code: needed(fields, "code")?,
            code_verifier: needed(fields, "code_verifier")?,
            redirect_uri: needed(fields, "redirect_uri")?,
        };
        Ok((client, shown))
    }
}

/// What a platform gets for a login code.
#[derive(Serialize, ToSchema)]
#[allow(clippy::struct_field_names, reason = "OpenID Connect names it so")]
struct IdToken {
    /// An admin key of the project that the platform was let into.
    access_token: String,
    /// A signed statement about the project, which is its subject (OpenID Connect Core §2).
    id_token: String,
    scope: OpenidScope,
    token_type: IdTokenType,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OpenidScope {
    Openid,
}

/// How the access token would be sent along, by the standard.
#[derive(Serialize, ToSchema)]
enum IdTokenType {
    Bearer,
}

/// Exchanges a login code for an admin key, as access token, and an id token about the project.
#[utoipa::path(post, path = "/integrations/{integration}/oauth/idp/token", tag = "integrations",
    responses(Errors<Text<429>>))]
async fn issue_id_token(
    State(app): State<App>,
    caller: Caller,
    NamedIntegration(integration): NamedIntegration,
    wanted: TokenRequest,
) -> ApiResult<OauthAnswer<Json<IdToken>, OidcError>> {
    caller.limit(&app, Limit::CodeCheckFromIp)?;
    let (client, shown) = match wanted.read(&app) {
        Ok(read) => read,
        Err(error) => return Ok(OauthAnswer(Err(error))),
    };
    let context = internal_context(&app, &caller);
    let exchange = Exchange {
        code: &shown.code,
        code_verifier: &shown.code_verifier,
        redirect_uri: &shown.redirect_uri,
    };
    let granted = login::exchange(&app, &context, integration, client, &exchange).await?;
    let token = granted.map(|granted| {
        Json(IdToken {
            access_token: granted.super_secret_admin_key,
            id_token: granted.id_token,
            scope: OpenidScope::Openid,
            token_type: IdTokenType::Bearer,
        })
    });
    Ok(OauthAnswer(token.ok_or_else(OidcError::invalid_grant)))
}

/// An error of OAuth 2.0, which nobody may keep.
#[derive(Debug)]
pub(super) struct OidcError(OauthError);

impl OidcError {
    fn new(error: OauthErrorCode, description: impl Into<String>) -> Self {
        Self(OauthError {
            error,
            error_description: description.into(),
        })
    }

    fn invalid(description: impl Into<String>) -> Self {
        Self::new(OauthErrorCode::InvalidRequest, description)
    }

    fn unknown_client() -> Self {
        let text = "the client is not registered, or its secret is wrong";
        Self::new(OauthErrorCode::InvalidClient, text)
    }

    fn unknown_interaction() -> Self {
        Self::invalid("there is no such interaction, or it took too long; start again")
    }

    /// The login code does not work, or not for what is shown with it.
    pub(super) fn invalid_grant() -> Self {
        let text = "the code does not work, or not for this client, redirect_uri and code_verifier";
        Self::new(OauthErrorCode::InvalidGrant, text)
    }

    /// The error as endpoints outside the provider pass it on.
    pub(super) fn into_text(self) -> ApiError {
        ApiError::bad_request(json!(self.0).to_string())
    }
}

impl IntoResponse for OidcError {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], self.0).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;

    #[test]
    fn the_state_may_name_the_project() {
        let state = |value: Value| BASE64.encode(value.to_string().as_bytes());
        let neon = state(json!({"details": {"neon_project_name": "shop?>"}}));
        assert_eq!(external_project_name(&neon).as_deref(), Some("shop?>"));
        let url_safe = neon.replace('+', "-").replace('/', "_");
        assert_eq!(external_project_name(&url_safe).as_deref(), Some("shop?>"));
        let both = json!({"details": {"neon_project_name": "n", "external_project_name": "e"}});
        assert_eq!(external_project_name(&state(both)).as_deref(), Some("e"));
        for other in [
            "",
            "opaque",
            &state(json!({})),
            &state(json!({"details": 1})),
        ] {
            assert_eq!(external_project_name(other), None, "{other}");
        }
    }
}
