//! Contract 02 §1.7 and §4: the second factor.

use data_encoding::BASE64;
use serde_json::{Value, json};
use totp_rs::{Algorithm, Builder};

use crate::support::{PASSWORD, TestServer, Tokens, unique_email};

const SECRET: &[u8] = b"a secret of twenty b";

fn totp(server: &TestServer) -> String {
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_secret(SECRET.to_vec())
        .build_noncompliant();
    let seconds = u64::try_from(server.clock.now().seconds()).unwrap();
    totp.generate(seconds).to_string()
}

async fn user_with_second_factor(server: &TestServer) -> (String, Tokens) {
    let email = unique_email();
    let user = server.sign_up(&email).await;
    server
        .client("PATCH", "/users/me")
        .user(&user)
        .body(json!({"totp_secret_base64": BASE64.encode(SECRET)}))
        .expect(200)
        .await;
    (email, user)
}

async fn first_factor(server: &TestServer, email: &str) -> String {
    let details = server
        .client("POST", "/auth/password/sign-in")
        .body(json!({"email": email, "password": PASSWORD}))
        .refused(400, "MULTI_FACTOR_AUTHENTICATION_REQUIRED")
        .await;
    details["attempt_code"].as_str().unwrap().to_owned()
}

fn body(code: &str, totp: &str) -> Value {
    json!({"code": code, "type": "totp", "totp": totp})
}

const PATH: &str = "/auth/mfa/sign-in";

#[tokio::test]
async fn the_second_factor_completes_the_first() {
    let server = TestServer::start().await;
    let (email, user) = user_with_second_factor(&server).await;
    let code = first_factor(&server, &email).await;
    let call = |totp: &str| server.client("POST", PATH).body(body(&code, totp));
    call("000000x").refused(400, "INVALID_TOTP_CODE").await;
    let signed_in = call(&totp(&server)).expect(200).await;
    assert_eq!(signed_in["user_id"], user.user_id.as_str());
    assert_eq!(signed_in["is_new_user"], false);
    call(&totp(&server))
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    // The attempt code is good for nothing else.
    let code = first_factor(&server, &email).await;
    server
        .client("POST", "/auth/otp/sign-in")
        .body(json!({"code": code}))
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn a_code_of_the_second_factor_works_once_and_in_its_own_half_minute() {
    let server = TestServer::start().await;
    let (email, _) = user_with_second_factor(&server).await;
    let used = totp(&server);
    let code = first_factor(&server, &email).await;
    server
        .client("POST", PATH)
        .body(body(&code, &used))
        .expect(200)
        .await;
    let code = first_factor(&server, &email).await;
    let replay = server.client("POST", PATH).body(body(&code, &used));
    replay.refused(400, "INVALID_TOTP_CODE").await;
    server.clock.advance(30_000);
    let late = server.client("POST", PATH).body(body(&code, &used));
    late.refused(400, "INVALID_TOTP_CODE").await;
    server
        .client("POST", PATH)
        .body(body(&code, &totp(&server)))
        .expect(200)
        .await;
}

#[tokio::test]
async fn of_concurrent_second_factors_exactly_one_wins() {
    let server = TestServer::start().await;
    let (email, _) = user_with_second_factor(&server).await;
    let (code, totp) = (first_factor(&server, &email).await, totp(&server));
    let attempts = (0..10).map(|_| server.client("POST", PATH).body(body(&code, &totp)).send());
    let answers = futures_util::future::join_all(attempts).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    assert!(answers.iter().all(|answer| answer.status.as_u16() < 500));
}

#[tokio::test]
async fn guesses_lock_the_attempt() {
    let server = TestServer::start().await;
    let (email, _) = user_with_second_factor(&server).await;
    let code = first_factor(&server, &email).await;
    let right = totp(&server);
    let wrong = if right == "123456" {
        "654321"
    } else {
        "123456"
    };
    for _ in 0..20 {
        let call = server.client("POST", PATH).body(body(&code, wrong));
        call.refused(400, "INVALID_TOTP_CODE").await;
    }
    let call = server.client("POST", PATH).body(body(&code, &right));
    call.refused(400, "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED")
        .await;
}

#[tokio::test]
async fn an_attempt_lasts_five_minutes_and_wants_all_fields() {
    let server = TestServer::start().await;
    let (email, _) = user_with_second_factor(&server).await;
    let code = first_factor(&server, &email).await;
    for bad in [
        json!({"code": code, "totp": "123456"}),
        json!({"code": code, "type": "sms", "totp": "123456"}),
        json!({"code": code, "type": "totp"}),
        json!({"code": "short", "type": "totp", "totp": "123456"}),
    ] {
        server
            .client("POST", PATH)
            .body(bad)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    server.clock.advance(5 * 60 * 1000);
    let call = server
        .client("POST", PATH)
        .body(body(&code, &totp(&server)));
    call.refused(400, "VERIFICATION_CODE_EXPIRED").await;
    let unknown = server
        .client("POST", PATH)
        .body(body(&"0".repeat(45), "123456"));
    unknown.refused(404, "VERIFICATION_CODE_NOT_FOUND").await;
}

#[tokio::test]
async fn an_upgraded_anonymous_user_with_a_second_factor_needs_it() {
    let server = TestServer::start().await;
    let user = server.anonymous().await;
    server
        .client("PATCH", "/users/me")
        .user(&user)
        .body(json!({"totp_secret_base64": BASE64.encode(SECRET)}))
        .expect(200)
        .await;
    let details = server
        .client("POST", "/auth/password/sign-up")
        .user(&user)
        .body(json!({"email": unique_email(), "password": PASSWORD}))
        .refused(400, "MULTI_FACTOR_AUTHENTICATION_REQUIRED")
        .await;
    let code = details["attempt_code"].as_str().unwrap();
    let signed_in = server
        .client("POST", PATH)
        .body(body(code, &totp(&server)))
        .expect(200)
        .await;
    assert_eq!(signed_in["is_new_user"], true);
    assert_eq!(signed_in["user_id"], user.user_id.as_str());
}
