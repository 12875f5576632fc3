//! `/auth/passkey`: registering a passkey and signing in with it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::codes::full;
use crate::app::App;
use crate::app::auth::passkeys::{self, Ceremony};
use crate::error::ApiResult;
use crate::http::request::access::ClientAccess;
use crate::http::request::input::Input;
use crate::http::request::values::{json_object, verification_code};
use crate::security::limits::Limit;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(begin_registration))
        .routes(routes!(register))
        .routes(routes!(begin_sign_in))
        .routes(routes!(sign_in))
}

fn begun(Ceremony { options, code }: &Ceremony) -> Response {
    Json(json!({"options_json": options, "code": code})).into_response()
}

/// Begins to register a passkey for the signed-in user.
#[utoipa::path(post, path = "/auth/passkey/initiate-passkey-registration", tag = "passkeys",
    responses((status = 200, description = "`{options_json, code}`"),
        (status = 400, description = "PASSKEY_AUTHENTICATION_NOT_ENABLED, SCHEMA_ERROR")))]
async fn begin_registration(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let user = form.signed_in(&access);
    form.optional_body().close();
    let user = form.finish(user)?;
    let request = access.request_context();
    Ok(begun(
        &passkeys::begin_registration(request, &user.user).await?,
    ))
}

/// Registers what the authenticator made, in place of the passkey before.
#[utoipa::path(post, path = "/auth/passkey/register", tag = "passkeys", request_body = Value,
    responses((status = 200, description = "`{user_handle}`"),
        (status = 400, description = "VERIFICATION_CODE_EXPIRED, PASSKEY_AUTHENTICATION_NOT_ENABLED, PASSKEY_REGISTRATION_FAILED, SCHEMA_ERROR"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND"),
        (status = 409, description = "VERIFICATION_CODE_ALREADY_USED")))]
async fn register(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let credential = body.required("credential", json_object);
    let code = body.required("code", verification_code);
    body.close();
    let (credential, code) = form.finish((|| Some((credential?, code?)))())?;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    let handle = passkeys::register(request, &code, credential, access.user_id()).await?;
    Ok(Json(json!({"user_handle": handle})).into_response())
}

/// Begins to sign in with a passkey.
#[utoipa::path(post, path = "/auth/passkey/initiate-passkey-authentication", tag = "passkeys",
    responses((status = 200, description = "`{options_json, code}`"),
        (status = 400, description = "PASSKEY_AUTHENTICATION_NOT_ENABLED")))]
async fn begin_sign_in(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    form.optional_body().close();
    form.finish(Some(()))?;
    access.limit(Limit::SignInFromIp)?;
    let request = access.request_context();
    Ok(begun(&passkeys::begin_sign_in(request).await?))
}

/// Signs in with what the authenticator signed.
#[utoipa::path(post, path = "/auth/passkey/sign-in", tag = "passkeys", request_body = Value,
    responses((status = 200, description = "`{access_token, refresh_token, is_new_user, user_id}`"),
        (status = 400, description = "VERIFICATION_CODE_EXPIRED, PASSKEY_AUTHENTICATION_NOT_ENABLED, PASSKEY_AUTHENTICATION_FAILED, MULTI_FACTOR_AUTHENTICATION_REQUIRED, SCHEMA_ERROR"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND"),
        (status = 409, description = "VERIFICATION_CODE_ALREADY_USED")))]
async fn sign_in(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let response = body.required("authentication_response", json_object);
    let code = body.required("code", verification_code);
    body.close();
    let (response, code) = form.finish((|| Some((response?, code?)))())?;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    Ok(full(&passkeys::sign_in(request, &code, response).await?))
}
