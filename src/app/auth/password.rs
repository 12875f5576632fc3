//! Passwords of accounts: signing up and in with them, choosing and losing them.

use std::time::Duration;

use muniment_domain::session::{EndCause, SessionOrigin};
use muniment_domain::user::{FirstFactor, PasswordOccasion, User, UserCommand, UserError};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{EmailAddress, SecretHash, SessionId, UserId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::sessions as session_rows;
use muniment_projections::read_models::users::{self, UserRow};

use super::presented_code::{PresentedCode, present};
use super::sessions;
use super::sign_in::{SignedIn, after_first_factor};
use crate::app::App;
use crate::app::emails;
use crate::app::emails::CodeEmail;
use crate::app::request_context::RequestContext;
use crate::error::ApiError;
use crate::error::known_error::KnownError;
use crate::security::limits::Limit;
use crate::security::passwords::{PasswordCheck, Strength, strength};

/// Signs in with an email and a password. Unknown addresses and wrong passwords get the same
/// answer after the same time.
///
/// # Errors
/// `EMAIL_PASSWORD_MISMATCH`, `MULTI_FACTOR_AUTHENTICATION_REQUIRED`; 429 after too many wrong
/// passwords for the address, whether somebody has it or not.
pub async fn sign_in(
    request: RequestContext<'_>,
    email: &EmailAddress,
    password: &str,
) -> Result<SignedIn, ApiError> {
    let app = request.app;
    let account = (request.project.id.as_str(), email.as_str());
    let attempt = app
        .limits
        .begin(Limit::PasswordGuess, &account, &app.clock)
        .await?;
    let user = users::by_auth_email(app.pool(), &request.project.id, email).await?;
    let stored = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let verdict = verify(app, password, stored).await?;
    let (Some(user), PasswordCheck::Match | PasswordCheck::MatchNeedsRehash) = (user, verdict)
    else {
        return Err(KnownError::email_password_mismatch().into());
    };
    attempt.succeeded();
    let mut stored = user.password_hash.clone().unwrap_or_default();
    if verdict == PasswordCheck::MatchNeedsRehash {
        stored = renewed(request, user.user_id(), password, &stored).await?;
    }
    let proof = FirstFactor::password(&stored);
    let void = KnownError::email_password_mismatch;
    after_first_factor(
        request,
        user.user_id(),
        proof,
        SessionOrigin::Password,
        void,
    )
    .await
}

/// Keeps the password under a stronger hash, and yields the one that is kept: somebody else who signs in
/// at the same time may have been faster, or has changed the password.
async fn renewed(
    request: RequestContext<'_>,
    user: UserId,
    password: &str,
    stored: &str,
) -> Result<String, ApiError> {
    let RequestContext { app, context, .. } = request;
    let stronger = hash(app, password).await?;
    let renew = UserCommand::RenewPasswordHash {
        from: SecretHash::of(stored),
        to: stronger.clone(),
    };
    change(app, context, user, renew, Sessions::Kept).await?;
    let now = users::by_id(app.pool(), &request.project.id, user).await?;
    let now = now.and_then(|record| record.user.password_hash);
    if now.as_deref() == Some(&stronger) {
        return Ok(stronger);
    }
    match (verify(app, password, now.as_deref()).await?, now) {
        (PasswordCheck::Match | PasswordCheck::MatchNeedsRehash, Some(now)) => Ok(now),
        _ => Err(KnownError::email_password_mismatch().into()),
    }
}

/// Gives an account its first password.
///
/// # Errors
/// `PASSWORD_TOO_SHORT`, `PASSWORD_TOO_LONG`; a text when there is a password already.
pub async fn set(
    app: &App,
    context: &EventContext,
    user: UserId,
    password: &str,
) -> Result<(), ApiError> {
    let choose = UserCommand::ChoosePassword {
        hash: hash_strong(app, password).await?,
        occasion: PasswordOccasion::First,
    };
    change(app, context, user, choose, Sessions::Kept).await
}

/// Changes a password that its owner still knows. All sessions end but the one of `refresh_token`.
///
/// # Errors
/// `PASSWORD_TOO_SHORT`, `PASSWORD_TOO_LONG`, `USER_DOES_NOT_HAVE_PASSWORD`,
/// `PASSWORD_CONFIRMATION_MISMATCH`.
pub async fn update(
    app: &App,
    context: &EventContext,
    user: &UserRow,
    [old, new]: [&str; 2],
    refresh_token: Option<&str>,
) -> Result<(), ApiError> {
    require_strength(new)?;
    let stored = user
        .password_hash
        .as_deref()
        .ok_or_else(KnownError::user_does_not_have_password)?;
    let account = (context.project_id.as_str(), user.id);
    let attempt = app
        .limits
        .begin(Limit::PasswordGuess, &account, &app.clock)
        .await?;
    if verify(app, old, Some(stored)).await? == PasswordCheck::Mismatch {
        return Err(KnownError::password_confirmation_mismatch().into());
    }
    attempt.succeeded();
    let kept = match refresh_token {
        Some(token) => {
            session_rows::by_token(app.pool(), &context.project_id, SecretHash::of(token)).await?
        }
        None => None,
    };
    let choose = UserCommand::ChoosePassword {
        hash: hash(app, new).await?,
        occasion: PasswordOccasion::Change,
    };
    let kept = kept.map(|session| session.session_id());
    // The password that was compared must still be the one that is changed.
    let proof = FirstFactor::password(stored);
    let fate = Sessions::EndedBut(kept);
    let allowed = Allowed::ByProof(&proof);
    change_allowed(app, context, user.user_id(), choose, fate, allowed).await
}

/// Mails a link to choose a new password with, if somebody signs in with the address. If nobody
/// does, the answer takes a while, as if a mail were on its way.
///
/// # Errors
/// `REDIRECT_URL_NOT_WHITELISTED`, for existing accounts only.
pub async fn send_reset_code(
    request: RequestContext<'_>,
    email: &EmailAddress,
    callback: &str,
) -> Result<(), ApiError> {
    let RequestContext {
        app,
        context,
        project,
        ..
    } = request;
    let Some(user) = users::by_auth_email(app.pool(), &project.id, email).await? else {
        let pause = Duration::from_secs(2) + Duration::from_secs(1).mul_f64(app.random.fraction());
        tokio::time::sleep(pause).await;
        return Ok(());
    };
    super::redirects::require_trusted(callback, &project.config.domains)?;
    let message = CodeEmail::password_reset(app, user.user_id(), email.as_str(), callback);
    emails::enqueue(app, context, &message).await?;
    Ok(())
}

/// Chooses a new password with a code that came by mail. All sessions end.
///
/// # Errors
/// What is wrong with the code; then, the code being used up, `PASSWORD_AUTHENTICATION_NOT_ENABLED`,
/// `PASSWORD_TOO_SHORT`, `PASSWORD_TOO_LONG`, `USER_NOT_FOUND`.
pub async fn reset(
    request: RequestContext<'_>,
    code: &str,
    password: &str,
) -> Result<(), ApiError> {
    let RequestContext {
        app,
        context,
        project,
        ..
    } = request;
    let code = present(app, context, Purpose::PasswordReset, code).await?;
    let reset = async {
        if !project.config.auth.password.allow_sign_in {
            return Err(KnownError::password_authentication_not_enabled().into());
        }
        let user = code.row().subject.map(UserId);
        let user = user.ok_or_else(KnownError::user_not_found)?;
        let choose = UserCommand::ChoosePassword {
            hash: hash_strong(app, password).await?,
            occasion: PasswordOccasion::Reset,
        };
        let fate = Sessions::EndedBut(None);
        change_allowed(app, context, user, choose, fate, Allowed::ByCode(&code)).await
    };
    code.settle(app, context, reset.await).await
}

/// What becomes of sessions when the password changes.
#[derive(Clone, Copy)]
enum Sessions {
    /// They go on.
    Kept,
    /// They end, but this one.
    EndedBut(Option<SessionId>),
}

/// What a password may be changed by. It is asked for in the unit that changes it.
#[derive(Clone, Copy)]
enum Allowed<'a> {
    /// Nothing in particular: the command itself refuses where it must.
    Anyway,
    /// This still opens the account.
    ByProof(&'a FirstFactor),
    /// This code still works, and is used up.
    ByCode(&'a PresentedCode),
}

impl Allowed<'_> {
    async fn require(self, unit: &mut UnitOfWork, user: UserId) -> Result<(), ApiError> {
        match self {
            Self::Anyway => Ok(()),
            Self::ByProof(proof) if unit.look::<User>(&user).await?.accepts(proof) => Ok(()),
            Self::ByProof(_) => Err(KnownError::password_confirmation_mismatch().into()),
            Self::ByCode(code) => code.redeem(unit).await,
        }
    }
}

async fn change(
    app: &App,
    context: &EventContext,
    user: UserId,
    command: UserCommand,
    fate: Sessions,
) -> Result<(), ApiError> {
    change_allowed(app, context, user, command, fate, Allowed::Anyway).await
}

/// Changes the password if that is still allowed. A session that was
/// opened with the old password, in a transaction just before this one, is not among those that the
/// unit ends; so those are looked for again before anybody is told that the password was changed.
async fn change_allowed(
    app: &App,
    context: &EventContext,
    user: UserId,
    command: UserCommand,
    fate: Sessions,
    allowed: Allowed<'_>,
) -> Result<(), ApiError> {
    let command = &command;
    app.log
        .transact(context, |mut unit| async move {
            allowed.require(&mut unit, user).await?;
            let changed = unit.execute::<User>(&user, command.clone()).await;
            changed.map_err(refused)?;
            let cause = EndCause::PasswordChanged;
            if let Sessions::EndedBut(kept) = fate {
                sessions::end_all(&mut unit, user, kept, cause).await?;
            }
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

fn refused(error: LedgerError) -> ApiError {
    match error {
        LedgerError::User(UserError::PasswordMissing) => {
            KnownError::user_does_not_have_password().into()
        }
        error => error.into(),
    }
}

/// Refuses passwords that are too short or too long.
///
/// # Errors
/// `PASSWORD_TOO_SHORT`, `PASSWORD_TOO_LONG`.
pub fn require_strength(password: &str) -> Result<(), ApiError> {
    match strength(password) {
        Strength::Fine => Ok(()),
        Strength::TooShort => Err(KnownError::password_too_short().into()),
        Strength::TooLong => Err(KnownError::password_too_long().into()),
    }
}

/// Hashes a password that somebody chose.
///
/// # Errors
/// `PASSWORD_TOO_SHORT`, `PASSWORD_TOO_LONG`.
pub async fn hash_strong(app: &App, password: &str) -> Result<String, ApiError> {
    require_strength(password)?;
    hash(app, password).await
}

async fn hash(app: &App, password: &str) -> Result<String, ApiError> {
    app.passwords
        .hash(password)
        .await
        .map_err(ApiError::internal)
}

async fn verify(
    app: &App,
    password: &str,
    stored: Option<&str>,
) -> Result<PasswordCheck, ApiError> {
    app.passwords
        .verify(password, stored)
        .await
        .map_err(ApiError::internal)
}
