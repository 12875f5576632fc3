//! `/auth/mfa`: the second factor.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::codes::full;
use crate::app::App;
use crate::app::auth::sign_in::with_second_factor;
use crate::error::ApiResult;
use crate::http::request::access::ClientAccess;
use crate::http::request::input::Input;
use crate::http::request::values::{one_of, text, verification_code};
use crate::security::limits::Limit;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sign_in))
}

/// Signs in with the second factor and the attempt code that the first one yielded.
#[utoipa::path(post, path = "/auth/mfa/sign-in", tag = "mfa", request_body = Value,
    responses((status = 200, description = "`{access_token, refresh_token, is_new_user, user_id}`"),
        (status = 400, description = "VERIFICATION_CODE_EXPIRED, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED, INVALID_TOTP_CODE, SCHEMA_ERROR"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND"),
        (status = 409, description = "VERIFICATION_CODE_ALREADY_USED")))]
async fn sign_in(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let code = body.required("code", verification_code);
    let kind = body.required("type", one_of(&["totp"]));
    let totp = body.required("totp", text);
    body.close();
    let (code, totp) = form.finish((|| {
        kind?;
        Some((code?, totp?))
    })())?;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    Ok(full(&with_second_factor(request, &code, &totp).await?))
}
