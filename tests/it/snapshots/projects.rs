//! Projects, their configuration and keys; API keys; callers who are refused.

use serde_json::{Value, json};

use super::{NOBODY, Scene, assert_kept, body_of};
use crate::support::INTERNAL_CLIENT;

#[tokio::test]
async fn project_and_configuration() {
    let scene = Scene::open().await;
    let server = &scene.server;
    let current = server.client("GET", "/projects/current");
    scene.shows("project_as_the_client_sees_it", current).await;
    let internal = server.admin("GET", "/internal/projects/current");
    scene.shows("project_as_its_admin_sees_it", internal).await;
    let rendered = server.admin("GET", "/internal/config").expect(200).await;
    let rendered: Value =
        serde_json::from_str(rendered["config_string"].as_str().unwrap()).unwrap();
    let rendered = serde_json::to_string_pretty(&rendered).unwrap();
    // The ids of themes and templates in it are the same everywhere.
    assert_kept("config_of_a_new_project", &rendered);
    let path = "/internal/config/override/branch";
    let over = json!({"auth.otp.allowSignIn": "perhaps"}).to_string();
    let over = json!({"config_override_string": over});
    let wrong = server.admin("PATCH", path).body(over);
    scene.shows("config_refused", wrong).await;
    let stored = server.admin("GET", path);
    scene.shows("config_override", stored).await;
    // Its id is the same everywhere, and so are its keys.
    let keys = "/projects/internal/.well-known/jwks.json";
    scene.shows("signing_keys", server.call("GET", keys)).await;
}

#[tokio::test]
async fn keys_of_projects() {
    let scene = Scene::open().await;
    let server = &scene.server;
    let body = json!({
        "description": "for a snapshot", "expires_at_millis": 2_600_000_000_000_i64,
        "has_publishable_client_key": true, "has_secret_server_key": true,
        "has_super_secret_admin_key": false,
    });
    let issue = server.admin("POST", "/internal/api-keys").body(body);
    scene.shows("key_set_issued", issue).await;
    let list = server.admin("GET", "/internal/api-keys");
    scene.shows("key_sets", list).await;
}

#[tokio::test]
async fn keys_of_users() {
    let mut scene = Scene::open().await;
    let ada = scene.sign_up("ada").await;
    let server = &scene.server;
    let body = json!({
        "user_id": ada.user_id, "description": "ci", "expires_at_millis": 2_600_000_000_000_i64,
    });
    let issue = || server.server("POST", "/user-api-keys").body(body.clone());
    scene.shows("api_keys_not_allowed", issue()).await;
    server.configure(json!({"allow_user_api_keys": true})).await;
    scene.shows("api_key_issued", issue()).await;
    server.clock.advance(1000);
    let key = issue().expect(200).await["value"].clone();
    let list = "/user-api-keys?user_id=me";
    let list = server.client("GET", list).user(&ada);
    scene.shows("api_keys", list).await;
    let check = |key: Value| {
        let call = server.server("POST", "/user-api-keys/check");
        call.body(json!({"api_key": key}))
    };
    scene.shows("api_key_checked", check(key)).await;
    scene.shows("api_key_unknown", check(json!("sk_0"))).await;
    let missing = server.server("GET", &format!("/user-api-keys/{NOBODY}"));
    scene.shows("api_key_not_found", missing).await;
}

#[tokio::test]
async fn callers_who_are_refused() {
    let scene = Scene::open().await;
    let server = &scene.server;
    let call = |kind: &str| {
        let call = server.call("GET", "/users");
        call.header("x-stack-access-type", kind)
            .header("x-stack-project-id", &server.project.id)
    };
    let untyped = server.call("GET", "/users/me");
    scene.shows("access_type_required", untyped).await;
    let wrong = call("server").header("x-stack-secret-server-key", "ssk_0");
    scene.shows("server_key_invalid", wrong).await;
    let other = call("client").header("x-stack-publishable-client-key", INTERNAL_CLIENT);
    scene.shows("client_key_of_another_project", other).await;
    let weak = server.client("GET", "/users");
    scene.shows("access_too_weak", weak).await;
    let stranger = server.client("GET", "/users/me");
    scene.shows("user_required", stranger).await;
    let method = server.client("PUT", "/users/me").body(json!({}));
    scene.shows("method_not_allowed", method).await;
    scene
        .shows("no_such_path", server.call("GET", "/nothing"))
        .await;
    let overridden = server.call("GET", "/nothing");
    let overridden = overridden.header("x-stack-override-error-status", "true");
    scene.shows("status_overridden", overridden).await;
    let body = json!({
        "display_name": 5, "primary_email": "not an address", "password": ["a"],
        "totp_secret_base64": "!", "unknown": true,
    });
    let wrong = server.server("POST", "/users").body(body);
    scene.shows("schema_error_of_a_body", wrong).await;
    let wrong = server.server("GET", "/users?limit=many&order_by=height&desc=perhaps");
    scene.shows("schema_error_of_a_query", wrong).await;
    let broken = server
        .server("POST", "/users")
        .raw("application/json", "{\"a\": ");
    scene.shows("body_is_no_json", broken).await;
    let strange = server.server("POST", "/users").raw("text/plain", "hello");
    scene.shows("body_of_another_type", strange).await;
}

#[tokio::test]
async fn what_needs_no_project() {
    let scene = Scene::open().await;
    let server = &scene.server;
    let root = server.call("GET", "/").send().await;
    scene.compare("root", &body_of(&root));
    let check = |version: &str| {
        let body = json!({"clientVersion": version});
        server.call("POST", "/check-version").body(body)
    };
    scene.shows("version_that_fits", check("2.8.108")).await;
    scene.shows("version_outdated", check("2.8.60")).await;
    let feature = json!({"feature_name": "time-travel"});
    let feature = server.call("POST", "/check-feature-support").body(feature);
    scene.shows("feature_unknown", feature).await;
}
