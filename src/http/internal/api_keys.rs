//! `/internal/api-keys`: the keys that applications and administrators use the project with.

use axum::Json;
use axum::response::IntoResponse;
use muniment_domain::project::ProjectCommand;
use muniment_domain::{KeySetId, Millis};
use muniment_projections::read_models::projects::{self, ProjectKeyRow};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::projects::{self as app_projects, NewKeys};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::whole_list;
use crate::http::request::access::{AdminAccess, ProjectAccess};
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{boolean, integer, only_true, text, uuid};
use crate::views;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update))
}

/// Issues a set of keys. They are shown this once.
#[utoipa::path(post, path = "/internal/api-keys", tag = "internal", request_body = Value,
    responses((status = 200, description = "The set with its keys"), (status = 400, description = "SCHEMA_ERROR")))]
pub(crate) async fn create(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let wanted = read_wanted(&mut form);
    let (description, expires_at, kinds) = form.finish(wanted)?;
    let keys = NewKeys::generate(&access.app, kinds);
    let id = KeySetId(access.app.random.uuid());
    let project = access.project_id();
    app_projects::issue_keys(
        &access.app,
        access.event_context(),
        project,
        id,
        description,
        expires_at,
        &keys,
    )
    .await?;
    let row = find(&access, id).await?;
    Ok(Json(views::new_key_set(&row, &keys)).into_response())
}

/// What the set is for, until when it works, and which kinds of keys are in it: publishable, server,
/// admin.
fn read_wanted(form: &mut Form<'_>) -> Option<(String, Millis, [bool; 3])> {
    let mut body = form.body();
    let description = body.required("description", text);
    let expires_at = body.required("expires_at_millis", integer(i64::MIN..=i64::MAX));
    let publishable = body.required("has_publishable_client_key", boolean);
    let server = body.required("has_secret_server_key", boolean);
    let admin = body.required("has_super_secret_admin_key", boolean);
    body.close();
    Some((
        description?,
        Millis(expires_at?),
        [publishable?, server?, admin?],
    ))
}

/// Lists the project's key sets, newest first.
#[utoipa::path(get, path = "/internal/api-keys", tag = "internal", responses((status = 200, description = "Key sets")))]
pub(crate) async fn list(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    let rows = projects::keys(access.app.pool(), access.project_id()).await?;
    let items: Vec<Value> = rows.iter().map(views::key_set).collect();
    Ok(whole_list(&items))
}

/// One key set.
#[utoipa::path(get, path = "/internal/api-keys/{id}", tag = "internal", params(("id" = String, Path)),
    responses((status = 200, description = "The set"), (status = 404, description = "API_KEY_NOT_FOUND")))]
pub(crate) async fn read(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = form.params().required("id", uuid);
    let id = form.finish(id)?;
    Ok(Json(views::key_set(&find(&access, KeySetId(id)).await?)).into_response())
}

/// Describes or revokes a key set. A revoked set stays revoked.
#[utoipa::path(patch, path = "/internal/api-keys/{id}", tag = "internal", request_body = Value, params(("id" = String, Path)),
    responses((status = 200, description = "The set"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "API_KEY_NOT_FOUND")))]
pub(crate) async fn update(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = form.params().required("id", uuid);
    let mut body = form.body();
    let description = body.optional("description", text);
    let revoked = body.optional("revoked", only_true);
    body.close();
    let (key_set_id, description, revoked) =
        form.finish((|| Some((KeySetId(id?), description?, revoked?)))())?;
    find(&access, key_set_id).await?;
    let mut commands = Vec::new();
    if let Some(description) = description {
        commands.push(ProjectCommand::DescribeKeys {
            key_set_id,
            description,
        });
    }
    if revoked.is_some() {
        commands.push(ProjectCommand::RevokeKeys {
            key_set_id,
            now: access.app.now(),
        });
    }
    app_projects::change(
        &access.app,
        access.event_context(),
        access.project_id(),
        commands,
    )
    .await?;
    Ok(Json(views::key_set(&find(&access, key_set_id).await?)).into_response())
}

async fn find(access: &ProjectAccess, id: KeySetId) -> Result<ProjectKeyRow, ApiError> {
    let row = projects::key_set(access.app.pool(), access.project_id(), id).await?;
    row.ok_or_else(|| KnownError::api_key_not_found().into())
}
