//! Contract 02 §1.4 and §3: codes by email, as links and to be typed.

use serde_json::json;

use crate::support::{CALLBACK, TestServer, Tokens, unique_email};

const SEND: &str = "/auth/otp/send-sign-in-code";
const SIGN_IN: &str = "/auth/otp/sign-in";
const CHECK: &str = "/auth/otp/sign-in/check-code";

async fn start() -> TestServer {
    let server = TestServer::start().await;
    server.offer_everything().await;
    server
}

#[tokio::test]
async fn a_stranger_signs_up_with_the_link_and_signs_in_with_the_typed_code() {
    let server = start().await;
    let email = unique_email();
    let sent = server
        .client("POST", SEND)
        .body(json!({"email": format!(" {}", email.to_uppercase()), "callback_url": CALLBACK}))
        .expect(200)
        .await;
    let nonce = sent["nonce"].as_str().unwrap();
    assert_eq!(nonce.len(), 39);
    let mail = server.mail.first(&email).await;
    let code = mail.code();
    assert_eq!((code.len(), &code[6..]), (45, nonce));
    assert!(
        mail.link()
            .starts_with("http://localhost:3000/handler?after=x&code=")
    );
    let otp = code[..6].to_uppercase();
    assert!(mail.text.contains(&otp) && mail.subject.contains(&otp) && mail.html.contains(&otp));
    assert!(mail.from.contains("Test"), "{}", mail.from);
    let body = json!({"code": code});
    let checked = server
        .client("POST", CHECK)
        .body(body.clone())
        .expect(200)
        .await;
    assert_eq!(checked, json!({"is_code_valid": true}));
    let first = server
        .client("POST", SIGN_IN)
        .body(body.clone())
        .expect(200)
        .await;
    assert_eq!(first["is_new_user"], true);
    server
        .client("POST", SIGN_IN)
        .body(body.clone())
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    server
        .client("POST", CHECK)
        .body(body)
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    let user = Tokens::of(&first);
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(me["primary_email"], email);
    assert_eq!(me["primary_email_verified"], true);
    assert_eq!(
        (&me["otp_auth_enabled"], &me["has_password"]),
        (&json!(true), &json!(false))
    );
    // The typed code is read in any case.
    let code = server.sign_in_code(&email).await;
    let typed = format!("{}{}", code[..6].to_uppercase(), &code[6..]);
    let again = server
        .client("POST", SIGN_IN)
        .body(json!({"code": typed}))
        .expect(200)
        .await;
    assert_eq!(
        (&again["is_new_user"], &again["user_id"]),
        (&json!(false), &first["user_id"])
    );
    server.assert_verified().await;
}

#[tokio::test]
async fn two_codes_are_independent_and_each_works_once() {
    let server = start().await;
    let email = unique_email();
    let (first, second) = (
        server.sign_in_code(&email).await,
        server.sign_in_code(&email).await,
    );
    let call = |code: &str| server.client("POST", SIGN_IN).body(json!({"code": code}));
    assert_eq!(call(&second).expect(200).await["is_new_user"], true);
    assert_eq!(call(&first).expect(200).await["is_new_user"], false);
}

#[tokio::test]
async fn of_concurrent_uses_of_one_code_exactly_one_wins() {
    let server = start().await;
    let email = unique_email();
    let code = server.sign_in_code(&email).await;
    let attempts = (0..12).map(|_| {
        server
            .client("POST", SIGN_IN)
            .body(json!({"code": code}))
            .send()
    });
    let answers = futures_util::future::join_all(attempts).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    let lost = answers
        .iter()
        .filter(|answer| answer.known_error() == Some("VERIFICATION_CODE_ALREADY_USED"))
        .count();
    assert_eq!((won, lost), (1, 11));
    server.assert_verified().await;
}

#[tokio::test]
async fn codes_expire_and_belong_to_one_project_and_one_purpose() {
    let server = start().await;
    let email = unique_email();
    let code = server.sign_in_code(&email).await;
    let body = json!({"code": code});
    let other = server
        .new_project(json!({"magic_link_enabled": true}))
        .await;
    server
        .client_of(&other, "POST", SIGN_IN)
        .body(body.clone())
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    for path in [
        "/auth/password/reset/check-code",
        "/contact-channels/verify",
        "/contact-channels/verify/check-code",
    ] {
        let call = server.client("POST", path).body(body.clone());
        call.refused(404, "VERIFICATION_CODE_NOT_FOUND").await;
    }
    server.clock.advance(7 * 24 * 60 * 60 * 1000);
    server
        .client("POST", CHECK)
        .body(body.clone())
        .refused(400, "VERIFICATION_CODE_EXPIRED")
        .await;
    server
        .client("POST", SIGN_IN)
        .body(body)
        .refused(400, "VERIFICATION_CODE_EXPIRED")
        .await;
    for bad in [
        json!("short"),
        json!("x".repeat(46)),
        json!(null),
        json!([]),
    ] {
        let call = server.client("POST", SIGN_IN).body(json!({"code": bad}));
        call.refused(400, "SCHEMA_ERROR").await;
    }
}

#[tokio::test]
async fn guesses_at_the_typed_part_lock_the_code() {
    let server = start().await;
    let email = unique_email();
    let code = server.sign_in_code(&email).await;
    let guess = |n: u32| format!("{n:06}{}", &code[6..]);
    for n in 0..20 {
        let call = server
            .client("POST", SIGN_IN)
            .body(json!({"code": guess(n)}));
        call.refused(404, "VERIFICATION_CODE_NOT_FOUND").await;
    }
    server
        .client("POST", SIGN_IN)
        .body(json!({"code": code}))
        .refused(400, "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED")
        .await;
    // Looking at a locked code does not open it.
    server
        .client("POST", CHECK)
        .body(json!({"code": code}))
        .refused(400, "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn sending_is_refused_where_it_must_be() {
    let server = start().await;
    let send = |email: &str, callback: &str| {
        let body = json!({"email": email, "callback_url": callback});
        server.client("POST", SEND).body(body)
    };
    let email = unique_email();
    send(&email, "https://evil.example.org/")
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
    send("not an address", CALLBACK)
        .refused(400, "SCHEMA_ERROR")
        .await;
    send(&email, "not a url").refused(400, "SCHEMA_ERROR").await;
    server
        .client("POST", SEND)
        .body(json!({"email": email}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    let unverified = unique_email();
    server.sign_up(&unverified).await;
    let details = send(&unverified, CALLBACK)
        .refused(409, "USER_EMAIL_ALREADY_EXISTS")
        .await;
    assert_eq!(
        details,
        json!({"email": unverified, "would_work_if_email_was_verified": true})
    );
    server.configure(json!({"sign_up_enabled": false})).await;
    send(&email, CALLBACK)
        .refused(400, "SIGN_UP_NOT_ENABLED")
        .await;
    server.configure(json!({"magic_link_enabled": false})).await;
    send(&email, CALLBACK).refused_in_words(403).await;
    assert!(server.mail.to(&email).is_empty());
}

#[tokio::test]
async fn a_verified_user_without_the_method_gets_it_by_using_it() {
    let server = start().await;
    let email = unique_email();
    server
        .server("POST", "/users")
        .body(json!({"primary_email": email, "primary_email_verified": true, "primary_email_auth_enabled": true}))
        .expect(201)
        .await;
    server.configure(json!({"sign_up_enabled": false})).await;
    let code = server.sign_in_code(&email).await;
    let signed_in = server
        .client("POST", SIGN_IN)
        .body(json!({"code": code}))
        .expect(200)
        .await;
    assert_eq!(signed_in["is_new_user"], false);
    let me = server
        .client("GET", "/users/me")
        .user(&Tokens::of(&signed_in))
        .expect(200)
        .await;
    assert_eq!(me["otp_auth_enabled"], true);
    server.assert_verified().await;
}

#[tokio::test]
async fn switching_codes_off_stops_sign_ups_but_not_what_was_sent_to_users() {
    let server = start().await;
    let (known, stranger) = (unique_email(), unique_email());
    let code = server.sign_in_code(&known).await;
    server
        .client("POST", SIGN_IN)
        .body(json!({"code": code}))
        .expect(200)
        .await;
    let (known, stranger) = (
        server.sign_in_code(&known).await,
        server.sign_in_code(&stranger).await,
    );
    server.configure(json!({"magic_link_enabled": false})).await;
    server
        .client("POST", SIGN_IN)
        .body(json!({"code": known}))
        .expect(200)
        .await;
    server
        .client("POST", SIGN_IN)
        .body(json!({"code": stranger}))
        .refused_in_words(400)
        .await;
}

#[tokio::test]
async fn an_anonymous_user_becomes_the_account_and_keeps_its_sessions() {
    let server = start().await;
    let anonymous = server.anonymous().await;
    let email = unique_email();
    let code = server.sign_in_code(&email).await;
    let signed_in = server
        .client("POST", SIGN_IN)
        .user(&anonymous)
        .body(json!({"code": code}))
        .expect(200)
        .await;
    assert_eq!(signed_in["user_id"], anonymous.user_id.as_str());
    assert_eq!(signed_in["is_new_user"], true);
    server
        .client("POST", "/auth/sessions/current/refresh")
        .header("x-stack-refresh-token", &anonymous.refresh)
        .expect(200)
        .await;
    // Signing in to an account that exists leaves another anonymous user alone.
    let another = server.anonymous().await;
    let code = server.sign_in_code(&email).await;
    let signed_in = server
        .client("POST", SIGN_IN)
        .user(&another)
        .body(json!({"code": code}))
        .expect(200)
        .await;
    assert_eq!(signed_in["user_id"], anonymous.user_id.as_str());
    let path = format!("/users/{}", another.user_id);
    assert_eq!(
        server.server("GET", &path).expect(200).await["is_anonymous"],
        true
    );
    server.assert_verified().await;
}
