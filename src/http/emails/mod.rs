//! `/emails`.

pub(crate) mod notification_preferences;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes below this folder.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(notification_preferences::router())
}
