//! `muniment serve`

use std::process::ExitCode;

use clap::Args;

use super::{ANYWHERE, Failure, analytics, asked_to_stop, build, start};
use crate::app::QueryErrors;
use crate::app::projects::NewKeys;
use crate::app::projects::internal_admin::{self, AdminReach, Credentials, InternalAdmin};
use crate::app::projects::seed::{self, Seed};
use crate::clients::address_policy::AddressPolicy;
use crate::clients::mail::Carrier;
use crate::config::{InternalProject, Settings, Switch};
use crate::server::Mode;

/// The flags of `serve`.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// Serves until it is asked to stop.
pub(super) async fn run(Arguments { mut settings }: Arguments) -> Result<ExitCode, Failure> {
    settings.internal = settings
        .internal
        .or_stack_variables(|name| std::env::var(name).ok());
    let url = settings.database.database_url.clone().ok_or(
        "DATABASE_URL is not set; name a Postgres database, or use `muniment dev`, which starts one",
    )?;
    let secret = settings.secrets.server_secret.clone().ok_or(
        "MUNIMENT_SERVER_SECRET is not set; make one with: openssl rand -base64 32 | tr '+/' '-_'",
    )?;
    let mode = Mode {
        mail: Carrier::Nobody,
        address_policy: AddressPolicy::Public,
        stripe: None,
        analytics: analytics::server(&settings.analytics, &secret).await?,
        query_errors: QueryErrors::Withheld,
        docs_credentials: Vec::new(),
    };
    let app = build(&settings, secret, &url, mode).await?;
    seed::internal_project(&app, &internal_seed(&settings.internal, Switch::Off)).await?;
    internal_admin::seed(&app, &admin_seed(&settings.internal)).await?;
    let server = start(app, &settings, ANYWHERE).await?;
    tracing::info!(address = %server.address(), "serving");
    asked_to_stop().await?;
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// How the `internal` project is to be; switches that were not set are on `fallback`.
pub(super) fn internal_seed(internal: &InternalProject, fallback: Switch) -> Seed {
    // Compose files pass on unset variables as empty ones.
    let set = |key: &Option<String>| key.clone().filter(|key| !key.is_empty());
    Seed {
        keys: NewKeys {
            publishable_client_key: set(&internal.publishable_client_key),
            secret_server_key: set(&internal.secret_server_key),
            super_secret_admin_key: set(&internal.super_secret_admin_key),
        },
        sign_up: internal.sign_up.unwrap_or(fallback).is_on(),
        otp: internal.otp.unwrap_or(fallback).is_on(),
        allow_localhost: internal.allow_localhost.unwrap_or(fallback).is_on(),
        oauth_providers: internal.oauth_providers.clone(),
    }
}

/// Who the first user of the `internal` project is.
pub(super) fn admin_seed(internal: &InternalProject) -> InternalAdmin {
    let credentials = internal
        .user_email
        .clone()
        .zip(internal.user_password.clone());
    InternalAdmin {
        credentials: credentials.map(|(email, password)| Credentials { email, password }),
        github_id: internal.user_github_id.clone(),
        reach: match internal.user_internal_access {
            Some(Switch::On) => AdminReach::Internal,
            Some(Switch::Off) | None => AdminReach::OwnProjects,
        },
    }
}
