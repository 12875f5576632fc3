//! What the dashboard asks for: queries, figures, conversations.

use serde_json::json;

use super::Scene;

#[tokio::test]
async fn queries() {
    let scene = Scene::open().await;
    let ask = |sql: &str| {
        let call = scene.server.admin("POST", "/internal/analytics/query");
        call.body(json!({"query": sql, "params": {"n": 2}}))
    };
    let sql = "SELECT number AS n, toString(number) AS text, NULL AS nothing, [n] AS list
               FROM numbers({n:UInt8})";
    scene.shows("query", ask(sql)).await;
    let wrong = ask("SELECT * FROM nowhere");
    scene.shows("query_refused", wrong).await;
}

#[tokio::test]
async fn figures() {
    let mut scene = Scene::open().await;
    scene.sign_up("ada").await;
    let metrics = scene.server.admin("GET", "/internal/metrics");
    scene.shows("metrics", metrics).await;
}

#[tokio::test]
async fn conversations() {
    let mut scene = Scene::open().await;
    let ada = scene.sign_up("ada").await;
    let server = &scene.server;
    let internal = server.internal();
    let agent = server.sign_up_to(&internal, "agent@example.com").await;
    let call = |method: &str, path: &str| server.client_of(&internal, method, path).user(&agent);
    let me = call("GET", "/users/me").expect(200).await;
    let body = json!({"display_name": "Shop", "owner_team_id": me["selected_team_id"]});
    let shop = call("POST", "/internal/projects").body(body);
    let shop = shop.expect(201).await["id"].clone();
    let shop = shop.as_str().unwrap();
    let customer = server.call("POST", "/users");
    let customer = customer
        .header("x-stack-access-type", "admin")
        .header("x-stack-project-id", shop)
        .header("x-stack-admin-access-token", &agent.access)
        .body(json!({"display_name": "Ben", "primary_email": "ben@example.com"}));
    let customer = customer.expect(201).await["id"].clone();
    let body = json!({
        "projectId": shop, "userId": customer, "subject": "Refund",
        "initialMessage": "Hello, Ben.", "priority": "high",
    });
    let opened = call("POST", "/internal/conversations").body(body);
    let opened = opened.expect(200).await["conversationId"].clone();
    let path = format!(
        "/internal/conversations/{}?projectId={shop}",
        opened.as_str().unwrap()
    );
    scene.shows("conversation", call("GET", &path)).await;
    let path = format!("/internal/conversations?projectId={shop}");
    scene.shows("conversations", call("GET", &path)).await;
    let body = json!({
        "title": "How to", "projectId": shop,
        "messages": [{"role": "user", "content": "How do I?"}],
    });
    let path = "/internal/ai-conversations";
    let asked = call("POST", path).body(body);
    scene.shows("ai_conversation_begun", asked).await;
    let list = call("GET", &format!("{path}?projectId={shop}"));
    scene.shows("ai_conversations", list).await;
    let stranger = server.client_of(&internal, "GET", path).user(&ada);
    scene
        .shows("access_token_of_another_project", stranger)
        .await;
}
