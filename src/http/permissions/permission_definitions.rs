//! `/team-permission-definitions` and `/project-permission-definitions`: which permissions the
//! project has, and what they contain.

use axum::Json;
use muniment_domain::PermissionId;
use muniment_domain::permission::{
    DELETE_TEAM, Definition, INVITE_MEMBERS, MANAGE_API_KEYS, READ_MEMBERS, REMOVE_MEMBERS, Scope,
    UPDATE_TEAM, WantedDefinition,
};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::app::permissions;
use crate::app::projects::string_order;
use crate::error::codes::{
    ContainedPermissionNotFound, Errors, PermissionIdAlreadyExists, PermissionNotFound, Text,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Created, List, Success};
use crate::http::openapi::operations;
use crate::http::request::access::{AdminAccess, ProjectAccess};
use crate::http::request::declare::{NoInput, fields, request};
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::list_of;
use crate::http::request::shape::scalars::{definable_permission_id, permission_id, text};
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
        .routes(operations!(
            list_team_permission_definitions,
            create_team_permission_definition
        ))
        .routes(operations!(
            update_team_permission_definition,
            delete_team_permission_definition
        ))
        .routes(operations!(
            list_project_permission_definitions,
            create_project_permission_definition
        ))
        .routes(operations!(
            update_project_permission_definition,
            delete_project_permission_definition
        ))
}

request! {
    /// A permission to be defined.
    struct CreatePermissionDefinition {
        body {
            .. definition: DefinitionFields;
            /// The id it shall have. It is unique among the permissions of teams and of the project.
            id: PermissionId = required(definable_permission_id());
        }
    }

    /// A definition in the place of another one.
    struct UpdatePermissionDefinition {
        path {
            .. path: DefinitionPath;
        }
        body {
            .. definition: DefinitionFields;
            /// Another id. Grants follow. Without it, the id stays.
            id: Option<PermissionId> = optional(definable_permission_id());
        }
    }

    /// A definition to be removed.
    struct DeletePermissionDefinition {
        path {
            .. path: DefinitionPath;
        }
    }
}

fields! {
    /// What names a definition in a path.
    struct DefinitionPath {
        /// The permission's id.
        id as "permission_id": PermissionId = required(permission_id());
    }

    /// What defines a permission beside its id.
    struct DefinitionFields {
        /// What it is for, for operators.
        description: Option<String> = optional(text());
        /// The permissions that it contains directly: who holds it holds them as well. They are of the
        /// same scope, or the system's own.
        contained_permission_ids: Option<Vec<PermissionId>> = optional(list_of(permission_id()));
    }
}

impl DefinitionFields {
    fn wanted_in(self, scope: Scope) -> WantedDefinition {
        WantedDefinition {
            scope,
            description: self.description,
            contained: self.contained_permission_ids.unwrap_or_default(),
        }
    }
}

/// Why a permission cannot be defined so. A text for one that would contain itself.
type RefusedDefinition = (
    PermissionIdAlreadyExists,
    ContainedPermissionNotFound,
    PermissionNotFound,
    Text<400>,
);

/// Lists the permissions of teams, the system's own included.
#[utoipa::path(get, path = "/team-permission-definitions", tag = "permissions")]
async fn list_team_permission_definitions(
    access: AdminAccess,
    _: NoInput,
) -> Json<List<PermissionDefinitionView>> {
    list(Scope::Team, &access)
}

/// Lists the permissions of the whole project.
#[utoipa::path(get, path = "/project-permission-definitions", tag = "permissions")]
async fn list_project_permission_definitions(
    access: AdminAccess,
    _: NoInput,
) -> Json<List<PermissionDefinitionView>> {
    list(Scope::Project, &access)
}

/// Defines a permission of teams.
#[utoipa::path(post, path = "/team-permission-definitions", tag = "permissions",
    responses(Errors<RefusedDefinition>))]
async fn create_team_permission_definition(
    access: AdminAccess,
    new: CreatePermissionDefinition,
) -> ApiResult<Created<PermissionDefinitionView>> {
    create(Scope::Team, &access, new).await
}

/// Defines a permission of the whole project.
#[utoipa::path(post, path = "/project-permission-definitions", tag = "permissions",
    responses(Errors<RefusedDefinition>))]
async fn create_project_permission_definition(
    access: AdminAccess,
    new: CreatePermissionDefinition,
) -> ApiResult<Created<PermissionDefinitionView>> {
    create(Scope::Project, &access, new).await
}

/// Replaces the definition of a permission of teams: what is left out is removed.
#[utoipa::path(patch, path = "/team-permission-definitions/{permission_id}", tag = "permissions",
    responses(Errors<RefusedDefinition>))]
async fn update_team_permission_definition(
    access: AdminAccess,
    update: UpdatePermissionDefinition,
) -> ApiResult<Json<PermissionDefinitionView>> {
    replace(Scope::Team, &access, update).await
}

/// Replaces the definition of a permission of the whole project: what is left out is removed.
#[utoipa::path(patch, path = "/project-permission-definitions/{permission_id}", tag = "permissions",
    responses(Errors<RefusedDefinition>))]
async fn update_project_permission_definition(
    access: AdminAccess,
    update: UpdatePermissionDefinition,
) -> ApiResult<Json<PermissionDefinitionView>> {
    replace(Scope::Project, &access, update).await
}

/// Removes a permission of teams, with its grants.
#[utoipa::path(delete, path = "/team-permission-definitions/{permission_id}", tag = "permissions",
    responses(Errors<PermissionNotFound>))]
async fn delete_team_permission_definition(
    access: AdminAccess,
    named: DeletePermissionDefinition,
) -> ApiResult<Json<Success>> {
    delete(Scope::Team, &access, &named.path.id).await
}

/// Removes a permission of the whole project, with its grants.
#[utoipa::path(delete, path = "/project-permission-definitions/{permission_id}", tag = "permissions",
    responses(Errors<PermissionNotFound>))]
async fn delete_project_permission_definition(
    access: AdminAccess,
    named: DeletePermissionDefinition,
) -> ApiResult<Json<Success>> {
    delete(Scope::Project, &access, &named.path.id).await
}

fn list(scope: Scope, access: &ProjectAccess) -> Json<List<PermissionDefinitionView>> {
    let custom = access.project.config.rbac.permissions.iter();
    let custom = custom.filter(|(_, definition)| definition.scope == Some(scope));
    let mut items: Vec<PermissionDefinitionView> = custom.map(view).collect();
    if scope == Scope::Team {
        items.extend(SYSTEM.into_iter().map(system_view));
    }
    items.sort_by(|a, b| string_order(a.id(), b.id()));
    List::of(items)
}

async fn create(
    scope: Scope,
    access: &ProjectAccess,
    CreatePermissionDefinition { definition, id }: CreatePermissionDefinition,
) -> ApiResult<Created<PermissionDefinitionView>> {
    let (app, context, project) = (&access.app, access.event_context(), access.project_id());
    permissions::define(app, context, project, &id, definition.wanted_in(scope)).await?;
    Ok(Created(show(access, &id).await?))
}

async fn replace(
    scope: Scope,
    access: &ProjectAccess,
    update: UpdatePermissionDefinition,
) -> ApiResult<Json<PermissionDefinitionView>> {
    let id = update.path.id;
    let new_id = update.id.unwrap_or_else(|| id.clone());
    let wanted = update.definition.wanted_in(scope);
    let (app, context, project) = (&access.app, access.event_context(), access.project_id());
    permissions::redefine(app, context, project, &id, &new_id, wanted).await?;
    Ok(Json(show(access, &new_id).await?))
}

async fn delete(
    scope: Scope,
    access: &ProjectAccess,
    id: &PermissionId,
) -> ApiResult<Json<Success>> {
    let (app, context, project) = (&access.app, access.event_context(), access.project_id());
    permissions::remove(app, context, project, id, scope).await?;
    Ok(Success::ANSWER)
}

async fn show(
    access: &ProjectAccess,
    id: &PermissionId,
) -> Result<PermissionDefinitionView, ApiError> {
    let project = access.app.projects.find_now(access.project_id()).await?;
    let definition = project
        .as_ref()
        .and_then(|project| project.config.rbac.permissions.get_key_value(id));
    // Removed by somebody else in the same moment.
    let definition = definition.ok_or_else(|| KnownError::permission_not_found(id))?;
    Ok(view(definition))
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
