//! The command line.

mod analytics;
mod dev;
mod history;
mod operator;
mod serve;

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use muniment_projections::analytics::AnalyticsStore;
use tracing_subscriber::EnvFilter;

use crate::app::{App, QueryErrors};
use crate::clients::address_policy::AddressPolicy;
use crate::clients::mail::Carrier;
use crate::clients::stripe::StripeAccess;
use crate::clock::Clock;
use crate::config::{Settings, Switch};
use crate::embedded::analytics_engine::child;
use crate::security::passwords::Cost;
use crate::security::secrets::ServerSecret;
use crate::server::{self, Configuration, Follow, Server};

/// Every address of the machine.
const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A failure, in words for the person at the terminal.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An identity ledger: users, teams and sessions on an event log, behind the Stack Auth REST API.
#[derive(Parser)]
#[command(name = "muniment", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything for development: a private Postgres, a demo project, and the API.
    Dev(dev::Arguments),
    /// Serve the API.
    Serve(serve::Arguments),
    /// Bring the database's schema up to date.
    Migrate(operator::MigrateArguments),
    /// Rebuild read models from the event log, beside live traffic.
    Replay(operator::ReplayArguments),
    /// Project the event log afresh and compare it with the read models.
    Verify(operator::VerifyArguments),
    /// Show what happened to an account, or its state at a point in time.
    History(history::Arguments),
    /// The process of the embedded analytics engine. `dev` starts it.
    #[command(hide = true)]
    AnalyticsEngine(child::Arguments),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    log_to_stderr();
    // Confines itself before there are threads, so it brings its own.
    if let Command::AnalyticsEngine(arguments) = &command {
        return reported(child::run(arguments).map(|()| ExitCode::SUCCESS));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime.map_err(Failure::from).and_then(|runtime| {
        let done = runtime.block_on(run(command));
        // A thread that still hashes a password need not be waited for.
        runtime.shutdown_timeout(Duration::from_secs(1));
        done
    });
    reported(done)
}

fn reported(done: Result<ExitCode, Failure>) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("muniment: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Dev(arguments) => dev::run(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Migrate(arguments) => operator::migrate(arguments).await,
        Command::Replay(arguments) => operator::replay(arguments).await,
        Command::Verify(arguments) => operator::verify(arguments).await,
        Command::History(arguments) => history::run(arguments).await,
        Command::AnalyticsEngine(_) => Err("runs before there are threads".into()),
    }
}

/// As `RUST_LOG` says, for example `debug` or `muniment=debug,sqlx=warn`.
fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let json = std::env::var("MUNIMENT_LOG_FORMAT").is_ok_and(|format| format == "json");
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if json {
        lines.json().init();
    } else {
        lines.with_target(false).init();
    }
}

/// What differs between `dev` and `serve`.
struct Mode {
    /// Where mail goes without a mail server.
    mail: Carrier,
    /// Where webhooks may go, unless the settings say otherwise.
    address_policy: AddressPolicy,
    /// How Stripe is reached, unless the settings say otherwise; absent if no payments are taken.
    stripe: Option<StripeAccess>,
    analytics: Option<AnalyticsStore>,
    query_errors: QueryErrors,
}

/// Puts the application together.
async fn build(
    settings: &Settings,
    secret: ServerSecret,
    url: &str,
    mode: Mode,
) -> Result<App, Failure> {
    let Mode {
        mail,
        address_policy,
        stripe,
        analytics,
        query_errors,
    } = mode;
    let pool = server::connect(url, settings.database_connections).await?;
    server::migrate(&pool).await?;
    let configuration = Configuration {
        secret,
        public_url: settings.public_url.clone(),
        dashboard_url: settings.dashboard().to_owned(),
        integration_clients: settings.platforms()?,
        access_token_seconds: settings.access_token_seconds,
        password_cost: Cost::Standard,
        mail: settings.mail.shared(mail)?,
        trusted_proxy: settings.trusted_proxy.clone(),
        quotas: settings.rate_limits.clone(),
        webhooks: settings.webhooks.delivery(address_policy)?,
        stripe: settings.payments.access(stripe),
        analytics,
        query_errors,
        clock: Clock::system(),
    };
    Ok(server::assemble(pool, configuration)?)
}

/// Starts to serve.
async fn start(app: App, settings: &Settings, fallback: IpAddr) -> Result<Server, Failure> {
    let follow = match settings.subscribers {
        Switch::On => Follow::Everything,
        Switch::Off => Follow::Nothing,
    };
    Ok(Server::start(app, settings.listen_on(fallback), follow).await?)
}

/// Returns when the process is asked to stop: Ctrl-C, or SIGTERM.
async fn asked_to_stop() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping; running requests may finish");
    Ok(())
}
