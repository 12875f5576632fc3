//! `/team-permission-definitions` and `/project-permission-definitions`: which permissions the
//! project has, and what they contain.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muniment_domain::PermissionId;
use muniment_domain::permission::{
    DELETE_TEAM, Definition, INVITE_MEMBERS, MANAGE_API_KEYS, READ_MEMBERS, REMOVE_MEMBERS, Scope,
    UPDATE_TEAM, WantedDefinition,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::permissions;
use crate::app::projects::string_order;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{success, whole_list};
use crate::http::request::access::{AdminAccess, ProjectAccess};
use crate::http::request::fields::Fields;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{definable_permission_id, permission_id, text};
use crate::views::PermissionDefinitionView;

/// The system's permissions, and what they are for.
const SYSTEM: [(&str, &str); 6] = [
    (UPDATE_TEAM, "Change the team's name, picture and data."),
    (DELETE_TEAM, "Dissolve the team."),
    (READ_MEMBERS, "See who is in the team."),
    (REMOVE_MEMBERS, "Remove members from the team."),
    (INVITE_MEMBERS, "Invite people to the team."),
    (
        MANAGE_API_KEYS,
        "Issue, describe and revoke the team's API keys.",
    ),
];

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_team, create_team))
        .routes(routes!(update_team, delete_team))
        .routes(routes!(list_project, create_project))
        .routes(routes!(update_project, delete_project))
}

/// Lists the permissions of teams, the system's own included.
#[utoipa::path(get, path = "/team-permission-definitions", tag = "permissions", responses((status = 200, description = "Definitions")))]
async fn list_team(access: AdminAccess, input: Input) -> ApiResult {
    list(Scope::Team, &access, &input)
}

/// Lists the permissions of the whole project.
#[utoipa::path(get, path = "/project-permission-definitions", tag = "permissions", responses((status = 200, description = "Definitions")))]
async fn list_project(access: AdminAccess, input: Input) -> ApiResult {
    list(Scope::Project, &access, &input)
}

/// Defines a permission of teams.
#[utoipa::path(post, path = "/team-permission-definitions", tag = "permissions", request_body = Value,
    responses((status = 201, body = PermissionDefinitionView), (status = 400, description = "SCHEMA_ERROR, PERMISSION_ID_ALREADY_EXISTS, CONTAINED_PERMISSION_NOT_FOUND")))]
async fn create_team(access: AdminAccess, input: Input) -> ApiResult {
    create(Scope::Team, &access, &input).await
}

/// Defines a permission of the whole project.
#[utoipa::path(post, path = "/project-permission-definitions", tag = "permissions", request_body = Value,
    responses((status = 201, body = PermissionDefinitionView), (status = 400, description = "SCHEMA_ERROR, PERMISSION_ID_ALREADY_EXISTS, CONTAINED_PERMISSION_NOT_FOUND")))]
async fn create_project(access: AdminAccess, input: Input) -> ApiResult {
    create(Scope::Project, &access, &input).await
}

/// Replaces the definition of a permission of teams: what is left out is removed.
#[utoipa::path(patch, path = "/team-permission-definitions/{permission_id}", tag = "permissions", request_body = Value, params(("permission_id" = String, Path)),
    responses((status = 200, body = PermissionDefinitionView), (status = 404, description = "PERMISSION_NOT_FOUND"),
        (status = 400, description = "SCHEMA_ERROR, PERMISSION_ID_ALREADY_EXISTS, CONTAINED_PERMISSION_NOT_FOUND; a permission that would contain itself")))]
async fn update_team(access: AdminAccess, input: Input) -> ApiResult {
    update(Scope::Team, &access, &input).await
}

/// Replaces the definition of a permission of the whole project: what is left out is removed.
#[utoipa::path(patch, path = "/project-permission-definitions/{permission_id}", tag = "permissions", request_body = Value, params(("permission_id" = String, Path)),
    responses((status = 200, body = PermissionDefinitionView), (status = 404, description = "PERMISSION_NOT_FOUND"),
        (status = 400, description = "SCHEMA_ERROR, PERMISSION_ID_ALREADY_EXISTS, CONTAINED_PERMISSION_NOT_FOUND; a permission that would contain itself")))]
async fn update_project(access: AdminAccess, input: Input) -> ApiResult {
    update(Scope::Project, &access, &input).await
}

/// Removes a permission of teams, with its grants.
#[utoipa::path(delete, path = "/team-permission-definitions/{permission_id}", tag = "permissions", params(("permission_id" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "PERMISSION_NOT_FOUND")))]
async fn delete_team(access: AdminAccess, input: Input) -> ApiResult {
    delete(Scope::Team, &access, &input).await
}

/// Removes a permission of the whole project, with its grants.
#[utoipa::path(delete, path = "/project-permission-definitions/{permission_id}", tag = "permissions", params(("permission_id" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "PERMISSION_NOT_FOUND")))]
async fn delete_project(access: AdminAccess, input: Input) -> ApiResult {
    delete(Scope::Project, &access, &input).await
}

fn list(scope: Scope, access: &AdminAccess, input: &Input) -> ApiResult {
    access.form(input).no_query().finish(Some(()))?;
    let custom = access.project.config.rbac.permissions.iter();
    let custom = custom.filter(|(_, definition)| definition.scope == Some(scope));
    let mut items: Vec<PermissionDefinitionView> = custom.map(view).collect();
    if scope == Scope::Team {
        items.extend(SYSTEM.into_iter().map(system_view));
    }
    items.sort_by(|a, b| string_order(a.id(), b.id()));
    Ok(whole_list(&items))
}

async fn create(scope: Scope, access: &AdminAccess, input: &Input) -> ApiResult {
    let mut form = access.form(input).no_query();
    let mut body = form.body();
    let id = body.required("id", definable_permission_id);
    let wanted = read_wanted(scope, &mut body);
    body.close();
    let (id, wanted) = form.finish((|| Some((id?, wanted?)))())?;
    permissions::define(
        &access.app,
        access.event_context(),
        access.project_id(),
        &id,
        wanted,
    )
    .await?;
    Ok((StatusCode::CREATED, show(access, &id).await?).into_response())
}

async fn update(scope: Scope, access: &AdminAccess, input: &Input) -> ApiResult {
    let mut form = access.form(input).no_query();
    let id = id_in_path(&mut form);
    let mut body = form.body();
    let new_id = body.optional("id", definable_permission_id);
    let wanted = read_wanted(scope, &mut body);
    body.close();
    let (id, new_id, wanted) = form.finish((|| Some((id?, new_id?, wanted?)))())?;
    let new_id = new_id.unwrap_or_else(|| id.clone());
    permissions::redefine(
        &access.app,
        access.event_context(),
        access.project_id(),
        &id,
        &new_id,
        wanted,
    )
    .await?;
    show(access, &new_id).await
}

async fn delete(scope: Scope, access: &AdminAccess, input: &Input) -> ApiResult {
    let mut form = access.form(input).no_query();
    let id = id_in_path(&mut form);
    let id = form.finish(id)?;
    permissions::remove(
        &access.app,
        access.event_context(),
        access.project_id(),
        &id,
        scope,
    )
    .await?;
    Ok(success())
}

fn id_in_path(form: &mut Form<'_>) -> Option<PermissionId> {
    form.params().required("permission_id", permission_id)
}

fn read_wanted(scope: Scope, body: &mut Fields<'_>) -> Option<WantedDefinition> {
    let description = body.optional("description", text);
    let contained = body.optional_values("contained_permission_ids", permission_id);
    Some(WantedDefinition {
        scope,
        description: description?,
        contained: contained?.unwrap_or_default(),
    })
}

async fn show(access: &ProjectAccess, id: &PermissionId) -> Result<Response, ApiError> {
    let project = access.app.projects.find_now(access.project_id()).await?;
    let definition = project
        .as_ref()
        .and_then(|project| project.config.rbac.permissions.get_key_value(id));
    // Removed by somebody else in the same moment.
    let definition = definition.ok_or_else(|| KnownError::permission_not_found(id))?;
    Ok(Json(view(definition)).into_response())
}

fn view((id, definition): (&PermissionId, &Definition)) -> PermissionDefinitionView {
    let contained = definition.contained().map(PermissionId::as_str);
    PermissionDefinitionView::new(id.as_str(), definition.description.as_deref(), contained)
}

fn system_view((id, description): (&str, &str)) -> PermissionDefinitionView {
    PermissionDefinitionView::new(id, Some(description), std::iter::empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use muniment_domain::permission;

    use super::*;

    #[test]
    fn every_system_permission_is_described() {
        let described: BTreeSet<&str> = SYSTEM.into_iter().map(|(id, _)| id).collect();
        assert_eq!(described, BTreeSet::from(permission::SYSTEM));
    }
}
