//! `/auth/otp`: signing in, or up, with a code that comes by email, as a link or to be typed.

use axum::Json;
use muniment_domain::EmailAddress;
use muniment_domain::verification_code::Purpose;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::codes::{
    CodeErrors, CodeIsValid, MailedCode, SignInTokens, check_mailed_code, limit_sending,
};
use super::passwords::BotChallenge;
use crate::app::App;
use crate::app::auth::magic_link;
use crate::error::codes::{
    Errors, MultiFactorAuthenticationRequired, RedirectUrlNotWhitelisted, SignUpNotEnabled,
    SignUpRejected, Text, UserEmailAlreadyExists, UserNotFound,
};
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::{strict_email, url_text};
use crate::security::limits::Limit;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(send_sign_in_code))
        .routes(operations!(sign_in_with_code))
        .routes(operations!(check_sign_in_code))
}

request! {
    /// That a code shall be mailed.
    struct SendSignInCode {
        query(open) {}
        body {
            .. _challenge: BotChallenge;
            /// Where to.
            email: EmailAddress = required(strict_email());
            /// Where the link in the mail leads; the code is added to its query. It must be on a
            /// domain that the project trusts.
            callback_url: String = required(url_text());
        }
    }
}

/// What belongs to a code that was mailed.
#[derive(Serialize, ToSchema)]
struct SignInCodeSent {
    /// All of the code but the first six characters, which are to be typed: those and this are the
    /// code.
    nonce: String,
}

/// What every sign-in by code can fail with that is not about the code.
type NotLetIn = (SignUpNotEnabled, UserEmailAlreadyExists, UserNotFound);

/// Mails a code to sign in with.
///
/// The mail has a link with the whole code, and the first six characters of it to be typed. The answer
/// holds the rest.
#[utoipa::path(post, path = "/auth/otp/send-sign-in-code", tag = "otp",
    responses(Errors<(NotLetIn, RedirectUrlNotWhitelisted, Text<403>, Text<429>)>))]
async fn send_sign_in_code(
    access: ClientAccess,
    wanted: SendSignInCode,
) -> ApiResult<Json<SignInCodeSent>> {
    if !access.project.config.auth.otp.allow_sign_in {
        let text = "Sign-in by email code is switched off in this project.";
        return Err(ApiError::forbidden(text));
    }
    limit_sending(&access, &wanted.email)?;
    let request = access.request_context();
    let nonce = magic_link::send(request, &wanted.email, &wanted.callback_url).await?;
    Ok(Json(SignInCodeSent { nonce }))
}

/// Signs in with a code, or up if nobody signs in with its address yet.
///
/// With the access token of an anonymous user, and an address that nobody signs in with yet, that
/// user becomes the account.
#[utoipa::path(post, path = "/auth/otp/sign-in", tag = "otp",
    responses(Errors<(CodeErrors, NotLetIn, SignUpRejected, MultiFactorAuthenticationRequired, Text<400>)>))]
async fn sign_in_with_code(
    access: ClientAccess,
    MailedCode { code }: MailedCode,
) -> ApiResult<Json<SignInTokens>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let current = access.user().map(|record| &record.user);
    let request = access.request_context();
    let signed_in = magic_link::sign_in(request, &code, current).await?;
    Ok(Json(signed_in.into()))
}

/// Says whether a code to sign in with would work, without using it up.
#[utoipa::path(post, path = "/auth/otp/sign-in/check-code", tag = "otp",
    responses(Errors<CodeErrors>))]
async fn check_sign_in_code(
    access: ClientAccess,
    code: MailedCode,
) -> ApiResult<Json<CodeIsValid>> {
    check_mailed_code(&access, code, Purpose::SignIn).await
}
