//! Signing in, or up, with a code that came by email: as a link, or as a short one-time password.

use muniment_domain::session::SessionOrigin;
use muniment_domain::user::{FirstFactor, User, UserCommand};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{EmailAddress, UserId};
use muniment_projections::read_models::users::{self, UserRow};

use super::presented_code::{PresentedCode, present};
use super::redirects;
use super::sign_in::{NextStep, SignedIn};
use super::sign_up::{Proof, SignUp, sign_up};
use crate::app::auth::sign_up_gate::country_in;
use crate::app::emails;
use crate::app::emails::CodeEmail;
use crate::app::request_context::RequestContext;
use crate::error::ApiError;
use crate::error::known_error::{
    Code, KnownError, MultiFactorAuthenticationRequired, UserEmailAlreadyExists,
};

/// How often a code is tried while others sign up with its address. It takes two: whoever was faster
/// has an account then.
const ROUNDS: usize = 3;

/// Mails a code, and returns its nonce, which belongs to the short password in the mail.
///
/// # Errors
/// `USER_EMAIL_ALREADY_EXISTS` for an address that is not verified; `SIGN_UP_NOT_ENABLED` for an
/// unknown one in a closed project; `REDIRECT_URL_NOT_WHITELISTED`.
pub async fn send(
    request: RequestContext<'_>,
    email: &EmailAddress,
    callback: &str,
) -> Result<String, ApiError> {
    let user = owner(request, email).await?.map(|user| user.user_id());
    redirects::require_trusted(callback, &request.project.config.domains)?;
    let message = CodeEmail::magic_link(
        request.app,
        user,
        [email.as_str(), callback],
        country_in(request.geo).as_deref(),
    );
    emails::enqueue(request.app, request.context, &message).await?;
    Ok(message.code().nonce().to_owned())
}

/// Signs in with a code; or up, if nobody signs in with its address yet.
///
/// # Errors
/// What is wrong with the code; then what [`send`] and signing up may fail with, and
/// `MULTI_FACTOR_AUTHENTICATION_REQUIRED`.
pub async fn sign_in(
    request: RequestContext<'_>,
    code: &str,
    current: Option<&UserRow>,
) -> Result<SignedIn, ApiError> {
    let RequestContext { app, context, .. } = request;
    let code = present(app, context, Purpose::SignIn, code).await?;
    let email = code.row().email.clone().map(EmailAddress::from_stored);
    let email = &email.ok_or_else(KnownError::verification_code_not_found)?;
    for _ in 1..ROUNDS {
        match enter(request, &code, email, current).await {
            Err(Refused::AddressTaken(_)) => {}
            done => return settled(request, &code, done).await,
        }
    }
    let done = enter(request, &code, email, current).await;
    settled(request, &code, done).await
}

/// Why a code let nobody in.
enum Refused {
    /// Somebody signed up with the address in the same moment, and can be signed in to now.
    AddressTaken(ApiError),
    /// Another factor is wanted; the code is used up for good.
    Redeemed(ApiError),
    /// Anything else.
    Other(ApiError),
}

async fn settled(
    RequestContext { app, context, .. }: RequestContext<'_>,
    code: &PresentedCode,
    done: Result<SignedIn, Refused>,
) -> Result<SignedIn, ApiError> {
    match done {
        Ok(signed_in) => Ok(signed_in),
        Err(Refused::Redeemed(error)) => Err(error),
        Err(Refused::AddressTaken(error) | Refused::Other(error)) => {
            code.settle(app, context, Err(error)).await
        }
    }
}

/// Signs in, or up, as the address is or is not somebody's at the moment.
async fn enter(
    request: RequestContext<'_>,
    code: &PresentedCode,
    email: &EmailAddress,
    current: Option<&UserRow>,
) -> Result<SignedIn, Refused> {
    let owner = owner(request, email).await.map_err(Refused::Other)?;
    let Some(user) = owner else {
        return enter_newly(request, code, email, current).await;
    };
    let proof = FirstFactor::Mailbox {
        address: email.to_string(),
    };
    let (user, void) = (user.user_id(), KnownError::verification_code_not_found);
    let next = &NextStep::generate(request, user, proof, SessionOrigin::Code, void);
    let taken = request
        .app
        .log
        .transact(request.context, |mut unit| async move {
            code.redeem(&mut unit).await?;
            let taken = next.carry_out(&mut unit).await?;
            Ok::<_, ApiError>((unit, taken))
        })
        .await
        .map_err(Refused::Other)?;
    next.answer(request, taken).await.map_err(Refused::Redeemed)
}

/// Signs up with a code of an address that nobody signs in with.
async fn enter_newly(
    request: RequestContext<'_>,
    code: &PresentedCode,
    email: &EmailAddress,
    current: Option<&UserRow>,
) -> Result<SignedIn, Refused> {
    if !request.project.config.auth.otp.allow_sign_in {
        let text = "Sign-up by email code is switched off in this project.";
        return Err(Refused::Other(ApiError::bad_request(text)));
    }
    let country_code = code.row().data["country_code"].as_str();
    let wish = SignUp {
        email: email.clone(),
        proof: Proof::Code(code),
        verification_callback: None,
        country_code: country_code.map(str::to_owned),
    };
    sign_up(request, wish, current)
        .await
        .map_err(|error| match error {
            ApiError::Known(known) if known.is(UserEmailAlreadyExists::DESCRIPTION) => {
                Refused::AddressTaken(ApiError::Known(known))
            }
            ApiError::Known(known) if known.is(MultiFactorAuthenticationRequired::DESCRIPTION) => {
                Refused::Redeemed(ApiError::Known(known))
            }
            error => Refused::Other(error),
        })
}

/// The user who may sign in with a code sent to the address. One whose address is verified may,
/// and is noted as one who does.
async fn owner(
    request: RequestContext<'_>,
    email: &EmailAddress,
) -> Result<Option<UserRow>, ApiError> {
    let (app, project) = (request.app, &request.project.id);
    let Some(channel) = users::channel_by_auth_email(app.pool(), project, email).await? else {
        if request.project.config.auth.allow_sign_up {
            return Ok(None);
        }
        return Err(KnownError::sign_up_not_enabled().into());
    };
    if !channel.is_verified {
        return Err(KnownError::user_email_exists_unverified(&channel.value).into());
    }
    let record = users::by_id(app.pool(), project, UserId(channel.user_id)).await?;
    let Some(user) = record.map(|record| record.user) else {
        return Ok(None);
    };
    if !user.otp_enabled {
        app.execute::<User>(request.context, &user.user_id(), &UserCommand::EnableOtp)
            .await?;
    }
    Ok(Some(user))
}
