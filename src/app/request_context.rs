//! What use cases know of the request on whose behalf they work.

use muniment_event_store::EventContext;

use super::App;
use crate::app::auth::geo::GeoLocation;
use crate::app::projects::directory::LoadedProject;

/// The request on whose behalf a use case works.
#[derive(Clone, Copy)]
pub struct RequestContext<'r> {
    /// The application.
    pub app: &'r App,
    /// What the log is to know of the request.
    pub context: &'r EventContext,
    /// The project that the caller has access to.
    pub project: &'r LoadedProject,
    /// Where the end user seems to be.
    pub geo: Option<&'r GeoLocation>,
}

impl RequestContext<'_> {
    /// What the log is to know of something that happens now, after the request had to wait.
    #[must_use]
    pub fn context_now(&self) -> EventContext {
        EventContext {
            now: self.app.now(),
            ..self.context.clone()
        }
    }
}
