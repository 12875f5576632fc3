//! `/app` and `/auth/app-portal-access`: the part of Svix's API with which the dashboard and Svix's
//! own client libraries manage a project's webhooks. It is a second face of what
//! `/internal/webhooks` does.
//!
//! These routes take no headers of ours, but the token of `POST /webhooks/svix-token`, which stands
//! for one project. Its application has the project's id. Fields that are not known are passed over,
//! because client libraries are newer than servers; what answers have, they have under the names of
//! older and newer libraries.

mod access;
mod answer;
mod applications;
mod attempts;
mod deliveries;
mod endpoint_settings;
mod endpoints;
mod error;
mod messages;
mod page;
mod request;
mod secrets;
mod shapes;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes of this folder.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(applications::router())
        .merge(endpoints::router())
        .merge(secrets::router())
        .merge(deliveries::router())
        .merge(messages::router())
        .merge(attempts::router())
}
