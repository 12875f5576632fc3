//! Queries over analytics.

use std::time::Instant;

use muniment_projections::analytics::TenantQuery;
use serde_json::Map;

use crate::load::MEASURED;
use crate::server::start_engine;

/// Events of analytics.
const EVENTS: u64 = 10_000_000;
const TIMED_QUERIES: usize = 21;

/// Queries of one of a hundred projects, which have ten million events together.
pub(crate) async fn measure() {
    let engine = start_engine().await;
    let store = engine.store();
    let insert = format!(
        "INSERT INTO events (event_type, event_at, data, project_id, branch_id, user_id) \
         SELECT '$page-view', now() - number % 2000000, \
         '{{\"path\":\"/page/' || number % 50 || '\"}}', \
         toString(number % 100), 'main', toString(number % 100000) FROM numbers({EVENTS})"
    );
    let begun = Instant::now();
    store.owner().query_raw(&insert).execute().await.unwrap();
    println!(
        "events made in the engine        {:>9.0} /s",
        EVENTS as f64 / begun.elapsed().as_secs_f64()
    );
    for (name, text) in [
        ("count", "SELECT count() FROM events"),
        (
            "visitors per day",
            "SELECT toDate(event_at) AS day, uniq(user_id) FROM events GROUP BY day ORDER BY day",
        ),
        (
            "most visited pages",
            "SELECT data.path::String AS path, count() AS n FROM events GROUP BY path ORDER BY n DESC LIMIT 10",
        ),
    ] {
        let mut millis = Vec::new();
        for _ in 0..TIMED_QUERIES {
            let begun = Instant::now();
            store
                .tenant_query(TenantQuery {
                    query_id: "benchmark",
                    project_id: "7",
                    branch_id: "main",
                    text,
                    params: &Map::new(),
                    timeout: MEASURED,
                })
                .await
                .unwrap();
            millis.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        millis.sort_by(f64::total_cmp);
        let name = format!("query: {name}");
        println!("{name:<32} {:>9.1} ms", millis[TIMED_QUERIES / 2]);
    }
}
