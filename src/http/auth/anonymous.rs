//! `/auth/anonymous`: accounts without a name.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::passwords::short;
use crate::app::App;
use crate::app::auth::sign_in::sign_up_anonymously;
use crate::error::ApiResult;
use crate::http::request::access::ClientAccess;
use crate::security::limits::Limit;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sign_up))
}

/// Makes an anonymous account. It becomes a full one when its owner signs up.
#[utoipa::path(post, path = "/auth/anonymous/sign-up", tag = "anonymous",
    responses((status = 200, description = "`{access_token, refresh_token, user_id}`"),
        (status = 429, description = "Too many sign-ups from one address; see Retry-After")))]
async fn sign_up(access: ClientAccess) -> ApiResult {
    access.limit(Limit::SignUpFromIp)?;
    let request = access.request_context();
    Ok(short(&sign_up_anonymously(request).await?))
}
