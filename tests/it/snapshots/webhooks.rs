//! Webhooks, by our own API and by Svix's.

use serde_json::json;

use super::Scene;

const URL: &str = "https://hooks.example.com/muniment";

#[tokio::test]
async fn endpoints() {
    let scene = Scene::open().await;
    let server = &scene.server;
    let path = "/internal/webhooks/endpoints";
    let body = json!({"url": URL, "description": "Ours", "filter_types": ["user.created"]});
    let made = server.admin("POST", path).body(body);
    scene.shows("webhook_endpoint_made", made).await;
    let wrong = server
        .admin("POST", path)
        .body(json!({"url": "gopher://old"}));
    scene.shows("webhook_endpoint_refused", wrong).await;
    scene
        .shows("webhook_endpoints", server.admin("GET", path))
        .await;
    let token = server.admin("POST", "/webhooks/svix-token").body(json!({}));
    scene.shows("webhook_token", token).await;
}

#[tokio::test]
async fn by_svix() {
    let mut scene = Scene::open().await;
    let server = &scene.server;
    let token = server.admin("POST", "/webhooks/svix-token").body(json!({}));
    let token = token.expect(201).await["token"].clone();
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let app = format!("/app/{}", server.project.id);
    let endpoints = format!("{app}/endpoint");
    let make = server.call("POST", &endpoints);
    let make = make.header("authorization", &bearer);
    let body = json!({"url": URL, "uid": "mine", "rateLimit": 5, "metadata": {"by": "ada"}});
    scene.make("endpoint", make, body).await;
    let server = &scene.server;
    let call =
        |method: &str, path: &str| server.call(method, path).header("authorization", &bearer);
    scene.shows("svix_endpoints", call("GET", &endpoints)).await;
    let messages = format!("{app}/msg");
    let body = json!({"eventType": "user.created", "eventId": "one", "payload": {"n": 1}});
    let sent = || call("POST", &messages).body(body.clone());
    scene.shows("svix_message", sent()).await;
    scene.shows("svix_message_twice", sent()).await;
    let wrong = call("POST", &endpoints).body(json!({"url": 5}));
    scene.shows("svix_invalid", wrong).await;
    let missing = call("GET", &format!("{endpoints}/ep_0"));
    scene.shows("svix_not_found", missing).await;
    let stranger = server.call("GET", &endpoints);
    scene.shows("svix_without_token", stranger).await;
}
