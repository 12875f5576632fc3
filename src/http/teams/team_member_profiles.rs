//! `/team-member-profiles`: how members appear in their teams.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::permission::READ_MEMBERS;
use muniment_domain::team::MemberProfileChange;
use muniment_domain::{TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::teams;
use muniment_projections::read_models::teams::member_profiles::{self, MemberProfile};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::teams::{change_profile, require_permission};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::whole_list;
use crate::http::images::{self, Folder, ImageRule};
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{text, url_text, uuid};
use crate::http::teams::find::find_team;
use crate::http::users::find::find_user;
use crate::views::{ClientMemberProfile, ServerMemberProfile};

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read, update))
}

/// Lists members by the time at which they joined.
#[utoipa::path(get, path = "/team-member-profiles", tag = "teams",
    params(("team_id" = Option<String>, Query, description = "Required from clients"), ("user_id" = Option<String>, Query, description = "A user's id, or `me`")),
    responses((status = 200, description = "Profiles"), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER; a client that names no team"),
        (status = 401, description = "TEAM_PERMISSION_REQUIRED"), (status = 404, description = "TEAM_MEMBERSHIP_NOT_FOUND, TEAM_NOT_FOUND, USER_NOT_FOUND")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut query = form.query();
    let team = query.optional("team_id", uuid);
    let user = query.optional_user_id_or_me("user_id");
    query.close();
    let (team, user) = form.finish((|| Some((team?.map(TeamId), user?)))())?;
    check_listing(&access, team, user).await?;
    let profiles =
        member_profiles::list(access.app.pool(), access.project_id(), team, user).await?;
    let items: Vec<Value> = profiles.iter().map(|one| view(&access, one)).collect();
    Ok(whole_list(&items))
}

async fn check_listing(
    access: &ProjectAccess,
    team: Option<TeamId>,
    user: Option<UserId>,
) -> Result<(), ApiError> {
    if access.access_type == AccessType::Client {
        let own = access.own_user()?.user.user_id();
        let Some(team) = team else {
            let text = "Set team_id: the members of one team at a time can be listed.";
            return Err(ApiError::text(StatusCode::BAD_REQUEST, text));
        };
        return check_reading(&access.app, team, own, user).await;
    }
    if let Some(team) = team {
        find_team(access, team).await?;
    }
    if let Some(user) = user {
        find_user(access, user).await?;
    }
    Ok(())
}

/// Members see themselves; to see others takes a permission.
async fn check_reading(
    app: &App,
    team: TeamId,
    own: UserId,
    wanted: Option<UserId>,
) -> Result<(), ApiError> {
    if wanted != Some(own) {
        return require_permission(app, team, own, READ_MEMBERS).await;
    }
    if teams::is_member(app.pool(), team, own).await? {
        return Ok(());
    }
    Err(KnownError::team_membership_not_found(team, own).into())
}

/// One member.
#[utoipa::path(get, path = "/team-member-profiles/{team_id}/{user_id}", tag = "teams",
    params(("team_id" = String, Path), ("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, body = ServerMemberProfile), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER"),
        (status = 401, description = "TEAM_PERMISSION_REQUIRED"), (status = 404, description = "USER_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND")))]
async fn read(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let ids = path_ids(&mut form);
    let (team, user) = form.finish(ids)?;
    if access.access_type == AccessType::Client {
        let own = access.own_user()?.user.user_id();
        check_reading(&access.app, team, own, Some(user)).await?;
    }
    let profile = find(&access, team, user).await?;
    Ok(Json(view(&access, &profile)).into_response())
}

/// Changes how a member appears in the team.
#[utoipa::path(patch, path = "/team-member-profiles/{team_id}/{user_id}", tag = "teams", request_body = Value,
    params(("team_id" = String, Path), ("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, body = ServerMemberProfile), (status = 400, description = "SCHEMA_ERROR, CANNOT_GET_OWN_USER_WITHOUT_USER"),
        (status = 403, description = "Another member's profile"), (status = 404, description = "USER_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND")))]
async fn update(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let ids = path_ids(&mut form);
    let mut body = form.body();
    let display_name = body.optional("display_name", text);
    let image = body.nullable("profile_image_url", url_text);
    body.close();
    let ((team, user), display_name, image) =
        form.finish((|| Some((ids?, display_name?, image?)))())?;
    if access.access_type == AccessType::Client && access.own_user()?.user.user_id() != user {
        let text = "You can only change your own profile.";
        return Err(ApiError::text(StatusCode::FORBIDDEN, text));
    }
    find(&access, team, user).await?;
    let rule = ImageRule::UploadsAndLinks;
    let change = MemberProfileChange {
        display_name,
        profile_image_url: images::accept(&access.app, Folder::TeamMembers, rule, image).await?,
    };
    change_profile(&access.app, access.event_context(), team, user, change).await?;
    let profile = find(&access, team, user).await?;
    Ok(Json(view(&access, &profile)).into_response())
}

fn path_ids(form: &mut Form<'_>) -> Option<(TeamId, UserId)> {
    let mut params = form.params();
    let team = params.required("team_id", uuid);
    let user = params.required_user_id_or_me("user_id");
    params.close();
    Some((TeamId(team?), user?))
}

async fn find(
    access: &ProjectAccess,
    team: TeamId,
    user: UserId,
) -> Result<MemberProfile, ApiError> {
    find_user(access, user).await?;
    let project = access.project_id();
    let found = member_profiles::list(access.app.pool(), project, Some(team), Some(user)).await?;
    let profile = found.into_iter().next();
    profile.ok_or_else(|| KnownError::team_membership_not_found(team, user).into())
}

fn view(access: &ProjectAccess, profile: &MemberProfile) -> Value {
    match access.access_type {
        AccessType::Client => json!(ClientMemberProfile::of(profile)),
        AccessType::Server | AccessType::Admin => {
            json!(ServerMemberProfile::of(
                &access.app,
                profile,
                &access.project
            ))
        }
    }
}
