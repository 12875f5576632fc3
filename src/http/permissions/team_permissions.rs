//! `/team-permissions`: which member holds which permission in a team.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::permission::{self, Scope};
use muniment_domain::{PermissionId, TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::permissions::{self, Depth, Listing};
use muniment_projections::read_models::teams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::permissions::{grant_in_team, revoke_in_team};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{success, whole_list};
use crate::http::request::access::{ClientAccess, ProjectAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::fields::Fields;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{permission_id, query_boolean, uuid};
use crate::http::users::find::find_user;
use crate::views::TeamPermission;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create, delete))
}

/// Lists grants, by team, user and permission.
#[utoipa::path(get, path = "/team-permissions", tag = "permissions",
    params(("team_id" = Option<String>, Query), ("user_id" = Option<String>, Query, description = "A user's id, or `me`"),
        ("permission_id" = Option<String>, Query), ("recursive" = Option<bool>, Query, description = "Also what the granted permissions contain")),
    responses((status = 200, description = "Grants"), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER"), (status = 403, description = "Another user's grants")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut query = form.query();
    let team = query.optional("team_id", uuid);
    let listing = read_listing(&mut query);
    query.close();
    let (team, listing) = form.finish((|| Some((team?, listing?)))())?;
    only_own(&access, &listing)?;
    let listing = Listing {
        team: team.map(TeamId),
        ..listing
    };
    let grants =
        permissions::list_in_teams(access.app.pool(), access.project_id(), &listing).await?;
    let items: Vec<TeamPermission> = grants.into_iter().map(TeamPermission::from).collect();
    Ok(whole_list(&items))
}

/// Reads what listings of either scope have in common.
pub(crate) fn read_listing(query: &mut Fields<'_>) -> Option<Listing> {
    let user = query.optional_user_id_or_me("user_id");
    let permission = query.optional("permission_id", permission_id);
    let recursive = query.or_default("recursive", query_boolean, false);
    Some(Listing {
        team: None,
        user: user?,
        permission: permission?,
        depth: if recursive? {
            Depth::Effective
        } else {
            Depth::Direct
        },
    })
}

/// Clients see their own grants only.
pub(crate) fn only_own(auth: &Auth, listing: &Listing) -> Result<(), ApiError> {
    if auth.access_type != AccessType::Client {
        return Ok(());
    }
    let own = auth.own_user()?.user.user_id();
    if listing.user == Some(own) {
        return Ok(());
    }
    let text = "You can only list your own permissions. Set user_id to me.";
    Err(ApiError::text(StatusCode::FORBIDDEN, text))
}

/// Grants a member a permission directly.
#[utoipa::path(post, path = "/team-permissions/{team_id}/{user_id}/{permission_id}", tag = "permissions", request_body = Value,
    params(("team_id" = String, Path), ("user_id" = String, Path, description = "A user's id, or `me`"), ("permission_id" = String, Path)),
    responses((status = 201, body = TeamPermission), (status = 404, description = "USER_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND, PERMISSION_NOT_FOUND, WRONG_PERMISSION_SCOPE")))]
async fn create(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let ids = path_ids(&mut form);
    form.body().close();
    let (team, user, permission) = form.finish(ids)?;
    require_member(&access, team, user).await?;
    require_scope(&access, &permission, Scope::Team)?;
    grant_in_team(
        &access.app,
        access.event_context(),
        team,
        user,
        permission.clone(),
    )
    .await?;
    let granted = TeamPermission::new(team, user, &permission);
    Ok((StatusCode::CREATED, Json(granted)).into_response())
}

/// Revokes what was granted directly. What it is contained in is another grant.
#[utoipa::path(delete, path = "/team-permissions/{team_id}/{user_id}/{permission_id}", tag = "permissions",
    params(("team_id" = String, Path), ("user_id" = String, Path, description = "A user's id, or `me`"), ("permission_id" = String, Path)),
    responses((status = 200, description = "Revoked"), (status = 401, description = "TEAM_PERMISSION_NOT_FOUND"), (status = 404, description = "USER_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND")))]
async fn delete(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let ids = path_ids(&mut form);
    let (team, user, permission) = form.finish(ids)?;
    require_member(&access, team, user).await?;
    revoke_in_team(&access.app, access.event_context(), team, user, permission).await?;
    Ok(success())
}

fn path_ids(form: &mut Form<'_>) -> Option<(TeamId, UserId, PermissionId)> {
    let mut params = form.params();
    let team = params.required("team_id", uuid);
    let user = params.required_user_id_or_me("user_id");
    let permission = params.required("permission_id", permission_id);
    params.close();
    Some((TeamId(team?), user?, permission?))
}

/// A member of a team that does not exist is nobody, so the team needs no look of its own.
async fn require_member(
    access: &ProjectAccess,
    team: TeamId,
    user: UserId,
) -> Result<(), ApiError> {
    find_user(access, user).await?;
    if teams::is_member(access.app.pool(), team, user).await? {
        return Ok(());
    }
    Err(KnownError::team_membership_not_found(team, user).into())
}

/// Makes sure that a permission is defined in that scope.
///
/// # Errors
/// `PERMISSION_NOT_FOUND`, `WRONG_PERMISSION_SCOPE`. Outside of teams, system permissions count as
/// unknown.
pub(crate) fn require_scope(
    auth: &Auth,
    id: &PermissionId,
    expected: Scope,
) -> Result<(), ApiError> {
    let definitions = &auth.project.config.rbac.permissions;
    match permission::scope_of(definitions, id) {
        Some(actual) if actual == expected => Ok(()),
        Some(actual) if !permission::is_system(id) => {
            Err(KnownError::wrong_permission_scope(id, expected, actual).into())
        }
        Some(_) | None => Err(KnownError::permission_not_found(id).into()),
    }
}
