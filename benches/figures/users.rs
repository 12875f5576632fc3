//! Many users, whom webhooks tell of and whose events are replayed.

use serde_json::json;
use tokio::net::TcpStream;

use crate::Stage;
use crate::load::{CONNECTIONS, exchange};
use crate::server::SERVER_KEY;

/// How many.
pub(crate) const COUNT: usize = 20_000 / CONNECTIONS * CONNECTIONS;

/// Fills the log with many streams.
pub(crate) async fn create(stage: &Stage) {
    let mut tasks = Vec::new();
    for connection in 0..CONNECTIONS {
        let (address, project) = (stage.server.address, stage.project.clone());
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for n in 0..COUNT / CONNECTIONS {
                let body = json!({
                    "display_name": format!("User {n} of {connection}"),
                    "primary_email": format!("u{n}-{connection}@example.com"),
                    "primary_email_auth_enabled": true,
                    "client_metadata": {"plan": "free", "seats": n},
                })
                .to_string();
                let request = format!(
                    "POST /api/v1/users HTTP/1.1\r\nhost: x\r\nx-stack-access-type: server\r\n\
                     x-stack-project-id: {project}\r\nx-stack-secret-server-key: {SERVER_KEY}\r\n\
                     content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let answer = exchange(&mut stream, request.as_bytes()).await;
                assert!(
                    answer.starts_with(b"HTTP/1.1 201"),
                    "{}",
                    String::from_utf8_lossy(&answer)
                );
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}
