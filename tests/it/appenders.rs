//! Readers of the log wait for appends that are running, and for nobody else: V4.

use std::time::Duration;

use muniment::server::{self, Follow};
use muniment_event_store::subscription::{BatchPolicy, follow, slow_appenders};
use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::concurrency::Collector;
use crate::support::{TestServer, database, eventually, unique_email};

const PATIENT: BatchPolicy = BatchPolicy {
    batch: 500,
    poll: Duration::from_millis(5),
    linger: Duration::ZERO,
    interval: Duration::ZERO,
    attempts: 8,
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_secs(30),
};

async fn positions(pool: &PgPool) -> Vec<i64> {
    let sql = "SELECT position FROM events ORDER BY epoch, transaction, position";
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn transactions_that_append_nothing_hold_nobody_up() {
    let (url, elsewhere) = (database().await, database().await);
    let server = TestServer::start_on(&url, Follow::Nothing).await;
    let mut open = Vec::new();
    for url in [&url, &elsewhere] {
        let mut connection = PgConnection::connect(url).await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        connection
            .execute("SELECT pg_current_xact_id()")
            .await
            .unwrap();
        open.push(connection);
    }
    // An append to another log is no append to this one.
    open[1].execute(APPEND).await.unwrap();
    let seen = Collector::default();
    let _following = follow(server.log().clone(), seen.clone(), PATIENT);
    server.sign_up(&unique_email()).await;
    let all = positions(server.pool()).await;
    eventually("everything is seen", || async { seen.positions() == all }).await;
    assert!(slow_appenders(server.pool(), 0.0).await.unwrap().is_empty());
}

/// By hand, as nobody should.
const APPEND: &str = "INSERT INTO events (project_id, aggregate_type, aggregate_id, sequence,
                                          event_type, event_version, payload, metadata)
                      VALUES ('p', 'project', 'late', 1, 'ProjectDeleted', '1.0.0',
                              '{\"type\": \"ProjectDeleted\"}', '{}')";

#[tokio::test]
async fn an_append_that_is_running_is_waited_for_and_named() {
    let url = database().await;
    let server = TestServer::start_on(&url, Follow::Everything).await;
    let seen = Collector::default();
    let _following = follow(server.log().clone(), seen.clone(), PATIENT);
    let before = positions(server.pool()).await;
    eventually("the beginning is seen", || async {
        seen.positions() == before
    })
    .await;
    let late = server::connect(&url, 1).await.unwrap();
    let mut late = late.begin().await.unwrap();
    late.execute(APPEND).await.unwrap();
    server.sign_up(&unique_email()).await;
    eventually("it is named, and what waits for it", || async {
        let slow = slow_appenders(server.pool(), 0.0).await.unwrap();
        let metrics = server.page("GET", "/metrics").send().await.text;
        let positive = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.is_some_and(|value| value.trim().parse::<f64>().unwrap() > 0.5)
        };
        slow.len() == 1
            && slow[0].client == "muniment"
            && slow[0].pid.is_some()
            && positive("muniment_append_running_seconds ")
            && positive("muniment_webhook_lag_seconds ")
    })
    .await;
    // Everything behind it is there to be read, and is not read.
    assert_eq!(seen.positions(), before);
    late.commit().await.unwrap();
    let all = positions(server.pool()).await;
    assert!(all.len() > before.len() + 1);
    eventually("everything is seen in order", || async {
        seen.positions() == all
    })
    .await;
}
