//! Contract 04 §12: trusted domains, and Neon's view of a project.

use serde_json::{Value, json};

use crate::support::TestServer;

#[tokio::test]
async fn domains_are_trusted_and_distrusted() {
    let server = TestServer::start().await;
    for integration in ["custom", "neon"] {
        let path = format!("/integrations/{integration}/domains");
        let add = |domain: &str| {
            let call = server.admin("POST", &path);
            call.body(json!({"domain": domain}))
        };
        for domain in [
            "https://b.example.com",
            "http://*.example.com:8080",
            "https://b.example.com",
        ] {
            assert_eq!(add(domain).expect(201).await, json!({"domain": domain}));
        }
        let listed = server.admin("GET", &path).expect(200).await;
        assert_eq!(
            listed,
            json!({"is_paginated": false, "items": [
                {"domain": "http://*.example.com:8080"},
                {"domain": "https://b.example.com"}, {"domain": "https://b.example.com"},
            ]})
        );
        let long = format!("https://{}.example.com", "a".repeat(300));
        for bad in [
            "b.example.com",
            "ftp://b.example.com",
            "https://b.example.com/path",
            "https://b.example.com?q",
            "https://b.example.com#h",
            &long,
        ] {
            add(bad).refused(400, "SCHEMA_ERROR").await;
        }
        let project = server
            .admin("GET", "/internal/projects/current")
            .expect(200)
            .await;
        assert_eq!(project["config"]["domains"][1]["handler_path"], "/handler");
        for domain in [
            "https%3A%2F%2Fb.example.com",
            "http%3A%2F%2F*.example.com%3A8080",
            "https%3A%2F%2Funknown",
        ] {
            let call = server.admin("DELETE", &format!("{path}/{domain}"));
            assert_eq!(call.expect(200).await, json!({"success": true}));
        }
        let listed = server.admin("GET", &path).expect(200).await;
        assert_eq!(listed["items"], json!([]));
    }
    server
        .admin("GET", "/integrations/elsewhere/domains")
        .refused_in_words(404)
        .await;
    server.assert_verified().await;
}

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
