//! What the endpoints that take codes have in common (contract 02 §1.4).

use axum::Json;
use axum::response::{IntoResponse, Response};
use muniment_domain::EmailAddress;
use muniment_domain::verification_code::Purpose;
use serde_json::json;

use crate::app::App;
use crate::app::auth::codes::{self, Handling};
use crate::app::auth::sign_in::SignedIn;
use crate::error::ApiResult;
use crate::http::request::caller::Caller;
use crate::http::request::input::{Input, verification_code};
use crate::security::limits::Limit;

/// Says whether a code would work, without using it up. The look counts as an attempt.
///
/// # Errors
/// What is wrong with the code.
pub async fn check_code(app: &App, caller: &Caller, input: &Input, purpose: Purpose) -> ApiResult {
    let auth = caller.client()?;
    let code = read_code(input, caller)?;
    caller.limit(app, Limit::CodeCheckFromIp)?;
    let context = caller.event_context(app, auth.project_id());
    codes::take(app, &context, purpose, &code, Handling::Check).await?;
    Ok(Json(json!({"is_code_valid": true})).into_response())
}

/// Reads a body that holds a code and nothing else.
///
/// # Errors
/// `SCHEMA_ERROR`.
pub fn read_code(input: &Input, caller: &Caller) -> ApiResult<String> {
    let mut form = input.form(caller.user_id());
    let mut body = form.body();
    let code = body.required("code", verification_code);
    body.close();
    form.finish(code)
}

/// Keeps callers from having codes sent to an address, or from their own, without end.
///
/// # Errors
/// 429.
pub fn limit_sending(app: &App, caller: &Caller, to: &EmailAddress) -> ApiResult<()> {
    caller.limit(app, Limit::CodeSendingFromIp)?;
    let project = caller.auth().map(|auth| auth.project_id().as_str());
    let key = (project, to.as_str());
    app.limits.spend(Limit::CodeSending, &key, app.now())?;
    Ok(())
}

/// The longer of the two shapes in which tokens are handed out.
pub fn full(signed_in: &SignedIn) -> Response {
    Json(json!({
        "access_token": signed_in.access_token,
        "refresh_token": signed_in.refresh_token,
        "is_new_user": signed_in.is_new_user,
        "user_id": signed_in.user_id,
    }))
    .into_response()
}
