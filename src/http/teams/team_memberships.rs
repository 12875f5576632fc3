//! `/team-memberships`: who is in which team.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::permission::REMOVE_MEMBERS;
use muniment_domain::{TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::teams;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::teams::{add_member, remove_member, require_permission};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::{ClientAccess, ProjectAccess, ServerAccess};
use crate::http::request::input::{Form, Input};
use crate::http::request::values::uuid;
use crate::http::teams::find::find_team;
use crate::http::users::find::find_user;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, delete))
}

/// Lets a user into a team, with the project's default permissions for members.
#[utoipa::path(post, path = "/team-memberships/{team_id}/{user_id}", tag = "teams", request_body = Value,
    params(("team_id" = String, Path), ("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 201, description = "`{team_id, user_id}`"), (status = 404, description = "USER_NOT_FOUND, TEAM_NOT_FOUND"), (status = 409, description = "TEAM_MEMBERSHIP_ALREADY_EXISTS")))]
async fn create(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let ids = path_ids(&mut form);
    form.body().close();
    let (team, user) = form.finish(ids)?;
    find_user(&access, user).await?;
    find_team(&access, team).await?;
    add_member(
        &access.app,
        access.event_context(),
        &access.project,
        team,
        user,
    )
    .await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({"team_id": team, "user_id": user})),
    )
        .into_response())
}

/// Removes a user from a team.
#[utoipa::path(delete, path = "/team-memberships/{team_id}/{user_id}", tag = "teams",
    params(("team_id" = String, Path), ("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, description = "Removed"), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER"),
        (status = 401, description = "TEAM_PERMISSION_REQUIRED"), (status = 404, description = "USER_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND")))]
async fn delete(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let ids = path_ids(&mut form);
    let (team, user) = form.finish(ids)?;
    check_right(&access, team, user).await?;
    find_user(&access, user).await?;
    // The membership may be of another project's team.
    let in_project = teams::by_id(access.app.pool(), access.project_id(), team)
        .await?
        .is_some();
    if !in_project || !teams::is_member(access.app.pool(), team, user).await? {
        return Err(KnownError::team_membership_not_found(team, user).into());
    }
    remove_member(&access.app, access.event_context(), team, user).await?;
    Ok(success())
}

fn path_ids(form: &mut Form<'_>) -> Option<(TeamId, UserId)> {
    let mut params = form.params();
    let team = params.required("team_id", uuid);
    let user = params.required_user_id_or_me("user_id");
    params.close();
    Some((TeamId(team?), user?))
}

/// Everybody may leave; to remove others takes a permission.
async fn check_right(access: &ProjectAccess, team: TeamId, user: UserId) -> Result<(), ApiError> {
    if access.access_type != AccessType::Client {
        return Ok(());
    }
    let own = access.own_user()?.user.user_id();
    if own == user {
        return Ok(());
    }
    require_permission(&access.app, team, own, REMOVE_MEMBERS).await
}
