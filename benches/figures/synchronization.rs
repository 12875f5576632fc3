//! How fast the log reaches the analytics store: all of it at once, and sign-ups at a steady pace.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use muniment::clock::Clock;
use muniment::security::secrets::Random;
use muniment::server::{self, Follow};
use muniment_event_store::subscription::lags;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpStream;

use crate::Stage;
use crate::accounts::PASSWORD;
use crate::load::{MEASURED, body_of, exchange, report};
use crate::server::{Server, assemble, execute, start_engine};

/// Together about 500 events per second: a sign-up makes two, a user and a session.
const SIGN_UPS_AT_ONCE: usize = 10;
const SIGN_UP_EVERY: Duration = Duration::from_millis(40);

/// Everything that is in the log first, then the sign-ups.
pub(crate) async fn measure(stage: &Stage) {
    let (url, secret, project) = (&stage.url, &stage.secret, &stage.project);
    let engine = start_engine().await;
    let store = engine.store();
    let rewind =
        "UPDATE subscriptions SET transaction = '0', position = 0 WHERE name = 'analytics'";
    execute(url, rewind).await;
    let app = assemble(url, 20, secret, Some(store.clone())).await;
    let pool = app.pool().clone();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let begun = Instant::now();
    let served = server::Server::start(app, address, Follow::Everything)
        .await
        .unwrap();
    while !is_synchronized(&pool).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let rows = "SELECT sum(rows) FROM system.parts WHERE active AND database = 'analytics_internal'
                AND table NOT IN ('events', 'migrations')";
    let rows: u64 = store.owner().query(rows).fetch_one().await.unwrap();
    report(
        "log to analytics store, rows",
        rows as f64 / elapsed,
        None,
        "",
    );

    let (since, events) = (Clock::system().now().0, count_events(&pool).await);
    let begun = Instant::now();
    let signing_up = (0..SIGN_UPS_AT_ONCE).map(|_| sign_up_steadily(served.address(), project));
    join_all(signing_up).await;
    let events = count_events(&pool).await - events;
    let pace = events as f64 / begun.elapsed().as_secs_f64();
    while !is_synchronized(&pool).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lags = "SELECT quantiles(0.5, 0.99)(toFloat64(dateDiff('millisecond', signed_up_at, sync_created_at)))
                FROM users WHERE signed_up_at >= fromUnixTimestamp64Milli(?)";
    let lags: Vec<f64> = store
        .owner()
        .query(lags)
        .bind(since)
        .fetch_one()
        .await
        .unwrap();
    println!(
        "sign-up to analytics store       {:>9.0} ms, p99 {:.0} ms, at {pace:.0} events per second",
        lags[0], lags[1]
    );
    served.stop().await;
}

async fn is_synchronized(pool: &PgPool) -> bool {
    let lags = lags(pool).await.unwrap();
    lags.iter()
        .any(|lag| lag.name == "analytics" && lag.events == 0)
}

async fn count_events(pool: &PgPool) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM events");
    count.fetch_one(pool).await.unwrap()
}

/// Signs users up, one every [`SIGN_UP_EVERY`], over a connection.
async fn sign_up_steadily(address: SocketAddr, project: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut tick = tokio::time::interval(SIGN_UP_EVERY);
    let begun = Instant::now();
    while begun.elapsed() < MEASURED {
        tick.tick().await;
        let email = format!("{}@example.com", Random::system().request_id());
        let body = json!({"email": email, "password": PASSWORD}).to_string();
        let path = "/auth/password/sign-up";
        let request = Server::request("POST", path, project, &Value::Null, &body);
        body_of(&exchange(&mut stream, &request).await);
    }
}
