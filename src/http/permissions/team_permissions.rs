//! `/team-permissions`: which member holds which permission in a team.

use axum::Json;
use muniment_domain::permission::{self, Scope};
use muniment_domain::{PermissionId, TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::permissions::{self, Depth, Listing};
use muniment_projections::read_models::teams;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::app::permissions::{grant_in_team, revoke_in_team};
use crate::error::codes::{
    CannotGetOwnUserWithoutUser, Errors, PermissionNotFound, TeamMembershipNotFound,
    TeamPermissionNotFound, Text, WrongPermissionScope,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Created, List, Success};
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ProjectAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::declare::{fields, request};
use crate::http::request::found::Found;
use crate::http::request::presence::{optional, or_default, required};
use crate::http::request::shape::scalars::{permission_id, query_boolean, user_id_or_me};
use crate::http::teams::find::team_id;
use crate::http::users::find::names_user;
use crate::views::TeamPermission;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_team_permissions))
        .routes(operations!(grant_team_permission, revoke_team_permission))
}

request! {
    /// Which grants to list.
    struct ListTeamPermissions {
        query {
            .. grants: WantedGrants;
            /// Only what is granted in this team.
            team_id: Option<TeamId> = optional(team_id());
        }
    }

    /// That a member is granted a permission.
    struct GrantTeamPermission {
        path {
            .. path: TeamGrantPath;
        }
        body {}
    }

    /// That a permission is taken from a member.
    struct RevokeTeamPermission {
        path {
            .. path: TeamGrantPath;
        }
    }
}

fields! {
    /// What listings of either scope have in common.
    pub(super) struct WantedGrants {
        /// Only what this user holds. Clients must ask for what the signed-in user holds: `me`.
        user_id: Option<UserId> = optional(user_id_or_me());
        /// Only grants of this permission.
        permission_id: Option<PermissionId> = optional(permission_id());
        /// Whether to list what the granted permissions contain as well.
        recursive: bool = or_default(query_boolean(), "false");
    }

    /// What names a grant in a path.
    struct TeamGrantPath {
        /// The team's id.
        team_id: TeamId = required(team_id());
        /// A user's id, or `me` for the signed-in user's.
        user_id: UserId = required(user_id_or_me());
        /// The permission's id.
        permission_id: PermissionId = required(permission_id());
    }
}

names_user! {
    GrantTeamPermission: path.user_id;
    RevokeTeamPermission: path.user_id;
}

impl WantedGrants {
    /// The listing, in a team or in all of the project. Clients see their own grants only.
    ///
    /// # Errors
    /// [`NotOwn`]
    pub(super) fn listing_for(
        self,
        auth: &Auth,
        team: Option<TeamId>,
    ) -> Result<Listing, ApiError> {
        if auth.access_type == AccessType::Client {
            let own = auth.own_user()?.user.user_id();
            if self.user_id != Some(own) {
                let text = "You can only list your own permissions. Set user_id to me.";
                return Err(ApiError::forbidden(text));
            }
        }
        Ok(Listing {
            team,
            user: self.user_id,
            permission: self.permission_id,
            depth: if self.recursive {
                Depth::Effective
            } else {
                Depth::Direct
            },
        })
    }
}

/// Somebody else's grants.
pub(super) type NotOwn = (CannotGetOwnUserWithoutUser, Text<403>);

/// Lists grants, by team, user and permission.
///
/// Clients see what the signed-in user holds.
#[utoipa::path(get, path = "/team-permissions", tag = "permissions", responses(Errors<NotOwn>))]
async fn list_team_permissions(
    access: ClientAccess,
    wanted: ListTeamPermissions,
) -> ApiResult<Json<List<TeamPermission>>> {
    let listing = wanted.grants.listing_for(&access, wanted.team_id)?;
    let (pool, project) = (access.app.pool(), access.project_id());
    let grants = permissions::list_in_teams(pool, project, &listing).await?;
    Ok(List::of(
        grants.into_iter().map(TeamPermission::from).collect(),
    ))
}

/// Grants a member a permission directly.
#[utoipa::path(post, path = "/team-permissions/{team_id}/{user_id}/{permission_id}", tag = "permissions",
    responses(Errors<(TeamMembershipNotFound, PermissionNotFound, WrongPermissionScope)>))]
async fn grant_team_permission(
    access: ServerAccess,
    Found(_, wanted): Found<GrantTeamPermission>,
) -> ApiResult<Created<TeamPermission>> {
    let (team, user) = (wanted.path.team_id, wanted.path.user_id);
    let permission = wanted.path.permission_id;
    require_member(&access, team, user).await?;
    require_scope(&access, &permission, Scope::Team)?;
    let granted = TeamPermission::new(team, user, &permission);
    let (app, context) = (&access.app, access.event_context());
    grant_in_team(app, context, team, user, permission).await?;
    Ok(Created(granted))
}

/// Revokes what was granted directly. What it is contained in is another grant.
#[utoipa::path(delete, path = "/team-permissions/{team_id}/{user_id}/{permission_id}", tag = "permissions",
    responses(Errors<(TeamMembershipNotFound, TeamPermissionNotFound)>))]
async fn revoke_team_permission(
    access: ServerAccess,
    Found(_, wanted): Found<RevokeTeamPermission>,
) -> ApiResult<Json<Success>> {
    let (team, user) = (wanted.path.team_id, wanted.path.user_id);
    let permission = wanted.path.permission_id;
    require_member(&access, team, user).await?;
    let (app, context) = (&access.app, access.event_context());
    revoke_in_team(app, context, team, user, permission).await?;
    Ok(Success::ANSWER)
}

/// A member of a team that does not exist is nobody, so the team needs no look of its own.
async fn require_member(
    access: &ProjectAccess,
    team: TeamId,
    user: UserId,
) -> Result<(), ApiError> {
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
pub(super) fn require_scope(
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
