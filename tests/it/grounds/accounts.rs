//! What opens an account by itself: passwords, passkeys, and the attempt that the first factor
//! begins.

use data_encoding::BASE64;
use serde_json::{Value, json};
use totp_rs::{Algorithm, Builder};

use super::{delete_user, patch_user, primary_channel, sign_in, start};
use crate::authenticator::Authenticator;
use crate::support::{Call, PASSWORD, TestServer, Tokens, unique_email};

const NEW: &str = "another password";
const SECRET: &[u8] = b"a secret of twenty b";

#[tokio::test]
async fn a_password_opens_what_it_still_is_of() {
    let server = start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    patch_user(&server, &user, json!({"password": NEW}))
        .expect(200)
        .await;
    sign_in(&server, &email, PASSWORD)
        .refused(400, "EMAIL_PASSWORD_MISMATCH")
        .await;
    sign_in(&server, &email, NEW).expect(200).await;
    let channel = primary_channel(&server, &user).await;
    let used = |flag: bool| {
        server
            .server("PATCH", &channel)
            .body(json!({"used_for_auth": flag}))
    };
    used(false).expect(200).await;
    sign_in(&server, &email, NEW)
        .refused(400, "EMAIL_PASSWORD_MISMATCH")
        .await;
    used(true).expect(200).await;
    sign_in(&server, &email, NEW).expect(200).await;
    delete_user(&server, &user).expect(200).await;
    sign_in(&server, &email, NEW)
        .refused(400, "EMAIL_PASSWORD_MISMATCH")
        .await;
    server.assert_verified().await;
}

async fn begun(server: &TestServer, user: Option<&Tokens>, ceremony: &str) -> Value {
    let path = format!("/auth/passkey/initiate-passkey-{ceremony}");
    let call = server.client("POST", &path).body(json!({}));
    let call = match user {
        Some(user) => call.user(user),
        None => call,
    };
    call.expect(200).await
}

fn register(server: &TestServer, user: &Tokens, credential: &Value, begun: &Value) -> Call {
    let call = server.client("POST", "/auth/passkey/register").user(user);
    call.body(json!({"credential": credential, "code": begun["code"]}))
}

#[tokio::test]
async fn a_passkey_goes_with_its_account() {
    let server = start().await;
    let mut authenticator = Authenticator::new("http://localhost:3000");
    let user = server.sign_up(&unique_email()).await;
    let registration = begun(&server, Some(&user), "registration").await;
    let credential = authenticator.create(&registration["options_json"]);
    register(&server, &user, &credential, &registration)
        .expect(200)
        .await;
    let unfinished = begun(&server, Some(&user), "registration").await;
    let mut sign_in = async || {
        let begun = begun(&server, None, "authentication").await;
        let response = authenticator.get(&begun["options_json"]);
        let body = json!({"authentication_response": response, "code": begun["code"]});
        server.client("POST", "/auth/passkey/sign-in").body(body)
    };
    sign_in().await.expect(200).await;
    let remove =
        |enabled: bool| patch_user(&server, &user, json!({"passkey_auth_enabled": enabled}));
    remove(false).expect(200).await;
    sign_in()
        .await
        .refused(400, "PASSKEY_AUTHENTICATION_FAILED")
        .await;
    delete_user(&server, &user).expect(200).await;
    sign_in()
        .await
        .refused(400, "PASSKEY_AUTHENTICATION_FAILED")
        .await;
    // The registration that was begun is forgotten with its user, whoever brings it back.
    let other = server.sign_up(&unique_email()).await;
    let mut second = Authenticator::new("http://localhost:3000");
    let credential = second.create(&unfinished["options_json"]);
    register(&server, &other, &credential, &unfinished)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    server.assert_verified().await;
}

fn totp(server: &TestServer) -> String {
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_secret(SECRET.to_vec())
        .build_noncompliant();
    let seconds = u64::try_from(server.clock.now().seconds()).unwrap();
    totp.generate(seconds).to_string()
}

async fn attempt(server: &TestServer, email: &str, password: &str) -> String {
    let details = sign_in(server, email, password)
        .refused(400, "MULTI_FACTOR_AUTHENTICATION_REQUIRED")
        .await;
    details["attempt_code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_attempt_goes_with_its_first_factor() {
    let server = start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let secret = json!({"totp_secret_base64": BASE64.encode(SECRET)});
    let change = server.client("PATCH", "/users/me").user(&user);
    change.body(secret).expect(200).await;
    let complete = |code: &str| {
        let body = json!({"code": code, "type": "totp", "totp": totp(&server)});
        server.client("POST", "/auth/mfa/sign-in").body(body)
    };
    // The password was changed, or reset, or the account is gone.
    let code = attempt(&server, &email, PASSWORD).await;
    patch_user(&server, &user, json!({"password": NEW}))
        .expect(200)
        .await;
    complete(&code)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let code = attempt(&server, &email, NEW).await;
    let reset = super::reset_code(&server, &email).await;
    super::with_code(&server, "/auth/password/reset", &reset)
        .expect(200)
        .await;
    complete(&code)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let code = attempt(&server, &email, "a new password").await;
    complete(&code).expect(200).await;
    let code = attempt(&server, &email, "a new password").await;
    delete_user(&server, &user).expect(200).await;
    complete(&code)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    server.assert_verified().await;
}
