//! `/integrations/neon`: what Neon has beside what every platform has: a project, its keys and its
//! OAuth providers, how its databases are reached, and a webhook.

use axum::Json;
use axum::extract::State;
use muniment_domain::ProjectId;
use muniment_domain::project::config::{OauthProvider, PROVIDERS};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::platform_request::{PlatformRequest, write};
use super::provisioning::connections;
use crate::app::App;
use crate::app::integrations::provisioning::{self, Connection};
use crate::app::projects::shared_provider;
use crate::error::codes::{ApiKeyNotFound, CurrentProjectNotFound, Errors, ProjectNotFound, Text};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Created, List, Success};
use crate::http::internal::api_keys::{CreateKeySet, NamedKeySet, UpdateKeySet};
use crate::http::internal::projects::UpdateProject;
use crate::http::internal::webhooks::{EndpointPlace, register_anywhere};
use crate::http::internal::{api_keys, projects};
use crate::http::openapi::operations;
use crate::http::request::access::{AdminAccess, ClientAccess, ProjectAccess};
use crate::http::request::caller::Auth;
use crate::http::request::declare::{NoInput, fields, request};
use crate::http::request::fields::Findings;
use crate::http::request::found::Found;
use crate::http::request::presence::{ignored, optional, or_default, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{choice, one_of, text};
use crate::views::{AdminProject, KeySet, NewKeySet, enabled_providers};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(connect_neon_databases))
        .routes(operations!(register_neon_webhook))
        .routes(operations!(get_neon_project, update_neon_project))
        .routes(operations!(list_neon_key_sets, create_neon_key_set))
        .routes(operations!(get_neon_key_set, update_neon_key_set))
        .routes(operations!(
            list_neon_oauth_providers,
            create_neon_oauth_provider
        ))
        .routes(operations!(
            update_neon_oauth_provider,
            delete_neon_oauth_provider
        ))
}

request! {
    /// How the databases of a project are reached.
    struct ConnectNeonDatabases {
        query {
            /// The project, which the client made and nobody has claimed yet.
            project_id: ProjectId = required(text().map(|id| ProjectId::from_caller(&id)));
        }
        body {
            /// One for each branch.
            connection_strings: Vec<Connection> = required(connections());
        }
    }

    /// Where webhooks shall go.
    struct RegisterNeonWebhook {
        body {
            .. place: EndpointPlace;
        }
    }

    /// An OAuth provider to be added.
    struct CreateNeonOauthProvider checked by CreateNeonOauthProvider::check {
        body {
            /// Which one.
            id: &'static str = required(one_of(&PROVIDERS));
            /// Whose client is used: the server's (`shared`), or the project's (`standard`).
            kind as "type": ProviderKind = or_default(choice(&KINDS), "shared");
            /// The id of the project's client. `standard` needs it.
            client_id: Option<String> = optional(text());
            /// The secret of the project's client. `standard` needs it.
            client_secret: Option<String> = optional(text());
            /// Accepted, but without effect until the provider is changed.
            _facebook_config_id as "facebook_config_id": () = ignored();
            /// Accepted, but without effect until the provider is changed.
            _microsoft_tenant_id as "microsoft_tenant_id": () = ignored();
        }
    }

    /// A change of an OAuth provider.
    struct UpdateNeonOauthProvider {
        path {
            .. provider: ProviderPath;
        }
        body {
            /// Whose client is used: the server's (`shared`), or the project's (`standard`).
            kind as "type": Option<ProviderKind> = optional(choice(&KINDS));
            /// The id of the project's client.
            client_id: Option<String> = optional(text());
            /// The secret of the project's client.
            client_secret: Option<String> = optional(text());
            /// The configuration at Facebook that is used.
            facebook_config_id: Option<String> = optional(text());
            /// The tenant at Microsoft whose users may sign in.
            microsoft_tenant_id: Option<String> = optional(text());
        }
    }

    /// An OAuth provider to be removed.
    struct DeleteNeonOauthProvider {
        path {
            .. provider: ProviderPath;
        }
    }
}

fields! {
    /// What names an OAuth provider in a path.
    struct ProviderPath {
        /// Which one it is.
        id: &'static str = required(one_of(&PROVIDERS));
    }
}

/// Whose client is used.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NeonOauthProviderType)]
enum ProviderKind {
    /// The server's.
    Shared,
    /// The project's.
    Standard,
}

const KINDS: [(&str, ProviderKind); 2] = [
    ("shared", ProviderKind::Shared),
    ("standard", ProviderKind::Standard),
];

impl CreateNeonOauthProvider {
    /// A provider with a client of the project's own must have its id and secret.
    fn check(&self, findings: &mut Findings) {
        if self.kind == ProviderKind::Shared {
            return;
        }
        for (path, given) in [
            ("body.client_id", &self.client_id),
            ("body.client_secret", &self.client_secret),
        ] {
            match given.as_deref() {
                None => findings.note(path, "is required"),
                Some("") => findings.note(path, "must not be empty"),
                Some(_) => {}
            }
        }
    }
}

/// Shows the caller's project, with all settings.
#[utoipa::path(get, path = "/integrations/neon/projects/current", tag = "integrations",
    responses(Errors<CurrentProjectNotFound>))]
async fn get_neon_project(access: AdminAccess, nothing: NoInput) -> ApiResult<Json<AdminProject>> {
    projects::get_admin_project(access, nothing).await
}

/// Changes the caller's project.
#[utoipa::path(patch, path = "/integrations/neon/projects/current", tag = "integrations",
    responses(Errors<(CurrentProjectNotFound, Text<400>)>))]
async fn update_neon_project(
    access: AdminAccess,
    update: UpdateProject,
) -> ApiResult<Json<AdminProject>> {
    projects::update_project(access, update).await
}

/// The project whose databases are connected.
#[derive(Serialize, ToSchema)]
struct ConnectedProject {
    /// The project's id.
    #[schema(value_type = String)]
    project_id: ProjectId,
}

/// Says how the databases of a project are reached.
///
/// It is a project that the platform made and nobody has claimed yet.
#[utoipa::path(post, path = "/integrations/neon/projects/connection", tag = "integrations",
    responses(Errors<(ProjectNotFound, Text<400>)>))]
async fn connect_neon_databases(
    State(app): State<App>,
    request: PlatformRequest<ConnectNeonDatabases>,
) -> ApiResult<Json<ConnectedProject>> {
    let (client, wanted) = (&request.client, request.wanted);
    let project_id = wanted.project_id;
    let unclaimed = provisioning::unclaimed(&app, client, &project_id).await?;
    unclaimed.ok_or_else(|| KnownError::project_not_found(&project_id))?;
    let context = request.caller.event_context(&app, &project_id);
    provisioning::connect(&app, &context, &wanted.connection_strings).await?;
    Ok(Json(ConnectedProject { project_id }))
}

/// The secret of a webhook.
#[derive(Serialize, ToSchema)]
struct NeonWebhookSecret {
    /// What its messages are signed with.
    secret: String,
}

/// Sends the project's webhooks to the platform.
///
/// The platform proves by Basic credentials who it is, beside the project's keys.
#[utoipa::path(post, path = "/integrations/neon/webhooks", tag = "integrations",
    responses(Errors<(Text<400>, Text<502>)>))]
async fn register_neon_webhook(
    access: ClientAccess,
    PlatformRequest { wanted, .. }: PlatformRequest<RegisterNeonWebhook>,
) -> ApiResult<Json<NeonWebhookSecret>> {
    let secret = register_anywhere(&access, wanted.place.into()).await?;
    Ok(Json(NeonWebhookSecret { secret }))
}

/// Lists the project's key sets, newest first.
#[utoipa::path(get, path = "/integrations/neon/api-keys", tag = "integrations")]
async fn list_neon_key_sets(
    access: AdminAccess,
    nothing: NoInput,
) -> ApiResult<Json<List<KeySet>>> {
    api_keys::list_key_sets(access, nothing).await
}

/// Issues a set of keys.
///
/// The keys are shown this once.
#[utoipa::path(post, path = "/integrations/neon/api-keys", tag = "integrations",
    responses(Errors<(ApiKeyNotFound, Text<400>)>))]
async fn create_neon_key_set(
    access: AdminAccess,
    wanted: CreateKeySet,
) -> ApiResult<Json<NewKeySet>> {
    api_keys::create_key_set(access, wanted).await
}

/// Shows a key set.
#[utoipa::path(get, path = "/integrations/neon/api-keys/{id}", tag = "integrations")]
async fn get_neon_key_set(
    access: AdminAccess,
    found: Found<NamedKeySet>,
) -> ApiResult<Json<KeySet>> {
    api_keys::get_key_set(access, found).await
}

/// Describes or revokes a key set.
#[utoipa::path(patch, path = "/integrations/neon/api-keys/{id}", tag = "integrations",
    responses(Errors<Text<400>>))]
async fn update_neon_key_set(
    access: AdminAccess,
    found: Found<UpdateKeySet>,
) -> ApiResult<Json<KeySet>> {
    api_keys::update_key_set(access, found).await
}

/// An OAuth provider, as Neon sees it.
#[derive(Serialize, ToSchema)]
struct NeonOauthProvider {
    /// The id of the project's client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The secret of the project's client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_secret: Option<String>,
    /// The configuration at Facebook that is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    facebook_config_id: Option<String>,
    /// Which one it is.
    id: String,
    /// The tenant at Microsoft whose users may sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    microsoft_tenant_id: Option<String>,
    /// Whose client is used.
    #[serde(rename = "type")]
    kind: ProviderKind,
}

impl From<&OauthProvider> for NeonOauthProvider {
    fn from(provider: &OauthProvider) -> Self {
        Self {
            client_id: provider.client_id.clone(),
            client_secret: provider.client_secret.clone(),
            facebook_config_id: provider.facebook_config_id.clone(),
            id: provider.kind.clone().unwrap_or_default(),
            microsoft_tenant_id: provider.microsoft_tenant_id.clone(),
            kind: if provider.is_shared {
                ProviderKind::Shared
            } else {
                ProviderKind::Standard
            },
        }
    }
}

/// Lists the project's OAuth providers.
#[utoipa::path(get, path = "/integrations/neon/oauth-providers", tag = "integrations")]
async fn list_neon_oauth_providers(
    access: AdminAccess,
    _: NoInput,
) -> ApiResult<Json<List<NeonOauthProvider>>> {
    let providers = enabled_providers(&access.project.config).into_iter();
    Ok(List::of(providers.map(|(_, it)| it.into()).collect()))
}

/// What writing a provider, and showing it afterwards, can fail with.
type NotWritten = (CurrentProjectNotFound, Text<400>, Text<404>);

/// Adds an OAuth provider, with the server's own client if nothing else is said.
#[utoipa::path(post, path = "/integrations/neon/oauth-providers", tag = "integrations",
    responses(Errors<NotWritten>))]
async fn create_neon_oauth_provider(
    access: AdminAccess,
    new: CreateNeonOauthProvider,
) -> ApiResult<Created<NeonOauthProvider>> {
    let id = new.id;
    if find(&access, id).is_some() {
        let text = format!("The project has the OAuth provider {id} already.");
        return Err(ApiError::bad_request(text));
    }
    let mut provider = shared_provider(id);
    provider["isShared"] = json!(new.kind == ProviderKind::Shared);
    for (name, value) in [
        ("clientId", new.client_id),
        ("clientSecret", new.client_secret),
    ] {
        if let Some(value) = value {
            provider[name] = json!(value);
        }
    }
    let key = format!("auth.oauth.providers.{id}");
    write(&access, Map::from_iter([(key, provider)])).await?;
    Ok(Created(show(&access, id).await?))
}

/// Changes an OAuth provider.
#[utoipa::path(patch, path = "/integrations/neon/oauth-providers/{id}", tag = "integrations",
    responses(Errors<NotWritten>))]
async fn update_neon_oauth_provider(
    access: AdminAccess,
    change: UpdateNeonOauthProvider,
) -> ApiResult<Json<NeonOauthProvider>> {
    let id = change.provider.id;
    let (key, _) = find(&access, id).ok_or_else(|| missing(id))?;
    let is_shared = change.kind.map(|kind| kind == ProviderKind::Shared);
    let changes = [
        ("clientId", change.client_id.map(Value::from)),
        ("clientSecret", change.client_secret.map(Value::from)),
        (
            "facebookConfigId",
            change.facebook_config_id.map(Value::from),
        ),
        (
            "microsoftTenantId",
            change.microsoft_tenant_id.map(Value::from),
        ),
        ("isShared", is_shared.map(Value::from)),
    ];
    let changes = changes
        .into_iter()
        .filter_map(|(name, value)| Some((format!("auth.oauth.providers.{key}.{name}"), value?)));
    write(&access, changes.collect()).await?;
    Ok(Json(show(&access, id).await?))
}

/// Removes an OAuth provider.
#[utoipa::path(delete, path = "/integrations/neon/oauth-providers/{id}", tag = "integrations",
    responses(Errors<(Text<400>, Text<404>)>))]
async fn delete_neon_oauth_provider(
    access: AdminAccess,
    DeleteNeonOauthProvider { provider }: DeleteNeonOauthProvider,
) -> ApiResult<Json<Success>> {
    let (key, _) = find(&access, provider.id).ok_or_else(|| missing(provider.id))?;
    // A lower level may define it as well, so it is hidden rather than forgotten.
    let key = format!("auth.oauth.providers.{key}");
    write(&access, Map::from_iter([(key, Value::Null)])).await?;
    Ok(Success::ANSWER)
}

fn find<'a>(auth: &'a Auth, id: &str) -> Option<(&'a String, &'a OauthProvider)> {
    let mut providers = enabled_providers(&auth.project.config).into_iter();
    providers.find(|(_, provider)| provider.kind.as_deref() == Some(id))
}

fn missing(id: &str) -> ApiError {
    let text = format!("The project has no OAuth provider {id}.");
    ApiError::not_found(text)
}

/// The provider as it is now.
async fn show(access: &ProjectAccess, id: &str) -> Result<NeonOauthProvider, ApiError> {
    let project = projects::reload(&access.app, access.project_id()).await?;
    let mut providers = enabled_providers(&project.config).into_iter();
    let found = providers.find(|(_, provider)| provider.kind.as_deref() == Some(id));
    found
        .map(|(_, provider)| provider.into())
        .ok_or_else(|| missing(id))
}
