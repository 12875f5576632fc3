//! `/integrations/credential-scanning`: where scanners report API keys that leaked.

use axum::extract::State;
use muniment_domain::ProjectId;
use muniment_domain::api_key::ApiKeyKind;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::api_keys::revoke_leaked;
use crate::error::ApiResult;
use crate::error::known_error::KnownError;
use crate::http::answer::success;
use crate::http::api_keys::owner_api_keys::{by_secret, read_key};
use crate::http::request::caller::Caller;
use crate::http::request::input::Input;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(revoke))
}

/// Revokes a key that was found where others can read it. Who has the key may do that, whoever
/// they are. The owner, or all members of the owning team with `$manage_api_keys`, are told by mail.
#[utoipa::path(post, path = "/integrations/credential-scanning/revoke", tag = "API keys", request_body = Value,
    responses((status = 200, description = "Revoked, now or before"), (status = 400, description = "SCHEMA_ERROR, PUBLIC_API_KEY_CANNOT_BE_REVOKED"),
        (status = 401, description = "API_KEY_EXPIRED"), (status = 404, description = "API_KEY_NOT_FOUND")))]
async fn revoke(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let mut form = input.form(caller.user_id()).no_query();
    let key = read_key(&mut form);
    let key = form.finish(key)?;
    let row = by_secret(&app, &key).await?;
    if row.kind() == ApiKeyKind::Public {
        return Err(KnownError::public_api_key_cannot_be_revoked().into());
    }
    if row.is_expired_at(app.now()) {
        return Err(KnownError::api_key_expired().into());
    }
    let context = caller.event_context(&app, &ProjectId::from_caller(&row.project_id));
    revoke_leaked(&app, &context, &row).await?;
    Ok(success())
}
