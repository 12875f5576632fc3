//! Signing up: a stranger gets an account, or an anonymous user's account becomes a full one.

use muniment_domain::session::SessionOrigin;
use muniment_domain::sign_up_rules::{Applicant, AuthMethod};
use muniment_domain::user::{NewPrimaryEmail, NewUser, UserUpdate};
use muniment_domain::{ContactChannelId, EmailAddress, Patch, UserId};
use muniment_projections::read_models::users::UserRow;

use super::presented_code::PresentedCode;
use super::sessions::NewSession;
use super::sign_in::{SignedIn, hand_out, require_no_second_factor};
use crate::app::auth::sign_up_gate;
use crate::app::auth::sign_up_gate::AdmittedSignUp;
use crate::app::emails::CodeEmail;
use crate::app::request_context::RequestContext;
use crate::app::users::accounts::{self, NewAccount, SideEffects};
use crate::error::ApiError;

/// What a stranger brings.
#[derive(Clone, Debug)]
pub struct SignUp<'c> {
    /// The address to sign in with.
    pub email: EmailAddress,
    /// What proves the address, or guards the account.
    pub proof: Proof<'c>,
    /// Where the link leads that is to prove the address.
    pub verification_callback: Option<String>,
    /// Where the person seems to be: two letters, ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
}

/// The way in which somebody signs up.
#[derive(Clone, Debug)]
pub enum Proof<'c> {
    /// This password was chosen, and is strong enough; the address is yet to be proved.
    Password(String),
    /// A code that was sent to the address came back. It is used up with the sign-up.
    Code(&'c PresentedCode),
}

/// Signs up and in. `current` is the signed-in user, who matters only if anonymous: then that
/// account becomes the new one, with id and data kept.
///
/// # Errors
/// `SIGN_UP_REJECTED`; `USER_EMAIL_ALREADY_EXISTS`; `MULTI_FACTOR_AUTHENTICATION_REQUIRED` for an
/// anonymous user who has a second factor.
pub async fn sign_up(
    request: RequestContext<'_>,
    sign_up: SignUp<'_>,
    current: Option<&UserRow>,
) -> Result<SignedIn, ApiError> {
    let RequestContext { app, context, .. } = request;
    let method = match sign_up.proof {
        Proof::Password(_) => AuthMethod::Password,
        Proof::Code(_) => AuthMethod::Otp,
    };
    let applicant = Applicant {
        email: sign_up.email.to_string(),
        country_code: sign_up.country_code.clone().unwrap_or_default(),
        ..Applicant::by(method)
    };
    let admitted = sign_up_gate::decide(app, context, request.project, applicant).await?;
    let password_hash = match &sign_up.proof {
        Proof::Password(password) => Some(
            app.passwords
                .hash(password)
                .await
                .map_err(ApiError::internal)?,
        ),
        Proof::Code(_) => None,
    };
    let account = FullAccount {
        sign_up,
        password_hash,
        admitted,
    };
    let session = NewSession::generate(app, SessionOrigin::SignUp);
    let user = match current.filter(|user| user.is_anonymous) {
        Some(anonymous) => {
            account
                .upgrade_or_create(request, anonymous, &session)
                .await?
        }
        None => account.create(request, &session).await?,
    };
    hand_out(request, user, session, true).await
}

/// The account that a sign-up which the project's rules let through leads to.
#[derive(Clone)]
struct FullAccount<'c> {
    sign_up: SignUp<'c>,
    password_hash: Option<String>,
    admitted: AdmittedSignUp,
}

impl<'c> FullAccount<'c> {
    async fn create(
        self,
        request: RequestContext<'_>,
        session: &NewSession,
    ) -> Result<UserId, ApiError> {
        let is_verified = self.is_verified();
        let user = NewUser {
            primary_email: Some(NewPrimaryEmail {
                channel_id: ContactChannelId(request.app.random.uuid()),
                address: self.sign_up.email.clone(),
                is_verified,
                used_for_auth: true,
            }),
            otp_enabled: is_verified,
            password_hash: self.password_hash.clone(),
            ..NewUser::blank(request.project.id.clone(), request.context.now)
        };
        let account =
            NewAccount::generate(request.app, request.project, self.admitted.apply_to(user));
        let email = self.verification_email(request, account.id);
        let side_effects = SideEffects {
            session: Some(session),
            email: email.as_ref(),
            code: self.code(),
        };
        accounts::open(request.app, request.context, &account, &side_effects).await?;
        Ok(account.id)
    }

    /// Of two who sign up with one anonymous account, one gets it, and the other one of their own.
    async fn upgrade_or_create(
        self,
        request: RequestContext<'_>,
        anonymous: &UserRow,
        session: &NewSession,
    ) -> Result<UserId, ApiError> {
        if self.clone().upgrade(request, anonymous, session).await? {
            require_no_second_factor(request, anonymous, true).await?;
            return Ok(anonymous.user_id());
        }
        self.create(request, session).await
    }

    async fn upgrade(
        self,
        request: RequestContext<'_>,
        anonymous: &UserRow,
        session: &NewSession,
    ) -> Result<bool, ApiError> {
        let (id, code) = (anonymous.user_id(), self.code());
        let email = self.verification_email(request, id);
        let channel_id = ContactChannelId(request.app.random.uuid());
        let is_verified = self.is_verified().then_some(true);
        let update = UserUpdate {
            sign_up: true,
            primary_email: Patch::Set(self.sign_up.email),
            primary_email_auth_enabled: Some(true),
            primary_email_verified: is_verified,
            otp_enabled: is_verified,
            password_hash: self.password_hash.map_or(Patch::Keep, Patch::Set),
            ..UserUpdate::nothing(request.context.now, channel_id)
        };
        let update = self.admitted.apply_to_upgrade(anonymous, update);
        let side_effects = SideEffects {
            session: Some(session).filter(|_| !anonymous.totp_enabled),
            email: email.as_ref(),
            code,
        };
        accounts::upgrade(request.app, request.context, id, &update, &side_effects).await
    }

    /// Whether the address was proved by signing up.
    fn is_verified(&self) -> bool {
        self.code().is_some()
    }

    /// The code that is used up with it.
    fn code(&self) -> Option<&'c PresentedCode> {
        match self.sign_up.proof {
            Proof::Password(_) => None,
            Proof::Code(code) => Some(code),
        }
    }

    fn verification_email(&self, request: RequestContext<'_>, user: UserId) -> Option<CodeEmail> {
        let callback = self.sign_up.verification_callback.as_deref()?;
        let email = self.sign_up.email.as_str();
        Some(CodeEmail::email_verification(
            request.app,
            user,
            email,
            callback,
        ))
    }
}
