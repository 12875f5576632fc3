//! `/auth`: ways to sign up and in, and sessions.

pub(crate) mod anonymous;
pub(crate) mod cli_login;
pub(crate) mod codes;
pub(crate) mod mfa;
pub(crate) mod oauth_endpoint;
pub(crate) mod oauth_token;
pub(crate) mod otp;
pub(crate) mod passkeys;
pub(crate) mod passwords;
pub(crate) mod sessions;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes below this folder.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(sessions::router())
        .merge(passwords::router())
        .merge(otp::router())
        .merge(mfa::router())
        .merge(passkeys::router())
        .merge(cli_login::router())
        .merge(anonymous::router())
        .merge(oauth_token::router())
}
