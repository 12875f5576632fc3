//! `/team-permissions`, `/project-permissions` and their definitions.

pub(crate) mod permission_definitions;
pub(crate) mod project_permissions;
pub(crate) mod team_permissions;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes below this folder.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(permission_definitions::router())
        .merge(team_permissions::router())
        .merge(project_permissions::router())
}
