//! `/auth/mfa`: the second factor.

use axum::Json;
use utoipa_axum::router::OpenApiRouter;

use super::codes::{CodeErrors, SignInTokens};
use crate::app::App;
use crate::app::auth::sign_in::with_second_factor;
use crate::error::ApiResult;
use crate::error::codes::{Errors, InvalidTotpCode, UserNotFound};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::{one_of, text, verification_code};
use crate::security::limits::Limit;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(sign_in_with_second_factor))
}

request! {
    /// A second factor.
    struct SignInWithSecondFactor {
        query(open) {}
        body {
            /// The `attempt_code` that the first factor yielded with
            /// `MULTI_FACTOR_AUTHENTICATION_REQUIRED`. It works for five minutes.
            code: String = required(verification_code());
            /// Which second factor it is.
            _kind as "type": &'static str = required(one_of(&["totp"]));
            /// The one-time password that the authenticator shows (RFC 6238).
            totp: String = required(text());
        }
    }
}

/// Signs in with the second factor.
///
/// A wrong one leaves the attempt code as it is.
#[utoipa::path(post, path = "/auth/mfa/sign-in", tag = "mfa",
    responses(Errors<(CodeErrors, InvalidTotpCode, UserNotFound)>))]
async fn sign_in_with_second_factor(
    access: ClientAccess,
    given: SignInWithSecondFactor,
) -> ApiResult<Json<SignInTokens>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    let signed_in = with_second_factor(request, &given.code, &given.totp).await?;
    Ok(Json(signed_in.into()))
}
