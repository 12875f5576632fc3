//! Contract 03 §1: users.

use serde_json::{Value, json};

use crate::support::{PASSWORD, TestServer, unique_email};

/// A one-pixel PNG.
const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[tokio::test]
async fn servers_create_users_with_every_field() {
    let server = TestServer::start().await;
    let email = unique_email();
    let body = json!({
        "display_name": "Ada", "profile_image_url": "https://example.com/ada.png",
        "client_metadata": {"a": 1}, "client_read_only_metadata": [2], "server_metadata": "three",
        "primary_email": format!(" {} ", email.to_uppercase()), "primary_email_verified": true,
        "primary_email_auth_enabled": true, "password": PASSWORD, "is_anonymous": false,
        "totp_secret_base64": "c2VjcmV0", "restricted_by_admin": true,
        "restricted_by_admin_reason": "public", "restricted_by_admin_private_details": "private",
        "country_code": " nl ", "risk_scores": {"sign_up": {"bot": 3, "free_trial_abuse": 100}},
        "passkey_auth_enabled": true,
    });
    let user = server.server("POST", "/users").body(body).expect(201).await;
    let expected = json!({
        "display_name": "Ada", "profile_image_url": "https://example.com/ada.png",
        "client_metadata": {"a": 1}, "client_read_only_metadata": [2], "server_metadata": "three",
        "primary_email": email, "primary_email_verified": true, "primary_email_auth_enabled": true,
        "has_password": true, "otp_auth_enabled": false, "passkey_auth_enabled": false,
        "auth_with_email": true, "requires_totp_mfa": false, "oauth_providers": [],
        "selected_team_id": null, "selected_team": null, "is_anonymous": false,
        "is_restricted": true, "restricted_reason": {"type": "restricted_by_administrator"},
        "restricted_by_admin": true, "restricted_by_admin_reason": "public",
        "restricted_by_admin_private_details": "private", "country_code": "NL",
        "risk_scores": {"sign_up": {"bot": 3, "free_trial_abuse": 100}},
        "id": user["id"], "signed_up_at_millis": server.clock.now().0,
        "last_active_at_millis": server.clock.now().0,
    });
    assert_eq!(user, expected);
    let path = format!("/users/{}", user["id"].as_str().unwrap());
    assert_eq!(server.server("GET", &path).expect(200).await, expected);
    server.assert_verified().await;
}

#[tokio::test]
async fn creation_refuses_what_makes_no_sense() {
    let server = TestServer::start().await;
    let create = |body: Value| server.server("POST", "/users").body(body);
    create(json!({})).expect(201).await;
    create(json!({"primary_email_auth_enabled": true}))
        .refused_in_words(400)
        .await;
    create(json!({"primary_email_verified": true}))
        .refused_in_words(400)
        .await;
    create(json!({"password": PASSWORD, "password_hash": "x"}))
        .refused_in_words(400)
        .await;
    create(json!({"password_hash": "md5"}))
        .refused_in_words(400)
        .await;
    create(json!({"password": "ä".repeat(40)}))
        .refused(400, "PASSWORD_TOO_LONG")
        .await;
    create(json!({"otp_auth_enabled": true}))
        .refused_in_words(400)
        .await;
    create(json!({"oauth_providers": [{"id": "github", "account_id": "1"}]}))
        .refused_in_words(400)
        .await;
    create(json!({"profile_image_url": "ftp://x.example.com/a.png"}))
        .refused_in_words(400)
        .await;
    create(json!({"profile_image_url": "data:image/png;base64,aGVsbG8="}))
        .refused_in_words(400)
        .await;
    for body in [
        json!({"restricted_by_admin_reason": "why"}),
        json!({"restricted_by_admin": false, "restricted_by_admin_private_details": ""}),
        json!({"country_code": "NLD"}),
        json!({"risk_scores": {"sign_up": {"bot": 101, "free_trial_abuse": 0}}}),
        json!({"risk_scores": {"sign_up": {"bot": 1}}}),
        json!({"selected_team_id": null}),
    ] {
        create(body).refused(400, "SCHEMA_ERROR").await;
    }
    let email = unique_email();
    let taken = json!({"primary_email": email, "primary_email_auth_enabled": true});
    create(taken.clone()).expect(201).await;
    let details = create(taken)
        .refused(409, "USER_EMAIL_ALREADY_EXISTS")
        .await;
    assert_eq!(
        details,
        json!({"email": email, "would_work_if_email_was_verified": false})
    );
    // Without signing in with it, any number of users may have the address.
    create(json!({"primary_email": email})).expect(201).await;
    server.configure(json!({"credential_enabled": false})).await;
    create(json!({"primary_email": unique_email(), "password": PASSWORD}))
        .refused_in_words(400)
        .await;
}

#[tokio::test]
async fn clients_see_and_change_their_own_part_only() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    let fields = me.as_object().unwrap();
    assert_eq!(fields.len(), 21, "{fields:?}");
    for hidden in [
        "server_metadata",
        "primary_email_auth_enabled",
        "last_active_at_millis",
        "restricted_by_admin_private_details",
        "country_code",
        "risk_scores",
    ] {
        assert!(!fields.contains_key(hidden), "{hidden}");
        let body = json!({hidden: null});
        server
            .client("PATCH", "/users/me")
            .user(&user)
            .body(body)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let change = |body: Value| server.client("PATCH", "/users/me").user(&user).body(body);
    let changed = change(json!({"display_name": "Ada", "client_metadata": {"x": 1}}))
        .expect(200)
        .await;
    assert_eq!(changed["display_name"], "Ada");
    let changed = change(json!({"display_name": ""})).expect(200).await;
    assert_eq!(
        (&changed["display_name"], &changed["client_metadata"]),
        (&Value::Null, &json!({"x": 1}))
    );
    change(json!({"profile_image_url": "https://example.com/x.png"}))
        .refused_in_words(400)
        .await;
    change(json!({"passkey_auth_enabled": true}))
        .refused_in_words(400)
        .await;
    change(json!({"otp_auth_enabled": true}))
        .refused_in_words(400)
        .await;
    change(json!({"display_name": "x".repeat(257)}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    // A server with the user's token sees more under the same path.
    let seen = server
        .server("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert!(seen.get("server_metadata").is_some());
    assert_eq!(
        server
            .server("GET", "/users/me")
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await,
        Value::Null
    );
    server
        .server("GET", "/users/me2")
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn uploaded_images_are_served_and_erased_with_the_user() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let call = server.client("PATCH", "/users/me").user(&user);
    let changed = call
        .body(json!({"profile_image_url": PNG}))
        .expect(200)
        .await;
    let url = changed["profile_image_url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("http://localhost:8102").unwrap();
    assert!(
        path.starts_with("/images/user-profile-images/") && path.ends_with(".png"),
        "{path}"
    );
    let served = server.page("GET", path).send().await;
    assert_eq!(
        (served.status.as_u16(), served.header("content-type")),
        (200, "image/png")
    );
    server
        .client("DELETE", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    crate::support::eventually("the image is gone", || async {
        server.page("GET", path).send().await.status == 404
    })
    .await;
}

#[tokio::test]
async fn the_primary_email_follows_the_contracts_rules() {
    let server = TestServer::start().await;
    let (first, second, third) = (unique_email(), unique_email(), unique_email());
    server.sign_up(&third).await;
    let body = json!({"primary_email": first, "primary_email_verified": true, "primary_email_auth_enabled": true});
    let id = server.server("POST", "/users").body(body).expect(201).await["id"].clone();
    let path = format!("/users/{}", id.as_str().unwrap());
    let patch = |body: Value| server.server("PATCH", &path).body(body);
    let shown = |user: &Value| {
        (
            user["primary_email"].clone(),
            user["primary_email_verified"].clone(),
            user["primary_email_auth_enabled"].clone(),
        )
    };
    // Auth is inherited by a new address, verification is not.
    let user = patch(json!({"primary_email": second})).expect(200).await;
    assert_eq!(shown(&user), (json!(second), json!(false), json!(true)));
    // The old address was kept with its flags, and comes back with them.
    let user = patch(json!({"primary_email": first})).expect(200).await;
    assert_eq!(shown(&user), (json!(first), json!(true), json!(true)));
    // The same address in other letters is no change.
    let user = patch(json!({"primary_email": first.to_uppercase()}))
        .expect(200)
        .await;
    assert_eq!(shown(&user), (json!(first), json!(true), json!(true)));
    // An address that somebody else signs in with.
    let details = patch(json!({"primary_email": third}))
        .refused(409, "USER_EMAIL_ALREADY_EXISTS")
        .await;
    assert_eq!(details["email"], third);
    let user = patch(json!({"primary_email": third, "primary_email_auth_enabled": false}))
        .expect(200)
        .await;
    assert_eq!(shown(&user), (json!(third), json!(false), json!(false)));
    let details = patch(json!({"primary_email_auth_enabled": true}))
        .refused(409, "USER_EMAIL_ALREADY_EXISTS")
        .await;
    assert_eq!(details["email"], third);
    // No address any more; both flags sent along do not matter.
    let user = patch(json!({"primary_email": null, "primary_email_verified": true}))
        .expect(200)
        .await;
    assert_eq!(shown(&user), (Value::Null, json!(false), json!(false)));
    patch(json!({"primary_email_verified": true}))
        .refused_in_words(400)
        .await;
    patch(json!({"primary_email_auth_enabled": true}))
        .refused_in_words(400)
        .await;
    patch(json!({"primary_email_verified": false}))
        .expect(200)
        .await;
    patch(json!({"password": PASSWORD}))
        .refused_in_words(400)
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn a_new_password_ends_all_sessions() {
    let server = TestServer::start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let path = format!("/users/{}", user.user_id);
    for body in [
        json!({"password": "another password"}),
        json!({"password": null}),
    ] {
        let session = server
            .server("POST", "/auth/sessions")
            .body(json!({"user_id": user.user_id}))
            .expect(200)
            .await;
        server.server("PATCH", &path).body(body).expect(200).await;
        let refresh = server.client("POST", "/auth/sessions/current/refresh");
        refresh
            .header(
                "x-stack-refresh-token",
                session["refresh_token"].as_str().unwrap(),
            )
            .refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
            .await;
    }
    // So do the access tokens of the sessions.
    server
        .client("GET", "/users/me")
        .user(&user)
        .refused(401, "ACCESS_TOKEN_EXPIRED")
        .await;
    let read = server.server("GET", &path).expect(200).await;
    assert_eq!(read["has_password"], false);
    let sign_in = server.client("POST", "/auth/password/sign-in");
    sign_in
        .body(json!({"email": email, "password": "another password"}))
        .refused(400, "EMAIL_PASSWORD_MISMATCH")
        .await;
}

#[tokio::test]
async fn restriction_is_computed_on_reading() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let path = format!("/users/{}", user.user_id);
    let reason = |user: &Value| {
        (
            user["is_restricted"].clone(),
            user["restricted_reason"].clone(),
        )
    };
    let get = || async { server.server("GET", &path).expect(200).await };
    assert_eq!(reason(&get().await), (json!(false), Value::Null));
    server
        .configure(json!({"require_email_verification": true}))
        .await;
    assert_eq!(
        reason(&get().await),
        (json!(true), json!({"type": "email_not_verified"}))
    );
    let body = json!({"primary_email_verified": true, "restricted_by_admin": true, "restricted_by_admin_reason": "why"});
    let patched = server.server("PATCH", &path).body(body).expect(200).await;
    assert_eq!(
        reason(&patched),
        (json!(true), json!({"type": "restricted_by_administrator"}))
    );
    let repeat = json!({"restricted_by_admin_reason": "other"});
    server
        .server("PATCH", &path)
        .body(repeat)
        .refused(400, "SCHEMA_ERROR")
        .await;
    let kept = server
        .server("PATCH", &path)
        .body(json!({"restricted_by_admin": true}))
        .expect(200)
        .await;
    assert_eq!(kept["restricted_by_admin_reason"], "why");
    let lifted = server
        .server("PATCH", &path)
        .body(json!({"restricted_by_admin": false}))
        .expect(200)
        .await;
    assert_eq!(
        (reason(&lifted), &lifted["restricted_by_admin_reason"]),
        ((json!(false), Value::Null), &Value::Null)
    );
}

#[tokio::test]
async fn listings_page_filter_and_search() {
    let server = TestServer::start().await;
    let mut ids = Vec::new();
    for name in ["Ada", "Grace", "50%_off"] {
        server.clock.advance(1_000);
        let body = json!({"display_name": name, "primary_email": format!("{}@mail.example.com", name.len())});
        ids.push(server.server("POST", "/users").body(body).expect(201).await["id"].clone());
    }
    let anonymous = json!(server.anonymous().await.user_id);
    let restricted = server
        .server("POST", "/users")
        .body(json!({"restricted_by_admin": true}))
        .expect(201)
        .await["id"]
        .clone();
    let list = |query: &str| {
        let path = format!("/users?{query}");
        let call = server.server("GET", &path);
        async move {
            let body = call.expect(200).await;
            assert_eq!(body["is_paginated"], true);
            let items: Vec<Value> = body["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| user["id"].clone())
                .collect();
            (items, body["pagination"]["next_cursor"].clone())
        }
    };
    assert_eq!(list("").await, (ids.clone(), Value::Null));
    assert_eq!(list("limit=2").await, (ids[..2].to_vec(), ids[2].clone()));
    let cursor = ids[2].as_str().unwrap();
    assert_eq!(
        list(&format!("limit=2&cursor={cursor}")).await,
        (ids[2..].to_vec(), Value::Null)
    );
    let reversed: Vec<Value> = ids.iter().rev().cloned().collect();
    assert_eq!(list("desc=true&order_by=signed_up_at").await.0, reversed);
    assert_eq!(
        list("desc=true&limit=1").await,
        (reversed[..1].to_vec(), reversed[1].clone())
    );
    assert_eq!(
        list("cursor=6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de").await.0,
        Vec::<Value>::new()
    );
    assert_eq!(list("query=ADA").await.0, ids[..1]);
    assert_eq!(list("query=%25_").await.0, ids[2..]);
    assert_eq!(list("query=5@MAIL").await.0, ids[1..2]);
    assert_eq!(
        list(&format!("query={}", ids[1].as_str().unwrap())).await.0,
        ids[1..2]
    );
    assert_eq!(list("query=").await.0.len(), 3);
    assert_eq!(list("include_restricted=true").await.0.len(), 4);
    assert!(
        list("include_restricted=true")
            .await
            .0
            .contains(&restricted)
    );
    assert_eq!(list("include_anonymous=true").await.0.len(), 5);
    assert_eq!(
        list("include_anonymous=true&only_anonymous=true").await.0,
        [anonymous]
    );
    server
        .server("GET", "/users?only_anonymous=true")
        .refused_in_words(400)
        .await;
    server
        .configure(json!({"require_email_verification": true}))
        .await;
    assert_eq!(list("").await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn deleting_oneself_takes_the_projects_permission() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    server.create_team(&user).await;
    server
        .configure(json!({"client_user_deletion_enabled": false}))
        .await;
    server
        .client("DELETE", "/users/me")
        .user(&user)
        .refused_in_words(400)
        .await;
    server
        .client("DELETE", "/users/me")
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    server
        .configure(json!({"client_user_deletion_enabled": true}))
        .await;
    let answer = server
        .client("DELETE", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(answer, json!({"success": true}));
    let path = format!("/users/{}", user.user_id);
    for method in ["GET", "DELETE"] {
        server
            .server(method, &path)
            .refused(404, "USER_NOT_FOUND")
            .await;
    }
    server
        .server("PATCH", &path)
        .body(json!({}))
        .refused(404, "USER_NOT_FOUND")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn a_server_lifts_anonymity_but_never_imposes_it() {
    let server = TestServer::start().await;
    server
        .configure(json!({"create_team_on_sign_up": true}))
        .await;
    let anonymous = server.anonymous().await;
    let path = format!("/users/{}", anonymous.user_id);
    server
        .server("PATCH", &path)
        .body(json!({"is_anonymous": true}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server.clock.advance(9_000);
    let body = json!({"is_anonymous": false, "display_name": "Ada"});
    let user = server
        .server("PATCH", &path)
        .body(body.clone())
        .expect(200)
        .await;
    assert_eq!(user["is_anonymous"], false);
    assert_eq!(user["signed_up_at_millis"], server.clock.now().0);
    assert_eq!(user["selected_team"]["display_name"], "Ada's Team");
    server.clock.advance(9_000);
    let again = server.server("PATCH", &path).body(body).expect(200).await;
    assert_eq!(again["signed_up_at_millis"], user["signed_up_at_millis"]);
}

#[tokio::test]
async fn the_personal_team_appears_after_the_user() {
    let server = TestServer::start().await;
    server
        .configure(json!({"create_team_on_sign_up": true}))
        .await;
    let created = server
        .server("POST", "/users")
        .body(json!({"display_name": "Ada"}))
        .expect(201)
        .await;
    assert_eq!(
        (&created["selected_team_id"], &created["selected_team"]),
        (&Value::Null, &Value::Null)
    );
    let path = format!("/users/{}", created["id"].as_str().unwrap());
    let user = server.server("GET", &path).expect(200).await;
    assert_eq!(user["selected_team"]["display_name"], "Ada's Team");
    assert!(user["selected_team"].get("server_metadata").is_some());
}
