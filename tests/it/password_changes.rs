//! Contract 02 §2: setting, changing and resetting passwords.

use serde_json::json;

use crate::support::{CALLBACK, PASSWORD, TestServer, Tokens, unique_email};

const NEW: &str = "another fine password";

async fn signs_in_with(server: &TestServer, email: &str, password: &str) -> bool {
    let call = server
        .client("POST", "/auth/password/sign-in")
        .body(json!({"email": email, "password": password}));
    let answer = call.send().await;
    assert!(answer.status == 200 || answer.known_error() == Some("EMAIL_PASSWORD_MISMATCH"));
    answer.status == 200
}

async fn refreshes(server: &TestServer, tokens: &Tokens) -> bool {
    let call = server
        .client("POST", "/auth/sessions/current/refresh")
        .header("x-stack-refresh-token", &tokens.refresh);
    call.send().await.status == 200
}

async fn another_session(server: &TestServer, email: &str) -> Tokens {
    let call = server
        .client("POST", "/auth/password/sign-in")
        .body(json!({"email": email, "password": PASSWORD}));
    Tokens::of(&call.expect(200).await)
}

#[tokio::test]
async fn a_first_password_is_set_once() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let email = unique_email();
    let code = server.sign_in_code(&email).await;
    let signed_in = server
        .client("POST", "/auth/otp/sign-in")
        .body(json!({"code": code}));
    let user = Tokens::of(&signed_in.expect(200).await);
    let set = |password: &str| {
        server
            .client("POST", "/auth/password/set")
            .user(&user)
            .body(json!({"password": password}))
    };
    set("short").refused(400, "PASSWORD_TOO_SHORT").await;
    set(&"x".repeat(71)).refused(400, "SCHEMA_ERROR").await;
    set(&"é".repeat(36)).refused(400, "PASSWORD_TOO_LONG").await;
    assert_eq!(set(NEW).expect(200).await, json!({"success": true}));
    assert!(refreshes(&server, &user).await);
    assert!(signs_in_with(&server, &email, NEW).await);
    set(NEW).refused_in_words(400).await;
    server
        .client("POST", "/auth/password/set")
        .body(json!({"password": NEW}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server.configure(json!({"credential_enabled": false})).await;
    set(NEW)
        .refused(400, "PASSWORD_AUTHENTICATION_NOT_ENABLED")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() {
    let server = TestServer::start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let other = another_session(&server, &email).await;
    let update = |old: &str, new: &str| {
        server
            .client("POST", "/auth/password/update")
            .user(&user)
            .body(json!({"old_password": old, "new_password": new}))
    };
    update(PASSWORD, "short")
        .refused(400, "PASSWORD_TOO_SHORT")
        .await;
    update("wrong password", NEW)
        .refused(400, "PASSWORD_CONFIRMATION_MISMATCH")
        .await;
    update("short", NEW)
        .refused(400, "PASSWORD_CONFIRMATION_MISMATCH")
        .await;
    update(PASSWORD, NEW)
        .header("x-stack-refresh-token", &user.refresh)
        .expect(200)
        .await;
    assert!(refreshes(&server, &user).await && !refreshes(&server, &other).await);
    assert!(signs_in_with(&server, &email, NEW).await);
    assert!(!signs_in_with(&server, &email, PASSWORD).await);
    // Without the header, every session ends, and its access tokens with it.
    update(NEW, PASSWORD).expect(200).await;
    assert!(!refreshes(&server, &user).await);
    server
        .client("GET", "/users/me")
        .user(&user)
        .refused(401, "ACCESS_TOKEN_EXPIRED")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn a_user_without_password_cannot_change_it() {
    let server = TestServer::start().await;
    let user = server.anonymous().await;
    let call = |server: &TestServer| {
        server
            .client("POST", "/auth/password/update")
            .user(&user)
            .body(json!({"old_password": PASSWORD, "new_password": NEW}))
    };
    call(&server)
        .refused(400, "USER_DOES_NOT_HAVE_PASSWORD")
        .await;
    server.configure(json!({"credential_enabled": false})).await;
    call(&server)
        .refused(400, "PASSWORD_AUTHENTICATION_NOT_ENABLED")
        .await;
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_mail() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let ask = |email: &str, callback: &str| {
        let body = json!({"email": email, "callback_url": callback});
        server
            .client("POST", "/auth/password/send-reset-code")
            .body(body)
    };
    ask(&email, "https://evil.example.org")
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
    let known = ask(&email, CALLBACK).expect(200).await;
    let unknown = ask(&unique_email(), "https://evil.example.org")
        .expect(200)
        .await;
    assert!(known["success"].is_string());
    assert_eq!(known, unknown);
    let mail = server.mail.first(&email).await;
    let code = mail.code();
    let reset = |code: &str, password: &str| {
        let body = json!({"code": code, "password": password});
        server.client("POST", "/auth/password/reset").body(body)
    };
    let checked = server
        .client("POST", "/auth/password/reset/check-code")
        .body(json!({"code": code}))
        .expect(200)
        .await;
    assert_eq!(checked, json!({"is_code_valid": true}));
    assert_eq!(
        reset(&code, NEW).expect(200).await,
        json!({"success": true})
    );
    reset(&code, NEW)
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    assert!(signs_in_with(&server, &email, NEW).await);
    assert!(!refreshes(&server, &user).await);
    // A weak password uses the code up.
    ask(&email, CALLBACK).expect(200).await;
    let code = server.mail.nth(&email, 2).await.code();
    reset(&code, "short")
        .refused(400, "PASSWORD_TOO_SHORT")
        .await;
    reset(&code, NEW)
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    // So does a project that has switched passwords off.
    ask(&email, CALLBACK).expect(200).await;
    let code = server.mail.nth(&email, 3).await.code();
    server.configure(json!({"credential_enabled": false})).await;
    reset(&code, NEW)
        .refused(400, "PASSWORD_AUTHENTICATION_NOT_ENABLED")
        .await;
    server.configure(json!({"credential_enabled": true})).await;
    // The code of a deleted user is forgotten with them.
    ask(&email, CALLBACK).expect(200).await;
    let code = server.mail.nth(&email, 4).await.code();
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    reset(&code, NEW)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn a_sign_up_with_a_callback_mails_a_link_that_verifies() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let email = unique_email();
    let body = json!({"email": email, "password": PASSWORD, "verification_callback_url": CALLBACK});
    let signed_up = server.client("POST", "/auth/password/sign-up").body(body);
    let user = Tokens::of(&signed_up.expect(200).await);
    let code = server.mail.first(&email).await.code();
    let verify = || {
        let body = json!({"code": code.to_uppercase()});
        server.client("POST", "/contact-channels/verify").body(body)
    };
    assert_eq!(verify().expect(200).await, json!({"success": true}));
    verify()
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(me["primary_email_verified"], true);
    server.assert_verified().await;
}
