//! `/team-memberships`: who is in which team.

use axum::Json;
use muniment_domain::permission::REMOVE_MEMBERS;
use muniment_domain::{TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::teams;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::find::{find_team, team_id};
use crate::app::App;
use crate::app::authorization::require_permission;
use crate::app::teams::{add_member, remove_member};
use crate::error::codes::{
    CannotGetOwnUserWithoutUser, Errors, TeamMembershipAlreadyExists, TeamMembershipNotFound,
    TeamNotFound, TeamPermissionRequired, Text, UserNotFound,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Created, Success};
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ProjectAccess, ServerAccess};
use crate::http::request::declare::{fields, request};
use crate::http::request::found::Found;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::user_id_or_me;
use crate::http::users::find::{find_user, names_user};

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(create_team_membership, delete_team_membership))
}

request! {
    /// That a user becomes a member of a team.
    struct CreateTeamMembership {
        path {
            .. path: MemberPath;
        }
        body {}
    }

    /// That a user is no member of a team any more.
    struct DeleteTeamMembership {
        path {
            .. path: MemberPath;
        }
    }
}

fields! {
    /// What names a member in a path.
    pub(super) struct MemberPath {
        /// The team's id.
        team_id: TeamId = required(team_id());
        /// A user's id, or `me` for the signed-in user's.
        user_id: UserId = required(user_id_or_me());
    }
}

names_user! {
    CreateTeamMembership: path.user_id;
}

/// Who is in which team.
#[derive(Serialize, ToSchema)]
struct TeamMembership {
    team_id: Uuid,
    user_id: Uuid,
}

/// Lets a user into a team, with the project's default permissions for members.
#[utoipa::path(post, path = "/team-memberships/{team_id}/{user_id}", tag = "teams",
    responses(Errors<(TeamNotFound, TeamMembershipAlreadyExists, Text<404>)>))]
async fn create_team_membership(
    access: ServerAccess,
    Found(_, wanted): Found<CreateTeamMembership>,
) -> ApiResult<Created<TeamMembership>> {
    let MemberPath { team_id, user_id } = wanted.path;
    find_team(&access, team_id).await?;
    let (app, context, project) = (&access.app, access.event_context(), &access.project);
    add_member(app, context, project, team_id, user_id).await?;
    Ok(Created(TeamMembership {
        team_id: team_id.0,
        user_id: user_id.0,
    }))
}

/// Removes a user from a team.
///
/// Clients may always remove the signed-in user; to remove others takes the permission
/// `$remove_members` in the team.
#[utoipa::path(delete, path = "/team-memberships/{team_id}/{user_id}", tag = "teams",
    responses(Errors<(CannotGetOwnUserWithoutUser, TeamPermissionRequired, UserNotFound, TeamMembershipNotFound, Text<404>)>))]
async fn delete_team_membership(
    access: ClientAccess,
    DeleteTeamMembership { path }: DeleteTeamMembership,
) -> ApiResult<Json<Success>> {
    let (team, user) = (path.team_id, path.user_id);
    check_right(&access, team, user).await?;
    find_user(&access, user).await?;
    // The membership may be of another project's team.
    let pool = access.app.pool();
    let in_project = teams::by_id(pool, access.project_id(), team).await?;
    if in_project.is_none() || !teams::is_member(pool, team, user).await? {
        return Err(KnownError::team_membership_not_found(team, user).into());
    }
    remove_member(&access.app, access.event_context(), team, user).await?;
    Ok(Success::ANSWER)
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
    require_permission(
        &access.app,
        &access.preconditions,
        (team, own),
        REMOVE_MEMBERS,
    )
    .await
}
