//! Signing in, or up, with a code that came by email: as a link, or as a short one-time password.

use muniment_domain::session::SessionOrigin;
use muniment_domain::user::{FirstFactor, User, UserCommand};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{EmailAddress, UserId};
use muniment_projections::read_models::users::{self, UserRow};

use super::codes::{self, Handling};
use super::redirects;
use super::sign_in::{SignedIn, after_first_factor};
use super::sign_up::{Proof, SignUp, sign_up};
use crate::app::auth::sign_up_gate::country_in;
use crate::app::emails;
use crate::app::emails::CodeEmail;
use crate::app::request_context::RequestContext;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

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
    let code = codes::take(
        request.app,
        request.context,
        Purpose::SignIn,
        code,
        Handling::Redeem,
    )
    .await?;
    let email = code.email.map(EmailAddress::from_stored);
    let email = email.ok_or_else(KnownError::verification_code_not_found)?;
    if let Some(user) = owner(request, &email).await? {
        let proof = FirstFactor::Mailbox {
            address: email.to_string(),
        };
        let void = KnownError::verification_code_not_found;
        let user = user.user_id();
        return after_first_factor(request, user, proof, SessionOrigin::Code, void).await;
    }
    if !request.project.config.auth.otp.allow_sign_in {
        return Err(ApiError::text(
            axum::http::StatusCode::BAD_REQUEST,
            "Sign-up by email code is switched off in this project.",
        ));
    }
    let wish = SignUp {
        email,
        proof: Proof::Code,
        verification_callback: None,
        country_code: code.data["country_code"].as_str().map(str::to_owned),
    };
    sign_up(request, wish, current).await
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
