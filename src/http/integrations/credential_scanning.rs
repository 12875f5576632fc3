//! `/integrations/credential-scanning`: where scanners report API keys that leaked.

use axum::Json;
use axum::extract::State;
use muniment_domain::ProjectId;
use muniment_domain::api_key::ApiKeyKind;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::app::api_keys::revoke_leaked;
use crate::error::ApiResult;
use crate::error::codes::{
    ApiKeyExpired, ApiKeyNotFound, Errors, PublicApiKeyCannotBeRevoked, Text,
};
use crate::error::known_error::KnownError;
use crate::http::answer::Success;
use crate::http::api_keys::owner_api_keys::by_secret;
use crate::http::openapi::operations;
use crate::http::request::caller::Caller;
use crate::http::request::declare::request;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::text;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(revoke_leaked_api_key))
}

request! {
    /// A key that was found where others can read it.
    struct RevokeLeakedApiKey {
        body {
            /// The key.
            api_key: String = required(text());
        }
    }
}

/// Revokes an API key that was found where others can read it.
///
/// Who has the key may do that, whoever they are. The owner, or all members of the owning team with
/// `$manage_api_keys`, are told by mail. A key that was revoked before stays as it is.
#[utoipa::path(post, path = "/integrations/credential-scanning/revoke", tag = "API keys",
    responses(Errors<(PublicApiKeyCannotBeRevoked, ApiKeyExpired, ApiKeyNotFound, Text<400>)>))]
async fn revoke_leaked_api_key(
    State(app): State<App>,
    caller: Caller,
    found: RevokeLeakedApiKey,
) -> ApiResult<Json<Success>> {
    let row = by_secret(&app, &found.api_key).await?;
    if row.kind() == ApiKeyKind::Public {
        return Err(KnownError::public_api_key_cannot_be_revoked().into());
    }
    if row.is_expired_at(app.now()) {
        return Err(KnownError::api_key_expired().into());
    }
    let context = caller.event_context(&app, &ProjectId::from_caller(&row.project_id));
    revoke_leaked(&app, &context, &row).await?;
    Ok(Success::ANSWER)
}
