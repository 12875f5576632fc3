//! The figures we watch, measured side by side on one machine: `cargo bench --bench figures`, or
//! some of them: `cargo bench --bench figures -- items webhooks`, see [`Section`].
//!
//! A release build of the server runs as a process of its own on a private, fully durable Postgres.
//! Beside it, on the same Postgres, `pgbench` inserts single rows; and loops sign tokens on one thread
//! and hash passwords on as many as the server does. What is printed are rates and their ratios to
//! those; nothing is asserted, because a rate depends on the machine.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark may fail loudly"
)]
#![allow(clippy::cast_precision_loss, reason = "rates for human eyes")]

mod accounts;
mod baselines;
mod features;
mod items;
mod load;
mod observations;
mod queries;
mod replay;
mod server;
mod synchronization;
mod users;
mod webhooks;

use std::time::Duration;

use muniment::app::App;
use muniment::app::projects::seed::DEMO_PROJECT;
use muniment::clock::Clock;
use muniment::embedded::cache_folder::cache_folder;
use muniment::embedded::postgres::{Durability, Lifetime, PrivatePostgres};
use muniment::security::secrets::{Random, ServerSecret};
use serde_json::Value;

use crate::baselines::Baselines;
use crate::server::{Server, execute, seed};

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is measured together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Accounts,
    Items,
    Features,
    Observations,
    Webhooks,
    Synchronization,
    Replay,
    Queries,
}

impl Section {
    /// In the order in which they run.
    const ALL: [(&'static str, Self); 8] = [
        ("accounts", Self::Accounts),
        ("items", Self::Items),
        ("features", Self::Features),
        ("observations", Self::Observations),
        ("webhooks", Self::Webhooks),
        ("synchronization", Self::Synchronization),
        ("replay", Self::Replay),
        ("queries", Self::Queries),
    ];

    /// Those that the command line names, or all. Cargo adds flags of its own.
    fn chosen() -> Result<Vec<Self>, String> {
        let words = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with('-'));
        let chosen: Vec<Self> = words
            .map(|word| Self::named(&word))
            .collect::<Result<_, _>>()?;
        if chosen.is_empty() {
            return Ok(Self::ALL.map(|(_, section)| section).to_vec());
        }
        Ok(chosen)
    }

    fn named(word: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, section)| *section).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("there is no section `{word}`; choose from: {names}")
        })
    }
}

/// What sections work on.
struct Stage {
    url: String,
    secret: ServerSecret,
    app: App,
    server: Server,
    project: String,
    /// One per connection.
    users: Vec<Value>,
}

#[tokio::main]
async fn main() -> Result<(), String> {
    // `cargo test --benches` asks for a mere start.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let chosen = Section::chosen()?;
    let wants = |section| chosen.contains(&section);
    let on_log = Section::ALL.map(|(_, section)| section);
    if on_log
        .into_iter()
        .any(|section| section != Section::Queries && wants(section))
    {
        measure_on_log(&chosen).await;
    }
    if wants(Section::Queries) {
        queries::measure().await;
    }
    Ok(())
}

/// All but the queries, which need no log.
async fn measure_on_log(chosen: &[Section]) {
    let wants = |section| chosen.contains(&section);
    let lifetime = Lifetime::Ephemeral(Durability::Full);
    let postgres = PrivatePostgres::start(lifetime, &cache_folder())
        .await
        .unwrap();
    let secret = ServerSecret::generate(&Random::seeded(7));
    let baselines = if wants(Section::Accounts) {
        Some(Baselines::measure(&postgres, &secret).await)
    } else {
        None
    };
    let stage = set_up(&postgres, secret).await;
    if let Some(baselines) = baselines {
        accounts::measure(&stage, &baselines).await;
    }
    if wants(Section::Items) {
        items::measure(&stage).await;
    }
    if wants(Section::Accounts) || wants(Section::Items) {
        let memory = stage.server.memory();
        println!("memory under load                {memory:>9.1} MiB");
    }
    if wants(Section::Features) {
        features::measure(&stage).await;
    }
    if wants(Section::Observations) {
        observations::measure(&stage).await;
    }
    if wants(Section::Webhooks) || wants(Section::Synchronization) || wants(Section::Replay) {
        let since = Clock::system().now();
        users::create(&stage).await;
        if wants(Section::Webhooks) {
            webhooks::measure(&stage, since).await;
        }
    }
    if wants(Section::Synchronization) {
        synchronization::measure(&stage).await;
    }
    let Stage {
        url,
        secret,
        app,
        server,
        ..
    } = stage;
    drop(server);
    app.pool().close().await;
    if wants(Section::Replay) {
        replay::measure(&url, &secret).await;
    }
    postgres.stop().await.unwrap();
}

async fn set_up(postgres: &PrivatePostgres, secret: ServerSecret) -> Stage {
    let url = postgres.url("muniment");
    execute(&postgres.url("postgres"), "CREATE DATABASE muniment").await;
    let app = seed(&url, &secret).await;
    let project = DEMO_PROJECT.to_string();
    let (server, start) = Server::start(&url, &secret).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!(
        "start to first answer            {:>9.0} ms",
        start.as_secs_f64() * 1e3
    );
    println!(
        "idle memory                      {:>9.1} MiB",
        server.memory()
    );
    let users = accounts::sign_up(&server, &project).await;
    Stage {
        url,
        secret,
        app,
        server,
        project,
        users,
    }
}
