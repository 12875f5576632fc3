//! `/projects/current`: the project as its users' applications see it.

pub(crate) mod jwks;

use axum::Json;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::NoInput;
use crate::views::ClientProject;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_current_project))
        .merge(jwks::router())
}

/// The caller's project.
#[utoipa::path(get, path = "/projects/current", tag = "projects")]
async fn get_current_project(access: ClientAccess, _: NoInput) -> Json<ClientProject> {
    Json(ClientProject::of(&access.project))
}
