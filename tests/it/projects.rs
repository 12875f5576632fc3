//! Contract 04 §1 to §3: projects and their keys.

use muniment::app::projects::internal_admin::{self, AdminReach, Credentials, InternalAdmin};
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestServer, Tokens, unique_email};

#[tokio::test]
async fn a_new_project_reads_as_the_contract_says() {
    let server = TestServer::start().await;
    let internal = server.internal();
    let owner = server.sign_up_to(&internal, &unique_email()).await;
    let me = server
        .client_of(&internal, "GET", "/users/me")
        .user(&owner)
        .expect(200)
        .await;
    let team = me["selected_team_id"].clone();
    let create = |body: Value| {
        server
            .client_of(&internal, "POST", "/internal/projects")
            .body(body)
    };
    let body = json!({"display_name": "Mine", "owner_team_id": team});
    let project = create(body.clone()).user(&owner).expect(201).await;
    let expected = json!({
        "id": project["id"], "display_name": "Mine", "description": "", "logo_url": null,
        "logo_full_url": null, "logo_dark_mode_url": null, "logo_full_dark_mode_url": null,
        "created_at_millis": server.clock.now().0, "is_production_mode": false,
        "owner_team_id": team, "onboarding_status": "completed",
        "config": {
            "allow_localhost": true, "sign_up_enabled": true, "credential_enabled": true,
            "magic_link_enabled": false, "passkey_enabled": false,
            "client_team_creation_enabled": false, "client_user_deletion_enabled": false,
            "create_team_on_sign_up": false, "allow_user_api_keys": false,
            "allow_team_api_keys": false, "oauth_account_merge_strategy": "link_method",
            "oauth_providers": [], "enabled_oauth_providers": [], "domains": [],
            "email_config": {"type": "shared"}, "email_theme": project["config"]["email_theme"],
            "team_creator_default_permissions": [{"id": "team_admin"}],
            "team_member_default_permissions": [{"id": "team_member"}],
            "user_default_permissions": [],
        },
    });
    assert_eq!(project, expected);
    let list = server
        .client_of(&internal, "GET", "/internal/projects")
        .user(&owner)
        .expect(200)
        .await;
    assert_eq!(list, json!({"items": [expected], "is_paginated": false}));
    create(json!({"display_name": "x"}))
        .user(&owner)
        .refused(400, "SCHEMA_ERROR")
        .await;
    create(body.clone())
        .refused(401, "USER_AUTHENTICATION_REQUIRED")
        .await;
    let foreign =
        json!({"display_name": "x", "owner_team_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de"});
    create(foreign)
        .user(&owner)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    let user = server.sign_up(&unique_email()).await;
    server
        .client("POST", "/internal/projects")
        .user(&user)
        .body(body)
        .refused(401, "EXPECTED_INTERNAL_PROJECT")
        .await;
    server
        .client("GET", "/internal/projects")
        .user(&user)
        .refused(401, "EXPECTED_INTERNAL_PROJECT")
        .await;
    server
        .client("GET", "/internal/projects")
        .refused(401, "USER_AUTHENTICATION_REQUIRED")
        .await;
}

#[tokio::test]
async fn settings_are_written_and_read_back() {
    let server = TestServer::start().await;
    let config = json!({
        "sign_up_enabled": false, "magic_link_enabled": true, "allow_localhost": false,
        "allow_user_api_keys": true, "oauth_account_merge_strategy": "raise_error",
        "domains": [{"domain": "https://b.example.com", "handler_path": "/h"},
                    {"domain": "http://*.example.com", "handler_path": "/handler"}],
        "oauth_providers": [{"id": "google", "type": "shared"},
                            {"id": "github", "type": "standard", "client_id": "i", "client_secret": "s"}],
        "email_config": {"type": "standard", "host": "mail.example.com", "port": 587, "username": "u",
                         "password": "p", "sender_name": "n", "sender_email": "n@example.com"},
        "user_default_permissions": [{"id": "unknown"}],
        "team_member_default_permissions": [{"id": "$read_members"}, {"id": "team_member"}],
    });
    let body = json!({"display_name": "New", "description": "d", "is_production_mode": true,
                      "onboarding_status": "welcome", "logo_url": "https://example.com/l.png", "config": config});
    let project = server
        .admin("PATCH", "/internal/projects/current")
        .body(body)
        .expect(200)
        .await;
    assert_eq!(project["display_name"], "New");
    assert_eq!(project["onboarding_status"], "welcome");
    let read = &project["config"];
    for name in [
        "sign_up_enabled",
        "magic_link_enabled",
        "allow_localhost",
        "allow_user_api_keys",
        "oauth_account_merge_strategy",
        "email_config",
    ] {
        assert_eq!(read[name], config[name], "{name}");
    }
    assert_eq!(read["domains"][0]["domain"], "http://*.example.com");
    assert_eq!(
        read["enabled_oauth_providers"],
        json!([{"id": "github"}, {"id": "google"}])
    );
    assert_eq!(
        read["oauth_providers"][0],
        json!({
        "provider_config_id": "github", "id": "github", "type": "standard", "client_id": "i", "client_secret": "s"})
    );
    assert_eq!(read["user_default_permissions"], json!([]));
    assert_eq!(
        read["team_member_default_permissions"],
        json!([{"id": "$read_members"}, {"id": "team_member"}])
    );
    let cleared = json!({"description": null, "logo_url": null, "config": {"oauth_providers": []}});
    let project = server
        .admin("PATCH", "/internal/projects/current")
        .body(cleared)
        .expect(200)
        .await;
    assert_eq!(
        (&project["description"], &project["logo_url"]),
        (&json!(""), &Value::Null)
    );
    assert_eq!(project["config"]["enabled_oauth_providers"], json!([]));
    let client = server.client("GET", "/projects/current").expect(200).await;
    assert_eq!(client["config"].as_object().unwrap().len(), 10);
    assert_eq!(
        server.admin("GET", "/projects/current").expect(200).await,
        client
    );
    for bad in [
        json!({"config": {"domains": [{"domain": "ftp://x", "handler_path": "h"}]}}),
        json!({"config": {"email_config": {"type": "standard"}}}),
        json!({"config": {"oauth_providers": [{"id": "github", "type": "standard"}]}}),
        json!({"config": {"nonsense": 1}}),
        json!({"config": {"sign_up_enabled": "perhaps"}}),
        json!({"display_name": null}),
        json!({"onboarding_status": "done"}),
    ] {
        server
            .admin("PATCH", "/internal/projects/current")
            .body(bad)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let theme = json!({"config": {"email_theme": "nonsense"}});
    server
        .admin("PATCH", "/internal/projects/current")
        .body(theme)
        .refused_in_words(400)
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn a_deleted_project_is_gone_with_everything() {
    let server = TestServer::start().await;
    let other = server.new_project(json!({})).await;
    let user = server.sign_up_to(&other, &unique_email()).await;
    server
        .client_of(&other, "POST", "/teams")
        .user(&user)
        .body(json!({"display_name": "t"}))
        .expect(201)
        .await;
    server
        .admin_of(&other, "DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    let details = server.admin_of(&other, "GET", "/internal/projects/current");
    assert_eq!(
        details.refused(400, "CURRENT_PROJECT_NOT_FOUND").await,
        json!({"project_id": other.id})
    );
    server
        .client_of(&other, "GET", "/users/me")
        .user(&user)
        .refused(400, "CURRENT_PROJECT_NOT_FOUND")
        .await;
    server
        .admin_of(&server.internal(), "DELETE", "/internal/projects/current")
        .refused_in_words(400)
        .await;
    let rest: i64 = sqlx::query_scalar("SELECT count(*) FROM users WHERE project_id = $1")
        .bind(&other.id)
        .fetch_one(server.pool())
        .await
        .unwrap();
    assert_eq!(rest, 0);
    server.assert_verified().await;
}

#[tokio::test]
async fn key_sets_are_shown_once() {
    let server = TestServer::start().await;
    let body = json!({"description": "d", "expires_at_millis": server.clock.now().0 + 1_000,
                      "has_publishable_client_key": false, "has_secret_server_key": true,
                      "has_super_secret_admin_key": false});
    let made = server
        .admin("POST", "/internal/api-keys")
        .body(body.clone())
        .expect(200)
        .await;
    let key = made["secret_server_key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("ssk_") && key.len() == 49);
    assert!(
        made.get("publishable_client_key").is_none()
            && made.get("manually_revoked_at_millis").is_none()
    );
    let path = format!("/internal/api-keys/{}", made["id"].as_str().unwrap());
    let shown = server.admin("GET", &path).expect(200).await;
    assert_eq!(shown["secret_server_key"], json!({"last_four": &key[45..]}));
    let list = server.admin("GET", "/internal/api-keys").expect(200).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let with_key = || {
        server
            .call("GET", "/users")
            .header("x-stack-access-type", "server")
            .header("x-stack-project-id", &server.project.id)
            .header("x-stack-secret-server-key", &key)
    };
    with_key().expect(200).await;
    server.clock.advance(1_000);
    with_key().refused(401, "INVALID_SECRET_SERVER_KEY").await;
    let patched = server
        .admin("PATCH", &path)
        .body(json!({"description": "e", "revoked": true}))
        .expect(200)
        .await;
    assert_eq!(
        (
            &patched["description"],
            &patched["manually_revoked_at_millis"]
        ),
        (&json!("e"), &json!(server.clock.now().0))
    );
    server
        .admin("PATCH", &path)
        .body(json!({"revoked": false}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .admin("GET", "/internal/api-keys/x")
        .refused(400, "SCHEMA_ERROR")
        .await;
    let nowhere = "/internal/api-keys/6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
    server
        .admin("GET", nowhere)
        .refused(404, "API_KEY_NOT_FOUND")
        .await;
    server
        .admin("PATCH", nowhere)
        .body(json!({}))
        .refused(404, "API_KEY_NOT_FOUND")
        .await;
    assert_eq!(server.admin("DELETE", &path).send().await.status, 405);
    server
        .admin("POST", "/internal/api-keys")
        .body(json!({"description": "d"}))
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn projects_change_hands() {
    let server = TestServer::start().await;
    let internal = server.internal();
    let (owner, other) = (
        server.sign_up_to(&internal, &unique_email()).await,
        server.sign_up_to(&internal, &unique_email()).await,
    );
    let team_of = async |user: &Tokens| {
        let call = server.client_of(&internal, "GET", "/users/me").user(user);
        call.expect(200).await["selected_team_id"].clone()
    };
    let (own, theirs) = (team_of(&owner).await, team_of(&other).await);
    let body = json!({"display_name": "x", "owner_team_id": own});
    let call = server
        .client_of(&internal, "POST", "/internal/projects")
        .user(&owner)
        .body(body);
    let id = call.expect(201).await["id"].clone();
    let transfer = |team: &Value| {
        let body = json!({"project_id": id, "new_team_id": team});
        server
            .client_of(&internal, "POST", "/internal/projects/transfer")
            .body(body)
    };
    transfer(&theirs).refused(400, "SCHEMA_ERROR").await;
    transfer(&theirs)
        .user(&other)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    transfer(&theirs)
        .user(&owner)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    let join =
        |team: &Value, user: &str| format!("/team-memberships/{}/{user}", team.as_str().unwrap());
    server
        .server_of(&internal, "POST", &join(&theirs, &owner.user_id))
        .body(json!({}))
        .expect(201)
        .await;
    assert_eq!(
        transfer(&theirs).user(&owner).expect(200).await,
        json!({"success": "true"})
    );
    // A mere member of the owning team cannot give it away.
    let details = transfer(&own)
        .user(&owner)
        .refused(401, "TEAM_PERMISSION_REQUIRED")
        .await;
    assert_eq!(details["permission_id"], "team_admin");
    let unknown = json!({"project_id": "nowhere", "new_team_id": own});
    let call = server
        .client_of(&internal, "POST", "/internal/projects/transfer")
        .user(&owner)
        .body(unknown);
    call.refused(404, "PROJECT_NOT_FOUND").await;
    server.assert_verified().await;
}

#[tokio::test]
async fn logos_can_be_uploaded() {
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const GIF: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let server = TestServer::start().await;
    let patch = |body: Value| {
        let call = server.admin("PATCH", "/internal/projects/current");
        call.body(body)
    };
    let upload = json!({"logo_dark_mode_url": format!("data:image/png;base64,{PNG}")});
    let project = patch(upload).expect(200).await;
    let url = project["logo_dark_mode_url"].as_str().unwrap();
    let path = url.strip_prefix("http://localhost:8102").unwrap();
    assert!(path.starts_with("/images/project-logos/"));
    let image = server.page("GET", path).send().await;
    assert_eq!(image.status, 200);
    assert_eq!(image.header("content-type"), "image/png");
    for bad in [
        json!({"logo_url": format!("data:image/gif;base64,{GIF}")}),
        json!({"logo_url": "data:image/png;base64,AAAA"}),
        json!({"logo_full_url": "data:text/html,hello"}),
        json!({"logo_url": "ftp://example.com/logo.png"}),
    ] {
        patch(bad).refused_in_words(400).await;
    }
}

#[tokio::test]
async fn one_projects_admin_cannot_touch_anothers_keys_or_settings() {
    let server = TestServer::start().await;
    let other = server.new_project(json!({})).await;
    let listed = server.admin("GET", "/internal/api-keys").expect(200).await;
    let path = format!(
        "/internal/api-keys/{}",
        listed["items"][0]["id"].as_str().unwrap()
    );
    let call = |method: &str, path: &str| server.admin_of(&other, method, path);
    call("GET", &path).refused(404, "API_KEY_NOT_FOUND").await;
    call("PATCH", &path)
        .body(json!({"revoked": true}))
        .refused(404, "API_KEY_NOT_FOUND")
        .await;
    let document = json!({"auth.allowSignUp": false}).to_string();
    call("PATCH", "/internal/config/override/environment")
        .body(json!({"config_override_string": document}))
        .expect(200)
        .await;
    let own = server.client("GET", "/projects/current").expect(200).await;
    assert_eq!(own["config"]["sign_up_enabled"], true);
    for (method, path) in [
        ("GET", "/internal/config"),
        ("PUT", "/internal/config/override/branch"),
        ("DELETE", "/internal/projects/current"),
        ("POST", "/data-vault/stores/s/get"),
    ] {
        server
            .call(method, path)
            .header("x-stack-access-type", "admin")
            .header("x-stack-project-id", &server.project.id)
            .header("x-stack-super-secret-admin-key", &other.admin)
            .refused(401, "INVALID_SUPER_SECRET_ADMIN_KEY")
            .await;
    }
}

#[tokio::test]
async fn a_shared_mail_server_keeps_what_is_said_besides() {
    let server = TestServer::start().await;
    let patch = |mail: Value| {
        let call = server.admin("PATCH", "/internal/projects/current");
        call.body(json!({"config": {"email_config": mail}}))
    };
    let project = patch(json!({"type": "shared", "host": "mail.example.com", "port": 25}))
        .expect(200)
        .await;
    assert_eq!(project["config"]["email_config"], json!({"type": "shared"}));
    patch(json!({"type": "shared", "host": {}}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    patch(json!({"type": "shared", "port": 70_000}))
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn the_first_user_of_internal_is_made_once() {
    let server = TestServer::start().await;
    let email = unique_email();
    let admin = InternalAdmin {
        credentials: Some(Credentials {
            email: email.clone(),
            password: PASSWORD.to_owned(),
        }),
        github_id: Some("4711".to_owned()),
        reach: AdminReach::Internal,
    };
    for _ in 0..2 {
        internal_admin::seed(server.app(), &admin).await.unwrap();
    }
    let internal = server.internal();
    let signed_in = server
        .client_of(&internal, "POST", "/auth/password/sign-in")
        .body(json!({"email": email, "password": PASSWORD}));
    let user = Tokens::of(&signed_in.expect(200).await);
    assert_eq!(user.user_id, "33e7c043-d2d1-4187-acd3-f91b5ed64b46");
    let me = server
        .client_of(&internal, "GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(me["primary_email_verified"], true);
    assert_eq!(me["oauth_providers"][0]["id"], "github");
    assert_eq!(me["oauth_providers"][0]["account_id"], "4711");
    let list = server
        .client_of(&internal, "GET", "/internal/projects")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(list["items"][0]["id"], "internal");
    let body = json!({"project_id": server.project.id, "new_team_id": me["selected_team_id"]});
    server
        .client_of(&internal, "POST", "/internal/projects/transfer")
        .user(&user)
        .body(body)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    let path = format!("/users/{}", user.user_id);
    server
        .server_of(&internal, "DELETE", &path)
        .expect(200)
        .await;
    internal_admin::seed(server.app(), &admin).await.unwrap();
    server
        .server_of(&internal, "GET", &path)
        .refused(404, "USER_NOT_FOUND")
        .await;
}

#[tokio::test]
async fn nobody_is_made_without_a_way_to_sign_in() {
    let server = TestServer::start().await;
    let admin = InternalAdmin {
        credentials: None,
        github_id: None,
        reach: AdminReach::Internal,
    };
    internal_admin::seed(server.app(), &admin).await.unwrap();
    let path = format!("/users/{}", internal_admin::INTERNAL_ADMIN);
    server
        .server_of(&server.internal(), "GET", &path)
        .refused(404, "USER_NOT_FOUND")
        .await;
}
