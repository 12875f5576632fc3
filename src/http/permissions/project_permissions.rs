//! `/project-permissions`: which user holds which permission in the whole project.

use axum::Json;
use muniment_domain::permission::Scope;
use muniment_domain::{PermissionId, UserId};
use muniment_projections::read_models::permissions;
use utoipa_axum::router::OpenApiRouter;

use super::team_permissions::{NotOwn, WantedGrants, require_scope};
use crate::app::App;
use crate::app::permissions::{grant_in_project, revoke_in_project};
use crate::error::ApiResult;
use crate::error::codes::{Errors, PermissionNotFound, WrongPermissionScope};
use crate::http::answer::{Created, List, Success};
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ServerAccess};
use crate::http::request::declare::{fields, request};
use crate::http::request::found::Found;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::{permission_id, user_id_or_me};
use crate::http::users::find::names_user;
use crate::views::ProjectPermission;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_project_permissions))
        .routes(operations!(
            grant_project_permission,
            revoke_project_permission
        ))
}

request! {
    /// Which grants to list.
    struct ListProjectPermissions {
        query {
            .. grants: WantedGrants;
        }
    }

    /// That a user is granted a permission.
    struct GrantProjectPermission {
        path {
            .. path: ProjectGrantPath;
        }
        body {}
    }

    /// That a permission is taken from a user.
    struct RevokeProjectPermission {
        path {
            .. path: ProjectGrantPath;
        }
    }
}

fields! {
    /// What names a grant in a path.
    struct ProjectGrantPath {
        /// A user's id, or `me` for the signed-in user's.
        user_id: UserId = required(user_id_or_me());
        /// The permission's id.
        permission_id: PermissionId = required(permission_id());
    }
}

names_user! {
    GrantProjectPermission: path.user_id;
    RevokeProjectPermission: path.user_id;
}

/// Lists grants, by user and permission.
///
/// Clients see what the signed-in user holds.
#[utoipa::path(get, path = "/project-permissions", tag = "permissions", responses(Errors<NotOwn>))]
async fn list_project_permissions(
    access: ClientAccess,
    ListProjectPermissions { grants }: ListProjectPermissions,
) -> ApiResult<Json<List<ProjectPermission>>> {
    let listing = grants.listing_for(&access, None)?;
    let (pool, project) = (access.app.pool(), access.project_id());
    let grants = permissions::list_in_project(pool, project, &listing).await?;
    Ok(List::of(
        grants.into_iter().map(ProjectPermission::from).collect(),
    ))
}

/// Grants a user a permission directly.
#[utoipa::path(post, path = "/project-permissions/{user_id}/{permission_id}", tag = "permissions",
    responses(Errors<(PermissionNotFound, WrongPermissionScope)>))]
async fn grant_project_permission(
    access: ServerAccess,
    Found(_, wanted): Found<GrantProjectPermission>,
) -> ApiResult<Created<ProjectPermission>> {
    let (user, permission) = (wanted.path.user_id, wanted.path.permission_id);
    require_scope(&access, &permission, Scope::Project)?;
    let granted = ProjectPermission::new(user, &permission);
    grant_in_project(&access.app, access.event_context(), user, permission).await?;
    Ok(Created(granted))
}

/// Revokes what was granted directly. What it is contained in is another grant.
#[utoipa::path(delete, path = "/project-permissions/{user_id}/{permission_id}", tag = "permissions",
    responses(Errors<PermissionNotFound>))]
async fn revoke_project_permission(
    access: ServerAccess,
    Found(_, wanted): Found<RevokeProjectPermission>,
) -> ApiResult<Json<Success>> {
    let (user, permission) = (wanted.path.user_id, wanted.path.permission_id);
    revoke_in_project(&access.app, access.event_context(), user, permission).await?;
    Ok(Success::ANSWER)
}
