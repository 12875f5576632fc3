//! Permission definitions, and who is granted what.

use futures_util::FutureExt as _;
use muniment_domain::permission::{
    self, DefinitionError, GrantCause, GrantChange, Scope, WantedDefinition,
};
use muniment_domain::project::{Project, ProjectCommand, ProjectError};
use muniment_domain::team::{Team, TeamCommand, TeamError};
use muniment_domain::user::{User, UserCommand, UserError};
use muniment_domain::{PermissionId, ProjectId, TeamId, UserId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::permissions;

use super::App;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// What a change of definitions means for the direct grants of a permission.
#[derive(Clone, Debug)]
struct Consequence {
    permission: PermissionId,
    fate: GrantChange,
    /// Where grants are followed.
    scopes: &'static [Scope],
}

impl Consequence {
    const EVERYWHERE: &'static [Scope] = &[Scope::Team, Scope::Project];

    fn dropped(permission: &PermissionId, scopes: &'static [Scope]) -> Self {
        Self {
            permission: permission.clone(),
            fate: GrantChange::Dropped,
            scopes,
        }
    }

    fn renamed(from: &PermissionId, to: &PermissionId) -> Self {
        Self {
            permission: from.clone(),
            fate: GrantChange::Renamed(to.clone()),
            scopes: Self::EVERYWHERE,
        }
    }
}

/// Defines a permission. A new permission is granted to nobody: what is left of grants of another
/// one that had the id before ends.
///
/// # Errors
/// What `muniment_domain::permission::define` refuses.
pub async fn define(
    app: &App,
    context: &EventContext,
    project: &ProjectId,
    id: &PermissionId,
    wanted: WantedDefinition,
) -> Result<(), LedgerError> {
    let command = ProjectCommand::DefinePermission {
        id: id.clone(),
        wanted,
    };
    let consequences = [Consequence::dropped(id, Consequence::EVERYWHERE)];
    change(app, context, project, &command, &consequences).await
}

/// Replaces a permission's definition. Under a new id, all its grants follow.
///
/// # Errors
/// What `muniment_domain::permission::redefine` refuses.
pub async fn redefine(
    app: &App,
    context: &EventContext,
    project: &ProjectId,
    id: &PermissionId,
    new_id: &PermissionId,
    wanted: WantedDefinition,
) -> Result<(), LedgerError> {
    let command = ProjectCommand::RedefinePermission {
        id: id.clone(),
        new_id: new_id.clone(),
        wanted,
    };
    if id == new_id {
        return change(app, context, project, &command, &[]).await;
    }
    let consequences = [
        Consequence::dropped(new_id, Consequence::EVERYWHERE),
        Consequence::renamed(id, new_id),
    ];
    change(app, context, project, &command, &consequences).await
}

/// Removes a permission's definition. All its grants in that scope end.
///
/// # Errors
/// `Project(Definition(NotFound))`.
pub async fn remove(
    app: &App,
    context: &EventContext,
    project: &ProjectId,
    id: &PermissionId,
    scope: Scope,
) -> Result<(), LedgerError> {
    let command = ProjectCommand::RemovePermission {
        id: id.clone(),
        scope,
    };
    let scopes: &[Scope] = match scope {
        Scope::Team => &[Scope::Team],
        Scope::Project => &[Scope::Project],
    };
    let consequences = [Consequence::dropped(id, scopes)];
    change(app, context, project, &command, &consequences).await
}

/// Changes definitions, with what that means for grants, together.
async fn change(
    app: &App,
    context: &EventContext,
    project: &ProjectId,
    command: &ProjectCommand,
    consequences: &[Consequence],
) -> Result<(), LedgerError> {
    let done = app
        .log
        .transact(context, |mut unit| async move {
            unit.execute::<Project>(project, command.clone()).await?;
            for consequence in consequences {
                follow(&mut unit, project, consequence).await?;
            }
            Ok::<_, LedgerError>((unit, ()))
        })
        .await;
    app.projects.forget(project);
    done
}

async fn follow(
    unit: &mut UnitOfWork,
    project: &ProjectId,
    consequence: &Consequence,
) -> Result<(), LedgerError> {
    for scope in consequence.scopes {
        match scope {
            Scope::Team => follow_in_teams(unit, project, consequence).await?,
            Scope::Project => follow_in_users(unit, project, consequence).await?,
        }
    }
    Ok(())
}

async fn follow_in_teams(
    unit: &mut UnitOfWork,
    project: &ProjectId,
    consequence: &Consequence,
) -> Result<(), LedgerError> {
    let Consequence {
        permission, fate, ..
    } = consequence;
    let of = (project.clone(), permission.clone());
    let holders = unit.list(move |db| {
        let (project, permission) = of.clone();
        async move { permissions::teams_granting(db, &project, &permission).await }.boxed()
    });
    for team in holders.await? {
        let follow = TeamCommand::FollowDefinition(permission.clone(), fate.clone());
        match unit.execute::<Team>(&team, follow).await {
            // Dissolved in the same moment.
            Ok(()) | Err(LedgerError::Team(TeamError::NotFound)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn follow_in_users(
    unit: &mut UnitOfWork,
    project: &ProjectId,
    consequence: &Consequence,
) -> Result<(), LedgerError> {
    let Consequence {
        permission, fate, ..
    } = consequence;
    let of = (project.clone(), permission.clone());
    let holders = unit.list(move |db| {
        let (project, permission) = of.clone();
        async move { permissions::users_granted(db, &project, &permission).await }.boxed()
    });
    for user in holders.await? {
        let follow = UserCommand::FollowDefinition(permission.clone(), fate.clone());
        match unit.execute::<User>(&user, follow).await {
            // Deleted in the same moment.
            Ok(()) | Err(LedgerError::User(UserError::NotFound)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Grants a member a permission in a team.
///
/// # Errors
/// `TEAM_MEMBERSHIP_NOT_FOUND`, `PERMISSION_NOT_FOUND`.
pub async fn grant_in_team(
    app: &App,
    context: &EventContext,
    team: TeamId,
    user: UserId,
    permission: PermissionId,
) -> Result<(), ApiError> {
    let permission = &permission;
    app.log
        .transact(context, |mut unit| async move {
            require_defined(&mut unit, permission, Scope::Team).await?;
            let grant = TeamCommand::GrantPermission(user, permission.clone());
            let done = unit.execute::<Team>(&team, grant).await;
            done.map_err(|error| name_team(error, team, user))?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

/// Makes sure that a permission is defined in that scope, now and when the unit takes effect.
///
/// # Errors
/// `PERMISSION_NOT_FOUND`.
async fn require_defined(
    unit: &mut UnitOfWork,
    id: &PermissionId,
    scope: Scope,
) -> Result<(), LedgerError> {
    let project = unit.context().project_id.clone();
    let definitions = unit.look::<Project>(&project).await?.definitions();
    if permission::scope_of(&definitions, id) == Some(scope) {
        return Ok(());
    }
    Err(ProjectError::Definition(DefinitionError::NotFound(id.clone())).into())
}

/// Revokes a permission that a member was granted directly.
///
/// # Errors
/// `TEAM_MEMBERSHIP_NOT_FOUND`, `TEAM_PERMISSION_NOT_FOUND`.
pub async fn revoke_in_team(
    app: &App,
    context: &EventContext,
    team: TeamId,
    user: UserId,
    permission: PermissionId,
) -> Result<(), ApiError> {
    let revoke = TeamCommand::RevokePermission(user, permission);
    let done = app.execute::<Team>(context, &team, &revoke).await;
    done.map_err(|error| name_team(error, team, user))
}

fn name_team(error: LedgerError, team: TeamId, user: UserId) -> ApiError {
    match error {
        LedgerError::Team(TeamError::NotMember(_) | TeamError::NotFound) => {
            KnownError::team_membership_not_found(team, user).into()
        }
        LedgerError::Team(TeamError::NotGranted(user, permission)) => {
            KnownError::team_permission_not_found(team, user, &permission).into()
        }
        error => error.into(),
    }
}

/// Grants a user a permission in the whole project.
///
/// # Errors
/// `USER_NOT_FOUND`, `PERMISSION_NOT_FOUND`.
pub async fn grant_in_project(
    app: &App,
    context: &EventContext,
    user: UserId,
    permission: PermissionId,
) -> Result<(), LedgerError> {
    let permission = &permission;
    app.log
        .transact(context, |mut unit| async move {
            require_defined(&mut unit, permission, Scope::Project).await?;
            let grant =
                UserCommand::GrantProjectPermission(permission.clone(), GrantCause::Granted);
            unit.execute::<User>(&user, grant).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await
}

/// Revokes a permission that a user was granted directly in the whole project.
///
/// # Errors
/// `USER_NOT_FOUND`, `PERMISSION_NOT_FOUND`.
pub async fn revoke_in_project(
    app: &App,
    context: &EventContext,
    user: UserId,
    permission: PermissionId,
) -> Result<(), LedgerError> {
    let revoke = UserCommand::RevokeProjectPermission(permission);
    app.execute::<User>(context, &user, &revoke).await
}

/// The members of a team who hold a permission in it, directly or through another one.
///
/// # Errors
/// When the database fails.
pub async fn members_with(
    app: &App,
    project: &ProjectId,
    team: TeamId,
    permission: &str,
) -> Result<Vec<UserId>, LedgerError> {
    let listing = permissions::Listing {
        team: Some(team),
        permission: Some(PermissionId::new(permission)),
        depth: permissions::Depth::Effective,
        ..permissions::Listing::default()
    };
    let grants = permissions::list_in_teams(app.pool(), project, &listing).await?;
    Ok(grants.iter().map(|grant| UserId(grant.user_id)).collect())
}
