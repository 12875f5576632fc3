//! `/auth/password`: signing up and in with an email and a password, and changing it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use muniment_domain::verification_code::Purpose;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::codes::{check_code, limit_sending};
use crate::app::App;
use crate::app::auth::sign_in::SignedIn;
use crate::app::auth::sign_up::{Proof, SignUp, sign_up as open_account};
use crate::app::auth::sign_up_gate::country_in;
use crate::app::auth::{password, redirects};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::ClientAccess;
use crate::http::request::caller::Auth;
use crate::http::request::fields::Fields;
use crate::http::request::input::Input;
use crate::http::request::values::{
    lenient_email, one_of, strict_email, text, text_max, url_text, verification_code,
};
use crate::security::limits::Limit;

/// The longest password that is read, in UTF-16 code units.
const MAX_PASSWORD: usize = 70;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_up))
        .routes(routes!(sign_in))
        .routes(routes!(set))
        .routes(routes!(update))
        .routes(routes!(send_reset_code))
        .routes(routes!(reset))
        .routes(routes!(check_reset_code))
}

/// Signs up. With the access token of an anonymous user, that user becomes the account.
#[utoipa::path(post, path = "/auth/password/sign-up", tag = "passwords", request_body = Value,
    responses((status = 200, description = "`{access_token, refresh_token, user_id}`"),
        (status = 400, description = "PASSWORD_AUTHENTICATION_NOT_ENABLED, REDIRECT_URL_NOT_WHITELISTED, SIGN_UP_NOT_ENABLED, PASSWORD_TOO_SHORT, SCHEMA_ERROR"),
        (status = 403, description = "SIGN_UP_REJECTED"), (status = 409, description = "USER_EMAIL_ALREADY_EXISTS"),
        (status = 429, description = "Too many sign-ups from one address; see Retry-After")))]
async fn sign_up(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let email = body.required("email", strict_email);
    let chosen = body.required("password", text_max(MAX_PASSWORD));
    let callback = body.optional("verification_callback_url", url_text);
    let challenge = read_bot_challenge(&mut body);
    body.close();
    let (email, chosen, callback) = form.finish((|| {
        challenge?;
        Some((email?, chosen?, callback?))
    })())?;
    let config = &access.project.config;
    require_enabled(&access)?;
    if let Some(url) = &callback {
        redirects::require_trusted(url, &config.domains)?;
    }
    if !config.auth.allow_sign_up {
        return Err(KnownError::sign_up_not_enabled().into());
    }
    password::require_strength(&chosen)?;
    access.limit(Limit::SignUpFromIp)?;
    let wish = SignUp {
        email,
        proof: Proof::Password(chosen),
        verification_callback: callback,
        country_code: country_in(access.geo()),
    };
    let current = access.user().map(|record| &record.user);
    let request = access.request_context();
    Ok(short(&open_account(request, wish, current).await?))
}

/// The fields of a bot challenge. No challenge is configured, so they are read and do not matter.
pub(crate) fn read_bot_challenge(body: &mut Fields<'_>) -> Option<()> {
    let token = body.optional("bot_challenge_token", text);
    let phase = body.optional("bot_challenge_phase", one_of(&["invisible", "visible"]));
    let unavailable = body.optional("bot_challenge_unavailable", one_of(&["true"]));
    token?;
    phase?;
    unavailable?;
    Some(())
}

fn require_enabled(auth: &Auth) -> Result<(), ApiError> {
    if auth.project.config.auth.password.allow_sign_in {
        return Ok(());
    }
    Err(KnownError::password_authentication_not_enabled().into())
}

/// Signs in.
#[utoipa::path(post, path = "/auth/password/sign-in", tag = "passwords", request_body = Value,
    responses((status = 200, description = "`{access_token, refresh_token, user_id}`"),
        (status = 400, description = "PASSWORD_AUTHENTICATION_NOT_ENABLED, EMAIL_PASSWORD_MISMATCH, MULTI_FACTOR_AUTHENTICATION_REQUIRED, SCHEMA_ERROR"),
        (status = 429, description = "Too many wrong passwords for one account, or too many sign-ins from one address; see Retry-After")))]
async fn sign_in(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let email = body.required("email", lenient_email);
    let given = body.required("password", text_max(MAX_PASSWORD));
    body.close();
    let (email, given) = form.finish((|| Some((email?, given?)))())?;
    require_enabled(&access)?;
    access.limit(Limit::SignInFromIp)?;
    let request = access.request_context();
    Ok(short(&password::sign_in(request, &email, &given).await?))
}

/// Gives the signed-in user a first password.
#[utoipa::path(post, path = "/auth/password/set", tag = "passwords", request_body = Value,
    responses((status = 200, description = "`{success: true}`"),
        (status = 400, description = "PASSWORD_AUTHENTICATION_NOT_ENABLED, PASSWORD_TOO_SHORT, SCHEMA_ERROR; text: there is a password already")))]
async fn set(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let user = form.signed_in(&access);
    let mut body = form.body();
    let chosen = body.required("password", text_max(MAX_PASSWORD));
    body.close();
    let (user, chosen) = form.finish((|| Some((user?, chosen?)))())?;
    require_enabled(&access)?;
    password::set(
        &access.app,
        access.event_context(),
        user.user.user_id(),
        &chosen,
    )
    .await?;
    Ok(success())
}

/// Changes the signed-in user's password. All sessions end but the one whose refresh token is sent.
#[utoipa::path(post, path = "/auth/password/update", tag = "passwords", request_body = Value,
    params(("x-stack-refresh-token" = Option<String>, Header)),
    responses((status = 200, description = "`{success: true}`"),
        (status = 400, description = "PASSWORD_AUTHENTICATION_NOT_ENABLED, PASSWORD_TOO_SHORT, USER_DOES_NOT_HAVE_PASSWORD, PASSWORD_CONFIRMATION_MISMATCH, SCHEMA_ERROR")))]
async fn update(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let user = form.signed_in(&access);
    let mut body = form.body();
    let old = body.required("old_password", text_max(MAX_PASSWORD));
    let new = body.required("new_password", text_max(MAX_PASSWORD));
    body.close();
    let (user, old, new) = form.finish((|| Some((user?, old?, new?)))())?;
    require_enabled(&access)?;
    let kept = access.caller.refresh_token();
    password::update(
        &access.app,
        access.event_context(),
        &user.user,
        [&old, &new],
        kept,
    )
    .await?;
    Ok(success())
}

/// Mails a link to choose a new password with. The answer does not say whether there is such an
/// account.
#[utoipa::path(post, path = "/auth/password/send-reset-code", tag = "passwords", request_body = Value,
    responses((status = 200, description = "`{success: <text>}`"),
        (status = 400, description = "PASSWORD_AUTHENTICATION_NOT_ENABLED, REDIRECT_URL_NOT_WHITELISTED, SCHEMA_ERROR")))]
async fn send_reset_code(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let email = body.required("email", lenient_email);
    let callback = body.required("callback_url", url_text);
    body.close();
    let (email, callback) = form.finish((|| Some((email?, callback?)))())?;
    require_enabled(&access)?;
    limit_sending(&access, &email)?;
    let request = access.request_context();
    password::send_reset_code(request, &email, &callback).await?;
    let answer = "If there is an account with this address, a link is on its way.";
    Ok(Json(json!({"success": answer})).into_response())
}

/// Chooses a new password with a code that came by mail. All sessions end.
#[utoipa::path(post, path = "/auth/password/reset", tag = "passwords", request_body = Value,
    responses((status = 200, description = "`{success: true}`"),
        (status = 400, description = "VERIFICATION_CODE_EXPIRED, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED, PASSWORD_AUTHENTICATION_NOT_ENABLED, PASSWORD_TOO_SHORT, SCHEMA_ERROR"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND, USER_NOT_FOUND"),
        (status = 409, description = "VERIFICATION_CODE_ALREADY_USED")))]
async fn reset(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let code = body.required("code", verification_code);
    let chosen = body.required("password", text_max(MAX_PASSWORD));
    body.close();
    let (code, chosen) = form.finish((|| Some((code?, chosen?)))())?;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    password::reset(request, &code, &chosen).await?;
    Ok(success())
}

/// Says whether a code to reset a password would work, without using it up.
#[utoipa::path(post, path = "/auth/password/reset/check-code", tag = "passwords", request_body = Value,
    responses((status = 200, description = "`{is_code_valid: true}`")))]
async fn check_reset_code(access: ClientAccess, input: Input) -> ApiResult {
    check_code(&access, &input, Purpose::PasswordReset).await
}

/// The shorter of the two shapes in which tokens are handed out.
pub(crate) fn short(signed_in: &SignedIn) -> Response {
    Json(json!({
        "access_token": signed_in.access_token,
        "refresh_token": signed_in.refresh_token,
        "user_id": signed_in.user_id,
    }))
    .into_response()
}
