//! A running server: the API, the subscribers, and their orderly end.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use muniment_projections::analytics::AnalyticsStore;
use muniment_projections::analytics::sync::erasure::{self, Erasing};
use muniment_projections::analytics::sync::usage::{self, FollowingUse};
use muniment_projections::analytics::sync::{self, Synchronizer};
use muniment_projections::queues::Queues;
use muniment_projections::read_models::users::loader::UserLoader;
use muniment_projections::subscribers::{Erasure, Tally};
use muniment_projections::subscription::{Pace, Subscription, follow, listen};
use muniment_projections::telemetry::recorder::Destination;
use muniment_projections::telemetry::{Activity, Draining, Recorder, drain};
use muniment_projections::{EventLog, LedgerError, MIGRATOR, MasterKey};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::app::integrations::Integrations;
use crate::app::integrations::clients::Clients;
use crate::app::projects::directory::ProjectDirectory;
use crate::app::webhooks::{self, Delivering, Delivery, Webhooks};
use crate::app::{App, Parts, QueryErrors};
use crate::clients::mail::SharedMail;
use crate::clients::stripe::{Stripe, StripeAccess, StripeSetupError};
use crate::clock::Clock;
use crate::config::TrustedProxy;
use crate::http::{Metrics, router};
use crate::security::limits::{Limits, Quotas};
use crate::security::passwords::{Cost, PasswordError, Passwords};
use crate::security::portal_tokens::PortalTokens;
use crate::security::secrets::{Random, ServerSecret};
use crate::security::tokens::TokenIssuer;
use crate::workers::housekeeping::{self, Housekeeping};
use crate::workers::mail::{self, Sending};

/// How long requests that run when the server is told to stop may take to finish.
const GRACE: Duration = Duration::from_secs(20);
/// How long to wait for a connection to Postgres.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Postgres.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The password hasher.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The HTTP client that delivers webhooks.
    #[error("the HTTP client for webhooks cannot be made: {0}")]
    Webhooks(#[from] reqwest::Error),
    /// The client for Stripe.
    #[error(transparent)]
    Stripe(#[from] StripeSetupError),
}

/// What it takes to put an [`App`] together.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The master secret.
    pub secret: ServerSecret,
    /// Where callers reach the API.
    pub public_url: String,
    /// Where the dashboard is.
    pub dashboard_url: String,
    /// Hosting platforms.
    pub integration_clients: Clients,
    /// The life of an access token, in seconds.
    pub access_token_seconds: i64,
    /// How hard passwords are hashed.
    pub password_cost: Cost,
    /// Where mail goes that projects send without a server of their own.
    pub mail: SharedMail,
    /// The proxies whose word about a caller's address counts.
    pub trusted_proxy: Option<TrustedProxy>,
    /// How often something may be tried.
    pub quotas: Quotas,
    /// How webhooks are delivered.
    pub webhooks: Delivery,
    /// The analytics store, if there is one. Its schema is up to date.
    pub analytics: Option<AnalyticsStore>,
    /// How much callers learn of why the analytics store refused a query.
    pub query_errors: QueryErrors,
    /// How to reach Stripe, if payments are taken.
    pub stripe: Option<StripeAccess>,
    /// The time.
    pub clock: Clock,
}

/// Connects to Postgres.
///
/// # Errors
/// When it is not there.
pub async fn connect(url: &str, connections: u32) -> Result<PgPool, LedgerError> {
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_with(options.application_name("muniment"))
        .await?;
    Ok(pool)
}

/// Brings the schema up to date. Safe to run on several nodes at once.
///
/// # Errors
/// When a migration fails.
pub async fn migrate(pool: &PgPool) -> Result<(), LedgerError> {
    MIGRATOR.run(pool).await?;
    Ok(())
}

/// Puts an application together on a database whose schema is up to date.
///
/// # Errors
/// When the password hasher refuses its parameters, which would be a bug.
pub fn assemble(pool: PgPool, configuration: Configuration) -> Result<App, ServerError> {
    let Configuration {
        secret, public_url, ..
    } = configuration;
    let public_url = public_url.trim_end_matches('/').to_owned();
    let random = Random::system();
    let stripe = configuration.stripe;
    let stripe = stripe.map(|access| Stripe::new(access, random.clone()));
    let log = EventLog::new(pool.clone(), MasterKey::derive(secret.as_bytes()));
    Ok(App::new(Parts {
        projects: ProjectDirectory::new(&log),
        users: UserLoader::start(&pool),
        activity: Activity::new(pool.clone()),
        recorder: Recorder::new(pool, destination(configuration.analytics.as_ref())),
        analytics: configuration.analytics,
        query_errors: configuration.query_errors,
        tokens: TokenIssuer::new(&secret, &public_url, configuration.access_token_seconds),
        passwords: Passwords::new(configuration.password_cost)?,
        mail: configuration.mail,
        clock: configuration.clock,
        random,
        dashboard_url: configuration.dashboard_url.trim_end_matches('/').to_owned(),
        integrations: Integrations::new(configuration.integration_clients, &secret),
        limits: Limits::new(configuration.quotas),
        webhooks: Webhooks::new(&configuration.webhooks)?,
        portal_tokens: PortalTokens::new(&secret),
        stripe: stripe.transpose()?,
        queues: Queues::default(),
        trusted_proxy: configuration.trusted_proxy,
        public_url,
        log,
    }))
}

/// Telemetry is kept for the analytics store; without one, it would be kept for nobody.
fn destination(store: Option<&AnalyticsStore>) -> Destination {
    match store {
        Some(_) => Destination::Store,
        None => Destination::Nowhere,
    }
}

/// A server that is listening.
pub struct Server {
    address: SocketAddr,
    app: App,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    activity: JoinHandle<()>,
    recording: JoinHandle<()>,
    directory: JoinHandle<()>,
    subscriptions: Vec<Subscription>,
    sending: Option<Sending>,
    delivering: Option<Delivering>,
    draining: Option<Draining>,
    housekeeping: Option<Housekeeping>,
    erasing: Option<Erasing>,
    following_use: Option<FollowingUse>,
}

/// Whether a server follows the log as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It answers requests only.
    Nothing,
    /// It runs the subscribers, or stands by for them.
    Everything,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(app: App, address: SocketAddr, follow: Follow) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| ServerError::Listen { address, error })?;
        let address = listener
            .local_addr()
            .map_err(|error| ServerError::Listen { address, error })?;
        let (stop, stopped) = oneshot::channel();
        let routes = router(app.clone(), Metrics::collect());
        let clock = app.clock.clone();
        Ok(Self {
            serving: tokio::spawn(serve(listener, routes, stopped)),
            activity: tokio::spawn(app.activity.clone().keep_writing(move || clock.now())),
            recording: tokio::spawn(app.recorder.clone().keep_writing()),
            directory: tokio::spawn(app.projects.clone().keep_up(app.log.clone())),
            subscriptions: subscribe(&app, follow),
            sending: (follow == Follow::Everything).then(|| mail::start(app.clone())),
            delivering: (follow == Follow::Everything).then(|| webhooks::start(&app)),
            draining: (follow == Follow::Everything)
                .then(|| draining(&app))
                .flatten(),
            housekeeping: (follow == Follow::Everything).then(|| housekeeping::start(app.clone())),
            erasing: store_to_write(&app, follow)
                .map(|store| erasure::start(app.pool().clone(), store)),
            following_use: store_to_write(&app, follow)
                .map(|store| usage::start(app.pool().clone(), store)),
            address,
            app,
            stop,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The application it serves.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Stops listening, lets running requests finish, and writes what is only in memory.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(GRACE, self.serving).await.is_err() {
            tracing::warn!("some requests did not finish in time and were dropped");
        }
        self.activity.abort();
        self.recording.abort();
        self.directory.abort();
        drop(self.subscriptions);
        drop(self.sending);
        drop(self.delivering);
        drop(self.draining);
        drop(self.housekeeping);
        drop(self.erasing);
        drop(self.following_use);
        if let Err(error) = self.app.activity.flush_all(self.app.now()).await {
            tracing::warn!(%error, "the latest last-active times could not be written");
        }
        if let Err(error) = self.app.recorder.flush().await {
            tracing::warn!(%error, "the latest telemetry could not be written");
        }
        self.app.pool().close().await;
    }
}

/// Starts to move telemetry into the analytics store, if there is one.
fn draining(app: &App) -> Option<Draining> {
    let store = app.analytics.as_ref()?.owner();
    Some(drain(app.pool().clone(), app.recorder.clone(), store))
}

async fn serve(listener: TcpListener, routes: Router, stopped: oneshot::Receiver<()>) {
    let shutdown = async {
        let _ = stopped.await;
    };
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, routes)
        .with_graceful_shutdown(shutdown)
        .await
    {
        tracing::error!(%error, "the server stopped");
    }
}

fn subscribe(app: &App, wanted: Follow) -> Vec<Subscription> {
    let (log, pace) = (&app.log, Pace::default());
    if wanted == Follow::Nothing {
        return vec![listen(log.clone())];
    }
    let mut subscriptions = vec![
        listen(log.clone()),
        follow(log.clone(), Tally, pace),
        follow(log.clone(), Erasure::new(log), pace),
    ];
    if let Some(store) = &app.analytics {
        let synchronizer = Synchronizer::new(app.pool().clone(), store);
        subscriptions.push(follow(log.clone(), synchronizer, sync::PACE));
    }
    subscriptions
}

/// The analytics store, if there is one and this server writes to it.
fn store_to_write(app: &App, wanted: Follow) -> Option<&AnalyticsStore> {
    let store = app.analytics.as_ref();
    store.filter(|_| wanted == Follow::Everything)
}
