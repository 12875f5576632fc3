//! `/team-member-profiles`: how members appear in their teams.

use axum::Json;
use muniment_domain::permission::READ_MEMBERS;
use muniment_domain::team::MemberProfileChange;
use muniment_domain::{Patch, TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::teams;
use muniment_projections::read_models::teams::member_profiles::{self, MemberProfile};
use utoipa_axum::router::OpenApiRouter;

use super::find::{find_team, team_id};
use super::team_memberships::MemberPath;
use crate::app::App;
use crate::app::authorization::require_permission;
use crate::app::teams::change_profile;
use crate::error::codes::{
    CannotGetOwnUserWithoutUser, Errors, TeamMembershipNotFound, TeamNotFound,
    TeamPermissionRequired, Text, UserNotFound,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{ByAccess, List};
use crate::http::images::{self, Folder, ImageRule};
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::declare::request;
use crate::http::request::presence::{nullable, optional};
use crate::http::request::shape::scalars::{text, url_text, user_id_or_me};
use crate::http::users::find::find_user;
use crate::views::{ClientMemberProfile, ServerMemberProfile};

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_team_member_profiles))
        .routes(operations!(
            get_team_member_profile,
            update_team_member_profile
        ))
}

request! {
    /// Which members to list.
    struct ListTeamMemberProfiles {
        query {
            /// Only members of this team. Clients must name one.
            team_id: Option<TeamId> = optional(team_id());
            /// Only this user: an id, or `me` for the signed-in user.
            user_id: Option<UserId> = optional(user_id_or_me());
        }
    }

    /// A member who is asked for.
    struct GetTeamMemberProfile {
        path {
            .. path: MemberPath;
        }
    }

    /// A change of how a member appears in a team.
    struct UpdateTeamMemberProfile {
        path {
            .. path: MemberPath;
        }
        body {
            /// The name shown in the team, in the place of the user's own.
            display_name: Option<String> = optional(text());
            /// The picture shown in the team, in the place of the user's own: a link, or a `data:` URL
            /// of an image, to upload it. Null for the user's own.
            profile_image_url: Patch<String> = nullable(url_text());
        }
    }
}

/// A member as the caller may see one.
type MemberProfileView = ByAccess<ClientMemberProfile, ServerMemberProfile>;

/// What is wrong with reading a member's profile.
type NotReadable = (
    CannotGetOwnUserWithoutUser,
    TeamPermissionRequired,
    UserNotFound,
    TeamMembershipNotFound,
);

/// Lists members by the time at which they joined.
///
/// Clients see the signed-in user in one of their teams; to see others takes the permission
/// `$read_members` in it.
#[utoipa::path(get, path = "/team-member-profiles", tag = "teams",
    responses(Errors<(NotReadable, TeamNotFound, Text<400>)>))]
async fn list_team_member_profiles(
    access: ClientAccess,
    wanted: ListTeamMemberProfiles,
) -> ApiResult<Json<List<MemberProfileView>>> {
    let (team, user) = (wanted.team_id, wanted.user_id);
    check_listing(&access, team, user).await?;
    let (pool, project) = (access.app.pool(), access.project_id());
    let profiles = member_profiles::list(pool, project, team, user).await?;
    let views = profiles.iter().map(|profile| view(&access, profile));
    Ok(List::of(views.collect()))
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
            return Err(ApiError::bad_request(text));
        };
        return check_reading(access, team, own, user).await;
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
    access: &ProjectAccess,
    team: TeamId,
    own: UserId,
    wanted: Option<UserId>,
) -> Result<(), ApiError> {
    let (app, preconditions) = (&access.app, &access.preconditions);
    if wanted != Some(own) {
        return require_permission(app, preconditions, (team, own), READ_MEMBERS).await;
    }
    if teams::is_member(app.pool(), team, own).await? {
        return Ok(());
    }
    Err(KnownError::team_membership_not_found(team, own).into())
}

/// One member.
///
/// To see others than the signed-in user, clients need the permission `$read_members` in the team.
#[utoipa::path(get, path = "/team-member-profiles/{team_id}/{user_id}", tag = "teams",
    responses(Errors<NotReadable>))]
async fn get_team_member_profile(
    access: ClientAccess,
    GetTeamMemberProfile { path }: GetTeamMemberProfile,
) -> ApiResult<Json<MemberProfileView>> {
    let (team, user) = (path.team_id, path.user_id);
    if access.access_type == AccessType::Client {
        let own = access.own_user()?.user.user_id();
        check_reading(&access, team, own, Some(user)).await?;
    }
    let profile = find(&access, team, user).await?;
    Ok(Json(view(&access, &profile)))
}

/// Changes how a member appears in the team.
///
/// Clients may change the signed-in user's profile only.
#[utoipa::path(patch, path = "/team-member-profiles/{team_id}/{user_id}", tag = "teams",
    responses(Errors<(CannotGetOwnUserWithoutUser, UserNotFound, TeamMembershipNotFound, Text<400>, Text<403>)>))]
async fn update_team_member_profile(
    access: ClientAccess,
    update: UpdateTeamMemberProfile,
) -> ApiResult<Json<MemberProfileView>> {
    let (team, user) = (update.path.team_id, update.path.user_id);
    if access.access_type == AccessType::Client && access.own_user()?.user.user_id() != user {
        return Err(ApiError::forbidden("You can only change your own profile."));
    }
    find(&access, team, user).await?;
    let (app, context) = (&access.app, access.event_context());
    let (image, rule) = (update.profile_image_url, ImageRule::UploadsAndLinks);
    let change = MemberProfileChange {
        display_name: update.display_name,
        profile_image_url: images::accept(app, Folder::TeamMembers, rule, image).await?,
    };
    change_profile(app, context, team, user, change).await?;
    let profile = find(&access, team, user).await?;
    Ok(Json(view(&access, &profile)))
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

fn view(access: &ProjectAccess, profile: &MemberProfile) -> MemberProfileView {
    ByAccess::of(
        access.access_type,
        || ClientMemberProfile::of(profile),
        || ServerMemberProfile::of(&access.app, profile, &access.project),
    )
}
