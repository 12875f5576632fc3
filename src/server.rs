//! A running server: the API, the subscribers, and their orderly end.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use muniment_event_store::epoch::recognise_cluster;
use muniment_event_store::keyed_lock::KeyedLock;
use muniment_event_store::subscription::{BatchPolicy, Subscriber, follow, listen};
use muniment_event_store::{LedgerError, MasterKey};
use muniment_projections::MIGRATOR;
use muniment_projections::analytics::AnalyticsStore;
use muniment_projections::analytics::sync::erasure::keep_erasing;
use muniment_projections::analytics::sync::usage::follow_use;
use muniment_projections::analytics::sync::{self, Synchronizer};
use muniment_projections::read_models::users::loader::UserLoader;
use muniment_projections::stripe_cancellations::StripeCancellations;
use muniment_projections::subscribers::{Erasure, Tally};
use muniment_projections::telemetry::recorder::Destination;
use muniment_projections::telemetry::{Activity, Recorder, drain};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::app::auth::revoked_sessions::RevokedSessions;
use crate::app::integrations::Integrations;
use crate::app::integrations::clients::Clients;
use crate::app::projects::directory::ProjectDirectory;
use crate::app::webhooks::Webhooks;
use crate::app::webhooks::sender::Sender;
use crate::app::{App, Parts, QueryErrors};
use crate::clients::address_policy::AddressPolicy;
use crate::clients::mail::Carrier;
use crate::clients::mail::transport::MailServerError;
use crate::clients::stripe::{Stripe, StripeAccess, StripeSetupError};
use crate::clock::Clock;
use crate::config::{IntegrationSettings, Settings};
use crate::http::{Metrics, router};
use crate::security::limits::Limits;
use crate::security::passwords::{Cost, PasswordError, Passwords};
use crate::security::portal_tokens::PortalTokens;
use crate::security::secrets::{Random, ServerSecret};
use crate::security::tokens::TokenIssuer;
use crate::workers::housekeeping::Housekeeper;
use crate::workers::mail::MailSender;
use crate::workers::stripe_cancellations::StripeCanceller;
use crate::workers::supervisor::Supervisor;
use crate::workers::webhooks::dispatcher::Dispatcher;
use crate::workers::webhooks::message_producer::MessageProducer;
use crate::workers::webhooks::svix_forwarder::SvixForwarder;

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
    /// A setting that makes no sense.
    #[error("{0}")]
    Setting(String),
    /// The URL of the mail server.
    #[error(transparent)]
    Mail(#[from] MailServerError),
    /// The client for Stripe.
    #[error(transparent)]
    Stripe(#[from] StripeSetupError),
}

/// What it takes to put an [`App`] together.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The settings, as the operator made them.
    pub settings: Settings,
    /// The master secret.
    pub secret: ServerSecret,
    /// What the settings leave to the command.
    pub mode: Mode,
    /// How hard passwords are hashed.
    pub password_cost: Cost,
    /// The time.
    pub clock: Clock,
}

/// What differs between `dev` and `serve`, where the settings say nothing.
#[derive(Clone, Debug)]
pub struct Mode {
    /// Where mail goes without a mail server.
    pub mail: Carrier,
    /// Where webhooks may go, unless the settings say otherwise.
    pub address_policy: AddressPolicy,
    /// How Stripe is reached, unless the settings say otherwise; absent if no payments are taken.
    pub stripe: Option<StripeAccess>,
    /// The analytics store, if there is one. Its schema is up to date.
    pub analytics: Option<AnalyticsStore>,
    /// How much callers learn of why the analytics store refused a query.
    pub query_errors: QueryErrors,
    /// What the page of the reference fills in: values by the names of security schemes. They are
    /// shown to whoever opens the page.
    pub docs_credentials: Vec<(&'static str, String)>,
}

/// Connects to Postgres, and sees to it that the log goes on if it was moved to another cluster.
pub async fn connect(url: &str, connections: u32) -> Result<PgPool, LedgerError> {
    let options: PgConnectOptions = url.parse()?;
    let options = options.application_name("muniment");
    // The pool would only say that it waited in vain.
    let mut first = PgConnection::connect_with(&options).await?;
    recognise_cluster(&mut first).await?;
    first.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        .after_connect(|connection, _| Box::pin(look_around(connection)))
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// A connection that was lost may come back from another cluster, to which the database was moved.
async fn look_around(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let recognised = recognise_cluster(connection).await;
    recognised.map_err(|error| sqlx::Error::Configuration(error.into()))?;
    Ok(())
}

/// Brings the schema up to date. Safe to run on several nodes at once.
pub async fn migrate(pool: &PgPool) -> Result<(), LedgerError> {
    MIGRATOR.run(pool).await?;
    recognise_cluster(&mut *pool.acquire().await?).await?;
    Ok(())
}

/// Puts an application together on a database whose schema is up to date.
pub fn assemble(pool: PgPool, configuration: Configuration) -> Result<App, ServerError> {
    let Configuration {
        settings,
        secret,
        mode,
        password_cost,
        clock,
    } = configuration;
    let without_slash = |url: &str| url.trim_end_matches('/').to_owned();
    let public_url = without_slash(&settings.network.public_url);
    let dashboard_url = without_slash(settings.network.dashboard());
    let random = Random::system();
    let token_seconds = settings.secrets.access_token_seconds;
    let stripe = settings.payments.access(mode.stripe);
    let stripe = stripe.map(|access| Stripe::new(access, random.clone()));
    let delivery = settings.webhooks.delivery(mode.address_policy);
    let log = muniment_projections::open_log(pool.clone(), MasterKey::derive(secret.as_bytes()));
    Ok(App::new(Parts {
        projects: ProjectDirectory::new(&log),
        users: UserLoader::start(&pool),
        revoked_sessions: RevokedSessions::observing(&log, clock.clone(), token_seconds),
        activity: Activity::new(pool.clone()),
        recorder: Recorder::new(pool, destination(mode.analytics.as_ref())),
        analytics: mode.analytics,
        query_errors: mode.query_errors,
        docs_credentials: mode.docs_credentials,
        tokens: TokenIssuer::new(&secret, &public_url, token_seconds),
        passwords: Passwords::new(password_cost, &random)?,
        mail: settings.mail.shared(mode.mail)?,
        clock,
        random,
        dashboard_url,
        integrations: Integrations::new(platforms(&settings.integrations)?, &secret),
        limits: Limits::new(settings.limits.rate_limits),
        webhooks: Webhooks::new(&delivery.map_err(ServerError::Setting)?)?,
        portal_tokens: PortalTokens::new(&secret),
        stripe: stripe.transpose()?,
        customer_locks: KeyedLock::default(),
        trusted_proxy: settings.network.trusted_proxy,
        public_url,
        log,
    }))
}

/// The hosting platforms. The message of an error does not repeat the list: secrets are in it.
fn platforms(settings: &IntegrationSettings) -> Result<Clients, ServerError> {
    let list = settings.integration_clients.as_deref().unwrap_or_default();
    list.parse()
        .map_err(|error| format!("STACK_INTEGRATION_CLIENTS_CONFIG: {error}"))
        .map_err(ServerError::Setting)
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
    workers: Supervisor,
}

/// Whether a server follows the log as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It answers requests only.
    Nothing,
    /// It runs the workers that follow the log, each whenever no other process does.
    Everything,
}

impl Server {
    /// Starts to listen.
    pub async fn start(app: App, address: SocketAddr, follow: Follow) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| ServerError::Listen { address, error })?;
        let address = listener
            .local_addr()
            .map_err(|error| ServerError::Listen { address, error })?;
        let (stop, stopped) = oneshot::channel();
        let routes = router(app.clone(), Metrics::collect());
        let workers = Supervisor::default();
        start_own_workers(&app, &workers);
        if follow == Follow::Everything {
            start_followers(&app, &workers);
        }
        Ok(Self {
            serving: tokio::spawn(serve(listener, routes, stopped)),
            workers,
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
        self.workers.stop().await;
        if let Err(error) = self.app.activity.flush_all(self.app.now()).await {
            tracing::warn!(%error, "the latest last-active times could not be written");
        }
        if let Err(error) = self.app.recorder.flush().await {
            tracing::warn!(%error, "the latest telemetry could not be written");
        }
        self.app.pool().close().await;
    }
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

/// Starts the workers that every server needs for itself.
fn start_own_workers(app: &App, workers: &Supervisor) {
    let (activity, clock) = (app.activity.clone(), app.clock.clone());
    workers.start("activity", move || {
        let clock = clock.clone();
        activity.clone().keep_writing(move || clock.now())
    });
    let recorder = app.recorder.clone();
    workers.start("telemetry-recorder", move || {
        recorder.clone().keep_writing()
    });
    let (projects, log) = (app.projects.clone(), app.log.clone());
    workers.start("project-directory", move || {
        projects.clone().keep_up(log.clone())
    });
    let (sessions, log) = (app.revoked_sessions.clone(), app.log.clone());
    workers.start("revoked-sessions", move || {
        sessions.clone().keep_up(log.clone())
    });
    let log = app.log.clone();
    workers.start("notifications", move || listen(log.clone()).ended());
}

/// Starts the workers that follow the log, or a queue that was made from it.
fn start_followers(app: &App, workers: &Supervisor) {
    let (log, clock) = (&app.log, &app.clock);
    start_subscription(workers, log, "tally", BatchPolicy::default(), || Tally);
    let sealed = log.clone();
    let erasure = move || Erasure::new(&sealed);
    start_subscription(workers, log, "erasure", BatchPolicy::default(), erasure);
    let mail = MailSender {
        log: log.clone(),
        projects: app.projects.clone(),
        mail: app.mail.clone(),
        clock: clock.clone(),
        random: app.random.clone(),
    };
    workers.start("mail", move || mail.clone().run());
    let housekeeper = Housekeeper {
        log: log.clone(),
        clock: clock.clone(),
    };
    workers.start("housekeeping", move || housekeeper.clone().run());
    start_webhooks(app, workers);
    if let Some(stripe) = &app.stripe {
        start_stripe_cancellations(app, stripe, workers);
    }
    if let Some(store) = &app.analytics {
        start_analytics(app, store, workers);
    }
}

fn start_stripe_cancellations(app: &App, stripe: &Stripe, workers: &Supervisor) {
    let log = app.log.clone();
    let queueing = move || StripeCancellations::new(&log);
    let pace = BatchPolicy::default();
    start_subscription(workers, &app.log, "stripe-cancellations", pace, queueing);
    let canceller = StripeCanceller {
        pool: app.pool().clone(),
        clock: app.clock.clone(),
        stripe: stripe.clone(),
    };
    workers.start("stripe-canceller", move || canceller.clone().run());
}

fn start_webhooks(app: &App, workers: &Supervisor) {
    let (log, clock) = (&app.log, &app.clock);
    let producer = MessageProducer {
        log: log.clone(),
        clock: clock.clone(),
        webhooks: app.webhooks.clone(),
    };
    let make = move || producer.clone();
    start_subscription(
        workers,
        log,
        "webhook-messages",
        BatchPolicy::default(),
        make,
    );
    match &app.webhooks {
        Webhooks::Embedded(client) => {
            let dispatcher = Dispatcher {
                log: log.clone(),
                clock: clock.clone(),
                sender: Sender {
                    client: client.clone(),
                    clock: clock.clone(),
                    random: app.random.clone(),
                },
            };
            workers.start("webhook-dispatcher", move || dispatcher.clone().run());
        }
        Webhooks::Svix(server) => {
            let forwarder = SvixForwarder {
                pool: app.pool().clone(),
                clock: clock.clone(),
                server: server.clone(),
            };
            workers.start("svix-forwarder", move || forwarder.clone().run());
        }
    }
}

fn start_analytics(app: &App, store: &AnalyticsStore, workers: &Supervisor) {
    let (pool, recorder) = (app.pool().clone(), app.recorder.clone());
    let owner = store.owner();
    workers.start("telemetry-drain", move || {
        drain(pool.clone(), recorder.clone(), owner.clone())
    });
    let (pool, synced) = (app.pool().clone(), store.clone());
    let make = move || Synchronizer::new(pool.clone(), &synced);
    start_subscription(
        workers,
        &app.log,
        "analytics-sync",
        sync::BATCH_POLICY,
        make,
    );
    let (pool, erased) = (app.pool().clone(), store.clone());
    workers.start("analytics-erasure", move || {
        keep_erasing(pool.clone(), erased.clone())
    });
    let (pool, used) = (app.pool().clone(), store.clone());
    workers.start("analytics-usage", move || {
        follow_use(pool.clone(), used.clone())
    });
}

fn start_subscription<S: Subscriber>(
    workers: &Supervisor,
    log: &muniment_event_store::EventLog,
    name: &'static str,
    pace: BatchPolicy,
    make: impl Fn() -> S + Send + Sync + 'static,
) {
    let log = log.clone();
    workers.start(name, move || follow(log.clone(), make(), pace).ended());
}
