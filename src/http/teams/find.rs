//! The team that a request names.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use muniment_domain::TeamId;
use muniment_event_store::AccessType;
use muniment_projections::read_models::teams::{self, TeamRow};

use crate::app::App;
use crate::app::authorization::{require_membership, require_permission};
use crate::error::ApiError;
use crate::error::codes::{
    TeamMembershipNotFound, TeamNotFound, TeamPermissionRequired, UserAuthenticationRequired,
};
use crate::error::known_error::KnownError;
use crate::http::openapi::describe::{OperationDescription, OperationInput, describe_request};
use crate::http::request::access::ProjectAccess;
use crate::http::request::caller::{Auth, Caller};
use crate::http::request::declare::{Request, extract};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::uuid;

/// A team's id.
pub(crate) fn team_id() -> impl Shape<Value = TeamId> {
    uuid().map(TeamId)
}

/// The team of that id in the caller's project.
///
/// # Errors
/// `TEAM_NOT_FOUND`.
pub(crate) async fn find_team(access: &ProjectAccess, id: TeamId) -> Result<TeamRow, ApiError> {
    find(&access.app, access, id).await
}

async fn find(app: &App, auth: &Auth, id: TeamId) -> Result<TeamRow, ApiError> {
    let team = teams::by_id(app.pool(), auth.project_id(), id).await?;
    team.ok_or_else(|| KnownError::team_not_found(id).into())
}

/// Makes sure that the caller may do something to a team. Clients must be signed in as a member, and
/// hold all these permissions; servers need nothing. Whether there is such a team is not asked.
///
/// # Errors
/// [`NotAllowed`]
pub(super) async fn require_allowed(
    app: &App,
    auth: &Auth,
    id: TeamId,
    permissions: &[&str],
) -> Result<(), ApiError> {
    if auth.access_type != AccessType::Client {
        return Ok(());
    }
    let user = auth.signed_in()?.user.user_id();
    if permissions.is_empty() {
        return require_membership(app, &auth.preconditions, id, user).await;
    }
    for permission in permissions {
        require_permission(app, &auth.preconditions, (id, user), permission).await?;
    }
    Ok(())
}

/// Why a caller may not do something to a team.
pub(super) type NotAllowed = (
    UserAuthenticationRequired,
    TeamMembershipNotFound,
    TeamPermissionRequired,
);

/// A request that names a team, to do something with it.
pub(super) trait NamesTeam: Request {
    /// The permissions in the team that it takes from clients, who must be members in any case.
    const PERMISSIONS: &'static [&'static str];

    /// The team's id.
    fn team_id(&self) -> TeamId;
}

/// The team of the caller's project that the request `R` names, and the request. It comes after the
/// access in a handler's signature. It fails as `R` does, then because the caller may not do that to
/// the team, then with `TEAM_NOT_FOUND`.
pub(super) struct FoundTeam<R>(pub TeamRow, pub R);

impl<R: NamesTeam + Send> FromRequestParts<App> for FoundTeam<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let request: R = extract(parts, app).await?;
        let caller = Caller::of(parts)?;
        let (auth, id) = (caller.client()?, request.team_id());
        require_allowed(app, auth, id, R::PERMISSIONS).await?;
        Ok(Self(find(app, auth, id).await?, request))
    }
}

impl<R: NamesTeam> OperationInput for FoundTeam<R> {
    fn describe(operation: &mut OperationDescription) {
        describe_request(operation, &R::describe());
        operation.fails_with::<(
            UserAuthenticationRequired,
            TeamMembershipNotFound,
            TeamNotFound,
        )>();
        if !R::PERMISSIONS.is_empty() {
            operation.fails_with::<TeamPermissionRequired>();
        }
    }
}
