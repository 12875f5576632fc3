//! Teams and memberships, where users are concerned as well.

pub mod invitations;
use futures_util::FutureExt as _;
use muniment_domain::api_key::{ApiKeyDeletion, ApiKeyOwner};
use muniment_domain::customer::{CustomerRef, WantedPurchase};
use muniment_domain::team::{
    Entrance, MemberAdded, MemberProfileChange, Team, TeamChange, TeamCommand, TeamError,
    TeamProfile,
};
use muniment_domain::user::{User, UserCommand};
use muniment_domain::{PermissionId, ProjectId, TeamId, UserId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::{projects, teams};

use super::projects::DefaultsOf;
use super::projects::directory::LoadedProject;
use super::users::require_living;
use super::{App, api_keys};
use crate::app::auth::code_grounds::void_invitations;
use crate::app::payments::{customers, plans};
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// The name of a team whose only member has neither name nor email.
pub const PERSONAL_TEAM: &str = "Personal Team";

/// The name of a team of somebody's own.
#[must_use]
pub fn personal_team_name(display_name: Option<&str>, email: Option<&str>) -> String {
    let owner = display_name.filter(|name| !name.is_empty()).or(email);
    owner.map_or_else(
        || PERSONAL_TEAM.to_owned(),
        |owner| format!("{owner}'s Team"),
    )
}

/// A team about to be created, with everything the project's settings add.
#[derive(Clone, Debug)]
pub struct NewTeam {
    /// The id it shall have.
    pub id: TeamId,
    project_id: ProjectId,
    profile: TeamProfile,
    creator_permissions: Vec<PermissionId>,
    plan: Option<WantedPurchase>,
}

impl NewTeam {
    /// A team of that project. The id was just generated.
    #[must_use]
    pub fn new(app: &App, project: &LoadedProject, id: TeamId, profile: TeamProfile) -> Self {
        Self {
            id,
            project_id: project.id.clone(),
            profile,
            creator_permissions: project.existing(DefaultsOf::TeamCreator),
            plan: plans::for_new_team(app, project, id),
        }
    }

    /// Creates it within a unit of work, with its creator as the first member.
    ///
    /// # Errors
    /// Never for a id that was just generated.
    pub async fn carry_out(
        &self,
        unit: &mut UnitOfWork,
        creator: Option<UserId>,
    ) -> Result<(), LedgerError> {
        let now = unit.context().now;
        let create = TeamCommand::Create {
            project_id: self.project_id.clone(),
            now,
            profile: self.profile.clone(),
        };
        unit.create::<Team>(&self.id, create).await?;
        if let Some(user_id) = creator {
            let added = MemberAdded {
                user_id,
                joined_at: now,
                entrance: Entrance::Creator,
                permission_ids: self.creator_permissions.clone(),
            };
            unit.execute::<Team>(&self.id, TeamCommand::AddMember(added))
                .await?;
        }
        match &self.plan {
            Some(plan) => plans::begin(unit, plan).await,
            None => Ok(()),
        }
    }
}

/// Founds a team, with its creator as the first member.
///
/// # Errors
/// `USER_NOT_FOUND` for a creator who does not exist.
pub async fn create(
    app: &App,
    context: &EventContext,
    project: &LoadedProject,
    id: TeamId,
    profile: TeamProfile,
    creator: Option<UserId>,
) -> Result<(), ApiError> {
    let new_team = &NewTeam::new(app, project, id, profile);
    app.log
        .transact(context, |mut unit| async move {
            if let Some(user_id) = creator {
                require_living(&mut unit, user_id).await?;
            }
            new_team.carry_out(&mut unit, creator).await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

/// Changes a team's own fields.
///
/// # Errors
/// When the team is gone by now, or the database fails.
pub async fn update(
    app: &App,
    context: &EventContext,
    id: TeamId,
    change: TeamChange,
) -> Result<(), LedgerError> {
    app.execute::<Team>(context, &id, &TeamCommand::Update(change))
        .await
}

/// Dissolves a team, with its API keys. Who had it selected has none selected then.
///
/// # Errors
/// Text 404 when the team is gone by now; text 400 as long as it owns projects, which nobody could reach
/// any more.
pub async fn delete(app: &App, context: &EventContext, id: TeamId) -> Result<(), ApiError> {
    app.log
        .transact(context, |mut unit| async move {
            let projects = unit.list(move |db| projects::ids_owned_by_team(db, id).boxed());
            if !projects.await?.is_empty() {
                return Err(owns_projects());
            }
            let selecting = unit.list(move |db| teams::selected_by(db, id).boxed());
            for user in selecting.await? {
                unit.execute::<User>(&user, UserCommand::DeselectTeam(id))
                    .await?;
            }
            let owner = ApiKeyOwner::Team { team_id: id };
            api_keys::delete_all(&mut unit, owner, ApiKeyDeletion::TeamDeleted).await?;
            customers::close(&mut unit, &CustomerRef::Team { team_id: id }).await?;
            unit.execute::<Team>(&id, TeamCommand::Delete).await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

fn owns_projects() -> ApiError {
    ApiError::bad_request(
        "The team owns projects. Delete them or transfer them to another team first.",
    )
}

/// Lets a user into a team, as an ordinary member.
///
/// # Errors
/// `Team(AlreadyMember)`; when either is gone by now.
pub async fn add_member(
    app: &App,
    context: &EventContext,
    project: &LoadedProject,
    team: TeamId,
    user_id: UserId,
) -> Result<(), LedgerError> {
    let permissions = &project.existing(DefaultsOf::TeamMember);
    app.log
        .transact(context, |mut unit| async move {
            require_living(&mut unit, user_id).await?;
            let added = MemberAdded {
                user_id,
                joined_at: context.now,
                entrance: Entrance::Added,
                permission_ids: permissions.clone(),
            };
            unit.execute::<Team>(&team, TeamCommand::AddMember(added))
                .await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await
}

/// Removes a user from a team. Invitations of theirs that are still open would let them in again, and
/// are void.
///
/// # Errors
/// `TEAM_MEMBERSHIP_NOT_FOUND`.
pub async fn remove_member(
    app: &App,
    context: &EventContext,
    team: TeamId,
    user: UserId,
) -> Result<(), ApiError> {
    app.log
        .transact(context, |mut unit| async move {
            let known = unit
                .state::<Team>(&team)
                .await?
                .members()
                .any(|member| member == user);
            if !known {
                return Err(KnownError::team_membership_not_found(team, user).into());
            }
            unit.execute::<Team>(&team, TeamCommand::RemoveMember(user))
                .await?;
            void_invitations(&mut unit, team, user).await?;
            unit.execute::<User>(&user, UserCommand::DeselectTeam(team))
                .await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

/// Changes how a member appears in a team.
///
/// # Errors
/// `TEAM_MEMBERSHIP_NOT_FOUND`.
pub async fn change_profile(
    app: &App,
    context: &EventContext,
    team: TeamId,
    user: UserId,
    change: MemberProfileChange,
) -> Result<(), ApiError> {
    let command = TeamCommand::ChangeMemberProfile(user, change);
    match app.execute::<Team>(context, &team, &command).await {
        Err(LedgerError::Team(TeamError::NotMember(_) | TeamError::NotFound)) => {
            Err(KnownError::team_membership_not_found(team, user).into())
        }
        done => Ok(done?),
    }
}
