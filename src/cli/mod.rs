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
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Settings, Switch};
use crate::embedded::analytics_engine::child;
use crate::security::passwords::Cost;
use crate::security::secrets::ServerSecret;
use crate::server::{self, Configuration, Follow, Mode, Server};

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
    ///
    /// Exits with 0 when all was rebuilt, with 1 when it failed, and with 3 when it passed over events
    /// that this version cannot read, which it names.
    Replay(operator::ReplayArguments),
    /// Project the event log afresh and compare it with the read models.
    ///
    /// Exits with 0 when nothing differs, with 1 when something does or the comparison failed, and with
    /// 3 when it passed over events that this version cannot read, which it names.
    Verify(operator::VerifyArguments),
    /// Show what happened to an account, or its state at a point in time.
    ///
    /// Exits with 0, with 1 when it failed, and with 3 when it passed over events that this version
    /// cannot read, which it names.
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

/// Puts the application together on the database at `url`, whose schema it brings up to date.
async fn build(
    settings: &Settings,
    secret: ServerSecret,
    url: &str,
    mode: Mode,
) -> Result<App, Failure> {
    let pool = server::connect(url, settings.database.database_connections).await?;
    server::migrate(&pool).await?;
    let configuration = Configuration {
        settings: settings.clone(),
        secret,
        mode,
        password_cost: Cost::Standard,
        clock: Clock::system(),
    };
    Ok(server::assemble(pool, configuration)?)
}

/// Starts to serve.
async fn start(app: App, settings: &Settings, fallback: IpAddr) -> Result<Server, Failure> {
    let follow = match settings.workers.subscribers {
        Switch::On => Follow::Everything,
        Switch::Off => Follow::Nothing,
    };
    Ok(Server::start(app, settings.network.listen_on(fallback), follow).await?)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;

    /// The page whose tables list the settings.
    const PAGE: &str = include_str!("../../docs/configuration.md");

    /// A setting: its variable and its flag.
    type Setting = (String, String);

    /// The rows of the page that name a variable and a flag.
    fn documented() -> BTreeSet<Setting> {
        let code = |cell: &str| {
            let cell = cell.trim().strip_prefix('`')?.strip_suffix('`')?;
            Some(cell.to_owned())
        };
        let rows = PAGE.lines().filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|');
            let (variable, flag) = (code(cells.next()?)?, code(cells.next()?)?);
            Some((variable, flag.strip_prefix("--")?.to_owned()))
        });
        rows.collect()
    }

    /// The settings of a command that can be made by a variable.
    fn understood(command: &str) -> BTreeSet<Setting> {
        let program = Arguments::command();
        let command = program.find_subcommand(command).unwrap();
        let settings = command.get_arguments().filter_map(|argument| {
            let variable = argument.get_env()?.to_str().unwrap();
            Some((variable.to_owned(), argument.get_long().unwrap().to_owned()))
        });
        settings.collect()
    }

    #[test]
    fn the_documented_settings_are_those_that_are_understood() {
        let documented = documented();
        let understood_by_dev = understood("dev");
        assert_eq!(documented, understood_by_dev);
        let dir = ("MUNIMENT_DEV_DIR".to_owned(), "dir".to_owned());
        let mut understood_by_serve = understood("serve");
        assert!(understood_by_serve.insert(dir));
        assert_eq!(understood_by_serve, understood_by_dev);
        for command in ["migrate", "replay", "verify", "history"] {
            assert!(understood(command).is_subset(&documented), "{command}");
        }
    }

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
