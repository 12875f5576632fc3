//! Webhooks to a receiver of our own.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use muniment_domain::Millis;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::Stage;
use crate::load::{body_of, exchange, report};
use crate::server::{ADMIN_KEY, Server};
use crate::users;

/// Webhooks that have not arrived by then are lost.
const WEBHOOK_PATIENCE: Duration = Duration::from_secs(300);

/// Those of all users made since then, made from the log, signed,
/// sent to a receiver of our own, and logged.
pub(crate) async fn measure(stage: &Stage, since: Millis) {
    let (server, project) = (&stage.server, &stage.project);
    let count = Arc::new(AtomicU64::new(0));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let taken = Arc::clone(&count);
    let take = move || {
        taken.fetch_add(1, Ordering::Relaxed);
        std::future::ready(axum::http::StatusCode::NO_CONTENT)
    };
    let receiver = axum::Router::new().fallback(take);
    let receiving = tokio::spawn(async move { axum::serve(listener, receiver).await.unwrap() });
    let endpoint = json!({"url": url, "filter_types": ["user.created"]});
    let endpoint = admin_call(server, project, "endpoints", &endpoint).await;
    let replay = format!("endpoints/{}/replay", endpoint["id"].as_str().unwrap());
    admin_call(server, project, &replay, &json!({"since_millis": since.0})).await;
    let wanted = users::COUNT as u64;
    let begun = Instant::now();
    while count.load(Ordering::Relaxed) < wanted {
        assert!(begun.elapsed() < WEBHOOK_PATIENCE, "webhooks are missing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    receiving.abort();
    let rate = wanted as f64 / begun.elapsed().as_secs_f64();
    report("webhooks to a local receiver", rate, None, "");
}

async fn admin_call(server: &Server, project: &str, path: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = body.to_string();
    let request = format!(
        "POST /api/v1/internal/webhooks/{path} HTTP/1.1\r\nhost: x\r\n\
         x-stack-access-type: admin\r\nx-stack-project-id: {project}\r\n\
         x-stack-super-secret-admin-key: {ADMIN_KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(&mut stream, request.as_bytes()).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 20"), "{text}");
    body_of(&answer)
}
