//! `/integrations/neon`: what Neon has beside what every platform has: a project, its keys and its
//! OAuth providers, how its databases are reached, and a webhook.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::ProjectId;
use muniment_domain::project::config::{OauthProvider, PROVIDERS};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::platform_request::{BasicAuth, write};
use super::provisioning::read_connection;
use crate::app::App;
use crate::app::integrations::provisioning;
use crate::app::projects::shared_provider;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{List, success, whole_list};
use crate::http::internal::api_keys::{CreateKeySet, NamedKeySet, UpdateKeySet};
use crate::http::internal::found::Found;
use crate::http::internal::webhooks::{EndpointPlace, register_anywhere};
use crate::http::internal::{api_keys, projects};
use crate::http::request::access::{AdminAccess, ClientAccess, ProjectAccess};
use crate::http::request::caller::{Auth, Caller};
use crate::http::request::declare::{NoInput, Part};
use crate::http::request::fields::Fields;
use crate::http::request::input::Input;
use crate::http::request::values::{non_empty_text, one_of, text};
use crate::views::{AdminProject, KeySet, NewKeySet, enabled_providers};

/// Whose client is used: the server's, or the project's.
const KINDS: [&str; 2] = ["shared", "standard"];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(connect))
        .routes(routes!(register_webhook))
        .routes(routes!(read_project, update_project))
        .routes(routes!(list_keys, create_keys))
        .routes(routes!(read_keys, update_keys))
        .routes(routes!(list_providers, add_provider))
        .routes(routes!(change_provider, remove_provider))
}

/// The caller's project, with all settings.
#[utoipa::path(get, path = "/integrations/neon/projects/current", tag = "integrations", responses((status = 200, body = AdminProject)))]
async fn read_project(access: AdminAccess, input: NoInput) -> ApiResult<Json<AdminProject>> {
    projects::get_admin_project(access, input).await
}

/// Changes the caller's project.
#[utoipa::path(patch, path = "/integrations/neon/projects/current", tag = "integrations", request_body = Value,
    responses((status = 200, body = AdminProject), (status = 400, description = "SCHEMA_ERROR")))]
async fn update_project(
    access: AdminAccess,
    update: projects::UpdateProject,
) -> ApiResult<Json<AdminProject>> {
    projects::update_project(access, update).await
}

/// Says how the databases of a project are reached that the platform made and nobody has claimed
/// yet.
#[utoipa::path(post, path = "/integrations/neon/projects/connection", tag = "integrations", params(("project_id" = String, Query)), request_body = Value,
    responses((status = 200, description = "`{project_id}`"), (status = 400, description = "SCHEMA_ERROR, also for wrong Basic credentials"),
        (status = 404, description = "PROJECT_NOT_FOUND")))]
async fn connect(
    State(app): State<App>,
    caller: Caller,
    credentials: BasicAuth,
    input: Input,
) -> ApiResult {
    let mut form = input.form(caller.user_id());
    let client = credentials.required(&app, &mut form);
    let mut query = form.query();
    let project = query.required("project_id", text);
    query.close();
    let mut body = form.body();
    let connections = body.required_list("connection_strings", read_connection);
    body.close();
    let (client, id, connections) = form.finish((|| {
        Some((client?, ProjectId::from_caller(&project?), connections?))
    })())?;
    if provisioning::unclaimed(&app, client, &id).await?.is_none() {
        return Err(KnownError::project_not_found(&id).into());
    }
    let context = caller.event_context(&app, &id);
    provisioning::connect(&app, &context, &connections).await?;
    Ok(Json(json!({"project_id": id})).into_response())
}

/// Sends the project's webhooks to the platform.
#[utoipa::path(post, path = "/integrations/neon/webhooks", tag = "integrations", request_body = Value,
    responses((status = 200, description = "`{secret}`: what messages are signed with"),
        (status = 400, description = "SCHEMA_ERROR, also for wrong Basic credentials; there are too many"), (status = 502, description = "Svix does not answer")))]
async fn register_webhook(access: ClientAccess, credentials: BasicAuth, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let client = credentials.required(&access.app, &mut form);
    let mut body = form.body();
    let wanted = EndpointPlace::read(&mut body);
    body.close();
    let (_, wanted) = form.finish(client.zip(wanted))?;
    let secret = register_anywhere(&access, wanted.into()).await?;
    Ok(Json(json!({"secret": secret})).into_response())
}

/// Lists the project's key sets, newest first.
#[utoipa::path(get, path = "/integrations/neon/api-keys", tag = "integrations", responses((status = 200, description = "Key sets")))]
async fn list_keys(access: AdminAccess, input: NoInput) -> ApiResult<Json<List<KeySet>>> {
    api_keys::list_key_sets(access, input).await
}

/// Issues a set of keys. They are shown this once.
#[utoipa::path(post, path = "/integrations/neon/api-keys", tag = "integrations", request_body = Value,
    responses((status = 200, description = "The set with its keys"), (status = 400, description = "SCHEMA_ERROR")))]
async fn create_keys(access: AdminAccess, wanted: CreateKeySet) -> ApiResult<Json<NewKeySet>> {
    api_keys::create_key_set(access, wanted).await
}

/// One key set.
#[utoipa::path(get, path = "/integrations/neon/api-keys/{id}", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, description = "The set"), (status = 404, description = "API_KEY_NOT_FOUND")))]
async fn read_keys(access: AdminAccess, found: Found<NamedKeySet>) -> ApiResult<Json<KeySet>> {
    api_keys::get_key_set(access, found).await
}

/// Describes or revokes a key set.
#[utoipa::path(patch, path = "/integrations/neon/api-keys/{id}", tag = "integrations", request_body = Value, params(("id" = String, Path)),
    responses((status = 200, description = "The set"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "API_KEY_NOT_FOUND")))]
async fn update_keys(access: AdminAccess, found: Found<UpdateKeySet>) -> ApiResult<Json<KeySet>> {
    api_keys::update_key_set(access, found).await
}

/// The project's OAuth providers.
#[utoipa::path(get, path = "/integrations/neon/oauth-providers", tag = "integrations", responses((status = 200, description = "Providers")))]
async fn list_providers(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    let providers = enabled_providers(&access.project.config).into_iter();
    let items: Vec<Value> = providers.map(|(_, provider)| view(provider)).collect();
    Ok(whole_list(&items))
}

/// Adds an OAuth provider, with the server's own client if nothing else is said.
#[utoipa::path(post, path = "/integrations/neon/oauth-providers", tag = "integrations", request_body = Value,
    responses((status = 201, description = "The provider"), (status = 400, description = "SCHEMA_ERROR, or it is there already")))]
async fn add_provider(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let id = body.required("id", one_of(&PROVIDERS));
    let kind = body.or_default("type", one_of(&KINDS), "shared");
    let client = read_client(kind, &mut body);
    // Taken, but without effect until the provider is changed.
    body.ignore("facebook_config_id");
    body.ignore("microsoft_tenant_id");
    body.close();
    let (id, kind, (client_id, client_secret)) = form.finish((|| Some((id?, kind?, client?)))())?;
    if find(&access, id).is_some() {
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
    write(&access, Map::from_iter([(key, provider)])).await?;
    Ok((StatusCode::CREATED, Json(show(&access, id).await?)).into_response())
}

/// The client's id and secret, which a provider with a client of the project's own must have.
fn read_client(
    kind: Option<&str>,
    body: &mut Fields<'_>,
) -> Option<(Option<String>, Option<String>)> {
    if kind == Some("standard") {
        let id = body.required("client_id", non_empty_text);
        let secret = body.required("client_secret", non_empty_text);
        return id.map(Some).zip(secret.map(Some));
    }
    let id = body.optional("client_id", text);
    id.zip(body.optional("client_secret", text))
}

/// Changes an OAuth provider.
#[utoipa::path(patch, path = "/integrations/neon/oauth-providers/{id}", tag = "integrations", params(("id" = String, Path)), request_body = Value,
    responses((status = 200, description = "The provider"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "There is no such provider")))]
async fn change_provider(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = form.params().required("id", one_of(&PROVIDERS));
    let mut body = form.body();
    let kind = body.optional("type", one_of(&KINDS));
    let fields = read_fields(&mut body);
    body.close();
    let (id, kind, fields) = form.finish((|| Some((id?, kind?, fields?)))())?;
    let (key, _) = find(&access, id).ok_or_else(|| missing(id))?;
    let prefix = format!("auth.oauth.providers.{key}");
    let mut changes: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (format!("{prefix}.{name}"), json!(value)))
        .collect();
    if let Some(kind) = kind {
        changes.insert(format!("{prefix}.isShared"), json!(kind == "shared"));
    }
    write(&access, changes).await?;
    Ok(Json(show(&access, id).await?).into_response())
}

/// Removes an OAuth provider.
#[utoipa::path(delete, path = "/integrations/neon/oauth-providers/{id}", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "There is no such provider")))]
async fn remove_provider(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = form.params().required("id", one_of(&PROVIDERS));
    let id = form.finish(id)?;
    let (key, _) = find(&access, id).ok_or_else(|| missing(id))?;
    // A lower level may define it as well, so it is hidden rather than forgotten.
    let key = format!("auth.oauth.providers.{key}");
    write(&access, Map::from_iter([(key, Value::Null)])).await?;
    Ok(success())
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

/// The provider as it is now.
async fn show(access: &ProjectAccess, id: &str) -> Result<Value, ApiError> {
    let project = projects::reload(&access.app, access.project_id()).await?;
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
