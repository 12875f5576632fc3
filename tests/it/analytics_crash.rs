//! `kill -9` at random moments of the server, the analytics engine and the connections to Postgres,
//! and a webhook receiver that goes away: afterwards the store says what the log says.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use muniment::analytics_engine::{AnalyticsEngine, Home};
use muniment::cache_folder::cache_folder;
use muniment::server::Follow;
use muniment_projections::analytics::AnalyticsStore;
use muniment_projections::analytics::sync::verify::verify;
use serde_json::json;
use sqlx::PgPool;

use crate::analytics_sync::synchronized;
use crate::crash::{Acknowledged, Binary, callers, until_loaded};
use crate::receiver::Receiver;
use crate::support::{TestServer, Variant, database, eventually};

const ROUNDS: usize = 4;

/// What dies in a round before the server does.
const VICTIMS: [Victim; 4] = [
    Victim::Server,
    Victim::Engine,
    Victim::PostgresConnections,
    Victim::Receiver,
];

#[derive(Clone, Copy)]
enum Victim {
    /// Nothing but the server.
    Server,
    /// The process that keeps the analytics.
    Engine,
    /// All connections of the server: what it sees when Postgres dies and comes back.
    PostgresConnections,
    /// The receiver of webhooks.
    Receiver,
}

#[tokio::test(flavor = "multi_thread")]
async fn after_crashes_of_anything_the_store_says_what_the_log_says() {
    let url = database().await;
    let home = tempfile::tempdir().unwrap();
    let no_store = Variant {
        follow: Follow::Nothing,
        analytics: None,
        ..Variant::usual().await
    };
    let maker = TestServer::start_with(&url, no_store).await;
    let project = maker.new_project(json!({})).await;
    let mut receiver = Receiver::open().await;
    maker
        .admin_of(&project, "POST", "/internal/webhooks/endpoints")
        .body(json!({"url": receiver.url()}))
        .expect(201)
        .await;
    let done = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..ROUNDS {
        let mut server = Binary::develop(&url, home.path()).await;
        let callers = callers(&server, &project, &done);
        until_loaded(&done, 5).await;
        let victim = VICTIMS[round % VICTIMS.len()];
        match victim {
            Victim::Server => {}
            Victim::Engine => kill_engine(server.process_id()).await,
            Victim::PostgresConnections => cut_connections(maker.pool()).await,
            Victim::Receiver => receiver.break_down().await,
        }
        tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 600)).await;
        server.kill();
        if matches!(victim, Victim::Receiver) {
            receiver.recover().await;
        }
        for caller in callers {
            caller.await.unwrap();
        }
    }
    maker.stop().await;
    let engine = reopen(home.path()).await;
    let with_store = Variant {
        analytics: Some(engine.store().clone()),
        ..Variant::usual().await
    };
    let server = TestServer::start_with(&url, with_store).await;
    synchronized(&server).await;
    let differences = verify(server.log(), engine.store(), |_| ()).await.unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
    for (table, event_type) in [("users", "UserCreated"), ("teams", "TeamCreated")] {
        let logged = logged(server.pool(), event_type).await;
        assert_eq!(stored(engine.store(), table).await, logged, "{table}");
        assert!(logged > 20, "there was load");
    }
    let dead: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters")
        .fetch_one(server.pool())
        .await
        .unwrap();
    assert_eq!(dead, 0);
}

/// Kills the engine as soon as there is one, and sees that there is another one soon.
async fn kill_engine(server: u32) {
    let children = || {
        let path = format!("/proc/{server}/task");
        let tasks = std::fs::read_dir(path).unwrap();
        let lists = tasks.filter_map(|task| {
            let list = task.ok()?.path().join("children");
            std::fs::read_to_string(list).ok()
        });
        lists.collect::<String>()
    };
    let before = children();
    let engine = before.split_whitespace().next().unwrap().to_owned();
    let killed = Command::new("kill").args(["-9", &engine]).status();
    assert!(killed.unwrap().success());
    eventually("the engine is replaced", || async {
        let now = children();
        !now.split_whitespace().any(|id| id == engine) && !now.trim().is_empty()
    })
    .await;
}

async fn cut_connections(pool: &PgPool) {
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(cut).execute(pool).await.unwrap();
}

/// Starts an engine on what the servers left. The last one's child may take a moment to end.
async fn reopen(home: &Path) -> AnalyticsEngine {
    let program = Path::new(env!("CARGO_BIN_EXE_muniment"));
    let home = Home::Kept(home.join("analytics"));
    let engine = AnalyticsEngine::start(program, home, &cache_folder()).await;
    engine.unwrap()
}

async fn stored(store: &AnalyticsStore, table: &str) -> u64 {
    let sql = format!("SELECT toUInt64(count()) FROM {table} FINAL WHERE sync_is_deleted = 0");
    store.owner().query(&sql).fetch_one().await.unwrap()
}

async fn logged(pool: &PgPool, event_type: &str) -> u64 {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE event_type = $1")
        .bind(event_type)
        .fetch_one(pool)
        .await
        .unwrap();
    u64::try_from(count).unwrap()
}
