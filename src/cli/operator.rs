//! `muniment migrate`, `replay` and `verify`: what an operator does with a log.
//!
//! `replay` and `verify` are about the read models in Postgres, or with `--analytics` about the
//! synced tables of the analytics store.

use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use muniment_event_store::{EventLog, MasterKey, Unreadable};
use muniment_projections::analytics::sync::replay::Replayed;
use muniment_projections::analytics::{AnalyticsStore, sync};
use muniment_projections::maintenance::replay::Progress;
use muniment_projections::maintenance::verify::{Difference, Verification};

use super::Failure;
use crate::config::AnalyticsSettings;
use crate::security::secrets::ServerSecret;
use crate::server;

/// The exit status of a command that passed over events it could not read.
const UNREADABLE: u8 = 3;
/// Connections these commands need at most.
const CONNECTIONS: u32 = 4;

/// Which database, and the secret that its log is sealed with.
#[derive(Args)]
pub(super) struct Database {
    /// Postgres, as `postgres://user:password@host:5432/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The master secret that the server runs with.
    #[arg(long, env = "MUNIMENT_SERVER_SECRET", hide_env_values = true)]
    server_secret: ServerSecret,
}

impl Database {
    pub(super) async fn log(&self) -> Result<EventLog, Failure> {
        let pool = server::connect(&self.database_url, CONNECTIONS).await?;
        Ok(muniment_projections::open_log(
            pool,
            MasterKey::derive(self.server_secret.as_bytes()),
        ))
    }
}

/// Whether a command is about the analytics store, and where that is.
#[derive(Args)]
pub(super) struct Analytics {
    /// The tables of the analytics store that follow the log, instead of Postgres' read tables.
    #[arg(long)]
    analytics: bool,
    #[command(flatten)]
    settings: AnalyticsSettings,
}

impl Analytics {
    /// The store, if the command is about it.
    fn store(&self, database: &Database) -> Result<Option<AnalyticsStore>, Failure> {
        if !self.analytics {
            return Ok(None);
        }
        let endpoint = self.settings.server(&database.server_secret)?.ok_or(
            "CLICKHOUSE_URL is not set; name the analytics store that the server uses \
             (`muniment dev` shows that of its own)",
        )?;
        Ok(Some(AnalyticsStore::new(endpoint)))
    }
}

/// The flags of `migrate`.
#[derive(Args)]
pub(super) struct MigrateArguments {
    /// Postgres, as `postgres://user:password@host:5432/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
}

/// Brings the schema up to date.
pub(super) async fn migrate(arguments: MigrateArguments) -> Result<ExitCode, Failure> {
    let pool = server::connect(&arguments.database_url, CONNECTIONS).await?;
    server::migrate(&pool).await?;
    println!("The schema is up to date.");
    Ok(ExitCode::SUCCESS)
}

/// The flags of `replay`.
#[derive(Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    analytics: Analytics,
    /// The read tables to rebuild; all, if none is named.
    #[arg(conflicts_with = "analytics")]
    tables: Vec<String>,
}

/// Rebuilds read models.
pub(super) async fn replay(arguments: ReplayArguments) -> Result<ExitCode, Failure> {
    let store = arguments.analytics.store(&arguments.database)?;
    let log = arguments.database.log().await?;
    let bar = progress_bar();
    if let Some(store) = store {
        let replayed = sync::replay::replay(&log, &store, |progress| show(&bar, progress));
        let Replayed { rows, unreadable } = replayed.await?;
        bar.finish_and_clear();
        println!(
            "Replayed {} events into {rows} rows of the analytics store; they are in use.",
            bar.position()
        );
        return Ok(passed_over(&unreadable).unwrap_or(ExitCode::SUCCESS));
    }
    let replayed =
        muniment_projections::maintenance::replay::replay(&log, &arguments.tables, |progress| {
            show(&bar, progress);
        });
    let unreadable = replayed.await?;
    bar.finish_and_clear();
    println!(
        "Replayed {} events; the rebuilt tables are in use.",
        bar.position()
    );
    Ok(passed_over(&unreadable).unwrap_or(ExitCode::SUCCESS))
}

/// Names events that could not be read. Yields the status to exit with then, whatever else was found:
/// no comparison holds if a part of the log is missing.
pub(super) fn passed_over(events: &[Unreadable]) -> Option<ExitCode> {
    if events.is_empty() {
        return None;
    }
    for event in events {
        eprintln!("unreadable: {event}");
    }
    eprintln!(
        "{} events could not be read and were passed over. A newer version may read them.",
        events.len()
    );
    Some(ExitCode::from(UNREADABLE))
}

/// The flags of `verify`.
#[derive(Args)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    analytics: Analytics,
}

/// Compares the read models with the log. Exits with 1 if they differ, and with 3 if a part of the log
/// could not be read.
pub(super) async fn verify(arguments: VerifyArguments) -> Result<ExitCode, Failure> {
    let store = arguments.analytics.store(&arguments.database)?;
    let log = arguments.database.log().await?;
    let bar = progress_bar();
    let shown = |progress| show(&bar, progress);
    let (found, mend) = match store {
        Some(store) => (
            sync::verify::verify(&log, &store, shown).await?,
            "muniment replay --analytics",
        ),
        None => (
            muniment_projections::maintenance::verify::verify(&log, shown).await?,
            "muniment replay",
        ),
    };
    bar.finish_and_clear();
    let Verification {
        differences,
        unreadable,
    } = found;
    let unreadable = passed_over(&unreadable);
    for difference in &differences {
        println!("{}", describe(difference));
    }
    if differences.is_empty() {
        let all = if unreadable.is_some() {
            "readable of the "
        } else {
            ""
        };
        println!(
            "No difference: the tables say what the {all}{} events say.",
            bar.position()
        );
        return Ok(unreadable.unwrap_or(ExitCode::SUCCESS));
    }
    println!(
        "{} rows differ. `{mend}` rebuilds the tables.",
        differences.len()
    );
    Ok(unreadable.unwrap_or(ExitCode::FAILURE))
}

fn describe(difference: &Difference) -> String {
    let table = difference.table;
    match (&difference.live, &difference.expected) {
        (Some(live), Some(expected)) => {
            format!("{table}: differs\n  table {live}\n  log   {expected}")
        }
        (Some(live), None) => format!("{table}: a row that the log does not have\n  table {live}"),
        (None, expected) => {
            let expected = expected.clone().unwrap_or_default();
            format!("{table}: a row is missing\n  log   {expected}")
        }
    }
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} events, {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.total.max(progress.done));
    bar.set_position(progress.done);
    bar.set_message(format!("{:.0} per second", progress.rate));
}
