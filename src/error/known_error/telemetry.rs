//! What browsers observe, and session replays.

use serde_json::json;

use super::KnownError;

impl KnownError {
    /// The project does not take what browsers observe.
    #[must_use]
    pub fn analytics_not_enabled() -> Self {
        Self::bad_request(
            "ANALYTICS_NOT_ENABLED",
            "Analytics is not enabled for this project. Switch on apps.installed.analytics.enabled in its configuration.",
        )
    }

    /// There is no session replay, or chunk of one, of that id.
    #[must_use]
    pub fn recording_not_found(id: &str) -> Self {
        Self::not_found(
            "ITEM_NOT_FOUND",
            format!("The project has no session replay, or part of one, with the id {id}."),
        )
        .with(json!({"item_id": id}))
    }
}
