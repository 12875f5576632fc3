//! `/auth/anonymous`: accounts without a name.

use axum::Json;
use utoipa_axum::router::OpenApiRouter;

use super::codes::UserTokens;
use crate::app::App;
use crate::app::auth::sign_in;
use crate::error::ApiResult;
use crate::error::codes::{Errors, Text, UserNotFound};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::security::limits::Limit;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(sign_up_anonymously))
}

/// Makes an anonymous account and signs it in.
///
/// It becomes a full one, with id and data kept, when its owner signs up.
#[utoipa::path(post, path = "/auth/anonymous/sign-up", tag = "anonymous",
    responses(Errors<(UserNotFound, Text<429>)>))]
async fn sign_up_anonymously(access: ClientAccess) -> ApiResult<Json<UserTokens>> {
    access.limit(Limit::SignUpFromIp)?;
    let request = access.request_context();
    let signed_in = sign_in::sign_up_anonymously(request).await?;
    Ok(Json(signed_in.into()))
}
