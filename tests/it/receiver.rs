//! A webhook receiver of the test's own, which records what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use svix::webhooks::Webhook;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::eventually;

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> &str {
        self.header("svix-id")
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        self.body()["type"].as_str().unwrap().to_owned()
    }

    pub(crate) fn data(&self) -> Value {
        self.body()["data"].clone()
    }

    /// Whether it was signed with that secret. Tests move the clock, so the time is not looked at.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let webhook = Webhook::new(secret).unwrap();
        webhook
            .verify_ignoring_timestamp(&self.bytes, &self.headers)
            .is_ok()
    }
}

#[derive(Clone, Default)]
struct Shared {
    received: Arc<Mutex<Vec<Received>>>,
    status: Arc<Mutex<u16>>,
}

/// The receiver. Gone when dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Shared,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    pub(crate) async fn open() -> Self {
        let shared = Shared::default();
        *shared.status.lock().unwrap() = 200;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            serving: serve(listener, shared.clone()),
            address,
            shared,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Answers with that status from now on.
    pub(crate) fn answer(&self, status: u16) {
        *self.shared.status.lock().unwrap() = status;
    }

    /// Stops listening: connections are refused.
    pub(crate) async fn break_down(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// Listens again.
    pub(crate) async fn recover(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = serve(listener, self.shared.clone());
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|message| message.kind() == kind);
        received
    }

    /// Waits for the nth message (from 1) of a kind.
    pub(crate) async fn nth(&self, kind: &str, nth: usize) -> Received {
        eventually(kind, || async { self.of_kind(kind).len() >= nth }).await;
        self.of_kind(kind)[nth - 1].clone()
    }

    pub(crate) async fn first(&self, kind: &str) -> Received {
        self.nth(kind, 1).await
    }
}

fn serve(listener: TcpListener, shared: Shared) -> JoinHandle<()> {
    let routes = Router::new().fallback(take).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() })
}

async fn take(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let received = Received {
        path: uri.path().to_owned(),
        headers,
        bytes: bytes.to_vec(),
    };
    shared.received.lock().unwrap().push(received);
    let status = *shared.status.lock().unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("location", "/elsewhere")], "noted").into_response()
}
