//! `/integrations`: what hosting platforms do with the projects they embed (contract 04 §12): trusted
//! domains, and for Neon the project, its keys and its OAuth providers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::project::config::{OauthProvider, PROVIDERS};
use muniment_domain::project::{Level, ProjectCommand};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::{Auth, Caller};
use super::error::{ApiError, ApiResult};
use super::input::{Fields, Input, non_empty_text, one_of, text};
use super::internal_projects::{self, web_address};
use super::views::{AdminProject, enabled_providers};
use super::{api_keys, success, whole_list};
use crate::app::App;
use crate::app::projects::{self as app_projects, shared_provider, string_order};

/// The longest domain, in characters.
const MAX_DOMAIN: usize = 300;
/// How many domains a project may trust before it can be given no more.
const MAX_DOMAINS: usize = 1000;
/// Where the SDK's own pages are, if nobody says.
const HANDLER_PATH: &str = "/handler";

/// The routes of this file.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_domains, trust_domain))
        .routes(routes!(distrust_domain))
        .routes(routes!(read_project, update_project))
        .routes(routes!(list_keys, create_keys))
        .routes(routes!(read_keys, update_keys))
        .routes(routes!(list_providers, add_provider))
        .routes(routes!(change_provider, remove_provider))
}

/// The domains that the project trusts. The integration is `custom` or `neon`.
#[utoipa::path(get, path = "/integrations/{integration}/domains", tag = "integrations", params(("integration" = String, Path)),
    responses((status = 200, description = "`{items: [{domain}], is_paginated}`")))]
async fn list_domains(caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    require_integration(&input)?;
    let mut form = input.form(auth.user_id()).no_query();
    form.params().ignore("integration");
    form.finish(Some(()))?;
    let trusted = auth.project.config.domains.trusted_domains.values();
    let mut domains: Vec<&String> = trusted
        .filter_map(|entry| entry.base_url.as_ref())
        .collect();
    domains.sort_by(|a, b| string_order(a, b));
    let items: Vec<Value> = domains
        .into_iter()
        .map(|domain| json!({"domain": domain}))
        .collect();
    Ok(whole_list(&items))
}

/// Trusts another domain. The same one twice is kept twice.
#[utoipa::path(post, path = "/integrations/{integration}/domains", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 201, description = "`{domain}`"), (status = 400, description = "SCHEMA_ERROR, or there are too many")))]
async fn trust_domain(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    require_integration(&input)?;
    let mut form = input.form(auth.user_id()).no_query();
    form.params().ignore("integration");
    let mut body = form.body();
    let domain = body.required("domain", origin);
    body.close();
    let domain = form.finish(domain)?;
    if auth.project.config.domains.trusted_domains.len() > MAX_DOMAINS {
        let text = format!("The project trusts more than {MAX_DOMAINS} domains already.");
        return Err(ApiError::text(StatusCode::BAD_REQUEST, text));
    }
    let key = format!("domains.trustedDomains.{}", app.random.uuid());
    let entry = json!({"baseUrl": domain, "handlerPath": HANDLER_PATH});
    write(&app, &caller, auth, Map::from_iter([(key, entry)])).await?;
    Ok((StatusCode::CREATED, Json(json!({"domain": domain}))).into_response())
}

/// Trusts a domain no longer. One that is not trusted is no error.
#[utoipa::path(delete, path = "/integrations/{integration}/domains/{domain}", tag = "integrations", params(("integration" = String, Path), ("domain" = String, Path)),
    responses((status = 200, description = "Trusted no longer")))]
async fn distrust_domain(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    require_integration(&input)?;
    let mut form = input.form(auth.user_id()).no_query();
    let mut params = form.params();
    params.ignore("integration");
    let domain = params.required("domain", text);
    params.close();
    let domain = form.finish(domain)?;
    let trusted = auth.project.config.domains.trusted_domains.iter();
    let keys = trusted
        .filter(|(_, entry)| entry.base_url.as_ref() == Some(&domain))
        .map(|(id, _)| format!("domains.trustedDomains.{id}"))
        .collect();
    let command = ProjectCommand::ResetOverrides {
        level: Level::Environment,
        keys,
    };
    let context = caller.event_context(&app, auth.project_id());
    app_projects::change(&app, &context, auth.project_id(), vec![command]).await?;
    Ok(success())
}

/// The caller's project, with all settings.
#[utoipa::path(get, path = "/integrations/neon/projects/current", tag = "integrations", responses((status = 200, body = AdminProject)))]
async fn read_project(app: State<App>, caller: Caller, input: Input) -> ApiResult {
    internal_projects::read(app, caller, input).await
}

/// Changes the caller's project.
#[utoipa::path(patch, path = "/integrations/neon/projects/current", tag = "integrations", request_body = Value,
    responses((status = 200, body = AdminProject), (status = 400, description = "SCHEMA_ERROR")))]
async fn update_project(app: State<App>, caller: Caller, input: Input) -> ApiResult {
    internal_projects::update(app, caller, input).await
}

/// Lists the project's key sets, newest first.
#[utoipa::path(get, path = "/integrations/neon/api-keys", tag = "integrations", responses((status = 200, description = "Key sets")))]
async fn list_keys(app: State<App>, caller: Caller, input: Input) -> ApiResult {
    api_keys::list(app, caller, input).await
}

/// Issues a set of keys. They are shown this once.
#[utoipa::path(post, path = "/integrations/neon/api-keys", tag = "integrations", request_body = Value,
    responses((status = 200, description = "The set with its keys"), (status = 400, description = "SCHEMA_ERROR")))]
async fn create_keys(app: State<App>, caller: Caller, input: Input) -> ApiResult {
    api_keys::create(app, caller, input).await
}

/// One key set.
#[utoipa::path(get, path = "/integrations/neon/api-keys/{id}", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, description = "The set"), (status = 404, description = "API_KEY_NOT_FOUND")))]
async fn read_keys(app: State<App>, caller: Caller, input: Input) -> ApiResult {
    api_keys::read(app, caller, input).await
}

/// Describes or revokes a key set.
#[utoipa::path(patch, path = "/integrations/neon/api-keys/{id}", tag = "integrations", request_body = Value, params(("id" = String, Path)),
    responses((status = 200, description = "The set"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "API_KEY_NOT_FOUND")))]
async fn update_keys(app: State<App>, caller: Caller, input: Input) -> ApiResult {
    api_keys::update(app, caller, input).await
}

/// The project's OAuth providers.
#[utoipa::path(get, path = "/integrations/neon/oauth-providers", tag = "integrations", responses((status = 200, description = "Providers")))]
async fn list_providers(caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    input.form(auth.user_id()).no_query().finish(Some(()))?;
    let providers = enabled_providers(&auth.project.config).into_iter();
    let items: Vec<Value> = providers.map(|(_, provider)| view(provider)).collect();
    Ok(whole_list(&items))
}

/// Adds an OAuth provider, with the server's own client if nothing else is said.
#[utoipa::path(post, path = "/integrations/neon/oauth-providers", tag = "integrations", request_body = Value,
    responses((status = 201, description = "The provider"), (status = 400, description = "SCHEMA_ERROR, or it is there already")))]
async fn add_provider(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    let mut form = input.form(auth.user_id()).no_query();
    let mut body = form.body();
    let id = body.required("id", one_of(&PROVIDERS));
    let kind = body.or_default("type", one_of(&KINDS), "shared");
    let client = if kind == Some("standard") {
        let id = body.required("client_id", non_empty_text);
        let secret = body.required("client_secret", non_empty_text);
        id.map(Some).zip(secret.map(Some))
    } else {
        let id = body.optional("client_id", text);
        id.zip(body.optional("client_secret", text))
    };
    // Taken, but without effect until the provider is changed.
    body.ignore("facebook_config_id");
    body.ignore("microsoft_tenant_id");
    body.close();
    let (id, kind, (client_id, client_secret)) = form.finish((|| Some((id?, kind?, client?)))())?;
    if find(auth, id).is_some() {
        let text = format!("The project has the OAuth provider {id} already.");
        return Err(ApiError::text(StatusCode::BAD_REQUEST, text));
    }
    let mut provider = shared_provider(id);
    provider["isShared"] = json!(kind == "shared");
    for (name, value) in [("clientId", client_id), ("clientSecret", client_secret)] {
        if let Some(value) = value {
            provider[name] = json!(value);
        }
    }
    let key = format!("auth.oauth.providers.{id}");
    write(&app, &caller, auth, Map::from_iter([(key, provider)])).await?;
    Ok((StatusCode::CREATED, Json(show(&app, auth, id).await?)).into_response())
}

/// Changes an OAuth provider.
#[utoipa::path(patch, path = "/integrations/neon/oauth-providers/{id}", tag = "integrations", params(("id" = String, Path)), request_body = Value,
    responses((status = 200, description = "The provider"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "There is no such provider")))]
async fn change_provider(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    let mut form = input.form(auth.user_id()).no_query();
    let id = form.params().required("id", one_of(&PROVIDERS));
    let mut body = form.body();
    let kind = body.optional("type", one_of(&KINDS));
    let fields = read_fields(&mut body);
    body.close();
    let (id, kind, fields) = form.finish((|| Some((id?, kind?, fields?)))())?;
    let (key, _) = find(auth, id).ok_or_else(|| missing(id))?;
    let prefix = format!("auth.oauth.providers.{key}");
    let mut changes: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (format!("{prefix}.{name}"), json!(value)))
        .collect();
    if let Some(kind) = kind {
        changes.insert(format!("{prefix}.isShared"), json!(kind == "shared"));
    }
    write(&app, &caller, auth, changes).await?;
    Ok(Json(show(&app, auth, id).await?).into_response())
}

/// Removes an OAuth provider.
#[utoipa::path(delete, path = "/integrations/neon/oauth-providers/{id}", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "There is no such provider")))]
async fn remove_provider(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    let mut form = input.form(auth.user_id()).no_query();
    let id = form.params().required("id", one_of(&PROVIDERS));
    let id = form.finish(id)?;
    let (key, _) = find(auth, id).ok_or_else(|| missing(id))?;
    // A lower level may define it as well, so it is hidden rather than forgotten.
    let key = format!("auth.oauth.providers.{key}");
    write(&app, &caller, auth, Map::from_iter([(key, Value::Null)])).await?;
    Ok(success())
}

/// Whose client is used: the server's, or the project's.
const KINDS: [&str; 2] = ["shared", "standard"];

fn require_integration(input: &Input) -> Result<(), ApiError> {
    let name = input.params.get("integration").and_then(Value::as_str);
    if matches!(name, Some("custom" | "neon")) {
        return Ok(());
    }
    let text = "There is no such integration: custom and neon exist.";
    Err(ApiError::text(StatusCode::NOT_FOUND, text))
}

/// A scheme, a host and perhaps a port; the host may hold `*`.
fn origin(value: &Value) -> Result<String, String> {
    let domain = web_address(value)?;
    let rest = domain.split_once("://").map_or("", |(_, rest)| rest);
    if rest.contains(['/', '?', '#', '@', '\\']) {
        return Err("must have no path, query or fragment".to_owned());
    }
    if domain.chars().count() > MAX_DOMAIN {
        return Err(format!("must have at most {MAX_DOMAIN} characters"));
    }
    Ok(domain)
}

fn read_fields(body: &mut Fields<'_>) -> Option<Vec<(&'static str, String)>> {
    let names = [
        ("client_id", "clientId"),
        ("client_secret", "clientSecret"),
        ("facebook_config_id", "facebookConfigId"),
        ("microsoft_tenant_id", "microsoftTenantId"),
    ];
    let read: Vec<_> = names
        .into_iter()
        .map(|(name, key)| Some((key, body.optional(name, text)?)))
        .collect();
    let read: Option<Vec<_>> = read.into_iter().collect();
    Some(
        read?
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect(),
    )
}

fn find<'a>(auth: &'a Auth, id: &str) -> Option<(&'a String, &'a OauthProvider)> {
    let mut providers = enabled_providers(&auth.project.config).into_iter();
    providers.find(|(_, provider)| provider.kind.as_deref() == Some(id))
}

fn missing(id: &str) -> ApiError {
    let text = format!("The project has no OAuth provider {id}.");
    ApiError::text(StatusCode::NOT_FOUND, text)
}

async fn write(
    app: &App,
    caller: &Caller,
    auth: &Auth,
    changes: Map<String, Value>,
) -> Result<(), ApiError> {
    let command = ProjectCommand::Override {
        level: Level::Environment,
        changes,
    };
    let context = caller.event_context(app, auth.project_id());
    Ok(app_projects::change(app, &context, auth.project_id(), vec![command]).await?)
}

/// The provider as it is now.
async fn show(app: &App, auth: &Auth, id: &str) -> Result<Value, ApiError> {
    let project = internal_projects::reload(app, auth.project_id()).await?;
    let mut providers = enabled_providers(&project.config).into_iter();
    let found = providers.find(|(_, provider)| provider.kind.as_deref() == Some(id));
    found
        .map(|(_, provider)| view(provider))
        .ok_or_else(|| missing(id))
}

fn view(provider: &OauthProvider) -> Value {
    let mut view = json!({
        "id": provider.kind,
        "type": if provider.is_shared { "shared" } else { "standard" },
    });
    let optional = [
        ("client_id", &provider.client_id),
        ("client_secret", &provider.client_secret),
        ("facebook_config_id", &provider.facebook_config_id),
        ("microsoft_tenant_id", &provider.microsoft_tenant_id),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            view[name] = json!(value);
        }
    }
    view
}
