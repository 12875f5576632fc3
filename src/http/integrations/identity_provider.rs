//! `/integrations/{integration}/oauth/idp`: a small OpenID provider (OpenID Connect Core 1.0, code
//! flow, PKCE with S256) whose subjects are projects.
//!
//! It sets no cookies: what an interaction needs is in its id (see [`login`]). Errors are answered
//! as JSON with status 400, never by a redirect, so that nothing leads a browser to where a request
//! wants it before all of the request is known to be right.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use data_encoding::BASE64_NOPAD;
use serde_json::{Map, Value, json};
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::platform_request::{BasicAuth, integration_of, internal_context};
use crate::app::App;
use crate::app::integrations::Integration;
use crate::app::integrations::clients::{Client, IdTokenSigning};
use crate::app::integrations::login::{self, Exchange, Interaction};
use crate::error::{ApiError, ApiResult};
use crate::http::request::body::Body;
use crate::http::request::caller::Caller;
use crate::http::request::input::Input;
use crate::http::request::values::text;
use crate::security::limits::Limit;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(configuration))
        .routes(routes!(key_set))
        .routes(routes!(authorize))
        .routes(routes!(token))
        .routes(routes!(interaction))
        .routes(routes!(return_page, finish))
}

/// What the provider offers (OpenID Connect Discovery 1.0).
#[utoipa::path(get, path = "/integrations/{integration}/oauth/idp/.well-known/openid-configuration", tag = "integrations", params(("integration" = String, Path)),
    responses((status = 200, description = "The provider's metadata")))]
async fn configuration(State(app): State<App>, _caller: Caller, input: Input) -> ApiResult {
    let issuer = login::issuer(&app, integration_of(&input)?);
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": IdTokenSigning::ALGORITHMS,
        "scopes_supported": ["openid"],
        "claims_supported": ["aud", "exp", "iat", "iss", "nonce", "sub"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    });
    Ok(Json(metadata).into_response())
}

/// The keys that id tokens are verified with (RFC 7517).
#[utoipa::path(get, path = "/integrations/{integration}/oauth/idp/.well-known/jwks.json", tag = "integrations", params(("integration" = String, Path)),
    responses((status = 200, description = "A key set")))]
async fn key_set(State(app): State<App>, _caller: Caller, input: Input) -> ApiResult {
    let name = login::key_name(integration_of(&input)?);
    let keys = app.tokens.key_set([name]).map_err(ApiError::internal)?;
    Ok(Json(keys).into_response())
}

/// Begins an interaction: a platform asks to be let into a project.
#[utoipa::path(get, path = "/integrations/{integration}/oauth/idp/auth", tag = "integrations",
    params(("integration" = String, Path), ("client_id" = String, Query), ("redirect_uri" = String, Query), ("response_type" = String, Query), ("scope" = String, Query),
        ("code_challenge" = String, Query), ("code_challenge_method" = String, Query), ("state" = Option<String>, Query), ("nonce" = Option<String>, Query)),
    responses((status = 307, description = "To the interaction"), (status = 400, description = "An OAuth error as JSON")))]
async fn authorize(State(app): State<App>, _caller: Caller, input: Input) -> ApiResult {
    let integration = integration_of(&input)?;
    let interaction = match read_request(&app, &input.query) {
        Ok(interaction) => interaction,
        Err(error) => return Ok(error.into_response()),
    };
    let uid = interaction.seal(&app, integration)?;
    let url = format!("{}/interaction/{uid}", login::issuer(&app, integration));
    Ok(Redirect::temporary(&url).into_response())
}

/// Reads an authentication request (OpenID Connect Core §3.1.2.1). Parameters that are not known
/// are ignored, as RFC 6749 §3.1 wants.
fn read_request(app: &App, query: &Map<String, Value>) -> Result<Interaction, OidcError> {
    let given = |name: &str| query.get(name).and_then(Value::as_str);
    let needed = |name: &str| {
        given(name).ok_or_else(|| OidcError::new("invalid_request", format!("{name} is missing")))
    };
    let client = app.integrations.clients.find(needed("client_id")?);
    let client = client.ok_or_else(OidcError::unknown_client)?;
    let redirect_uri = needed("redirect_uri")?;
    require_registered(client, redirect_uri)?;
    if needed("response_type")? != "code" {
        let text = "response_type must be code";
        return Err(OidcError::new("unsupported_response_type", text));
    }
    if !needed("scope")?.split(' ').any(|scope| scope == "openid") {
        return Err(OidcError::new("invalid_scope", "scope must contain openid"));
    }
    if needed("code_challenge_method")? != "S256" {
        let text = "code_challenge_method must be S256";
        return Err(OidcError::new("invalid_request", text));
    }
    let code_challenge = needed("code_challenge")?;
    if !is_challenge(code_challenge) {
        let text = "code_challenge must have 43 to 128 characters: letters, digits, - . _ ~";
        return Err(OidcError::new("invalid_request", text));
    }
    Ok(Interaction {
        client_id: client.id.clone(),
        redirect_uri: redirect_uri.to_owned(),
        state: given("state").map(str::to_owned),
        nonce: given("nonce").map(str::to_owned),
        code_challenge: code_challenge.to_owned(),
        asked_at: app.now(),
    })
}

/// RFC 9700 §2.1: redirect URIs are compared as texts, whole.
fn require_registered(client: &Client, redirect_uri: &str) -> Result<(), OidcError> {
    if client.redirect_uris.iter().any(|uri| uri == redirect_uri) {
        return Ok(());
    }
    let text = "redirect_uri is none of those that the client registered";
    Err(OidcError::new("invalid_redirect_uri", text))
}

/// RFC 7636 §4.2. One that is the hash of nothing is never matched.
fn is_challenge(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(fits)
}

/// Sends the browser of an interaction to the dashboard, where an owner picks a project.
#[utoipa::path(get, path = "/integrations/{integration}/oauth/idp/interaction/{uid}", tag = "integrations", params(("integration" = String, Path), ("uid" = String, Path)),
    responses((status = 307, description = "To the dashboard"), (status = 400, description = "An OAuth error as JSON: there is no such interaction, or it took too long")))]
async fn interaction(State(app): State<App>, _caller: Caller, input: Input) -> ApiResult {
    let integration = integration_of(&input)?;
    let uid = uid_of(&input);
    let Some(interaction) = Interaction::open(&app, integration, uid) else {
        return Ok(OidcError::unknown_interaction().into_response());
    };
    let url = format!("{}/integrations/{integration}/confirm", app.dashboard_url);
    let mut url = Url::parse(&url).map_err(ApiError::internal)?;
    url.query_pairs_mut().append_pair("interaction_uid", uid);
    if let Some(name) = interaction.state.as_deref().and_then(external_project_name) {
        url.query_pairs_mut()
            .append_pair("external_project_name", &name);
    }
    Ok(Redirect::temporary(url.as_str()).into_response())
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

/// The page to which the dashboard returns: it sends itself back by POST, because a GET must not
/// use anything up.
#[utoipa::path(get, path = "/integrations/{integration}/oauth/idp/interaction/{uid}/done", tag = "integrations",
    params(("integration" = String, Path), ("uid" = String, Path), ("code" = String, Query, description = "The authorization code")),
    responses((status = 200, description = "A page that sends itself back by POST"), (status = 400, description = "SCHEMA_ERROR")))]
async fn return_page(_app: State<App>, caller: Caller, input: Input) -> ApiResult {
    read_return(&input, &caller)?;
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
    params(("integration" = String, Path), ("uid" = String, Path), ("code" = String, Query, description = "The authorization code")),
    responses((status = 303, description = "To the platform, with a login code"),
        (status = 400, description = "SCHEMA_ERROR; text: the code does not work, or not for this interaction")))]
async fn finish(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let (integration, code) = read_return(&input, &caller)?;
    caller.limit(&app, Limit::CodeCheckFromIp)?;
    let context = internal_context(&app, &caller);
    let uid = uid_of(&input);
    let answer = login::finish(&app, &context, integration, uid, &code).await?;
    let url = answer.ok_or_else(|| {
        let text = "The authorization code does not work, or not for this interaction. \
                    Start again from where you came.";
        ApiError::text(StatusCode::BAD_REQUEST, text)
    })?;
    // The platform is to be visited by GET.
    Ok(Redirect::to(url.as_str()).into_response())
}

fn read_return(input: &Input, caller: &Caller) -> Result<(Integration, String), ApiError> {
    let integration = integration_of(input)?;
    let mut form = input.form(caller.user_id());
    let mut params = form.params();
    params.ignore("integration");
    params.ignore("uid");
    params.close();
    let mut query = form.query();
    let code = query.required("code", text);
    query.close();
    Ok((integration, form.finish(code)?.to_lowercase()))
}

fn uid_of(input: &Input) -> &str {
    let uid = input.params.get("uid").and_then(Value::as_str);
    uid.unwrap_or_default()
}

/// Exchanges a login code for the admin key, as access token, and an id token about the project.
#[utoipa::path(post, path = "/integrations/{integration}/oauth/idp/token", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{access_token, token_type, scope, id_token}`"), (status = 400, description = "An OAuth error as JSON")))]
async fn token(
    State(app): State<App>,
    caller: Caller,
    credentials: BasicAuth,
    input: Input,
) -> ApiResult {
    let integration = integration_of(&input)?;
    caller.limit(&app, Limit::CodeCheckFromIp)?;
    let (client, shown) = match read_token_request(&app, &credentials, &input.body) {
        Ok(read) => read,
        Err(error) => return Ok(error.into_response()),
    };
    let context = internal_context(&app, &caller);
    let granted = login::exchange(&app, &context, integration, client, &shown).await?;
    let Some(granted) = granted else {
        return Ok(OidcError::invalid_grant().into_response());
    };
    let shown = json!({
        "access_token": granted.super_secret_admin_key,
        "token_type": "Bearer",
        "scope": "openid",
        "id_token": granted.id_token,
    });
    Ok(Json(shown).into_response())
}

/// Reads a token request (OpenID Connect Core §3.1.3.1). The client's credentials may be in the
/// header or in the body.
fn read_token_request<'r>(
    app: &'r App,
    credentials: &BasicAuth,
    body: &'r Body,
) -> Result<(&'r Client, Exchange<'r>), OidcError> {
    let (Body::Form(fields) | Body::Json(Value::Object(fields))) = body else {
        let text = "the body must be application/x-www-form-urlencoded";
        return Err(OidcError::new("invalid_request", text));
    };
    let given = |name: &str| fields.get(name).and_then(Value::as_str);
    let needed = |name: &str| {
        given(name).ok_or_else(|| OidcError::new("invalid_request", format!("{name} is missing")))
    };
    let by_post = || {
        let clients = &app.integrations.clients;
        clients.authenticate(given("client_id")?, given("client_secret")?)
    };
    let client = credentials.client(app).or_else(by_post);
    let client = client.ok_or_else(OidcError::unknown_client)?;
    if needed("grant_type")? != "authorization_code" {
        let text = "grant_type must be authorization_code";
        return Err(OidcError::new("unsupported_grant_type", text));
    }
    let shown = Exchange {
        code: needed("code")?,
        code_verifier: needed("code_verifier")?,
        redirect_uri: needed("redirect_uri")?,
    };
    Ok((client, shown))
}

/// An error of OAuth 2.0 (RFC 6749 §5.2).
#[derive(Debug)]
pub(super) struct OidcError {
    code: &'static str,
    description: String,
}

impl OidcError {
    fn new(code: &'static str, description: impl Into<String>) -> Self {
        Self {
            code,
            description: description.into(),
        }
    }

    fn unknown_client() -> Self {
        Self::new(
            "invalid_client",
            "the client is not registered, or its secret is wrong",
        )
    }

    fn unknown_interaction() -> Self {
        let text = "there is no such interaction, or it took too long; start again";
        Self::new("invalid_request", text)
    }

    /// The login code does not work, or not for what is shown with it.
    pub(super) fn invalid_grant() -> Self {
        let text = "the code does not work, or not for this client, redirect_uri and code_verifier";
        Self::new("invalid_grant", text)
    }

    fn body(&self) -> Value {
        json!({"error": self.code, "error_description": self.description})
    }

    /// The error as endpoints outside the provider pass it on.
    pub(super) fn into_text(self) -> ApiError {
        ApiError::text(StatusCode::BAD_REQUEST, self.body().to_string())
    }
}

impl IntoResponse for OidcError {
    fn into_response(self) -> Response {
        let no_store = [(header::CACHE_CONTROL, "no-store")];
        (StatusCode::BAD_REQUEST, no_store, Json(self.body())).into_response()
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
