//! Accounts: opening, changing and closing them, with what hangs on them.

use futures_util::FutureExt as _;
use muniment_domain::api_key::{ApiKeyDeletion, ApiKeyOwner};
use muniment_domain::customer::CustomerRef;
use muniment_domain::permission::GrantCause;
use muniment_domain::session::EndCause;
use muniment_domain::team::{Team, TeamCommand, TeamError, TeamProfile};
use muniment_domain::user::{NewUser, User, UserCommand, UserUpdate};
use muniment_domain::{Patch, PermissionId, TeamId, UserId};
use muniment_event_store::{EventContext, LedgerError, Reservation, UnitOfWork};
use muniment_projections::read_models::{teams, users};

use crate::app::auth::code_grounds::void_invitations;
use crate::app::auth::presented_code::PresentedCode;
use crate::app::auth::sessions::{self, NewSession};
use crate::app::emails::CodeEmail;
use crate::app::payments::customers;
use crate::app::projects::DefaultsOf;
use crate::app::projects::directory::LoadedProject;
use crate::app::teams::{NewTeam, PERSONAL_TEAM, personal_team_name};
use crate::app::{App, api_keys, conversations};
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// A user about to be created, with everything the project's settings add.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The id it shall have.
    pub id: UserId,
    /// The account itself.
    pub user: NewUser,
    /// The permissions every new user of the project gets.
    permissions: Vec<PermissionId>,
    /// A team of the user's own.
    personal_team: Option<NewTeam>,
}

impl NewAccount {
    /// Generates ids for a user and, if the project wants it, a personal team.
    #[must_use]
    pub fn generate(app: &App, project: &LoadedProject, user: NewUser) -> Self {
        let email = user
            .primary_email
            .as_ref()
            .map(|email| email.address.as_str());
        let profile = TeamProfile {
            display_name: personal_team_name(user.display_name.as_deref(), email),
            ..TeamProfile::default()
        };
        let team = TeamId(app.random.uuid());
        let wanted = project.config.teams.create_personal_team_on_sign_up;
        Self {
            id: UserId(app.random.uuid()),
            permissions: project.existing(DefaultsOf::SignUp),
            personal_team: wanted.then(|| NewTeam::new(app, project, team, profile)),
            user,
        }
    }

    /// Opens the account within a unit of work.
    ///
    /// # Errors
    /// Never for ids that was just generated.
    pub async fn carry_out(&self, unit: &mut UnitOfWork) -> Result<(), LedgerError> {
        unit.create::<User>(&self.id, UserCommand::Create(Box::new(self.user.clone())))
            .await?;
        for permission in &self.permissions {
            let grant =
                UserCommand::GrantProjectPermission(permission.clone(), GrantCause::Default);
            unit.execute::<User>(&self.id, grant).await?;
        }
        let Some(team) = &self.personal_team else {
            return Ok(());
        };
        team.carry_out(unit, Some(self.id)).await?;
        unit.execute::<User>(&self.id, UserCommand::SelectTeam(team.id))
            .await
    }
}

/// What happens in the same unit of work as a change of an account.
#[derive(Clone, Copy, Default)]
pub struct SideEffects<'a> {
    /// A session is opened.
    pub session: Option<&'a NewSession>,
    /// A code is mailed.
    pub email: Option<&'a CodeEmail>,
    /// A code is used up.
    pub code: Option<&'a PresentedCode>,
}

impl SideEffects<'_> {
    async fn carry_out(&self, unit: &mut UnitOfWork, user: UserId) -> Result<(), Refusal> {
        if let Some(code) = self.code {
            code.redeem(unit).await.map_err(Refusal::Api)?;
        }
        if let Some(session) = self.session {
            session.start(unit, user).await?;
        }
        if let Some(email) = self.email {
            email.enqueue(unit).await?;
        }
        Ok(())
    }
}

/// Opens an account, together with its first session if there is one.
///
/// # Errors
/// `USER_EMAIL_ALREADY_EXISTS` when somebody signs in with the address already.
pub async fn open(
    app: &App,
    context: &EventContext,
    account: &NewAccount,
    side_effects: &SideEffects<'_>,
) -> Result<(), ApiError> {
    let opened = app
        .log
        .transact(context, |mut unit| async move {
            account.carry_out(&mut unit).await?;
            side_effects.carry_out(&mut unit, account.id).await?;
            Ok::<_, Refusal>((unit, ()))
        })
        .await;
    let email = account
        .user
        .primary_email
        .as_ref()
        .map(|email| email.address.as_str());
    opened.map_err(|refusal| match refusal {
        Refusal::Api(error) => error,
        Refusal::Ledger(error) => name_taken_email(error, email),
    })
}

/// Makes an anonymous account a full one. Says whether it still was anonymous; if not, nothing happened:
/// somebody else signed up with it.
///
/// # Errors
/// As for [`update`].
pub async fn upgrade(
    app: &App,
    context: &EventContext,
    id: UserId,
    update: &UserUpdate,
    side_effects: &SideEffects<'_>,
) -> Result<bool, ApiError> {
    let upgraded = app
        .log
        .transact(context, |mut unit| async move {
            if !unit.look::<User>(&id).await?.is_anonymous() {
                return Ok((unit, false));
            }
            carry_out(&mut unit, id, update, side_effects).await?;
            Ok::<_, Refusal>((unit, true))
        })
        .await;
    told(app, context, id, update, upgraded).await
}

/// Changes an account. A new password ends all its sessions; an anonymous user who signs up gives
/// their personal team its name; side effects happen in the end.
///
/// # Errors
/// `USER_NOT_FOUND`, `USER_EMAIL_ALREADY_EXISTS`, `TEAM_MEMBERSHIP_NOT_FOUND` for a selected team
/// that the user is not in, and what the domain refuses.
pub async fn update(
    app: &App,
    context: &EventContext,
    id: UserId,
    update: &UserUpdate,
    side_effects: &SideEffects<'_>,
) -> Result<(), ApiError> {
    let changed = app
        .log
        .transact(context, |mut unit| async move {
            carry_out(&mut unit, id, update, side_effects).await?;
            Ok::<_, Refusal>((unit, ()))
        })
        .await;
    told(app, context, id, update, changed).await
}

async fn carry_out(
    unit: &mut UnitOfWork,
    id: UserId,
    update: &UserUpdate,
    side_effects: &SideEffects<'_>,
) -> Result<(), Refusal> {
    if let Patch::Set(team) = &update.selected_team_id {
        require_membership(unit, *team, id).await?;
    }
    let was_anonymous = unit.look::<User>(&id).await?.is_anonymous();
    unit.execute::<User>(&id, UserCommand::Update(Box::new(update.clone())))
        .await?;
    if update.sign_up && was_anonymous {
        name_personal_teams(unit, id, update).await?;
    }
    if !update.password_hash.is_keep() {
        sessions::end_all(unit, id, None, EndCause::PasswordChanged).await?;
    }
    side_effects.carry_out(unit, id).await?;
    Ok(())
}

/// What the caller is told of a change.
async fn told<T>(
    app: &App,
    context: &EventContext,
    id: UserId,
    update: &UserUpdate,
    done: Result<T, Refusal>,
) -> Result<T, ApiError> {
    match done {
        Ok(value) => Ok(value),
        Err(Refusal::Api(error)) => Err(error),
        Err(Refusal::Ledger(error)) => {
            let email = address_in_question(app, context, id, update).await?;
            Err(name_taken_email(error, email.as_deref()))
        }
    }
}

/// What a unit of work on an account may end with.
enum Refusal {
    Api(ApiError),
    Ledger(LedgerError),
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

async fn require_membership(
    unit: &mut UnitOfWork,
    team: TeamId,
    user: UserId,
) -> Result<(), Refusal> {
    let mut members = unit.look::<Team>(&team).await?.members();
    if members.any(|member| member == user) {
        return Ok(());
    }
    Err(Refusal::Api(
        KnownError::team_membership_not_found(team, user).into(),
    ))
}

async fn name_personal_teams(
    unit: &mut UnitOfWork,
    user: UserId,
    update: &UserUpdate,
) -> Result<(), LedgerError> {
    let name = match &update.display_name {
        Patch::Set(name) => Some(name.as_str()),
        Patch::Keep | Patch::Clear => None,
    };
    let email = match &update.primary_email {
        Patch::Set(address) => Some(address.as_str()),
        Patch::Keep | Patch::Clear => None,
    };
    let all = unit.list(move |db| teams::of_user(db, user).boxed());
    for team in all.await? {
        let naming = TeamCommand::NamePersonalTeam {
            placeholder: PERSONAL_TEAM.to_owned(),
            display_name: personal_team_name(name, email),
        };
        unit.execute::<Team>(&team, naming).await?;
    }
    Ok(())
}

/// The address that an update would have the user sign in with.
async fn address_in_question(
    app: &App,
    context: &EventContext,
    id: UserId,
    update: &UserUpdate,
) -> Result<Option<String>, ApiError> {
    if let Patch::Set(address) = &update.primary_email {
        return Ok(Some(address.to_string()));
    }
    let record = users::by_id(app.pool(), &context.project_id, id).await?;
    Ok(record.and_then(|record| record.user.primary_email))
}

fn name_taken_email(error: LedgerError, email: Option<&str>) -> ApiError {
    match (error, email) {
        (LedgerError::Taken(Reservation::EmailForAuth), Some(email)) => {
            KnownError::user_email_already_exists(email).into()
        }
        (error, _) => error.into(),
    }
}

/// Closes an account: memberships, sessions, API keys, permissions, addresses and what was said in
/// conversations go with it, and its key is destroyed afterwards.
///
/// # Errors
/// `USER_NOT_FOUND`.
pub async fn close(app: &App, context: &EventContext, id: UserId) -> Result<(), ApiError> {
    app.log
        .transact(context, |mut unit| async move {
            let memberships = unit.list(move |db| teams::of_user(db, id).boxed());
            for team in memberships.await? {
                void_invitations(&mut unit, team, id).await?;
                match unit
                    .execute::<Team>(&team, TeamCommand::RemoveMember(id))
                    .await
                {
                    // Removed, or the team dissolved, in the same moment.
                    Ok(())
                    | Err(LedgerError::Team(TeamError::NotMember(_) | TeamError::NotFound)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let owner = ApiKeyOwner::User { user_id: id };
            api_keys::delete_all(&mut unit, owner, ApiKeyDeletion::UserDeleted).await?;
            customers::close(&mut unit, &CustomerRef::User { user_id: id }).await?;
            conversations::delete_of_user(&mut unit, id).await?;
            conversations::forget_customer(&mut unit, id).await?;
            unit.execute::<User>(&id, UserCommand::Delete).await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}
