//! Signing up and in with a password, and anonymous accounts.

use muniment_domain::session::Opening as SessionOpening;
use muniment_domain::sign_up_rules::{Applicant, AuthMethod};
use muniment_domain::user::{NewPrimaryEmail, NewUser, User, UserCommand, UserUpdate};
use muniment_domain::{ContactChannelId, EmailAddress, Patch, UserId};
use muniment_projections::users::{self, UserRow};
use muniment_projections::{EventContext, LedgerError};
use serde_json::Value;

use super::App;
use super::accounts::{self, Opening};
use super::projects::LoadedProject;
use super::sessions::{self, NewSession, issue_access_token};
use super::sign_up;
use crate::http::{ApiError, KnownError};
use crate::limits::Limit;
use crate::passwords::Verdict;

/// What a successful sign-in yields.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Whose it is.
    pub user_id: UserId,
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
}

/// Signs up with an email and a password. An anonymous current user becomes the new account, with
/// id and data kept.
///
/// # Errors
/// `SIGN_UP_REJECTED`; `USER_EMAIL_ALREADY_EXISTS`; `MULTI_FACTOR_AUTHENTICATION_REQUIRED` for an anonymous user who
/// has a second factor.
pub async fn sign_up_with_password(
    app: &App,
    context: &EventContext,
    project: &LoadedProject,
    email: EmailAddress,
    password: &str,
    current: Option<&UserRow>,
    ip_info: Option<Value>,
) -> Result<SignedIn, ApiError> {
    let applicant = Applicant {
        email: email.to_string(),
        country_code: sign_up::country_in(ip_info.as_ref()).unwrap_or_default(),
        ..Applicant::by(AuthMethod::Password)
    };
    let admission = sign_up::decide(app, context, project, applicant).await?;
    let hash = app
        .passwords
        .hash(password)
        .await
        .map_err(ApiError::internal)?;
    let session = NewSession::draw(app, SessionOpening::SignUp);
    let channel_id = ContactChannelId(app.random.uuid());
    let anonymous = current.filter(|user| user.is_anonymous);
    let user_id = if let Some(user) = anonymous {
        let upgrade = UserUpdate {
            sign_up: true,
            primary_email: Patch::Set(email),
            primary_email_auth_enabled: Some(true),
            password_hash: Patch::Set(hash),
            ..UserUpdate::nothing(context.now, channel_id)
        };
        let upgrade = admission.upgrade(user, upgrade);
        let first = Some(&session).filter(|_| !user.totp_enabled);
        accounts::update(app, context, user.user_id(), &upgrade, first).await?;
        require_no_second_factor(app, user)?;
        user.user_id()
    } else {
        let user = NewUser {
            primary_email: Some(NewPrimaryEmail {
                channel_id,
                address: email,
                is_verified: false,
                used_for_auth: true,
            }),
            password_hash: Some(hash),
            ..NewUser::blank(project.id.clone(), context.now)
        };
        let opening = Opening::draw(app, project, admission.admit(user));
        accounts::open(app, context, &opening, Some(&session)).await?;
        opening.id
    };
    signed_in(app, project, user_id, session, ip_info).await
}

/// Signs in with an email and a password. Unknown addresses and wrong passwords get the same
/// answer after the same time.
///
/// # Errors
/// `EMAIL_PASSWORD_MISMATCH`, `MULTI_FACTOR_AUTHENTICATION_REQUIRED`; 429 after too many wrong
/// passwords for the address, whether somebody has it or not.
pub async fn sign_in_with_password(
    app: &App,
    context: &EventContext,
    project: &LoadedProject,
    email: &EmailAddress,
    password: &str,
    ip_info: Option<Value>,
) -> Result<SignedIn, ApiError> {
    let account = (project.id.as_str(), email.as_str());
    let attempt = app
        .limits
        .begin(Limit::PasswordGuess, &account, &app.clock)
        .await?;
    let user = users::by_auth_email(app.pool(), &project.id, email).await?;
    let stored = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let verdict = app
        .passwords
        .verify(password, stored)
        .await
        .map_err(ApiError::internal)?;
    let (Some(user), Verdict::Match | Verdict::MatchNeedsRehash) = (user, verdict) else {
        return Err(KnownError::email_password_mismatch().into());
    };
    attempt.succeeded();
    require_no_second_factor(app, &user)?;
    if verdict == Verdict::MatchNeedsRehash {
        renew_hash(app, context, user.user_id(), password).await?;
    }
    let session = NewSession::draw(app, SessionOpening::Password);
    sessions::open(app, context, user.user_id(), &session)
        .await
        .map_err(|error| match error {
            // The account was closed between the check of the password and now.
            LedgerError::Conflict => KnownError::email_password_mismatch().into(),
            error => ApiError::from(error),
        })?;
    let access_token = issue_access_token(app, project, &user, session.id, ip_info)?;
    Ok(SignedIn {
        user_id: user.user_id(),
        access_token,
        refresh_token: session.refresh_token,
    })
}

/// Makes an anonymous account and signs it in.
///
/// # Errors
/// When the database fails.
pub async fn sign_up_anonymously(
    app: &App,
    context: &EventContext,
    project: &LoadedProject,
    ip_info: Option<Value>,
) -> Result<SignedIn, ApiError> {
    let user = NewUser {
        is_anonymous: true,
        ..NewUser::blank(project.id.clone(), context.now)
    };
    let opening = Opening::draw(app, project, user);
    let session = NewSession::draw(app, SessionOpening::Anonymous);
    accounts::open(app, context, &opening, Some(&session)).await?;
    signed_in(app, project, opening.id, session, ip_info).await
}

/// Users with a second factor get no tokens for the first one alone. The attempt code is redeemed
/// at `/auth/mfa/sign-in`.
fn require_no_second_factor(app: &App, user: &UserRow) -> Result<(), ApiError> {
    if user.totp_enabled {
        return Err(KnownError::multi_factor_authentication_required(&app.random.token()).into());
    }
    Ok(())
}

/// Replaces an imported hash by one of ours, now that the password is at hand.
async fn renew_hash(
    app: &App,
    context: &EventContext,
    user: UserId,
    password: &str,
) -> Result<(), ApiError> {
    let hash = &app
        .passwords
        .hash(password)
        .await
        .map_err(ApiError::internal)?;
    app.log
        .transact(context, |mut unit| async move {
            unit.execute::<User>(&user, UserCommand::RenewPasswordHash(hash.clone()))
                .await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

async fn signed_in(
    app: &App,
    project: &LoadedProject,
    user_id: UserId,
    session: NewSession,
    ip_info: Option<Value>,
) -> Result<SignedIn, ApiError> {
    let record = users::by_id(app.pool(), &project.id, user_id).await?;
    let record = record.ok_or_else(KnownError::user_not_found)?;
    let access_token = issue_access_token(app, project, &record.user, session.id, ip_info)?;
    Ok(SignedIn {
        user_id,
        access_token,
        refresh_token: session.refresh_token,
    })
}
