//! What browsers observe, and session replays.

use super::code::{Code, KnownError, codes};
use super::payments::ItemNotFound;

codes! {
    /// The project does not take what browsers observe.
    AnalyticsNotEnabled: BAD_REQUEST "ANALYTICS_NOT_ENABLED";
}

impl KnownError {
    /// The project does not take what browsers observe.
    #[must_use]
    pub fn analytics_not_enabled() -> Self {
        AnalyticsNotEnabled.says(
            "Analytics is not enabled for this project. Switch on \
             apps.installed.analytics.enabled in its configuration.",
        )
    }

    /// There is no session replay, or chunk of one, of that id.
    #[must_use]
    pub fn recording_not_found(id: &str) -> Self {
        ItemNotFound {
            item_id: id.to_owned(),
        }
        .says(format!(
            "The project has no session replay, or part of one, with the id {id}."
        ))
    }
}
