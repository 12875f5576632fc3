//! `/user-api-keys` and `/team-api-keys`.

pub(crate) mod owner_api_keys;
pub(crate) mod team_api_keys;
pub(crate) mod user_api_keys;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes below this folder.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(user_api_keys::router())
        .merge(team_api_keys::router())
}
