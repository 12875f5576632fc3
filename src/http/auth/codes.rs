//! What the endpoints that take codes have in common.

use axum::Json;
use muniment_domain::verification_code::Purpose;
use muniment_domain::{EmailAddress, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::auth::presented_code::{self, Handling};
use crate::app::auth::sign_in::SignedIn;
use crate::error::ApiResult;
use crate::error::codes::{
    Text, VerificationCodeAlreadyUsed, VerificationCodeExpired, VerificationCodeMaxAttemptsReached,
    VerificationCodeNotFound,
};
use crate::http::request::access::ProjectAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::verification_code;
use crate::security::limits::Limit;

request! {
    /// A code that somebody got by mail.
    pub(crate) struct MailedCode {
        query(open) {}
        body {
            /// The code, 45 characters; in capitals or not.
            code: String = required(verification_code());
        }
    }
}

/// How a code can fail.
pub(crate) type CodeErrors = (
    VerificationCodeNotFound,
    VerificationCodeExpired,
    VerificationCodeAlreadyUsed,
    VerificationCodeMaxAttemptsReached,
    Text<429>,
);

/// A code would work.
#[derive(Serialize, ToSchema)]
pub(crate) struct CodeIsValid {
    /// Always true: of one that would not, an error is told.
    is_code_valid: bool,
}

impl CodeIsValid {
    /// The only such answer.
    pub(crate) const ANSWER: Json<Self> = Json(Self {
        is_code_valid: true,
    });
}

/// Says whether a code would work, without using it up. The look counts as an attempt.
///
/// # Errors
/// What is wrong with the code: [`CodeErrors`].
pub(crate) async fn check_mailed_code(
    access: &ProjectAccess,
    MailedCode { code }: MailedCode,
    purpose: Purpose,
) -> ApiResult<Json<CodeIsValid>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let (app, context) = (&access.app, access.event_context());
    presented_code::take(app, context, purpose, &code, Handling::Check).await?;
    Ok(CodeIsValid::ANSWER)
}

/// Keeps callers from having codes sent to an address, or from their own, without end.
///
/// # Errors
/// 429.
pub(crate) fn limit_sending(access: &ProjectAccess, to: &EmailAddress) -> ApiResult<()> {
    access.limit(Limit::CodeSendingFromIp)?;
    let key = (access.project_id().as_str(), to.as_str());
    let app = &access.app;
    app.limits.spend(Limit::CodeSending, &key, app.now())?;
    Ok(())
}

/// The longer of the two shapes in which tokens are handed out.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignInTokens {
    /// The access token, which works for some minutes.
    access_token: String,
    /// Whether the account came into being with this sign-in, or was anonymous until then.
    is_new_user: bool,
    /// The refresh token, for the next access tokens.
    refresh_token: String,
    /// Whose they are.
    #[schema(value_type = Uuid)]
    user_id: UserId,
}

impl From<SignedIn> for SignInTokens {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token,
            is_new_user: signed_in.is_new_user,
            refresh_token: signed_in.refresh_token,
            user_id: signed_in.user_id,
        }
    }
}

/// The shorter of the two shapes in which tokens are handed out.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserTokens {
    /// The access token, which works for some minutes.
    access_token: String,
    /// The refresh token, for the next access tokens.
    refresh_token: String,
    /// Whose they are.
    #[schema(value_type = Uuid)]
    user_id: UserId,
}

impl From<SignedIn> for UserTokens {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token,
            refresh_token: signed_in.refresh_token,
            user_id: signed_in.user_id,
        }
    }
}
