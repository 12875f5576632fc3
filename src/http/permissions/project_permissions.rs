//! `/project-permissions`: which user holds which permission in the whole project.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::permission::Scope;
use muniment_domain::{PermissionId, UserId};
use muniment_projections::read_models::permissions;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::team_permissions::{only_own, read_listing, require_scope};
use crate::app::App;
use crate::app::permissions::{grant_in_project, revoke_in_project};
use crate::error::ApiResult;
use crate::http::answer::{success, whole_list};
use crate::http::request::access::{ClientAccess, ServerAccess};
use crate::http::request::input::{Form, Input};
use crate::http::request::values::permission_id;
use crate::http::users::find::find_user;
use crate::views::ProjectPermission;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create, delete))
}

/// Lists grants, by user and permission.
#[utoipa::path(get, path = "/project-permissions", tag = "permissions",
    params(("user_id" = Option<String>, Query, description = "A user's id, or `me`"), ("permission_id" = Option<String>, Query),
        ("recursive" = Option<bool>, Query, description = "Also what the granted permissions contain")),
    responses((status = 200, description = "Grants"), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER"), (status = 403, description = "Another user's grants")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut query = form.query();
    let listing = read_listing(&mut query);
    query.close();
    let listing = form.finish(listing)?;
    only_own(&access, &listing)?;
    let grants =
        permissions::list_in_project(access.app.pool(), access.project_id(), &listing).await?;
    let items: Vec<ProjectPermission> = grants.into_iter().map(ProjectPermission::from).collect();
    Ok(whole_list(&items))
}

/// Grants a user a permission directly.
#[utoipa::path(post, path = "/project-permissions/{user_id}/{permission_id}", tag = "permissions", request_body = Value,
    params(("user_id" = String, Path, description = "A user's id, or `me`"), ("permission_id" = String, Path)),
    responses((status = 201, body = ProjectPermission), (status = 404, description = "USER_NOT_FOUND, PERMISSION_NOT_FOUND, WRONG_PERMISSION_SCOPE")))]
async fn create(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let ids = path_ids(&mut form);
    form.body().close();
    let (user, permission) = form.finish(ids)?;
    find_user(&access, user).await?;
    require_scope(&access, &permission, Scope::Project)?;
    grant_in_project(
        &access.app,
        access.event_context(),
        user,
        permission.clone(),
    )
    .await?;
    let granted = ProjectPermission::new(user, &permission);
    Ok((StatusCode::CREATED, Json(granted)).into_response())
}

/// Revokes what was granted directly. What it is contained in is another grant.
#[utoipa::path(delete, path = "/project-permissions/{user_id}/{permission_id}", tag = "permissions",
    params(("user_id" = String, Path, description = "A user's id, or `me`"), ("permission_id" = String, Path)),
    responses((status = 200, description = "Revoked"), (status = 404, description = "USER_NOT_FOUND, PERMISSION_NOT_FOUND")))]
async fn delete(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let ids = path_ids(&mut form);
    let (user, permission) = form.finish(ids)?;
    find_user(&access, user).await?;
    revoke_in_project(&access.app, access.event_context(), user, permission).await?;
    Ok(success())
}

fn path_ids(form: &mut Form<'_>) -> Option<(UserId, PermissionId)> {
    let mut params = form.params();
    let user = params.required_user_id_or_me("user_id");
    let permission = params.required("permission_id", permission_id);
    params.close();
    Some((user?, permission?))
}
