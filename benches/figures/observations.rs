//! What browsers observe, on its way to the analytics store.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use muniment::clock::Clock;
use muniment::server::{self, Follow};
use serde_json::{Value, json};

use crate::Stage;
use crate::load::{BRIEF_WARM_UP, BRIEFLY, load_for, report};
use crate::server::{Server, assemble, start_engine};

/// As many as the SDK sends at once.
const EVENTS_PER_BATCH: usize = 50;

/// What browsers observe, per second: over HTTP into the spool, and from the spool into the embedded
/// analytics engine. That server runs in this process, with subscribers of its own.
pub(crate) async fn measure(stage: &Stage) {
    let (url, secret, project) = (&stage.url, &stage.secret, &stage.project);
    let engine = start_engine().await;
    let app = assemble(url, 20, secret, Some(engine.store().clone())).await;
    let pool = app.pool().clone();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let served = server::Server::start(app, address, Follow::Everything)
        .await
        .unwrap();
    let now = Clock::system().now().0;
    let click = json!({
        "event_type": "$click", "event_at_ms": now,
        "data": {"tag_name": "a", "text": "Buy", "href": "/buy", "selector": "main > p > a", "x": 10, "y": 20},
    });
    let batch = json!({
        "session_replay_segment_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        "batch_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        "sent_at_ms": now,
        "events": vec![click; EVENTS_PER_BATCH],
    });
    let batch = batch.to_string();
    let send =
        |user: &Value, _| Server::request("POST", "/analytics/events/batch", project, user, &batch);
    let brief = (1, BRIEF_WARM_UP, BRIEFLY);
    let batches = load_for(served.address(), &stage.users, &send, brief).await;
    report(
        "analytics events taken",
        batches * EVENTS_PER_BATCH as f64,
        None,
        "",
    );
    let waiting = || async {
        let count = sqlx::query_scalar("SELECT count(*) FROM telemetry_spool");
        count.fetch_one(&pool).await.unwrap()
    };
    let (begun, left): (Instant, i64) = (Instant::now(), waiting().await);
    while waiting().await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = left as f64 / begun.elapsed().as_secs_f64();
    report("from the spool into the store", rate, None, "");
    served.stop().await;
}
