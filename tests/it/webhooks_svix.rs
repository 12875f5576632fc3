//! Webhooks through a Svix server, played here by a recorder of requests (Svix's public API).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use muniment::config::Delivery;
use muniment_projections::webhooks::event_types::CATALOGUE;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::integrations::HOST;
use crate::support::{TestServer, database, eventually, unique_email};

const KEY: &str = "testsk_key.eu";

#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Value,
}

#[derive(Clone, Default)]
struct Played {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Messages by event id.
    messages: Arc<Mutex<HashMap<String, Value>>>,
    /// How many messages are refused before one is taken.
    refusals: Arc<Mutex<(usize, u16)>>,
}

struct Svix {
    url: String,
    state: Played,
    serving: JoinHandle<()>,
}

impl Drop for Svix {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Svix {
    async fn open() -> Self {
        let state = Played::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(play).with_state(state.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            url,
            state,
            serving,
        }
    }

    fn delivery(&self) -> Delivery {
        Delivery::Svix {
            server_url: self.url.clone(),
            api_key: KEY.to_owned(),
        }
    }

    fn asked(&self, method: &Method, path: &str) -> Vec<Asked> {
        let asked = self.state.asked.lock().unwrap();
        let matching = asked
            .iter()
            .filter(|asked| asked.method == *method && asked.path == path);
        matching.cloned().collect()
    }
}

async fn play(
    State(state): State<Played>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let asked = Asked {
        method,
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body: body.clone(),
    };
    state.asked.lock().unwrap().push(asked.clone());
    let (status, answer) = answer(&state, &asked);
    (StatusCode::from_u16(status).unwrap(), axum::Json(answer)).into_response()
}

fn answer(state: &Played, asked: &Asked) -> (u16, Value) {
    let at = "2026-01-01T00:00:00Z";
    let parts: Vec<&str> = asked
        .path
        .trim_start_matches("/api/v1/")
        .split('/')
        .collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("POST", ["event-type"]) => {
            if asked.body["name"] == "user.created" {
                return (409, json!({"code": "conflict", "detail": "it exists"}));
            }
            let mut answer = asked.body.clone();
            answer["createdAt"] = json!(at);
            answer["updatedAt"] = json!(at);
            answer["archived"] = json!(false);
            answer["deprecated"] = json!(false);
            (201, answer)
        }
        ("POST", ["app"]) => {
            let (uid, name) = (&asked.body["uid"], &asked.body["name"]);
            let answer = json!({"id": "app_1", "uid": uid, "name": name, "metadata": {}, "createdAt": at, "updatedAt": at});
            (200, answer)
        }
        ("POST", ["app", _, "msg"]) => {
            let mut refusals = state.refusals.lock().unwrap();
            if refusals.0 > 0 {
                refusals.0 -= 1;
                return (refusals.1, json!({"code": "no", "detail": "not now"}));
            }
            let mut messages = state.messages.lock().unwrap();
            let event_id = asked.body["eventId"].as_str().unwrap().to_owned();
            if messages.contains_key(&event_id) {
                return (409, json!({"code": "conflict", "detail": "it exists"}));
            }
            messages.insert(event_id.clone(), asked.body.clone());
            let answer = json!({"id": "msg_at_svix", "eventId": event_id, "eventType": asked.body["eventType"], "payload": {}, "timestamp": at});
            (202, answer)
        }
        ("POST", ["auth", "app-portal-access", _]) => (
            200,
            json!({"url": "https://app.svix.com/x", "token": "appsk_x"}),
        ),
        ("POST", ["app", _, "endpoint"]) => {
            let (url, description) = (&asked.body["url"], &asked.body["description"]);
            let answer = json!({"id": "ep_made", "url": url, "description": description, "version": 1, "metadata": {}, "createdAt": at, "updatedAt": at});
            (201, answer)
        }
        ("GET", ["app", _, "endpoint", "ep_known"]) => (
            200,
            json!({"id": "ep_known", "url": "https://example.com/hook", "version": 1, "description": "", "metadata": {}, "createdAt": at, "updatedAt": at}),
        ),
        ("GET", ["app", _, "attempt", "msg", "msg_at_svix"]) => {
            let attempt = json!({"id": "atmpt_1", "msgId": "msg_at_svix", "endpointId": "ep_known", "url": "https://example.com/hook", "response": "", "responseStatusCode": 200, "responseDurationMs": 5, "status": 0, "statusText": "success", "triggerType": 0, "timestamp": at});
            (
                200,
                json!({"data": [attempt], "done": true, "iterator": null, "prevIterator": null}),
            )
        }
        _ => (
            404,
            json!({"code": "not_found", "detail": "Entity not found"}),
        ),
    }
}

#[tokio::test]
async fn messages_go_to_svix_once_under_their_events_id() {
    let svix = Svix::open().await;
    let url = database().await;
    let server = TestServer::start_delivering(&url, svix.delivery()).await;
    eventually("event types are declared", || async {
        svix.asked(&Method::POST, "/api/v1/event-type").len() == CATALOGUE.len()
    })
    .await;
    let user = server.sign_up(&unique_email()).await;
    let path = format!("/api/v1/app/{}/msg", server.project.id);
    eventually("the message arrives", || async {
        !svix.asked(&Method::POST, &path).is_empty()
    })
    .await;
    let asked = svix.asked(&Method::POST, &path)[0].clone();
    assert_eq!(asked.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(asked.body["eventType"], "user.created");
    assert_eq!(asked.body["payload"]["type"], "user.created");
    assert_eq!(asked.body["payload"]["data"]["id"], user.user_id);
    let id = asked.body["eventId"].as_str().unwrap();
    assert!(id.starts_with("msg_") && id.len() == 31);
    assert_eq!(asked.headers["idempotency-key"], id);
    let applications = svix.asked(&Method::POST, "/api/v1/app");
    let application = applications
        .iter()
        .find(|asked| asked.body["uid"] == server.project.id)
        .unwrap();
    assert_eq!(application.query, "get_if_exists=true");
    assert_eq!(application.body["name"], server.project.id);

    // A crash between the submission and the note of it: the event becomes the same message.
    eventually("the queue is empty", || async {
        submissions(&server).await == 0
    })
    .await;
    let sql = "UPDATE subscriptions SET transaction = '0', position = 0 WHERE name = 'webhooks'";
    sqlx::query(sql).execute(server.pool()).await.unwrap();
    let before = svix.state.messages.lock().unwrap().len();
    server.anonymous().await;
    eventually("everything is submitted again", || async {
        svix.state.messages.lock().unwrap().len() == before + 1 && submissions(&server).await == 0
    })
    .await;
    let again = svix.asked(&Method::POST, &path);
    assert_eq!(
        again
            .iter()
            .filter(|asked| asked.body["eventId"] == id)
            .count(),
        2
    );
}

async fn submissions(server: &TestServer) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM webhook_submissions")
        .fetch_one(server.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn what_svix_refuses_is_submitted_again() {
    let svix = Svix::open().await;
    let server = TestServer::start_delivering(&database().await, svix.delivery()).await;
    eventually("the start is told of", || async {
        !svix.state.messages.lock().unwrap().is_empty() && submissions(&server).await == 0
    })
    .await;
    *svix.state.refusals.lock().unwrap() = (3, 429);
    let user = server.anonymous().await;
    let arrived = || {
        let messages = svix.state.messages.lock().unwrap();
        messages
            .values()
            .any(|message| message["payload"]["data"]["id"] == user.user_id)
    };
    eventually("it arrives in the end", || async {
        server.clock.advance(1_000);
        arrived()
    })
    .await;
}

#[tokio::test]
async fn endpoints_are_managed_and_tested_at_svix() {
    let svix = Svix::open().await;
    let server = TestServer::start_delivering(&database().await, svix.delivery()).await;
    let call = server.admin("POST", "/webhooks/svix-token").body(json!({}));
    assert_eq!(call.expect(201).await, json!({"token": "appsk_x"}));
    let path = format!("/api/v1/auth/app-portal-access/{}", server.project.id);
    assert_eq!(svix.asked(&Method::POST, &path).len(), 1);
    let test = async |id: &str| {
        server
            .admin("POST", "/internal/send-test-webhook")
            .body(json!({"endpoint_id": id}))
            .expect(200)
            .await
    };
    assert_eq!(test("ep_known").await, json!({"success": true}));
    assert_eq!(test("ep_unknown").await["success"], false);
    let listing = server.admin("GET", "/internal/webhooks/endpoints");
    listing.refused_in_words(400).await;
    let path = format!("/app/{}/endpoint", server.project.id);
    let elsewhere = server.call("GET", &path).expect(404).await;
    assert_eq!(elsewhere["code"], "not_found");
    assert!(elsewhere["detail"].as_str().unwrap().contains(&svix.url));
}

#[tokio::test]
async fn neon_registers_its_webhook_at_svix() {
    let svix = Svix::open().await;
    let server = TestServer::start_delivering(&database().await, svix.delivery()).await;
    let call = server.client("POST", "/integrations/neon/webhooks");
    let made = call
        .header("authorization", HOST)
        .body(json!({"url": "https://neon.example.com/hook", "description": "for Neon"}))
        .expect(200)
        .await;
    let path = format!("/api/v1/app/{}/endpoint", server.project.id);
    let asked = svix.asked(&Method::POST, &path);
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].body,
        json!({"url": "https://neon.example.com/hook", "description": "for Neon", "secret": made["secret"]})
    );
}
