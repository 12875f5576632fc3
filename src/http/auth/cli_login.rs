//! `/auth/cli`: signing a command-line program in through a browser.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::auth::cli_login::{self, Answer};
use crate::error::ApiResult;
use crate::http::answer::success;
use crate::http::request::access::ClientAccess;
use crate::http::request::input::Input;
use crate::http::request::values::{integer, one_of, text};
use crate::security::limits::Limit;
use crate::timestamp;

/// How long a login may wait at most: a day, in milliseconds.
const MAX_LIFETIME: i64 = 86_400_000;
/// How long a login waits if nothing else is said: two hours, in milliseconds.
const LIFETIME: i64 = 7_200_000;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(begin))
        .routes(routes!(poll))
        .routes(routes!(complete))
}

/// Begins to wait for a browser.
#[utoipa::path(post, path = "/auth/cli", tag = "cli", request_body = Value,
    responses((status = 200, description = "`{polling_code, login_code, expires_at}`"),
        (status = 400, description = "SCHEMA_ERROR; text: the anonymous session is none")))]
async fn begin(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.optional_body();
    let lifetime = body.or_default(
        "expires_in_millis",
        integer(i64::MIN..=MAX_LIFETIME),
        LIFETIME,
    );
    let anonymous = body.optional("anon_refresh_token", text);
    body.close();
    let (lifetime, anonymous) = form.finish((|| Some((lifetime?, anonymous?)))())?;
    access.limit(Limit::SignInFromIp)?;
    let request = access.request_context();
    let begun = cli_login::begin(request, lifetime, anonymous).await?;
    Ok(Json(json!({
        "polling_code": begun.polling_code,
        "login_code": begun.login_code,
        "expires_at": timestamp::format(begun.expires_at),
    }))
    .into_response())
}

/// Tells the program how far its login has come. The session is told once.
#[utoipa::path(post, path = "/auth/cli/poll", tag = "cli", request_body = Value,
    responses((status = 200, description = "`{status: waiting | expired | used}`"),
        (status = 201, description = "`{status: success, refresh_token}`"),
        (status = 400, description = "INVALID_POLLING_CODE, SCHEMA_ERROR")))]
async fn poll(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let code = body.required("polling_code", text);
    body.close();
    let code = form.finish(code)?;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    let status = match cli_login::poll(request, &code).await? {
        Answer::Waiting => "waiting",
        Answer::Expired => "expired",
        Answer::Used => "used",
        Answer::Success(refresh_token) => {
            let answer = json!({"status": "success", "refresh_token": refresh_token});
            return Ok((StatusCode::CREATED, Json(answer)).into_response());
        }
    };
    Ok(Json(json!({"status": status})).into_response())
}

/// The browser's side: looks at the program's session, takes it over, or hands its own over.
#[utoipa::path(post, path = "/auth/cli/complete", tag = "cli", request_body = Value,
    responses((status = 200, description = "`{cli_session_state}`, `{access_token, refresh_token}` or `{success: true}`, by mode"),
        (status = 400, description = "SCHEMA_ERROR; text: the login code or the session does not work")))]
async fn complete(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let code = body.required("login_code", text);
    let modes = one_of(&["check", "claim-anon-session", "complete"]);
    let mode = body.or_default("mode", modes, "complete");
    let token = body.optional("refresh_token", text);
    body.close();
    let (code, mode, token) = form.finish((|| Some((code?, mode?, token?)))())?;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    match mode {
        "check" => {
            let has_one = cli_login::has_anonymous_session(request, &code).await?;
            let state = if has_one { "anonymous" } else { "none" };
            Ok(Json(json!({"cli_session_state": state})).into_response())
        }
        "claim-anon-session" => {
            let claimed = cli_login::claim(request, &code).await?;
            Ok(Json(json!({
                "access_token": claimed.access_token,
                "refresh_token": claimed.refresh_token,
            }))
            .into_response())
        }
        _ => {
            cli_login::complete(request, &code, token).await?;
            Ok(success())
        }
    }
}
