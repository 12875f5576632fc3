//! `/projects/current`: the project as its users' applications see it.

use axum::Json;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::error::ApiResult;
use super::input::Input;
use super::views::ClientProject;
use crate::app::App;

/// The routes of this file.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(current))
}

/// The caller's project.
#[utoipa::path(get, path = "/projects/current", tag = "projects", responses((status = 200, body = ClientProject)))]
async fn current(caller: Caller, input: Input) -> ApiResult {
    let auth = caller.client()?;
    input.form(auth.user_id()).no_query().finish(Some(()))?;
    Ok(Json(ClientProject::of(&auth.project)).into_response())
}
