//! What Neon has beside what every platform has.

use serde_json::{Value, json};

use super::{HOST, RIVAL, provision};
use crate::support::TestServer;

#[tokio::test]
async fn neon_manages_providers_keys_and_the_project() {
    let server = TestServer::start().await;
    let path = "/integrations/neon/oauth-providers";
    let one = |method: &str, id: &str| server.admin(method, &format!("{path}/{id}"));
    let add = |body: Value| server.admin("POST", path).body(body);
    let shared = json!({"id": "google", "facebook_config_id": "ignored"});
    assert_eq!(
        add(shared.clone()).expect(201).await,
        json!({"id": "google", "type": "shared"})
    );
    add(shared).refused_in_words(400).await;
    add(json!({"id": "myspace"}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    add(json!({"id": "github", "type": "standard"}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    let own = json!({"id": "github", "type": "standard", "client_id": "i", "client_secret": "s"});
    assert_eq!(add(own.clone()).expect(201).await, own);
    let change = json!({"client_secret": "t", "microsoft_tenant_id": "m"});
    let changed = one("PATCH", "github").body(change).expect(200).await;
    assert_eq!(
        changed,
        json!({"id": "github", "type": "standard", "client_id": "i", "client_secret": "t", "microsoft_tenant_id": "m"})
    );
    let listed = server.admin("GET", path).expect(200).await;
    assert_eq!(
        listed["items"],
        json!([changed, {"id": "google", "type": "shared"}])
    );
    one("DELETE", "github").expect(200).await;
    one("DELETE", "github").refused_in_words(404).await;
    one("PATCH", "github")
        .body(json!({}))
        .refused_in_words(404)
        .await;
    one("DELETE", "myspace").refused(400, "SCHEMA_ERROR").await;
    assert_eq!(one("GET", "google").send().await.status, 405);
    assert_eq!(add(own.clone()).expect(201).await, own);
    let project = "/integrations/neon/projects/current";
    let patched = server
        .admin("PATCH", project)
        .body(json!({"display_name": "N"}));
    assert_eq!(patched.expect(200).await["display_name"], "N");
    assert_eq!(
        server.admin("GET", project).expect(200).await["display_name"],
        "N"
    );
    let keys = "/integrations/neon/api-keys";
    let body = json!({"description": "d", "expires_at_millis": 1, "has_publishable_client_key": true,
                      "has_secret_server_key": false, "has_super_secret_admin_key": false});
    let made = server.admin("POST", keys).body(body).expect(200).await;
    let one = format!("{keys}/{}", made["id"].as_str().unwrap());
    server.admin("GET", &one).expect(200).await;
    server
        .admin("PATCH", &one)
        .body(json!({"revoked": true}))
        .expect(200)
        .await;
    let listed = server.admin("GET", keys).expect(200).await;
    assert_eq!(
        listed,
        server.admin("GET", "/internal/api-keys").expect(200).await
    );
    server.assert_verified().await;
}

#[tokio::test]
async fn neon_says_how_its_databases_are_reached() {
    let server = TestServer::start().await;
    let made = provision(&server, "neon", HOST).await;
    let path = |id: &str| format!("/integrations/neon/projects/connection?project_id={id}");
    let strings = json!({"connection_strings": [
        {"branch_id": "br-1", "connection_string": "postgres://u:hush@db.example.com/one"},
    ]});
    let connect = |id: &str, client: &str| {
        let call = server
            .call("POST", &path(id))
            .header("authorization", client);
        call.body(strings.clone())
    };
    let done = connect(&made.id, HOST).expect(200).await;
    assert_eq!(done, json!({"project_id": made.id}));
    let level = "/internal/config/override/project";
    let stored = server.admin_of(&made, "GET", level).expect(200).await;
    let stored: Value = serde_json::from_str(stored["config_string"].as_str().unwrap()).unwrap();
    let source = &stored["sourceOfTruth"];
    assert_eq!(source["type"], "neon");
    let internal = server.internal();
    let read = server.server_of(
        &internal,
        "POST",
        "/data-vault/stores/neon-connection-strings/get",
    );
    let read = read
        .body(json!({"hashed_key": source["connectionStrings"]["br-1"]}))
        .expect(200)
        .await;
    let string = "postgres://u:hush@db.example.com/one";
    assert_eq!(read["encrypted_value"], string);
    let in_the_clear: i64 =
        sqlx::query_scalar("SELECT count(*) FROM events WHERE payload::text LIKE '%hush%'")
            .fetch_one(server.pool())
            .await
            .unwrap();
    assert_eq!(in_the_clear, 0);

    let details = connect(&made.id, RIVAL)
        .refused(404, "PROJECT_NOT_FOUND")
        .await;
    assert_eq!(details, json!({"project_id": made.id}));
    for unknown in [
        "nowhere",
        "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        "internal",
    ] {
        connect(unknown, HOST)
            .refused(404, "PROJECT_NOT_FOUND")
            .await;
    }
    connect(&made.id, "Basic bm9ib2R5Og==")
        .refused(400, "SCHEMA_ERROR")
        .await;
    for bad in [
        json!({}),
        json!({"connection_strings": {}}),
        json!({"connection_strings": [{"branch_id": "br-1"}]}),
        json!({"connection_strings": [{"branch_id": "a.b", "connection_string": "x"}]}),
        json!({"connection_strings": [], "more": 1}),
    ] {
        let call = server
            .call("POST", &path(&made.id))
            .header("authorization", HOST);
        call.body(bad).refused(400, "SCHEMA_ERROR").await;
    }
    let call = server.call("POST", "/integrations/neon/projects/connection");
    call.header("authorization", HOST)
        .body(strings.clone())
        .refused(400, "SCHEMA_ERROR")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn neon_registers_a_webhook_of_the_current_project() {
    let server = TestServer::start().await;
    let path = "/integrations/neon/webhooks";
    let body = json!({"url": "https://neon.example.com/hook", "description": "for Neon"});
    let register = server.client("POST", path).header("authorization", HOST);
    let made = register.body(body.clone()).expect(200).await;
    let endpoints = "/internal/webhooks/endpoints";
    let listed = server.admin("GET", endpoints).expect(200).await;
    let endpoint = &listed["items"][0];
    assert_eq!(endpoint["url"], "https://neon.example.com/hook");
    assert_eq!(endpoint["description"], "for Neon");
    let secret = format!("{endpoints}/{}/secret", endpoint["id"].as_str().unwrap());
    assert_eq!(server.admin("GET", &secret).expect(200).await, made);
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let other = server.new_project(json!({})).await;
    let listed = server.admin_of(&other, "GET", endpoints).expect(200).await;
    assert_eq!(listed["items"], json!([]));

    let alone = server.call("POST", path).header("authorization", HOST);
    alone
        .body(body.clone())
        .refused(400, "ACCESS_TYPE_REQUIRED")
        .await;
    let nobody = server.client("POST", path).body(body);
    nobody.refused(400, "SCHEMA_ERROR").await;
    for bad in [
        json!({}),
        json!({"url": "ftp://neon.example.com"}),
        json!({"url": "https://neon.example.com", "secret": "mine"}),
    ] {
        let call = server.admin("POST", path).header("authorization", HOST);
        call.body(bad).refused(400, "SCHEMA_ERROR").await;
    }
}
