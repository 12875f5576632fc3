//! Users, their sessions and channels, and ways in that are barred.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::{NOBODY, Scene};
use crate::support::{PASSWORD, Tokens};

#[tokio::test]
async fn users() {
    let mut scene = Scene::open().await;
    let ada = scene.sign_up("ada").await;
    let path = format!("/users/{}", ada.user_id);
    let profile = json!({
        "display_name": "Ada Lovelace",
        "client_metadata": {"theme": "dark"},
        "client_read_only_metadata": {"tier": 2},
        "server_metadata": {"plan": "gold", "seats": [1, 2.5, null]},
        "primary_email_verified": true,
    });
    let patch = scene.server.server("PATCH", &path).body(profile);
    scene.shows("user_updated", patch).await;
    let server = &scene.server;
    let me = server.client("GET", "/users/me").user(&ada);
    scene.shows("user_as_the_client_sees_it", me).await;
    let user = server.server("GET", &path);
    scene.shows("user_as_the_server_sees_it", user).await;
    scene.sign_up("ben").await;
    scene.sign_up("cleo").await;
    let server = &scene.server;
    let page = server.server("GET", "/users?limit=2");
    scene.shows("users_first_page", page).await;
    let query = "/users?query=cleo&order_by=signed_up_at&desc=true";
    scene
        .shows("users_found", server.server("GET", query))
        .await;
    let nobody = server.server("GET", &format!("/users/{NOBODY}"));
    scene.shows("user_not_found", nobody).await;
    let body = json!({"primary_email": "ada@example.com", "primary_email_auth_enabled": true});
    let taken = server.server("POST", "/users").body(body);
    scene.shows("user_email_taken", taken).await;
    let deleted = server.server("DELETE", &path);
    scene.shows("user_deleted", deleted).await;
}

#[tokio::test]
async fn sessions() {
    let mut scene = Scene::open().await;
    let ada = scene.sign_up("ada").await;
    let server = &scene.server;
    server.clock.advance(1000);
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let sign_in = server.client("POST", "/auth/password/sign-in").body(body);
    scene.shows("signed_in", sign_in).await;
    let list = format!("/auth/sessions?user_id={}", ada.user_id);
    let list = server.client("GET", &list).user(&ada);
    scene.shows("sessions", list).await;
    let body = json!({"user_id": ada.user_id, "expires_in_millis": 60_000});
    let issued = server.server("POST", "/auth/sessions").body(body);
    scene.shows("session_for_impersonation", issued).await;
    let refresh = || {
        let call = server.client("POST", "/auth/sessions/current/refresh");
        call.header("x-stack-refresh-token", &ada.refresh)
    };
    scene.shows("session_refreshed", refresh()).await;
    let claims = claims(&refresh().expect(200).await);
    scene.compare("access_token_claims", &claims);
    let me = || server.client("GET", "/users/me");
    let garbage = me().header("x-stack-access-token", "garbage");
    scene.shows("access_token_unparsable", garbage).await;
    server.clock.advance(3_600_000);
    let expired = me().header("x-stack-access-token", &ada.access);
    scene.shows("access_token_expired", expired).await;
    let gone = server.client("DELETE", "/auth/sessions/current");
    let gone = gone.header("x-stack-refresh-token", &ada.refresh);
    gone.user(&refreshed(&ada, &refresh().expect(200).await))
        .expect(200)
        .await;
    scene.shows("refresh_token_not_found", refresh()).await;
}

fn refreshed(user: &Tokens, answer: &Value) -> Tokens {
    Tokens {
        access: answer["access_token"].as_str().unwrap().to_owned(),
        ..user.clone()
    }
}

/// Header and claims of an access token.
fn claims(answer: &Value) -> String {
    let token = answer["access_token"].as_str().unwrap();
    let mut parts = token.split('.').take(2).map(|part| {
        let part = BASE64URL_NOPAD.decode(part.as_bytes()).unwrap();
        serde_json::from_slice::<Value>(&part).unwrap()
    });
    let mut header = parts.next().unwrap();
    // It follows from the project's key, which follows from its id.
    header["kid"] = json!("[key id]");
    let both = json!({"header": header, "claims": parts.next().unwrap()});
    serde_json::to_string_pretty(&both).unwrap()
}

#[tokio::test]
async fn contact_channels_and_preferences() {
    let mut scene = Scene::open().await;
    let ada = scene.sign_up("ada").await;
    let server = &scene.server;
    server.clock.advance(1000);
    let body = json!({
        "user_id": ada.user_id, "type": "email", "value": "second@example.com",
        "used_for_auth": false,
    });
    let added = server.server("POST", "/contact-channels").body(body);
    scene.shows("contact_channel_added", added).await;
    let list = server.client("GET", "/contact-channels?user_id=me");
    scene.shows("contact_channels", list.user(&ada)).await;
    let verify = server.client("POST", "/contact-channels/verify");
    let verify = verify.body(json!({"code": "0".repeat(45)}));
    scene.shows("verification_code_not_found", verify).await;
    let preferences = "/emails/notification-preference/me";
    let preferences = server.client("GET", preferences).user(&ada);
    scene.shows("notification_preferences", preferences).await;
}

#[tokio::test]
async fn ways_in_that_are_barred() {
    let mut scene = Scene::open().await;
    scene.sign_up("ada").await;
    let server = &scene.server;
    let post = |path: &str, body: Value| server.client("POST", path).body(body);
    let with = |email: &str, password: &str| json!({"email": email, "password": password});
    let sign_in = |email| post("/auth/password/sign-in", with(email, "wrong horse"));
    scene
        .shows("password_mismatch", sign_in("ada@example.com"))
        .await;
    let sign_up = |email, password| post("/auth/password/sign-up", with(email, password));
    let taken = sign_up("ada@example.com", PASSWORD);
    scene.shows("sign_up_email_taken", taken).await;
    let short = sign_up("ben@example.com", "short");
    scene.shows("password_too_short", short).await;
    let code = |callback: &str| json!({"email": "ben@example.com", "callback_url": callback});
    let send = || post("/auth/otp/send-sign-in-code", code("http://localhost:3000"));
    scene.shows("otp_not_enabled", send()).await;
    server.offer_everything().await;
    let elsewhere = code("https://elsewhere.example.com");
    let elsewhere = post("/auth/otp/send-sign-in-code", elsewhere);
    scene.shows("redirect_not_trusted", elsewhere).await;
    scene.shows("otp_sent", send()).await;
    let wrong = post("/auth/otp/sign-in", json!({"code": "0".repeat(45)}));
    scene.shows("otp_wrong", wrong).await;
    let reset = post("/auth/password/send-reset-code", code("not a url"));
    scene.shows("callback_is_no_url", reset).await;
}
