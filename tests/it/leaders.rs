//! Work that one process at a time does is taken over from one that is stopped, and done once.

use std::time::{Duration, Instant};

use muniment::server::Follow;

use crate::crash::Binary;
use crate::support::{TestServer, database, eventually, unique_email};

/// What is promised.
const TAKEN_OVER: Duration = Duration::from_secs(5);

async fn number(server: &TestServer, sql: &str) -> i64 {
    let number = sqlx::query_scalar(sql).fetch_one(server.pool());
    number.await.unwrap()
}

const TALLIED: &str = "SELECT coalesce(sum(count), 0)::bigint FROM event_tally";
const EVENTS: &str = "SELECT count(*) FROM events";

#[tokio::test]
async fn a_stopped_leader_is_replaced_within_five_seconds_and_does_nothing_twice() {
    let url = database().await;
    let stopped = Binary::serve(&url).await;
    let server = TestServer::start_on(&url, Follow::Everything).await;
    eventually("the first process leads", || async {
        number(&server, TALLIED).await == number(&server, EVENTS).await
    })
    .await;
    stopped.signal("STOP");
    server.sign_up(&unique_email()).await;
    let since = Instant::now();
    eventually("the other process follows the log", || async {
        number(&server, TALLIED).await == number(&server, EVENTS).await
    })
    .await;
    let took = since.elapsed();
    assert!(took < TAKEN_OVER, "it took {took:?}");
    // It wakes up, believes to lead, and finds that its connections are gone.
    stopped.signal("CONT");
    for _ in 0..5 {
        server.sign_up(&unique_email()).await;
    }
    eventually("both agree", || async {
        number(&server, TALLIED).await == number(&server, EVENTS).await
    })
    .await;
    let leading = "SELECT count(*) FROM leaders l JOIN pg_stat_activity a
                   ON a.pid = l.pid AND a.backend_start = l.backend_start";
    assert!(number(&server, leading).await >= 3);
    server.assert_verified().await;
}
