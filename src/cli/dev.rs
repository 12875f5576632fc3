//! `muniment dev`: everything one needs to try things out, in one process and one folder.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use muniment_projections::analytics::{AnalyticsStore, Endpoint};
use serde::{Deserialize, Serialize};
use url::Url;

use super::serve::{admin_seed, internal_seed};
use super::{Failure, analytics, asked_to_stop, build, start};
use crate::app::projects::NewKeys;
use crate::app::projects::internal_admin;
use crate::app::projects::seed;
use crate::app::{App, QueryErrors};
use crate::clients::address_policy::AddressPolicy;
use crate::clients::mail::Carrier;
use crate::clients::mail::catcher::Catcher;
use crate::clients::stripe::{MOCK_KEY, StripeAccess};
use crate::config::{InternalProject, Settings, Switch};
use crate::embedded::analytics_engine::AnalyticsEngine;
use crate::embedded::cache_folder::cache_folder;
use crate::embedded::postgres::{Lifetime, PrivatePostgres};
use crate::security::secrets::{KeyPrefix, Random, ServerSecret};
use crate::server::Mode;

/// What signs the webhooks of a Stripe that is pretended.
const MOCK_WEBHOOK_SECRET: &str = "mock_stripe_webhook_secret";

/// The flags of `dev`.
#[derive(Args)]
pub(super) struct Arguments {
    /// Where the database, the secret and the keys are kept. Remove it to start afresh.
    #[arg(long, env = "MUNIMENT_DEV_DIR", default_value = ".muniment")]
    dir: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

/// What `dev` generates at its first start and keeps: the server secret and the keys.
#[derive(Serialize, Deserialize)]
struct DevState {
    server_secret: String,
    internal: Keys,
    demo: Keys,
}

#[derive(Serialize, Deserialize)]
#[allow(clippy::struct_field_names, reason = "their names on the wire")]
struct Keys {
    publishable_client_key: String,
    secret_server_key: String,
    super_secret_admin_key: String,
}

/// Serves until it is asked to stop.
pub(super) async fn run(Arguments { dir, mut settings }: Arguments) -> Result<ExitCode, Failure> {
    settings.internal = settings
        .internal
        .or_stack_variables(|name| std::env::var(name).ok());
    let state = DevState::open_or_make(&dir)?;
    let (postgres, url) = database(&dir, settings.database.database_url.clone()).await?;
    let secret = match settings.secrets.server_secret.clone() {
        Some(secret) => secret,
        None => state.server_secret.parse()?,
    };
    if settings.network.public_url == "http://localhost:8102" && settings.network.port != 8102 {
        settings.network.public_url = format!("http://localhost:{}", settings.network.port);
    }
    let shown_secret = secret.to_base64url();
    let (engine, analytics) = analytics_store(&dir, &settings, &secret).await?;
    let mode = Mode {
        mail: Carrier::Catcher(Catcher::default()),
        address_policy: AddressPolicy::Anywhere,
        stripe: Some(StripeAccess {
            webhook_secret: Some(MOCK_WEBHOOK_SECRET.to_owned()),
            ..StripeAccess::with_key(MOCK_KEY)
        }),
        analytics,
        query_errors: QueryErrors::Shown,
        docs_credentials: state.demo.for_docs(),
    };
    let app = build(&settings, secret, &url, mode).await?;
    state.fill_in(&mut settings.internal);
    seed::internal_project(&app, &internal_seed(&settings.internal, Switch::On)).await?;
    internal_admin::seed(&app, &admin_seed(&settings.internal)).await?;
    let demo = seed::demo_project(&app, &state.demo.as_new()).await?;
    let server = start(app, &settings, IpAddr::V4(Ipv4Addr::LOCALHOST)).await?;
    tracing::info!(address = %server.address(), "serving");
    let base = format!("http://{}", server.address());
    print!(
        "{}",
        greeting(&base, &demo.to_string(), &state, &settings.internal)
    );
    print!("{}", about_payments(server.app()));
    print!("{}", for_operators(&url, &shown_secret, engine.as_ref()));
    asked_to_stop().await?;
    server.stop().await;
    drop(engine);
    if let Some(postgres) = postgres {
        postgres.stop().await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The database named, or a private one.
async fn database(
    dir: &Path,
    named: Option<String>,
) -> Result<(Option<PrivatePostgres>, String), Failure> {
    if let Some(url) = named {
        return Ok((None, url));
    }
    let home = dir.join("postgres");
    let postgres = PrivatePostgres::start(Lifetime::Kept(home), &cache_folder()).await?;
    let url = postgres.url("postgres");
    Ok((Some(postgres), url))
}

/// The server named, or the embedded engine.
async fn analytics_store(
    dir: &Path,
    settings: &Settings,
    secret: &ServerSecret,
) -> Result<(Option<AnalyticsEngine>, Option<AnalyticsStore>), Failure> {
    if let Some(store) = analytics::server(&settings.analytics, secret).await? {
        return Ok((None, Some(store)));
    }
    let engine = analytics::embedded(dir).await?;
    let store = engine.as_ref().map(|engine| engine.store().clone());
    Ok((engine, store))
}

impl DevState {
    fn open_or_make(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join("keys.json");
        if let Ok(text) = fs::read_to_string(&path) {
            let unreadable = |error| {
                format!(
                    "{} cannot be read ({error}); remove it, or the folder, to start afresh",
                    path.display()
                )
            };
            return Ok(serde_json::from_str(&text).map_err(unreadable)?);
        }
        fs::create_dir_all(dir)
            .map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
        let random = Random::system();
        let state = Self {
            server_secret: ServerSecret::generate(&random).to_base64url(),
            internal: Keys::generate(&random),
            demo: Keys::generate(&random),
        };
        // Only its owner may read it.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(serde_json::to_string_pretty(&state)?.as_bytes())?;
        Ok(state)
    }

    /// Keys that were configured win over those made up.
    fn fill_in(&self, internal: &mut InternalProject) {
        let keys = &self.internal;
        let fill = |configured: &mut Option<String>, made_up: &str| {
            configured.get_or_insert_with(|| made_up.to_owned());
        };
        fill(
            &mut internal.publishable_client_key,
            &keys.publishable_client_key,
        );
        fill(&mut internal.secret_server_key, &keys.secret_server_key);
        fill(
            &mut internal.super_secret_admin_key,
            &keys.super_secret_admin_key,
        );
    }
}

impl Keys {
    fn generate(random: &Random) -> Self {
        Self {
            publishable_client_key: random.key(KeyPrefix::PublishableClient),
            secret_server_key: random.key(KeyPrefix::SecretServer),
            super_secret_admin_key: random.key(KeyPrefix::SuperSecretAdmin),
        }
    }

    fn as_new(&self) -> NewKeys {
        NewKeys {
            publishable_client_key: Some(self.publishable_client_key.clone()),
            secret_server_key: Some(self.secret_server_key.clone()),
            super_secret_admin_key: Some(self.super_secret_admin_key.clone()),
        }
    }

    /// What `/docs` fills in, so that every operation can be tried with the demo project.
    fn for_docs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("projectId", seed::DEMO_PROJECT.to_string()),
            ("accessType", "admin".to_owned()),
            ("publishableClientKey", self.publishable_client_key.clone()),
            ("secretServerKey", self.secret_server_key.clone()),
            ("superSecretAdminKey", self.super_secret_admin_key.clone()),
        ]
    }
}

/// Whether payments are real.
fn about_payments(app: &App) -> &'static str {
    match &app.stripe {
        Some(stripe) if !stripe.is_mock() => "Payments go through Stripe.\n\n",
        _ => {
            "Payments are pretended: no Stripe key is set, so nothing is ever charged. To charge, set\n\
             STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET.\n\n"
        }
    }
}

/// What `muniment history`, `verify` and `replay` want to know.
fn for_operators(url: &str, secret: &str, engine: Option<&AnalyticsEngine>) -> String {
    let store = engine.and_then(|engine| owner_url(engine.store().endpoint()));
    let store = store.map(|url| format!("\n  export CLICKHOUSE_URL='{url}'"));
    format!(
        "For history, verify and replay, in another shell:\n  \
         export DATABASE_URL='{url}' MUNIMENT_SERVER_SECRET='{secret}'{}\n\n",
        store.unwrap_or_default()
    )
}

/// The store with its owner's name and password.
fn owner_url(endpoint: &Endpoint) -> Option<Url> {
    let mut url: Url = endpoint.url.parse().ok()?;
    url.set_username(&endpoint.owner).ok()?;
    url.set_password(Some(&endpoint.owner_password)).ok()?;
    Some(url)
}

fn greeting(base: &str, demo: &str, state: &DevState, internal: &InternalProject) -> String {
    let Keys {
        publishable_client_key,
        secret_server_key,
        super_secret_admin_key,
    } = &state.demo;
    let shown = |key: &Option<String>| key.clone().unwrap_or_default();
    format!(
        r#"
Muniment is serving at {base}  (reference: {base}/docs, mail: {base}/dev/mail)

Project `Demo`
  project id               {demo}
  publishable client key   {publishable_client_key}
  secret server key        {secret_server_key}
  super secret admin key   {super_secret_admin_key}

Project `internal`, which owns the others
  publishable client key   {}
  secret server key        {}
  super secret admin key   {}

Sign a user up:
  curl -s {base}/api/v1/auth/password/sign-up \
    -H 'x-stack-access-type: client' -H 'x-stack-project-id: {demo}' \
    -H 'x-stack-publishable-client-key: {publishable_client_key}' \
    -H 'content-type: application/json' \
    -d '{{"email": "ada@example.com", "password": "correct horse"}}'

"#,
        shown(&internal.publishable_client_key),
        shown(&internal.secret_server_key),
        shown(&internal.super_secret_admin_key),
    )
}
