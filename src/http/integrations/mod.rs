//! `/integrations/custom` and `/integrations/neon`: what hosting platforms do with the projects that
//! they make or are let into. Both families have the same endpoints, under
//! `{integration}`; Neon has some more.
//!
//! Platforms prove who they are by Basic credentials, which count as part of a
//! request's form: without them the answer is `SCHEMA_ERROR`.

pub(crate) mod credential_scanning;
mod domains;
mod identity_provider;
mod neon;
mod oauth;
mod platform_request;
mod provisioning;
pub(crate) mod stripe_webhooks;
mod transfer;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes of this folder.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(domains::router())
        .merge(provisioning::router())
        .merge(transfer::router())
        .merge(oauth::router())
        .merge(identity_provider::router())
        .merge(neon::router())
        .merge(credential_scanning::router())
        .merge(stripe_webhooks::router())
}
