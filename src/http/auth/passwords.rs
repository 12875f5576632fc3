//! `/auth/password`: signing up and in with an email and a password, and changing it.

use std::sync::Arc;

use axum::Json;
use muniment_domain::EmailAddress;
use muniment_domain::verification_code::Purpose;
use muniment_projections::read_models::users::UserRecord;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::codes::{
    CodeErrors, CodeIsValid, MailedCode, UserTokens, check_mailed_code, limit_sending,
};
use crate::app::App;
use crate::app::auth::sign_up::{Proof, SignUp, sign_up};
use crate::app::auth::sign_up_gate::country_in;
use crate::app::auth::{password, redirects};
use crate::error::codes::{
    EmailPasswordMismatch, Errors, MultiFactorAuthenticationRequired,
    PasswordAuthenticationNotEnabled, PasswordConfirmationMismatch, PasswordTooLong,
    PasswordTooShort, RedirectUrlNotWhitelisted, SignUpNotEnabled, SignUpRejected, Text,
    UserDoesNotHavePassword, UserEmailAlreadyExists, UserNotFound,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::Success;
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::caller::Auth;
use crate::http::request::declare::{fields, request, signed_in};
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::{
    lenient_email, one_of, strict_email, text, text_max, url_text, verification_code,
};
use crate::security::limits::Limit;

/// The longest password that is read, in UTF-16 code units.
const MAX_PASSWORD: usize = 70;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(sign_up_with_password))
        .routes(operations!(sign_in_with_password))
        .routes(operations!(set_password))
        .routes(operations!(update_password))
        .routes(operations!(send_password_reset_code))
        .routes(operations!(reset_password))
        .routes(operations!(check_password_reset_code))
}

request! {
    /// An account to be made.
    struct SignUpWithPassword {
        query(open) {}
        body {
            .. _challenge: BotChallenge;
            /// The address to sign in with. Whether it is the user's is not known until they follow a
            /// link.
            email: EmailAddress = required(strict_email());
            /// The password: at least 8 characters.
            password: String = required(text_max(MAX_PASSWORD));
            /// Where a link leads that proves the address; the code is added to its query. Without
            /// this, no mail is sent.
            verification_callback_url: Option<String> = optional(url_text());
        }
        example {
            "email": "ada@example.com",
            "password": "correct horse battery",
            "verification_callback_url": "http://localhost:3000/handler/email-verification"
        }
    }

    /// An address and a password.
    struct SignInWithPassword {
        query(open) {}
        body {
            /// The address.
            email: EmailAddress = required(lenient_email());
            /// The password.
            password: String = required(text_max(MAX_PASSWORD));
        }
        example {"email": "ada@example.com", "password": "correct horse battery"}
    }

    /// A first password.
    struct SetPassword {
        caller {
            user: Arc<UserRecord> = signed_in();
        }
        query(open) {}
        body {
            /// The password: at least 8 characters.
            password: String = required(text_max(MAX_PASSWORD));
        }
        example {"password": "correct horse battery"}
    }

    /// Another password.
    struct UpdatePassword {
        caller {
            user: Arc<UserRecord> = signed_in();
        }
        query(open) {}
        body {
            /// The password so far.
            old_password: String = required(text_max(MAX_PASSWORD));
            /// The new one: at least 8 characters.
            new_password: String = required(text_max(MAX_PASSWORD));
        }
        example {"old_password": "correct horse battery", "new_password": "staple and all"}
    }

    /// That a link shall be mailed to choose a new password with.
    struct SendPasswordResetCode {
        query(open) {}
        body {
            /// The address of the account.
            email: EmailAddress = required(lenient_email());
            /// Where the link leads; the code is added to its query.
            callback_url: String = required(url_text());
        }
    }

    /// A new password, with a code that came by mail.
    struct ResetPassword {
        query(open) {}
        body {
            /// The code, 45 characters; in capitals or not.
            code: String = required(verification_code());
            /// The new password: at least 8 characters.
            password: String = required(text_max(MAX_PASSWORD));
        }
    }
}

fields! {
    /// What a browser knows of a bot challenge. No challenge is configured, so this is checked for its
    /// form and does not matter.
    pub(super) struct BotChallenge {
        /// Accepted, and without effect.
        _token as "bot_challenge_token": Option<String> = optional(text());
        /// Accepted, and without effect.
        _phase as "bot_challenge_phase": Option<&'static str> = optional(one_of(&["invisible", "visible"]));
        /// Accepted, and without effect.
        _unavailable as "bot_challenge_unavailable": Option<&'static str> = optional(one_of(&["true"]));
    }
}

/// A password that cannot be chosen.
type Unsuitable = (
    PasswordAuthenticationNotEnabled,
    PasswordTooShort,
    PasswordTooLong,
);

fn require_enabled(auth: &Auth) -> Result<(), ApiError> {
    if auth.project.config.auth.password.allow_sign_in {
        return Ok(());
    }
    Err(KnownError::password_authentication_not_enabled().into())
}

/// Signs up with an email address and a password.
///
/// With the access token of an anonymous user, that user becomes the account.
#[utoipa::path(post, path = "/auth/password/sign-up", tag = "passwords",
    responses(Errors<(Unsuitable, RedirectUrlNotWhitelisted, SignUpNotEnabled, SignUpRejected, UserEmailAlreadyExists,
        MultiFactorAuthenticationRequired, UserNotFound, Text<400>, Text<429>)>))]
async fn sign_up_with_password(
    access: ClientAccess,
    new: SignUpWithPassword,
) -> ApiResult<Json<UserTokens>> {
    let config = &access.project.config;
    require_enabled(&access)?;
    if let Some(url) = &new.verification_callback_url {
        redirects::require_trusted(url, &config.domains)?;
    }
    if !config.auth.allow_sign_up {
        return Err(KnownError::sign_up_not_enabled().into());
    }
    password::require_strength(&new.password)?;
    access.limit(Limit::SignUpFromIp)?;
    let wish = SignUp {
        email: new.email,
        proof: Proof::Password(new.password),
        verification_callback: new.verification_callback_url,
        country_code: country_in(access.geo()),
    };
    let current = access.user().map(|record| &record.user);
    let signed_in = sign_up(access.request_context(), wish, current).await?;
    Ok(Json(signed_in.into()))
}

/// Signs in with an email address and a password.
#[utoipa::path(post, path = "/auth/password/sign-in", tag = "passwords",
    responses(Errors<(PasswordAuthenticationNotEnabled, EmailPasswordMismatch, MultiFactorAuthenticationRequired,
        UserNotFound, Text<429>)>))]
async fn sign_in_with_password(
    access: ClientAccess,
    given: SignInWithPassword,
) -> ApiResult<Json<UserTokens>> {
    require_enabled(&access)?;
    access.limit(Limit::SignInFromIp)?;
    let request = access.request_context();
    let signed_in = password::sign_in(request, &given.email, &given.password).await?;
    Ok(Json(signed_in.into()))
}

/// Gives the signed-in user a first password.
#[utoipa::path(post, path = "/auth/password/set", tag = "passwords",
    responses(Errors<(Unsuitable, UserNotFound, Text<400>)>))]
async fn set_password(access: ClientAccess, first: SetPassword) -> ApiResult<Json<Success>> {
    require_enabled(&access)?;
    let (app, context) = (&access.app, access.event_context());
    let user = first.user.user.user_id();
    password::set(app, context, user, &first.password).await?;
    Ok(Success::ANSWER)
}

/// Changes the signed-in user's password.
///
/// All sessions end but the one whose refresh token is sent.
#[utoipa::path(post, path = "/auth/password/update", tag = "passwords",
    params(("x-stack-refresh-token" = Option<String>, Header, description = "The refresh token of the session that goes on.")),
    responses(Errors<(Unsuitable, UserDoesNotHavePassword, PasswordConfirmationMismatch, UserNotFound, Text<429>)>))]
async fn update_password(access: ClientAccess, change: UpdatePassword) -> ApiResult<Json<Success>> {
    require_enabled(&access)?;
    let kept = access.caller.refresh_token();
    let (app, context, user) = (&access.app, access.event_context(), &change.user.user);
    let passwords = [change.old_password.as_str(), change.new_password.as_str()];
    password::update(app, context, user, passwords, kept).await?;
    Ok(Success::ANSWER)
}

/// That a link may be on its way.
#[derive(Serialize, ToSchema)]
struct PasswordResetCodeSent {
    /// A sentence, for whoever asked.
    success: &'static str,
}

/// Mails a link to choose a new password with.
///
/// The answer does not say whether there is such an account.
#[utoipa::path(post, path = "/auth/password/send-reset-code", tag = "passwords",
    responses(Errors<(PasswordAuthenticationNotEnabled, RedirectUrlNotWhitelisted, Text<429>)>))]
async fn send_password_reset_code(
    access: ClientAccess,
    wanted: SendPasswordResetCode,
) -> ApiResult<Json<PasswordResetCodeSent>> {
    require_enabled(&access)?;
    limit_sending(&access, &wanted.email)?;
    let request = access.request_context();
    password::send_reset_code(request, &wanted.email, &wanted.callback_url).await?;
    Ok(Json(PasswordResetCodeSent {
        success: "If there is an account with this address, a link is on its way.",
    }))
}

/// Chooses a new password with a code that came by mail.
///
/// All sessions end.
#[utoipa::path(post, path = "/auth/password/reset", tag = "passwords",
    responses(Errors<(CodeErrors, Unsuitable, UserNotFound)>))]
async fn reset_password(access: ClientAccess, new: ResetPassword) -> ApiResult<Json<Success>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    password::reset(request, &new.code, &new.password).await?;
    Ok(Success::ANSWER)
}

/// Says whether a code to reset a password would work, without using it up.
#[utoipa::path(post, path = "/auth/password/reset/check-code", tag = "passwords",
    responses(Errors<CodeErrors>))]
async fn check_password_reset_code(
    access: ClientAccess,
    code: MailedCode,
) -> ApiResult<Json<CodeIsValid>> {
    check_mailed_code(&access, code, Purpose::PasswordReset).await
}
