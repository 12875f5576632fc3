//! `/integrations/{integration}/oauth`: how a platform is let into a project that exists already. A
//! thin front of the [identity provider](super::identity_provider).

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use muniment_domain::ProjectId;
use serde_json::json;
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::identity_provider::OidcError;
use super::platform_request::{PlatformRequest, begin, internal_context, require_internal};
use crate::app::App;
use crate::app::integrations::login::{self, Exchange};
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ServerAccess;
use crate::http::request::caller::Caller;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{non_empty_text, one_of, text};
use crate::security::limits::Limit;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .routes(routes!(authorize))
        .routes(routes!(token))
        .routes(routes!(confirm))
}

/// Says where a platform begins, and where it fetches its key.
#[utoipa::path(get, path = "/integrations/{integration}/oauth", tag = "integrations", params(("integration" = String, Path)),
    responses((status = 200, description = "A text"), (status = 404, description = "There is no such integration")))]
async fn overview(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let (integration, form) = begin(&input, &caller)?;
    form.no_query().finish(Some(()))?;
    let base = format!("{}/api/v1/integrations/{integration}/oauth", app.public_url);
    let text = format!(
        "Let people into their projects with OAuth 2.0 (code flow, PKCE with S256).\n\
         Authorization URL: {base}/authorize\n\
         Token URL: {base}/token\n"
    );
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Sends the browser to the identity provider.
#[utoipa::path(get, path = "/integrations/{integration}/oauth/authorize", tag = "integrations",
    params(("integration" = String, Path), ("client_id" = String, Query), ("redirect_uri" = String, Query), ("state" = String, Query),
        ("code_challenge" = String, Query), ("code_challenge_method" = String, Query, description = "S256"), ("response_type" = String, Query, description = "code")),
    responses((status = 307, description = "To the identity provider"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "There is no such integration")))]
async fn authorize(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let (integration, mut form) = begin(&input, &caller)?;
    let read = read_authorization(&mut form);
    let read = form.finish(read)?;
    let auth = format!("{}/auth", login::issuer(&app, integration));
    let mut url = Url::parse(&auth).map_err(ApiError::internal)?;
    url.query_pairs_mut()
        .extend_pairs(read)
        .append_pair("scope", "openid");
    Ok(Redirect::temporary(url.as_str()).into_response())
}

/// What is passed on to the identity provider.
fn read_authorization(form: &mut Form<'_>) -> Option<Vec<(&'static str, String)>> {
    let mut query = form.query();
    let mut read: Vec<(&str, Option<String>)> =
        ["client_id", "redirect_uri", "state", "code_challenge"]
            .into_iter()
            .map(|name| (name, query.required(name, text)))
            .collect();
    let method = query.required("code_challenge_method", one_of(&["S256"]));
    read.push(("code_challenge_method", method.map(str::to_owned)));
    let response = query.required("response_type", one_of(&["code"]));
    read.push(("response_type", response.map(str::to_owned)));
    query.close();
    let read = read.into_iter();
    read.map(|(name, value)| Some((name, value?))).collect()
}

/// Exchanges a login code for an admin key of the project that the platform was let into.
#[utoipa::path(post, path = "/integrations/{integration}/oauth/token", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{access_token, token_type: \"api_key\", project_id}`"),
        (status = 400, description = "SCHEMA_ERROR, also for wrong Basic credentials; text: what the identity provider refuses"), (status = 404, description = "There is no such integration")))]
async fn token(State(app): State<App>, request: PlatformRequest) -> ApiResult {
    let (integration, form, client) = request.begin(&app)?;
    let mut form = form.no_query();
    let mut body = form.body();
    let grant_type = body.required("grant_type", one_of(&["authorization_code"]));
    let code = body.required("code", text);
    let verifier = body.required("code_verifier", text);
    let redirect_uri = body.required("redirect_uri", text);
    body.close();
    let (client, _, code, verifier, redirect_uri) = form.finish((|| {
        Some((client?, grant_type?, code?, verifier?, redirect_uri?))
    })())?;
    request.caller.limit(&app, Limit::CodeCheckFromIp)?;
    let shown = Exchange {
        code: &code,
        code_verifier: &verifier,
        redirect_uri: &redirect_uri,
    };
    let context = internal_context(&app, &request.caller);
    let granted = login::exchange(&app, &context, integration, client, &shown).await?;
    let granted = granted.ok_or_else(|| OidcError::invalid_grant().into_text())?;
    let shown = json!({
        "access_token": granted.super_secret_admin_key,
        "token_type": "api_key",
        "project_id": granted.project_id,
    });
    Ok(Json(shown).into_response())
}

/// Lets whoever asked in an interaction into a project. The dashboard says so, once the owner has
/// agreed and it has made sure that they own the project.
#[utoipa::path(post, path = "/integrations/{integration}/internal/confirm", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{authorization_code}`"), (status = 400, description = "SCHEMA_ERROR"),
        (status = 404, description = "PROJECT_NOT_FOUND; there is no such integration")))]
async fn confirm(access: ServerAccess, input: Input) -> ApiResult {
    let (integration, form) = begin(&input, &access.caller)?;
    let mut form = form.no_query();
    require_internal(&access, &mut form);
    let mut body = form.body();
    let uid = body.required("interaction_uid", non_empty_text);
    let project = body.required("project_id", text);
    let name = body.optional("external_project_name", text);
    body.close();
    let (uid, project, name) = form.finish((|| Some((uid?, project?, name?)))())?;
    let description = match name {
        Some(name) => format!("Issued to {name} by the integration {integration}"),
        None => format!("Issued by the integration {integration}"),
    };
    let context = internal_context(&access.app, &access.caller);
    let project = ProjectId::from_caller(&project);
    let code = login::confirm(&access.app, &context, uid, project, description).await?;
    Ok(Json(json!({"authorization_code": code})).into_response())
}
