//! Contract 04 §8: the data vault.

use muniment_projections::maintenance::replay::replay;
use serde_json::{Value, json};

use crate::support::{Project, TestServer};

#[tokio::test]
async fn values_are_kept_under_their_key_and_sealed_in_the_log() {
    let server = TestServer::start().await;
    let other = server.new_project(json!({})).await;
    let call = |project: &Project, verb: &str, store: &str, body: Value| {
        let path = format!("/data-vault/stores/{store}/{verb}");
        server.server_of(project, "POST", &path).body(body)
    };
    let own = &server.project;
    let set = json!({"hashed_key": "k", "encrypted_value": "ciphered-by-the-client"});
    let details = call(own, "set", "s", set.clone())
        .refused(400, "DATA_VAULT_STORE_DOES_NOT_EXIST")
        .await;
    assert_eq!(details, json!({"store_id": "s"}));
    server
        .override_settings(json!({"dataVault.stores": {"s": {}, "t": {"displayName": "T"}}}))
        .await;
    let get = |store: &str, key: &str| call(own, "get", store, json!({"hashed_key": key}));
    let details = get("s", "k")
        .refused(400, "DATA_VAULT_STORE_HASHED_KEY_DOES_NOT_EXIST")
        .await;
    assert_eq!(details, json!({"store_id": "s", "hashed_key": "k"}));
    call(own, "set", "s", set.clone()).expect(200).await;
    assert_eq!(
        get("s", "k").expect(200).await,
        json!({"encrypted_value": "ciphered-by-the-client"})
    );
    get("t", "k")
        .refused(400, "DATA_VAULT_STORE_HASHED_KEY_DOES_NOT_EXIST")
        .await;
    for value in ["", "second"] {
        let set = json!({"hashed_key": "k", "encrypted_value": value});
        call(own, "set", "s", set).expect(200).await;
        assert_eq!(get("s", "k").expect(200).await["encrypted_value"], value);
    }
    call(&other, "get", "s", json!({"hashed_key": "k"}))
        .refused(400, "DATA_VAULT_STORE_DOES_NOT_EXIST")
        .await;
    for (verb, body) in [
        ("get", json!({})),
        ("get", json!({"hashed_key": ""})),
        ("set", json!({"hashed_key": "", "encrypted_value": "x"})),
        ("set", json!({"hashed_key": "k"})),
        ("set", json!({"hashed_key": "k", "encrypted_value": null})),
    ] {
        call(own, verb, "s", body)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let found: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events WHERE payload::text LIKE '%ciphered-by-the-client%'",
    )
    .fetch_one(server.pool())
    .await
    .unwrap();
    assert_eq!(found, 0);
    replay(server.log(), &[], |_| ()).await.unwrap();
    assert_eq!(get("s", "k").expect(200).await["encrypted_value"], "second");
    server.assert_verified().await;
}

#[tokio::test]
async fn whom_email_verification_would_restrict_can_be_asked_beforehand() {
    let server = TestServer::start().await;
    let mut users = Vec::new();
    for _ in 0..3 {
        server.clock.advance(1_000);
        users.push(
            server
                .sign_up(&crate::support::unique_email())
                .await
                .user_id,
        );
    }
    server.anonymous().await;
    let verified = json!({"primary_email": "v@example.com", "primary_email_verified": true});
    let call = server.server("POST", "/users").body(verified);
    call.expect(201).await;
    let preview = |query: &str, wanted: Value| {
        let path = format!("/internal/onboarding/preview-affected-users{query}");
        let body = json!({"onboarding": wanted});
        server.admin("POST", &path).body(body)
    };
    let on = json!({"require_email_verification": true});
    let answer = preview("?limit=2", on.clone()).expect(200).await;
    assert_eq!(answer["total_affected_count"], 3);
    let shown = answer["affected_users"].as_array().unwrap();
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0]["id"], users[2]);
    assert_eq!(
        shown[0]["restricted_reason"],
        json!({"type": "email_not_verified"})
    );
    assert!(shown[0]["display_name"].is_null() && shown[0]["primary_email"].is_string());
    let nobody = json!({"affected_users": [], "total_affected_count": 0});
    for wanted in [json!({}), json!({"require_email_verification": false})] {
        assert_eq!(preview("", wanted).expect(200).await, nobody);
    }
    server
        .configure(json!({"require_email_verification": true}))
        .await;
    assert_eq!(preview("", on.clone()).expect(200).await, nobody);
    preview("?limit=many", on)
        .refused(400, "SCHEMA_ERROR")
        .await;
    preview("", Value::Null).refused(400, "SCHEMA_ERROR").await;
}
