//! Signing in: what follows the first factor, whichever it was. Also anonymous accounts.

use muniment_domain::UserId;
use muniment_domain::session::SessionOrigin;
use muniment_domain::user::{FirstFactor, NewUser, User, UserCommand, UserError};
use muniment_domain::verification_code::{Purpose, VerificationCode, VerificationCodeCommand};
use muniment_event_store::{LedgerError, UnitOfWork};
use muniment_projections::read_models::users::UserRow;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::codes::{self, MFA_MILLIS, NewCode};
use super::presented_code::{Handling, take};
use super::sessions::{NewSession, issue_access_token};
use crate::app::request_context::RequestContext;
use crate::app::users::accounts::{self, NewAccount, SideEffects};
use crate::error::ApiError;
use crate::error::known_error::KnownError;
use crate::security::limits::Limit;
use crate::security::totp;

/// What a successful sign-in yields.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Whose it is.
    pub user_id: UserId,
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// Whether the account came into being with this sign-in, or was anonymous until then.
    pub is_new_user: bool,
}

/// Makes an anonymous account and signs it in.
///
/// # Errors
/// When the database fails.
pub async fn sign_up_anonymously(request: RequestContext<'_>) -> Result<SignedIn, ApiError> {
    let RequestContext {
        app,
        context,
        project,
        ..
    } = request;
    let user = NewUser {
        is_anonymous: true,
        ..NewUser::blank(project.id.clone(), context.now)
    };
    let account = NewAccount::generate(app, project, user);
    let session = NewSession::generate(app, SessionOrigin::Anonymous);
    let side_effects = SideEffects {
        session: Some(&session),
        ..SideEffects::default()
    };
    accounts::open(app, context, &account, &side_effects).await?;
    hand_out(request, account.id, session, true).await
}

/// Opens a session for a user whose first factor was accepted; or, if the account has a second one,
/// issues the code to come back with. Both rest on what the account says in the transaction.
///
/// # Errors
/// `MULTI_FACTOR_AUTHENTICATION_REQUIRED`; what `void` says when the proof opens the account no
/// longer, or the account is gone.
pub async fn after_first_factor(
    request: RequestContext<'_>,
    user: UserId,
    proof: FirstFactor,
    opening: SessionOrigin,
    void: fn() -> KnownError,
) -> Result<SignedIn, ApiError> {
    let next = &NextStep::generate(request, user, proof, opening, void);
    let taken = request
        .app
        .log
        .transact(request.context, |mut unit| async move {
            let taken = next.carry_out(&mut unit).await?;
            Ok::<_, ApiError>((unit, taken))
        })
        .await?;
    next.answer(request, taken).await
}

/// What follows a first factor: a session, or the code for the second. Which of them is decided in
/// the unit of work.
pub struct NextStep {
    user: UserId,
    proof: FirstFactor,
    session: NewSession,
    attempt: NewCode,
    void: fn() -> KnownError,
}

/// Which step was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepTaken {
    /// A session was opened.
    Session,
    /// The account wants a second factor.
    Attempt,
}

impl NextStep {
    /// Draws the secrets of both. `void` is told when the proof opens the account no longer.
    #[must_use]
    pub fn generate(
        request: RequestContext<'_>,
        user: UserId,
        proof: FirstFactor,
        opening: SessionOrigin,
        void: fn() -> KnownError,
    ) -> Self {
        let attempt = AttemptRecord {
            user_id: user,
            is_new_user: false,
            proof: Some(proof.clone()),
        };
        Self {
            user,
            proof,
            session: NewSession::generate(request.app, opening),
            attempt: attempt.code(request),
            void,
        }
    }

    /// Takes the step within a unit of work.
    ///
    /// # Errors
    /// What `void` says when the proof opens the account no longer, or the account is gone.
    pub async fn carry_out(&self, unit: &mut UnitOfWork) -> Result<StepTaken, ApiError> {
        let state = unit.look::<User>(&self.user).await?;
        if !state.accepts(&self.proof) {
            return Err((self.void)().into());
        }
        if state.requires_second_factor() {
            self.attempt.issue(unit).await?;
            return Ok(StepTaken::Attempt);
        }
        self.session.start(unit, self.user).await?;
        Ok(StepTaken::Session)
    }

    /// What the caller is told once the unit took effect.
    ///
    /// # Errors
    /// `MULTI_FACTOR_AUTHENTICATION_REQUIRED`.
    pub async fn answer(
        &self,
        request: RequestContext<'_>,
        taken: StepTaken,
    ) -> Result<SignedIn, ApiError> {
        if taken == StepTaken::Attempt {
            let code = self.attempt.text();
            return Err(KnownError::multi_factor_authentication_required(code).into());
        }
        hand_out(request, self.user, self.session.clone(), false).await
    }
}

/// What an attempt code remembers of the first factor.
#[derive(Serialize, Deserialize)]
struct AttemptRecord {
    user_id: UserId,
    is_new_user: bool,
    /// Missing in attempts that older versions noted.
    #[serde(default)]
    proof: Option<FirstFactor>,
}

impl AttemptRecord {
    fn code(&self, request: RequestContext<'_>) -> NewCode {
        NewCode::generate(request.app, Purpose::MfaAttempt, MFA_MILLIS)
            .about(self.user_id)
            .remembering(json!(self))
    }
}

/// Users with a second factor get no tokens for the first one alone, but a code to come back with.
///
/// # Errors
/// `MULTI_FACTOR_AUTHENTICATION_REQUIRED`.
pub async fn require_no_second_factor(
    request: RequestContext<'_>,
    user: &UserRow,
    is_new_user: bool,
) -> Result<(), ApiError> {
    if !user.totp_enabled {
        return Ok(());
    }
    let attempt = AttemptRecord {
        user_id: user.user_id(),
        is_new_user,
        proof: Some(FirstFactor::Anonymous),
    };
    let code = attempt.code(request);
    codes::issue(request.app, request.context, &code).await?;
    Err(KnownError::multi_factor_authentication_required(code.text()).into())
}

/// Signs in with the second factor. A wrong one leaves the attempt code as it is, but counted.
///
/// # Errors
/// What is wrong with the attempt code; `INVALID_TOTP_CODE`, also for a code that was used before;
/// 429 after too many wrong ones for the account.
pub async fn with_second_factor(
    request: RequestContext<'_>,
    attempt_code: &str,
    totp: &str,
) -> Result<SignedIn, ApiError> {
    let RequestContext { app, context, .. } = request;
    let purpose = Purpose::MfaAttempt;
    let attempt = take(app, context, purpose, attempt_code, Handling::Check).await?;
    let first: AttemptRecord =
        serde_json::from_value(attempt.data.clone()).map_err(ApiError::internal)?;
    let (user, code_id) = (first.user_id, attempt.code_id());
    let account = (context.project_id.as_str(), user.0);
    let guess = app
        .limits
        .begin(Limit::CodeGuess, &account, &app.clock)
        .await?;
    let session = &NewSession::generate(app, SessionOrigin::SecondFactor);
    let proof = &first.proof;
    app.log
        .transact(context, |mut unit| async move {
            let state = unit.state::<User>(&user).await?;
            if proof.as_ref().is_some_and(|proof| !state.accepts(proof)) {
                return Err(KnownError::verification_code_not_found().into());
            }
            let step = totp::matching_step(state.totp_secret(), totp, unit.context().now)
                .ok_or_else(KnownError::invalid_totp_code)?;
            unit.execute::<User>(&user, UserCommand::UseTotpStep(step))
                .await?;
            let redeem = VerificationCodeCommand::Redeem(unit.context().now);
            unit.execute::<VerificationCode>(&code_id, redeem).await?;
            session.start(&mut unit, user).await?;
            Ok::<_, SecondFactorError>((unit, ()))
        })
        .await
        .map_err(|SecondFactorError(error)| error)?;
    guess.succeeded();
    hand_out(request, user, session.clone(), first.is_new_user).await
}

/// An error that says no more than that the code is wrong, where the ledger knows why.
struct SecondFactorError(ApiError);

impl From<LedgerError> for SecondFactorError {
    fn from(error: LedgerError) -> Self {
        Self(match error {
            LedgerError::User(UserError::TotpStepUsed) => KnownError::invalid_totp_code().into(),
            error => error.into(),
        })
    }
}

impl From<KnownError> for SecondFactorError {
    fn from(error: KnownError) -> Self {
        Self(error.into())
    }
}

/// Reads the user as they are now and issues the tokens of a session that was just opened.
///
/// # Errors
/// `USER_NOT_FOUND` when the account is gone by now.
pub async fn hand_out(
    request: RequestContext<'_>,
    user: UserId,
    session: NewSession,
    is_new_user: bool,
) -> Result<SignedIn, ApiError> {
    let record = request.app.users.by_id(&request.project.id, user).await?;
    let record = record.ok_or_else(KnownError::user_not_found)?;
    let access_token = issue_access_token(
        request.app,
        request.project,
        &record.user,
        session.id,
        request.geo,
    )?;
    Ok(SignedIn {
        user_id: user,
        access_token,
        refresh_token: session.refresh_token,
        is_new_user,
    })
}
