//! `/projects/current`: the project as its users' applications see it.

pub(crate) mod jwks;
use axum::Json;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiResult;
use crate::http::request::access::ClientAccess;
use crate::http::request::input::Input;
use crate::views::ClientProject;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(current))
        .merge(jwks::router())
}

/// The caller's project.
#[utoipa::path(get, path = "/projects/current", tag = "projects", responses((status = 200, body = ClientProject)))]
async fn current(access: ClientAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    Ok(Json(ClientProject::of(&access.project)).into_response())
}
