//! `/internal`: what dashboards call.

pub(crate) mod ai_conversations;
pub(crate) mod analytics;
pub(crate) mod api_keys;
pub(crate) mod config;
pub(crate) mod conversations;
pub(crate) mod metrics;
pub(crate) mod onboarding;
pub(crate) mod projects;
pub(crate) mod session_replays;
mod shapes;
pub(crate) mod sign_up_rules;
pub(crate) mod webhooks;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes below this folder.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(projects::router())
        .merge(analytics::router())
        .merge(config::router())
        .merge(sign_up_rules::router())
        .merge(api_keys::router())
        .merge(webhooks::router())
        .merge(ai_conversations::router())
        .merge(conversations::router())
        .merge(onboarding::router())
        .merge(session_replays::router())
        .merge(metrics::router())
}
