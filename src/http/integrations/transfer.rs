//! `/integrations/{integration}/projects/transfer`: a project that a platform made gets its owner.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use muniment_domain::ProjectId;
use muniment_domain::verification_code::Purpose;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::platform_request::{PlatformRequest, begin, internal_context, require_internal};
use crate::app::App;
use crate::app::auth::codes::{self, Handling};
use crate::app::integrations::clients::Client;
use crate::app::integrations::{provisioning, transfer};
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::input::Input;
use crate::http::request::values::{text, verification_code};
use crate::security::limits::Limit;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(preview, initiate))
        .routes(routes!(initiate_by_alias))
        .routes(routes!(check))
        .routes(routes!(confirm))
}

/// Says whether a project can be transferred to an owner.
#[utoipa::path(get, path = "/integrations/{integration}/projects/transfer", tag = "integrations",
    params(("integration" = String, Path), ("project_id" = String, Query)),
    responses((status = 200, description = "`{message}`"),
        (status = 400, description = "SCHEMA_ERROR, also for wrong Basic credentials; text: the client did not make the project, or it has an owner already"),
        (status = 404, description = "There is no such integration")))]
async fn preview(State(app): State<App>, request: PlatformRequest) -> ApiResult {
    let (_, mut form, client) = request.begin(&app)?;
    let mut query = form.query();
    let project = query.required("project_id", text);
    query.close();
    let (client, project) = form.finish(client.zip(project))?;
    require_unclaimed(&app, client, &ProjectId::from_caller(&project)).await?;
    let message = "The project can be transferred. POST to this path for a link that does it.";
    Ok(Json(json!({"message": message})).into_response())
}

/// Makes a link that hands a project to whoever follows it and signs in to the dashboard. It works
/// for an hour.
#[utoipa::path(post, path = "/integrations/{integration}/projects/transfer", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{confirmation_url}`"),
        (status = 400, description = "SCHEMA_ERROR, also for wrong Basic credentials; text: the client did not make the project, or it has an owner already"),
        (status = 404, description = "There is no such integration")))]
async fn initiate(State(app): State<App>, request: PlatformRequest) -> ApiResult {
    let (integration, form, client) = request.begin(&app)?;
    let mut form = form.no_query();
    let mut body = form.body();
    let project = body.required("project_id", text);
    body.close();
    let (client, project) = form.finish(client.zip(project))?;
    let project = ProjectId::from_caller(&project);
    require_unclaimed(&app, client, &project).await?;
    let context = internal_context(&app, &request.caller);
    let url = transfer::initiate(&app, &context, integration, client, &project).await?;
    Ok(Json(json!({"confirmation_url": url})).into_response())
}

/// The same under its other path.
#[utoipa::path(post, path = "/integrations/{integration}/projects/transfer/initiate", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{confirmation_url}`")))]
async fn initiate_by_alias(app: State<App>, request: PlatformRequest) -> ApiResult {
    initiate(app, request).await
}

async fn require_unclaimed(app: &App, client: &Client, project: &ProjectId) -> ApiResult<()> {
    match provisioning::unclaimed(app, client, project).await? {
        Some(_) => Ok(()),
        None => Err(transfer::not_waiting(project)),
    }
}

/// Says whether a link's code would work, without using it up. The look counts as an attempt.
#[utoipa::path(post, path = "/integrations/{integration}/projects/transfer/confirm/check", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{is_code_valid: true}`"),
        (status = 400, description = "SCHEMA_ERROR, VERIFICATION_CODE_EXPIRED, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND"), (status = 409, description = "VERIFICATION_CODE_ALREADY_USED")))]
async fn check(access: ClientAccess, input: Input) -> ApiResult {
    let code = read_code(&input, &access)?;
    access.limit(Limit::CodeCheckFromIp)?;
    let context = internal_context(&access.app, &access.caller);
    let purpose = Purpose::ProjectTransfer;
    codes::take(&access.app, &context, purpose, &code, Handling::Check).await?;
    Ok(Json(json!({"is_code_valid": true})).into_response())
}

/// Makes the signed-in user of the `internal` project the owner of the project behind a link, by a
/// new team of theirs.
#[utoipa::path(post, path = "/integrations/{integration}/projects/transfer/confirm", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{project_id}`"),
        (status = 400, description = "SCHEMA_ERROR, VERIFICATION_CODE_EXPIRED, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED; text: the project has an owner already"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 404, description = "VERIFICATION_CODE_NOT_FOUND"),
        (status = 409, description = "VERIFICATION_CODE_ALREADY_USED")))]
async fn confirm(access: ClientAccess, input: Input) -> ApiResult {
    let code = read_code(&input, &access)?;
    let user = &access.signed_in()?.user;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    let project = transfer::confirm(request, &code, user).await?;
    Ok(Json(json!({"project_id": project})).into_response())
}

fn read_code(input: &Input, access: &ProjectAccess) -> Result<String, ApiError> {
    let (_, form) = begin(input, &access.caller)?;
    let mut form = form.no_query();
    require_internal(access, &mut form);
    let mut body = form.body();
    let code = body.required("code", verification_code);
    body.close();
    form.finish(code)
}
