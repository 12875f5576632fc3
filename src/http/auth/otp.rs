//! `/auth/otp`: signing in, or up, with a code that comes by email, as a link or to be typed.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::verification_code::Purpose;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::codes::{check_code, full, limit_sending, read_code};
use super::passwords::read_bot_challenge;
use crate::app::App;
use crate::app::auth::magic_link;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ClientAccess;
use crate::http::request::input::Input;
use crate::http::request::values::{strict_email, url_text};
use crate::security::limits::Limit;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(send))
        .routes(routes!(sign_in))
        .routes(routes!(check))
}

/// Mails a code. Its first six characters are to be typed; the answer holds the rest, the nonce.
#[utoipa::path(post, path = "/auth/otp/send-sign-in-code", tag = "otp", request_body = Value,
    responses((status = 200, description = "`{nonce}`"),
        (status = 400, description = "SIGN_UP_NOT_ENABLED, REDIRECT_URL_NOT_WHITELISTED, SCHEMA_ERROR"),
        (status = 403, description = "text: the project does not offer sign-in by code"),
        (status = 409, description = "USER_EMAIL_ALREADY_EXISTS")))]
async fn send(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let email = body.required("email", strict_email);
    let callback = body.required("callback_url", url_text);
    let challenge = read_bot_challenge(&mut body);
    body.close();
    let (email, callback) = form.finish((|| {
        challenge?;
        Some((email?, callback?))
    })())?;
    if !access.project.config.auth.otp.allow_sign_in {
        let text = "Sign-in by email code is switched off in this project.";
        return Err(ApiError::text(StatusCode::FORBIDDEN, text));
    }
    limit_sending(&access, &email)?;
    let request = access.request_context();
    let nonce = magic_link::send(request, &email, &callback).await?;
    Ok(Json(json!({"nonce": nonce})).into_response())
}

/// Signs in with a code. With the access token of an anonymous user, and an address that nobody
/// signs in with yet, that user becomes the account.
#[utoipa::path(post, path = "/auth/otp/sign-in", tag = "otp", request_body = Value,
    responses((status = 200, description = "`{access_token, refresh_token, is_new_user, user_id}`"),
        (status = 400, description = "VERIFICATION_CODE_EXPIRED, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED, SIGN_UP_NOT_ENABLED, MULTI_FACTOR_AUTHENTICATION_REQUIRED, SCHEMA_ERROR"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND"),
        (status = 409, description = "VERIFICATION_CODE_ALREADY_USED, USER_EMAIL_ALREADY_EXISTS")))]
async fn sign_in(access: ClientAccess, input: Input) -> ApiResult {
    let code = read_code(&access, &input)?;
    access.limit(Limit::CodeCheckFromIp)?;
    let current = access.user().map(|record| &record.user);
    let request = access.request_context();
    Ok(full(&magic_link::sign_in(request, &code, current).await?))
}

/// Says whether a code would work, without using it up.
#[utoipa::path(post, path = "/auth/otp/sign-in/check-code", tag = "otp", request_body = Value,
    responses((status = 200, description = "`{is_code_valid: true}`")))]
async fn check(access: ClientAccess, input: Input) -> ApiResult {
    check_code(&access, &input, Purpose::SignIn).await
}
