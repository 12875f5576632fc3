//! `/internal/api-keys`: the keys that applications and administrators use the project with.

use axum::Json;
use muniment_domain::project::ProjectCommand;
use muniment_domain::{KeySetId, Millis, ProjectId};
use muniment_projections::read_models::projects::{self, ProjectKeyRow};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::app::projects::{self as app_projects, NewKeys};
use crate::error::ApiResult;
use crate::error::codes::{ApiKeyNotFound, Errors, Text};
use crate::error::known_error::KnownError;
use crate::http::answer::List;
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::declare::{NoInput, fields, request};
use crate::http::request::found::{Found, NamesThing};
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{boolean, integer, only_true, text, uuid};
use crate::views::{KeySet, NewKeySet};

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_key_sets, create_key_set))
        .routes(operations!(get_key_set, update_key_set))
}

request! {
    /// A set of keys to be issued.
    pub(crate) struct CreateKeySet {
        body {
            /// What the keys are for.
            description: String = required(text());
            /// When the keys stop working, in milliseconds since the Unix epoch.
            expires_at as "expires_at_millis": Millis = required(integer(i64::MIN..=i64::MAX).map(Millis));
            /// Whether there is to be a key for clients.
            has_publishable_client_key: bool = required(boolean());
            /// Whether there is to be a key for servers.
            has_secret_server_key: bool = required(boolean());
            /// Whether there is to be a key for administrators.
            has_super_secret_admin_key: bool = required(boolean());
        }
        example {
            "description": "the shop's server",
            "expires_at_millis": 4_102_444_800_000_i64,
            "has_publishable_client_key": false,
            "has_secret_server_key": true,
            "has_super_secret_admin_key": false,
        }
    }

    /// A key set that is named.
    pub(crate) struct NamedKeySet {
        path {
            .. set: KeySetPath;
        }
    }

    /// A change of a key set.
    pub(crate) struct UpdateKeySet {
        path {
            .. set: KeySetPath;
        }
        body {
            /// What the keys are for.
            description: Option<String> = optional(text());
            /// `true` revokes the keys. Revoked keys stay revoked.
            revoked: Option<bool> = optional(only_true());
        }
        example {"revoked": true}
    }
}

fields! {
    /// What names a key set in a path.
    pub(crate) struct KeySetPath {
        /// The key set's id.
        id: KeySetId = required(uuid().map(KeySetId));
    }
}

impl NamesThing for NamedKeySet {
    type Thing = ProjectKeyRow;
    type Missing = ApiKeyNotFound;

    async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<ProjectKeyRow> {
        find(app, project, self.set.id).await
    }
}

impl NamesThing for UpdateKeySet {
    type Thing = ProjectKeyRow;
    type Missing = ApiKeyNotFound;

    async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<ProjectKeyRow> {
        find(app, project, self.set.id).await
    }
}

/// Issues a set of keys.
///
/// The keys are shown this once.
#[utoipa::path(post, path = "/internal/api-keys", tag = "internal",
    responses(Errors<(ApiKeyNotFound, Text<400>)>))]
pub(crate) async fn create_key_set(
    access: AdminAccess,
    wanted: CreateKeySet,
) -> ApiResult<Json<NewKeySet>> {
    let kinds = [
        wanted.has_publishable_client_key,
        wanted.has_secret_server_key,
        wanted.has_super_secret_admin_key,
    ];
    let keys = NewKeys::generate(&access.app, kinds);
    let id = KeySetId(access.app.random.uuid());
    app_projects::issue_keys(
        &access.app,
        access.event_context(),
        access.project_id(),
        id,
        wanted.description,
        wanted.expires_at,
        &keys,
    )
    .await?;
    let row = find(&access.app, access.project_id(), id).await?;
    Ok(Json(NewKeySet::of(&row, keys)))
}

/// Lists the project's key sets, newest first.
#[utoipa::path(get, path = "/internal/api-keys", tag = "internal")]
pub(crate) async fn list_key_sets(
    access: AdminAccess,
    _: NoInput,
) -> ApiResult<Json<List<KeySet>>> {
    let rows = projects::keys(access.app.pool(), access.project_id()).await?;
    Ok(List::of(rows.iter().map(KeySet::of).collect()))
}

/// Shows a key set.
#[utoipa::path(get, path = "/internal/api-keys/{id}", tag = "internal")]
pub(crate) async fn get_key_set(
    _: AdminAccess,
    Found(row, _): Found<NamedKeySet>,
) -> ApiResult<Json<KeySet>> {
    Ok(Json(KeySet::of(&row)))
}

/// Describes or revokes a key set.
#[utoipa::path(patch, path = "/internal/api-keys/{id}", tag = "internal", responses(Errors<Text<400>>))]
pub(crate) async fn update_key_set(
    access: AdminAccess,
    Found(_, update): Found<UpdateKeySet>,
) -> ApiResult<Json<KeySet>> {
    let key_set_id = update.set.id;
    let described = update
        .description
        .map(|description| ProjectCommand::DescribeKeys {
            key_set_id,
            description,
        });
    let revoked = update.revoked.map(|_| ProjectCommand::RevokeKeys {
        key_set_id,
        now: access.app.now(),
    });
    let commands = described.into_iter().chain(revoked).collect();
    let (app, project) = (&access.app, access.project_id());
    app_projects::change(app, access.event_context(), project, commands).await?;
    let row = find(app, project, key_set_id).await?;
    Ok(Json(KeySet::of(&row)))
}

async fn find(app: &App, project: &ProjectId, id: KeySetId) -> ApiResult<ProjectKeyRow> {
    let row = projects::key_set(app.pool(), project, id).await?;
    row.ok_or_else(|| KnownError::api_key_not_found().into())
}
