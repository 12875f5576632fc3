//! Who may do what: checked when a request comes, and once more when what it does takes effect.
//!
//! Each function says whether the caller may go on, and leaves what that rests on with the request as a
//! [`Precondition`], so that a permission which is taken away meanwhile allows nothing any more.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use muniment_domain::api_key::ApiKeyError;
use muniment_domain::permission::{MANAGE_API_KEYS, PermissionDenied};
use muniment_domain::project::Project;
use muniment_domain::team::Team;
use muniment_domain::{PermissionId, ProjectId, TeamId, UserId};
use muniment_event_store::{LedgerError, Precondition, Preconditions, UnitOfWork};
use muniment_projections::read_models::permissions::{self, Holding};
use muniment_projections::read_models::{projects, teams};
use sqlx::PgPool;

use super::App;
use crate::error::ApiError;

/// Makes sure that the user holds a permission in a team, directly or through another one.
///
/// # Errors
/// `TEAM_MEMBERSHIP_NOT_FOUND` for somebody outside, `TEAM_PERMISSION_REQUIRED` for a member
/// without it.
pub async fn require_permission(
    app: &App,
    preconditions: &Preconditions,
    (team, user): (TeamId, UserId),
    permission: &str,
) -> Result<(), ApiError> {
    let permission = PermissionId::new(permission);
    let wanted = PermissionHeld {
        team,
        user,
        permission,
    };
    wanted.ask(app.pool()).await?;
    preconditions.require(wanted);
    Ok(())
}

/// Makes sure that the user manages a team's API keys.
///
/// # Errors
/// `API_KEY_NOT_FOUND`: to others, it looks as if there were none.
pub async fn require_key_manager(
    app: &App,
    preconditions: &Preconditions,
    (team, user): (TeamId, UserId),
) -> Result<(), ApiError> {
    let wanted = KeyManager(PermissionHeld {
        team,
        user,
        permission: PermissionId::new(MANAGE_API_KEYS),
    });
    wanted.0.ask(app.pool()).await.map_err(hidden)?;
    preconditions.require(wanted);
    Ok(())
}

/// Makes sure that the user is in a team.
///
/// # Errors
/// `TEAM_MEMBERSHIP_NOT_FOUND`
pub async fn require_membership(
    app: &App,
    preconditions: &Preconditions,
    team: TeamId,
    user: UserId,
) -> Result<(), ApiError> {
    if !teams::is_member(app.pool(), team, user).await? {
        return Err(LedgerError::from(PermissionDenied::NotMember { team, user }).into());
    }
    preconditions.require(Membership { team, user });
    Ok(())
}

/// Whether the user is in the team that owns the project. If so, all that the request does is done
/// only as long as that is so.
///
/// # Errors
/// When the database fails.
pub async fn is_owner(
    app: &App,
    preconditions: &Preconditions,
    project: &ProjectId,
    owner: Option<TeamId>,
    user: UserId,
) -> Result<bool, LedgerError> {
    let Some(team) = owner else {
        return Ok(false);
    };
    let is_owner = teams::is_member(app.pool(), team, user).await?;
    if is_owner {
        preconditions.require(Ownership {
            project: project.clone(),
            membership: Membership { team, user },
        });
    }
    Ok(is_owner)
}

/// That a user holds a permission in a team.
#[derive(Clone, Debug)]
struct PermissionHeld {
    team: TeamId,
    user: UserId,
    permission: PermissionId,
}

impl PermissionHeld {
    async fn ask(&self, pool: &PgPool) -> Result<(), LedgerError> {
        let (team, user) = (self.team, self.user);
        match permissions::in_team(pool, team, user, &self.permission).await? {
            Holding::Held => Ok(()),
            Holding::NotMember => Err(PermissionDenied::NotMember { team, user }.into()),
            Holding::Lacking => Err(PermissionDenied::Lacking {
                team,
                user,
                permission: self.permission.clone(),
            }
            .into()),
        }
    }

    /// Grants are on the stream of the team. What contains what follows from the team's project, which
    /// is that of the unit, or `internal`.
    async fn hold(&self, unit: &mut UnitOfWork) -> Result<(), LedgerError> {
        unit.look::<Team>(&self.team).await?;
        self.ask(unit.log().pool()).await
    }
}

impl Precondition for PermissionHeld {
    fn check<'u>(&'u self, unit: &'u mut UnitOfWork) -> BoxFuture<'u, Result<(), LedgerError>> {
        self.hold(unit).boxed()
    }
}

/// That a user manages a team's API keys.
#[derive(Clone, Debug)]
struct KeyManager(PermissionHeld);

impl Precondition for KeyManager {
    fn check<'u>(&'u self, unit: &'u mut UnitOfWork) -> BoxFuture<'u, Result<(), LedgerError>> {
        async move { self.0.hold(unit).await.map_err(hidden) }.boxed()
    }
}

fn hidden(error: LedgerError) -> LedgerError {
    match error {
        LedgerError::PermissionDenied(_) => ApiKeyError::NotFound.into(),
        other => other,
    }
}

/// That a user is in a team.
#[derive(Clone, Copy, Debug)]
struct Membership {
    team: TeamId,
    user: UserId,
}

impl Membership {
    async fn hold(self, unit: &mut UnitOfWork) -> Result<(), LedgerError> {
        let Self { team, user } = self;
        let mut members = unit.look::<Team>(&team).await?.members();
        if members.any(|member| member == user) {
            return Ok(());
        }
        Err(PermissionDenied::NotMember { team, user }.into())
    }
}

impl Precondition for Membership {
    fn check<'u>(&'u self, unit: &'u mut UnitOfWork) -> BoxFuture<'u, Result<(), LedgerError>> {
        self.hold(unit).boxed()
    }
}

/// That a project is owned by a team, and a user is in it.
#[derive(Clone, Debug)]
struct Ownership {
    project: ProjectId,
    membership: Membership,
}

impl Precondition for Ownership {
    fn check<'u>(&'u self, unit: &'u mut UnitOfWork) -> BoxFuture<'u, Result<(), LedgerError>> {
        async move {
            unit.look::<Project>(&self.project).await?;
            let owner = projects::owner_of(unit.log().pool(), &self.project).await?;
            if owner != Some(self.membership.team) {
                return Err(PermissionDenied::NotOwner.into());
            }
            match self.membership.hold(unit).await {
                Err(LedgerError::PermissionDenied(_)) => Err(PermissionDenied::NotOwner.into()),
                done => done,
            }
        }
        .boxed()
    }
}
