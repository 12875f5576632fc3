//! The first user of the `internal` project, who is named in the environment.

use muniment_domain::permission::TEAM_ADMIN;
use muniment_domain::team::{Entrance, MemberAdded, Team, TeamCommand};
use muniment_domain::user::{NewPrimaryEmail, NewUser, OauthAccount, User};
use muniment_domain::{ContactChannelId, EmailAddress, PermissionId, ProjectId, UserId};
use muniment_event_store::{EventContext, LedgerError, Reservation};
use muniment_projections::read_models::users;
use uuid::uuid;

use super::seed::INTERNAL_TEAM;
use crate::app::App;
use crate::app::users::accounts::NewAccount;
use crate::security::passwords::PasswordError;

/// The user's id.
pub const INTERNAL_ADMIN: UserId = UserId(uuid!("33e7c043-d2d1-4187-acd3-f91b5ed64b46"));
/// The provider of the user's account.
const GITHUB: &str = "github";

/// Who the first user is.
#[derive(Clone, Debug)]
pub struct InternalAdmin {
    /// Address and password to sign in with.
    pub credentials: Option<Credentials>,
    /// The account's id at GitHub.
    pub github_id: Option<String>,
    /// What else they may do.
    pub reach: AdminReach,
}

/// An address and a password.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
}

/// What the first user administrates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminReach {
    /// The projects that they make, as everybody does.
    OwnProjects,
    /// The project `internal` as well.
    Internal,
}

/// Why the first user could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is none.
    #[error("{0} is not an email address; correct MUNIMENT_INTERNAL_USER_EMAIL")]
    Email(String),
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Makes the user, unless there is one: what became of them since is left alone.
///
/// # Errors
/// When the address is none, or the database fails.
pub async fn seed(app: &App, admin: &InternalAdmin) -> Result<(), AdminError> {
    let id = ProjectId::internal();
    let nothing_to_sign_in_with = admin.credentials.is_none() && admin.github_id.is_none();
    if nothing_to_sign_in_with
        || users::by_id(app.pool(), &id, INTERNAL_ADMIN)
            .await?
            .is_some()
    {
        return Ok(());
    }
    let Some(project) = app.projects.find_now(&id).await? else {
        return Ok(());
    };
    let context = EventContext::system(id, "seed", app.now());
    let mut account = NewAccount::generate(app, &project, new_user(app, admin).await?);
    account.id = INTERNAL_ADMIN;
    let account = &account;
    let opened = app
        .log
        .transact(&context, |mut unit| async move {
            // Another node that starts at the same time was faster, or the user was deleted.
            if unit.state::<User>(&INTERNAL_ADMIN).await? != User::default() {
                return Ok((unit, ()));
            }
            account.carry_out(&mut unit).await?;
            if admin.reach == AdminReach::Internal {
                let member = MemberAdded {
                    user_id: INTERNAL_ADMIN,
                    joined_at: account.user.now,
                    entrance: Entrance::Added,
                    permission_ids: vec![PermissionId::new(TEAM_ADMIN)],
                };
                unit.execute::<Team>(&INTERNAL_TEAM, TeamCommand::AddMember(member))
                    .await?;
            }
            Ok::<_, LedgerError>((unit, ()))
        })
        .await;
    match opened {
        Err(LedgerError::Taken(Reservation::EmailForAuth)) => {
            tracing::warn!("somebody else signs in with the address of the first user");
            Ok(())
        }
        other => Ok(other?),
    }
}

async fn new_user(app: &App, admin: &InternalAdmin) -> Result<NewUser, AdminError> {
    let mut user = NewUser::blank(ProjectId::internal(), app.now());
    if let Some(Credentials { email, password }) = &admin.credentials {
        let address = EmailAddress::lenient(email).ok_or(AdminError::Email(email.clone()))?;
        user.password_hash = Some(app.passwords.hash(password).await?);
        user.primary_email = Some(NewPrimaryEmail {
            channel_id: ContactChannelId(app.random.uuid()),
            address,
            is_verified: true,
            used_for_auth: true,
        });
    }
    if let Some(account_id) = &admin.github_id {
        user.oauth_accounts = vec![OauthAccount {
            id: app.random.uuid(),
            provider_config_id: GITHUB.to_owned(),
            account_id: account_id.clone(),
            email: None,
        }];
    }
    Ok(user)
}
