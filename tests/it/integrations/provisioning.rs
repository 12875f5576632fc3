//! A platform makes projects.

use serde_json::{Value, json};

use super::{HOST, RIVAL, provision};
use crate::support::{Project, TestServer, eventually};

/// A hundred years, in milliseconds.
const CENTURY: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

#[tokio::test]
async fn a_platform_makes_a_project_without_an_owner() {
    let server = TestServer::start().await;
    for integration in ["custom", "neon"] {
        let made = provision(&server, integration, HOST).await;
        let project = server
            .admin_of(&made, "GET", "/internal/projects/current")
            .expect(200)
            .await;
        assert_eq!(project["display_name"], "Shop");
        assert_eq!(project["owner_team_id"], Value::Null);
        let config = &project["config"];
        assert_eq!(config["allow_localhost"], true);
        assert_eq!(config["credential_enabled"], true);
        let provider = |id: &str| json!({"provider_config_id": id, "id": id, "type": "shared"});
        assert_eq!(
            config["oauth_providers"],
            json!([provider("github"), provider("google")])
        );
        let keys = server
            .admin_of(&made, "GET", "/internal/api-keys")
            .expect(200)
            .await;
        let keys = keys["items"].as_array().unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(
            keys[0]["super_secret_admin_key"]["last_four"],
            made.admin[made.admin.len() - 4..]
        );
        assert!(keys[0].get("secret_server_key").is_none());
        assert!(keys[0].get("publishable_client_key").is_none());
        let expiry = keys[0]["expires_at_millis"].as_i64().unwrap();
        assert_eq!(expiry, server.clock.now().0 + CENTURY);
        // The key opens this project alone, and no other key opens it.
        for (id, key) in [
            (&server.project.id, &made.admin),
            (&made.id, &server.project.admin),
        ] {
            server
                .call("GET", "/internal/projects/current")
                .header("x-stack-access-type", "admin")
                .header("x-stack-project-id", id)
                .header("x-stack-super-secret-admin-key", key)
                .refused(401, "INVALID_SUPER_SECRET_ADMIN_KEY")
                .await;
        }
    }
    server.assert_verified().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_make_nothing() {
    let server = TestServer::start().await;
    let projects = async || -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM projects");
        count.fetch_one(server.pool()).await.unwrap()
    };
    let before = projects().await;
    let body = json!({"display_name": "Shop"});
    for integration in ["custom", "neon"] {
        let path = format!("/integrations/{integration}/projects/provision");
        let call = || server.call("POST", &path);
        for bad in [
            json!({}),
            json!({"display_name": null}),
            json!({"display_name": "Shop", "owner_team_id": "x"}),
            json!({"display_name": "Shop", "connection_strings": [{"branch_id": "b"}]}),
        ] {
            let call = call().header("authorization", HOST).body(bad);
            call.refused(400, "SCHEMA_ERROR").await;
        }
    }
    // Only Neon has connection strings.
    let with_strings = json!({"display_name": "Shop", "connection_strings": []});
    let custom = server.call("POST", "/integrations/custom/projects/provision");
    custom
        .header("authorization", HOST)
        .body(with_strings)
        .refused(400, "SCHEMA_ERROR")
        .await;
    let elsewhere = server.call("POST", "/integrations/elsewhere/projects/provision");
    elsewhere
        .header("authorization", HOST)
        .body(body)
        .refused_in_words(404)
        .await;
    assert_eq!(projects().await, before);
}

#[tokio::test]
async fn connection_strings_come_with_a_project_of_neon() {
    let server = TestServer::start().await;
    let call = server.call("POST", "/integrations/neon/projects/provision");
    let body = json!({"display_name": "Shop", "connection_strings": [
        {"branch_id": "br-main", "connection_string": "postgres://main"},
        {"branch_id": "br-dev", "connection_string": "postgres://dev"},
    ]});
    let made = call
        .header("authorization", RIVAL)
        .body(body)
        .expect(200)
        .await;
    let project = Project {
        id: made["project_id"].as_str().unwrap().to_owned(),
        admin: made["super_secret_admin_key"].as_str().unwrap().to_owned(),
        ..server.project.clone()
    };
    let config = server
        .admin_of(&project, "GET", "/internal/config")
        .expect(200)
        .await;
    let config: Value = serde_json::from_str(config["config_string"].as_str().unwrap()).unwrap();
    let source = &config["sourceOfTruth"];
    assert_eq!(source["type"], "neon");
    for (branch, string) in [("br-main", "postgres://main"), ("br-dev", "postgres://dev")] {
        let path = "/data-vault/stores/neon-connection-strings/get";
        let kept = server.server_of(&server.internal(), "POST", path);
        let kept = kept
            .body(json!({"hashed_key": source["connectionStrings"][branch]}))
            .expect(200)
            .await;
        assert_eq!(kept["encrypted_value"], string);
    }
    server.assert_verified().await;

    // They go with the project.
    let key = source["connectionStrings"]["br-main"].clone();
    server
        .admin_of(&project, "DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    // Nobody reads them meanwhile: a key that is just being read may be remembered for a minute.
    eventually(
        "the keys of the connection strings are destroyed",
        async || {
            let keys: i64 = sqlx::query_scalar(
                "SELECT count(k.wrapped_key) FROM subject_keys k JOIN events e ON e.aggregate_id = k.subject
             WHERE e.aggregate_type = 'vault_entry'",
            )
            .fetch_one(server.pool())
            .await
            .unwrap();
            keys == 0
        },
    )
    .await;
    let path = "/data-vault/stores/neon-connection-strings/get";
    let read = server.server_of(&server.internal(), "POST", path);
    read.body(json!({"hashed_key": key}))
        .refused(400, "DATA_VAULT_STORE_HASHED_KEY_DOES_NOT_EXIST")
        .await;
}
