//! `/auth/password`: signing up and in with an email and a password.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::error::ApiResult;
use super::input::{Input, lenient_email, one_of, strict_email, text, text_max, url_text};
use super::known_error::KnownError;
use crate::app::App;
use crate::app::redirects;
use crate::app::sign_in::{SignedIn, sign_in_with_password, sign_up_with_password};
use crate::limits::Limit;
use crate::passwords::{Strength, strength};

/// The longest password that is read, in UTF-16 code units.
const MAX_PASSWORD: usize = 70;

/// The routes of this file.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_up))
        .routes(routes!(sign_in))
}

/// Signs up. With the access token of an anonymous user, that user becomes the account.
#[utoipa::path(post, path = "/auth/password/sign-up", tag = "passwords", request_body = Value,
    responses((status = 200, description = "`{access_token, refresh_token, user_id}`"),
        (status = 400, description = "PASSWORD_AUTHENTICATION_NOT_ENABLED, REDIRECT_URL_NOT_WHITELISTED, SIGN_UP_NOT_ENABLED, PASSWORD_TOO_SHORT, SCHEMA_ERROR"),
        (status = 403, description = "SIGN_UP_REJECTED"), (status = 409, description = "USER_EMAIL_ALREADY_EXISTS"),
        (status = 429, description = "Too many sign-ups from one address; see Retry-After")))]
async fn sign_up(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.client()?;
    let mut form = input.form(auth.user_id());
    let mut body = form.body();
    let email = body.required("email", strict_email);
    let password = body.required("password", text_max(MAX_PASSWORD));
    let callback = body.optional("verification_callback_url", url_text);
    // No bot challenge is configured, so its answers are read and do not matter.
    let token = body.optional("bot_challenge_token", text);
    let phase = body.optional("bot_challenge_phase", one_of(&["invisible", "visible"]));
    let unavailable = body.optional("bot_challenge_unavailable", one_of(&["true"]));
    body.close();
    let (email, password, callback) = form.finish((|| {
        token?;
        phase?;
        unavailable?;
        Some((email?, password?, callback?))
    })())?;
    let config = &auth.project.config;
    if !config.auth.password.allow_sign_in {
        return Err(KnownError::password_authentication_not_enabled().into());
    }
    if callback.is_some_and(|url| !redirects::is_trusted(&url, &config.domains)) {
        return Err(KnownError::redirect_url_not_whitelisted().into());
    }
    if !config.auth.allow_sign_up {
        return Err(KnownError::sign_up_not_enabled().into());
    }
    match strength(&password) {
        Strength::Fine => {}
        Strength::TooShort => return Err(KnownError::password_too_short().into()),
        Strength::TooLong => return Err(KnownError::password_too_long().into()),
    }
    caller.limit(&app, Limit::SignUpFromIp)?;
    let context = caller.event_context(&app, auth.project_id());
    let current = auth.user().map(|record| &record.user);
    let place = caller.end_user().info.clone();
    let signed_in = sign_up_with_password(
        &app,
        &context,
        &auth.project,
        email,
        &password,
        current,
        place,
    )
    .await?;
    Ok(short(signed_in))
}

/// Signs in.
#[utoipa::path(post, path = "/auth/password/sign-in", tag = "passwords", request_body = Value,
    responses((status = 200, description = "`{access_token, refresh_token, user_id}`"),
        (status = 400, description = "PASSWORD_AUTHENTICATION_NOT_ENABLED, EMAIL_PASSWORD_MISMATCH, MULTI_FACTOR_AUTHENTICATION_REQUIRED, SCHEMA_ERROR"),
        (status = 429, description = "Too many wrong passwords for one account, or too many sign-ins from one address; see Retry-After")))]
async fn sign_in(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.client()?;
    let mut form = input.form(auth.user_id());
    let mut body = form.body();
    let email = body.required("email", lenient_email);
    let password = body.required("password", text_max(MAX_PASSWORD));
    body.close();
    let (email, password) = form.finish((|| Some((email?, password?)))())?;
    if !auth.project.config.auth.password.allow_sign_in {
        return Err(KnownError::password_authentication_not_enabled().into());
    }
    caller.limit(&app, Limit::SignInFromIp)?;
    let context = caller.event_context(&app, auth.project_id());
    let place = caller.end_user().info.clone();
    let signed_in =
        sign_in_with_password(&app, &context, &auth.project, &email, &password, place).await?;
    Ok(short(signed_in))
}

/// The shorter of the two shapes in which tokens are handed out.
pub(super) fn short(signed_in: SignedIn) -> Response {
    let SignedIn {
        user_id,
        access_token,
        refresh_token,
    } = signed_in;
    Json(json!({
        "access_token": access_token,
        "refresh_token": refresh_token,
        "user_id": user_id,
    }))
    .into_response()
}
