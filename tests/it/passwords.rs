//! Contract 02 §2 and 01 §5: signing up and in with passwords, and anonymous users who sign up.

use serde_json::{Value, json};

use crate::support::{PASSWORD, TestServer, Tokens, unique_email};

fn credentials(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

#[tokio::test]
async fn a_user_signs_up_and_in() {
    let server = TestServer::start().await;
    let call = server.client("POST", "/auth/password/sign-up");
    let body = call
        .body(credentials("  Ada@Example.com ", PASSWORD))
        .expect(200)
        .await;
    assert_eq!(body.as_object().unwrap().len(), 3);
    let user = Tokens::of(&body);
    assert_eq!(user.refresh.len(), 45);
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(me["primary_email"], "ada@example.com");
    assert_eq!(me["primary_email_verified"], false);
    assert_eq!(
        (&me["has_password"], &me["auth_with_email"]),
        (&json!(true), &json!(true))
    );
    let call = server.client("POST", "/auth/password/sign-in");
    let again = Tokens::of(
        &call
            .body(credentials("ADA@example.com", PASSWORD))
            .expect(200)
            .await,
    );
    assert_eq!(again.user_id, user.user_id);
    assert_ne!(again.refresh, user.refresh);
    server.assert_verified().await;
}

#[tokio::test]
async fn wrong_passwords_and_unknown_addresses_look_the_same() {
    let server = TestServer::start().await;
    let email = unique_email();
    server.sign_up(&email).await;
    let created =
        json!({"primary_email": "nopassword@example.com", "primary_email_auth_enabled": true});
    server
        .server("POST", "/users")
        .body(created)
        .expect(201)
        .await;
    for body in [
        credentials(&email, "wrong password"),
        credentials("stranger@example.com", PASSWORD),
        credentials("nopassword@example.com", PASSWORD),
        credentials(&email, ""),
    ] {
        let call = server.client("POST", "/auth/password/sign-in").body(body);
        assert_eq!(
            call.refused(400, "EMAIL_PASSWORD_MISMATCH").await,
            Value::Null
        );
    }
    for body in [
        credentials("", PASSWORD),
        credentials("x", PASSWORD),
        json!({"email": email}),
    ] {
        let call = server.client("POST", "/auth/password/sign-in").body(body);
        call.refused(400, "SCHEMA_ERROR").await;
    }
}

#[tokio::test]
async fn sign_up_refuses_in_the_contracts_order() {
    let server = TestServer::start().await;
    let email = unique_email();
    server.sign_up(&email).await;
    let sign_up = |body: Value| server.client("POST", "/auth/password/sign-up").body(body);
    let details = sign_up(credentials(&email.to_uppercase(), PASSWORD))
        .refused(409, "USER_EMAIL_ALREADY_EXISTS")
        .await;
    assert_eq!(
        details,
        json!({"email": email, "would_work_if_email_was_verified": false})
    );
    let details = sign_up(credentials(&email, "short"))
        .refused(400, "PASSWORD_TOO_SHORT")
        .await;
    assert_eq!(details, json!({"min_length": 8}));
    let details = sign_up(credentials(&email, &"ä".repeat(40)))
        .refused(400, "PASSWORD_TOO_LONG")
        .await;
    assert_eq!(details, json!({"maxLength": 70}));
    sign_up(credentials(&email, &"x".repeat(71)))
        .refused(400, "SCHEMA_ERROR")
        .await;
    for bad in ["a@b", "nonsense", "a..b@example.com", ""] {
        sign_up(credentials(bad, PASSWORD))
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let mut callback = credentials(&unique_email(), PASSWORD);
    callback["verification_callback_url"] = json!("https://evil.example.com/x");
    sign_up(callback.clone())
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
    callback["verification_callback_url"] = json!("no url");
    sign_up(callback.clone()).refused(400, "SCHEMA_ERROR").await;
    callback["verification_callback_url"] = json!("http://localhost:3000/verify");
    sign_up(callback).expect(200).await;
    server.configure(json!({"sign_up_enabled": false})).await;
    sign_up(credentials(&unique_email(), "short"))
        .refused(400, "SIGN_UP_NOT_ENABLED")
        .await;
    server.configure(json!({"credential_enabled": false})).await;
    let off = "PASSWORD_AUTHENTICATION_NOT_ENABLED";
    sign_up(credentials(&unique_email(), PASSWORD))
        .refused(400, off)
        .await;
    let call = server.client("POST", "/auth/password/sign-in");
    call.body(credentials(&email, PASSWORD))
        .refused(400, off)
        .await;
}

#[tokio::test]
async fn an_anonymous_user_signs_up_and_keeps_everything() {
    let server = TestServer::start().await;
    server
        .configure(json!({"create_team_on_sign_up": true}))
        .await;
    let anonymous = server.anonymous().await;
    let me = server
        .client("GET", "/users/me")
        .user(&anonymous)
        .expect(200)
        .await;
    assert_eq!(me["is_anonymous"], true);
    assert_eq!(me["restricted_reason"], json!({"type": "anonymous"}));
    assert_eq!(me["selected_team"]["display_name"], "Personal Team");
    let metadata = json!({"client_metadata": {"cart": [1, 2]}});
    server
        .client("PATCH", "/users/me")
        .user(&anonymous)
        .body(metadata)
        .expect(200)
        .await;
    server.clock.advance(5_000);
    let email = unique_email();
    let call = server
        .client("POST", "/auth/password/sign-up")
        .user(&anonymous);
    let user = Tokens::of(&call.body(credentials(&email, PASSWORD)).expect(200).await);
    assert_eq!(user.user_id, anonymous.user_id);
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(me["is_anonymous"], false);
    assert_eq!(me["client_metadata"], json!({"cart": [1, 2]}));
    assert_eq!(
        me["selected_team"]["display_name"],
        format!("{email}'s Team")
    );
    assert_eq!(me["signed_up_at_millis"], server.clock.now().0);
    // The old session ended with the change of the password.
    server
        .client("POST", "/auth/sessions/current/refresh")
        .header("x-stack-refresh-token", &anonymous.refresh)
        .refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
        .await;
    // So did its access token.
    server
        .client("GET", "/users/me")
        .user(&anonymous)
        .refused(401, "ACCESS_TOKEN_EXPIRED")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn a_failed_upgrade_leaves_the_anonymous_user_alone() {
    let server = TestServer::start().await;
    let email = unique_email();
    server.sign_up(&email).await;
    let anonymous = server.anonymous().await;
    let call = server
        .client("POST", "/auth/password/sign-up")
        .user(&anonymous);
    let details = call
        .body(credentials(&email, PASSWORD))
        .refused(409, "USER_EMAIL_ALREADY_EXISTS")
        .await;
    assert_eq!(details["email"], email);
    let me = server
        .client("GET", "/users/me")
        .user(&anonymous)
        .expect(200)
        .await;
    assert_eq!(
        (&me["is_anonymous"], &me["primary_email"]),
        (&json!(true), &Value::Null)
    );
    let refresh = server.client("POST", "/auth/sessions/current/refresh");
    refresh
        .header("x-stack-refresh-token", &anonymous.refresh)
        .expect(200)
        .await;
}

#[tokio::test]
async fn signing_in_or_up_as_somebody_else_merges_nothing() {
    let server = TestServer::start().await;
    let email = unique_email();
    let known = server.sign_up(&email).await;
    let anonymous = server.anonymous().await;
    let call = server
        .client("POST", "/auth/password/sign-in")
        .user(&anonymous);
    let signed_in = Tokens::of(&call.body(credentials(&email, PASSWORD)).expect(200).await);
    assert_eq!(signed_in.user_id, known.user_id);
    let me = server
        .client("GET", "/users/me")
        .user(&anonymous)
        .expect(200)
        .await;
    assert_eq!(me["is_anonymous"], true);
    let call = server.client("POST", "/auth/password/sign-up").user(&known);
    let third = Tokens::of(
        &call
            .body(credentials(&unique_email(), PASSWORD))
            .expect(200)
            .await,
    );
    assert_ne!(third.user_id, known.user_id);
}

#[tokio::test]
async fn a_second_factor_is_never_skipped() {
    let server = TestServer::start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let secret = json!({"totp_secret_base64": "c2VjcmV0c2VjcmV0c2VjcmV0"});
    let me = server
        .client("PATCH", "/users/me")
        .user(&user)
        .body(secret)
        .expect(200)
        .await;
    assert_eq!(me["requires_totp_mfa"], true);
    let call = server
        .client("POST", "/auth/password/sign-in")
        .body(credentials(&email, PASSWORD));
    let details = call
        .refused(400, "MULTI_FACTOR_AUTHENTICATION_REQUIRED")
        .await;
    assert_eq!(details["attempt_code"].as_str().unwrap().len(), 45);
    // Refreshing an existing session never asks for it.
    let refresh = server.client("POST", "/auth/sessions/current/refresh");
    refresh
        .header("x-stack-refresh-token", &user.refresh)
        .expect(200)
        .await;
    let wrong = server
        .client("POST", "/auth/password/sign-in")
        .body(credentials(&email, "wrong one"));
    wrong.refused(400, "EMAIL_PASSWORD_MISMATCH").await;
    let none = json!({"totp_secret_base64": null});
    server
        .client("PATCH", "/users/me")
        .user(&user)
        .body(none)
        .expect(200)
        .await;
    let call = server
        .client("POST", "/auth/password/sign-in")
        .body(credentials(&email, PASSWORD));
    call.expect(200).await;
}

#[tokio::test]
async fn imported_hashes_work_and_are_renewed() {
    let server = TestServer::start().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let email = unique_email();
    let body =
        json!({"primary_email": email, "primary_email_auth_enabled": true, "password_hash": hash});
    let user = server.server("POST", "/users").body(body).expect(201).await;
    for _ in 0..2 {
        let call = server
            .client("POST", "/auth/password/sign-in")
            .body(credentials(&email, PASSWORD));
        assert_eq!(call.expect(200).await["user_id"], user["id"]);
        let stored: String =
            sqlx::query_scalar("SELECT password_hash FROM users WHERE primary_email = $1")
                .bind(&email)
                .fetch_one(server.pool())
                .await
                .unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
    }
    server.assert_verified().await;
}
