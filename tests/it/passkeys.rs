//! Contract 02 §5: passkeys, with an authenticator that really signs.

use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::support::{TestServer, Tokens, unique_email};

const ORIGIN: &str = "http://localhost:3000";

async fn start() -> TestServer {
    let server = TestServer::start().await;
    server.offer_everything().await;
    server
}

async fn begin_registration(server: &TestServer, user: &Tokens) -> Value {
    server
        .client("POST", "/auth/passkey/initiate-passkey-registration")
        .user(user)
        .body(json!({}))
        .expect(200)
        .await
}

async fn register(server: &TestServer, user: &Tokens, authenticator: &mut Authenticator) -> Value {
    let begun = begin_registration(server, user).await;
    let body =
        json!({"credential": authenticator.create(&begun["options_json"]), "code": begun["code"]});
    server
        .client("POST", "/auth/passkey/register")
        .user(user)
        .body(body)
        .expect(200)
        .await
}

async fn begin_sign_in(server: &TestServer) -> Value {
    let path = "/auth/passkey/initiate-passkey-authentication";
    server
        .client("POST", path)
        .body(json!({}))
        .expect(200)
        .await
}

fn signed(begun: &Value, authenticator: &mut Authenticator) -> Value {
    json!({"authentication_response": authenticator.get(&begun["options_json"]), "code": begun["code"]})
}

const SIGN_IN: &str = "/auth/passkey/sign-in";

#[tokio::test]
async fn a_passkey_is_registered_and_signs_in() {
    let server = start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let begun = begin_registration(&server, &user).await;
    let options = &begun["options_json"];
    assert_eq!(
        options["rp"]["id"],
        "THIS_VALUE_WILL_BE_REPLACED.example.com"
    );
    assert_eq!(options["rp"]["name"], "Test");
    assert_eq!(options["user"]["name"], email.as_str());
    assert_eq!(options["timeout"], 60_000);
    assert_eq!(
        options["pubKeyCredParams"][1],
        json!({"type": "public-key", "alg": -7})
    );
    let mut authenticator = Authenticator::new(ORIGIN);
    let body = json!({"credential": authenticator.create(options), "code": begun["code"]});
    let call = || server.client("POST", "/auth/passkey/register").user(&user);
    let registered = call().body(body.clone()).expect(200).await;
    assert_eq!(registered, json!({"user_handle": authenticator.id()}));
    call()
        .body(body)
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(me["passkey_auth_enabled"], true);
    for _ in 0..2 {
        let begun = begin_sign_in(&server).await;
        assert_eq!(begun["options_json"]["allowCredentials"], json!([]));
        let body = signed(&begun, &mut authenticator);
        let signed_in = server.client("POST", SIGN_IN).body(body).expect(200).await;
        assert_eq!(signed_in["user_id"], user.user_id.as_str());
        assert_eq!(signed_in["is_new_user"], false);
    }
    server.assert_verified().await;
}

#[tokio::test]
async fn what_was_not_signed_for_this_is_refused() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let mut authenticator = Authenticator::new(ORIGIN);
    register(&server, &user, &mut authenticator).await;
    let fails = async |body: Value| {
        let call = server.client("POST", SIGN_IN).body(body);
        call.refused(400, "PASSKEY_AUTHENTICATION_FAILED").await;
    };
    // The signature of another challenge.
    let (one, two) = (begin_sign_in(&server).await, begin_sign_in(&server).await);
    let mut body = signed(&one, &mut authenticator);
    body["code"] = two["code"].clone();
    fails(body).await;
    // Another origin than the project trusts.
    let mut elsewhere = Authenticator::new("https://evil.example.org");
    elsewhere
        .credential_id
        .clone_from(&authenticator.credential_id);
    let begun = begin_sign_in(&server).await;
    fails(signed(&begun, &mut elsewhere)).await;
    // Another key with the same credential id.
    let mut forged = Authenticator::new(ORIGIN);
    forged
        .credential_id
        .clone_from(&authenticator.credential_id);
    forged.counter = 100;
    let begun = begin_sign_in(&server).await;
    fails(signed(&begun, &mut forged)).await;
    // A counter that stands still: a copy.
    let begun = begin_sign_in(&server).await;
    let body = signed(&begun, &mut authenticator);
    server.client("POST", SIGN_IN).body(body).expect(200).await;
    authenticator.counter = 0;
    let begun = begin_sign_in(&server).await;
    fails(signed(&begun, &mut authenticator)).await;
    // A credential that nobody registered.
    let begun = begin_sign_in(&server).await;
    fails(signed(&begun, &mut Authenticator::new(ORIGIN))).await;
    // Rubbish.
    let begun = begin_sign_in(&server).await;
    fails(json!({"authentication_response": {"id": authenticator.id()}, "code": begun["code"]}))
        .await;
    let begun = begin_sign_in(&server).await;
    let mut body = signed(&begun, &mut authenticator);
    body["authentication_response"] = json!("text");
    server
        .client("POST", SIGN_IN)
        .body(body)
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn registrations_that_do_not_fit_are_refused() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let other = server.sign_up(&unique_email()).await;
    let call = || server.client("POST", "/auth/passkey/register");
    let begun = begin_registration(&server, &user).await;
    let mut evil = Authenticator::new("https://evil.example.org");
    let body = json!({"credential": evil.create(&begun["options_json"]), "code": begun["code"]});
    call()
        .user(&user)
        .body(body)
        .refused(400, "PASSKEY_REGISTRATION_FAILED")
        .await;
    let mut authenticator = Authenticator::new(ORIGIN);
    let begun = begin_registration(&server, &user).await;
    let body =
        json!({"credential": authenticator.create(&begun["options_json"]), "code": begun["code"]});
    call()
        .user(&other)
        .body(body)
        .refused(400, "PASSKEY_REGISTRATION_FAILED")
        .await;
    let begun = begin_registration(&server, &user).await;
    let body =
        json!({"credential": authenticator.create(&begun["options_json"]), "code": begun["code"]});
    call()
        .body(body)
        .refused(401, "USER_AUTHENTICATION_REQUIRED")
        .await;
    let begun = begin_registration(&server, &user).await;
    let body =
        json!({"credential": authenticator.create(&begun["options_json"]), "code": begun["code"]});
    server.clock.advance(65_000);
    call()
        .user(&user)
        .body(body)
        .refused(400, "VERIFICATION_CODE_EXPIRED")
        .await;
    server
        .client("POST", "/auth/passkey/initiate-passkey-registration")
        .refused(400, "SCHEMA_ERROR")
        .await;
    server.configure(json!({"passkey_enabled": false})).await;
    for path in [
        "/auth/passkey/initiate-passkey-registration",
        "/auth/passkey/initiate-passkey-authentication",
    ] {
        let call = server.client("POST", path).user(&user).body(json!({}));
        call.refused(400, "PASSKEY_AUTHENTICATION_NOT_ENABLED")
            .await;
    }
}

#[tokio::test]
async fn a_second_passkey_replaces_the_first_and_a_server_takes_it_away() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let mut first = Authenticator::new(ORIGIN);
    let mut second = Authenticator::new(ORIGIN).without_verification();
    register(&server, &user, &mut first).await;
    register(&server, &user, &mut second).await;
    let begun = begin_sign_in(&server).await;
    let body = signed(&begun, &mut first);
    server
        .client("POST", SIGN_IN)
        .body(body)
        .refused(400, "PASSKEY_AUTHENTICATION_FAILED")
        .await;
    let begun = begin_sign_in(&server).await;
    let body = signed(&begun, &mut second);
    server.client("POST", SIGN_IN).body(body).expect(200).await;
    server.assert_verified().await;
    let path = format!("/users/{}", user.user_id);
    let patch = |value: bool| {
        server
            .server("PATCH", &path)
            .body(json!({"passkey_auth_enabled": value}))
    };
    patch(true).refused_in_words(400).await;
    assert_eq!(
        patch(false).expect(200).await["passkey_auth_enabled"],
        false
    );
    let begun = begin_sign_in(&server).await;
    let body = signed(&begun, &mut second);
    server
        .client("POST", SIGN_IN)
        .body(body)
        .refused(400, "PASSKEY_AUTHENTICATION_FAILED")
        .await;
    server.assert_verified().await;
}
