//! `/team-api-keys`: keys that a team hands to programs.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::owner_api_keys::{self as common, Family};
use crate::app::App;
use crate::error::ApiResult;
use crate::http::request::access::{ClientAccess, ServerAccess};
use crate::http::request::input::Input;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update))
        .routes(routes!(check))
}

/// Issues a key, and shows it this once.
#[utoipa::path(post, path = "/team-api-keys", tag = "API keys", request_body = Value,
    responses((status = 200, description = "The key"), (status = 400, description = "SCHEMA_ERROR; such keys are switched off"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 404, description = "API_KEY_NOT_FOUND, TEAM_NOT_FOUND")))]
async fn create(access: ClientAccess, input: Input) -> ApiResult {
    common::create(Family::Teams, &access, &input).await
}

/// Lists a team's keys, newest first, expired and revoked ones included.
#[utoipa::path(get, path = "/team-api-keys", tag = "API keys", params(("team_id" = String, Query)),
    responses((status = 200, description = "Keys"), (status = 400, description = "SCHEMA_ERROR; such keys are switched off"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 404, description = "API_KEY_NOT_FOUND")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    common::list(Family::Teams, &access, &input).await
}

/// One key.
#[utoipa::path(get, path = "/team-api-keys/{api_key_id}", tag = "API keys",
    params(("api_key_id" = String, Path), ("team_id" = Option<String>, Query)),
    responses((status = 200, description = "The key"), (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 404, description = "API_KEY_NOT_FOUND")))]
async fn read(access: ClientAccess, input: Input) -> ApiResult {
    common::read(Family::Teams, &access, &input).await
}

/// Describes or revokes a key. A revoked key stays revoked.
#[utoipa::path(patch, path = "/team-api-keys/{api_key_id}", tag = "API keys", request_body = Value,
    params(("api_key_id" = String, Path), ("team_id" = Option<String>, Query)),
    responses((status = 200, description = "The key"), (status = 400, description = "SCHEMA_ERROR; such keys are switched off"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 404, description = "API_KEY_NOT_FOUND")))]
async fn update(access: ClientAccess, input: Input) -> ApiResult {
    common::update(Family::Teams, &access, &input).await
}

/// Whose key a string is, if it works now.
#[utoipa::path(post, path = "/team-api-keys/check", tag = "API keys", request_body = Value,
    responses((status = 200, description = "The key"), (status = 400, description = "SCHEMA_ERROR, WRONG_API_KEY_TYPE; such keys are switched off"),
        (status = 401, description = "API_KEY_REVOKED, API_KEY_EXPIRED"), (status = 404, description = "API_KEY_NOT_FOUND")))]
async fn check(access: ServerAccess, input: Input) -> ApiResult {
    common::check(Family::Teams, &access, &input).await
}
