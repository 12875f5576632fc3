//! Contract 03 §2: contact channels.

use serde_json::{Value, json};

use crate::support::{CALLBACK, PASSWORD, TestServer, Tokens, unique_email};

async fn add(server: &TestServer, user: &Tokens, value: &str, used_for_auth: bool) -> Value {
    // Channels are listed by age.
    server.clock.advance(1);
    server
        .client("POST", "/contact-channels")
        .user(user)
        .body(json!({"user_id": "me", "type": "email", "value": value, "used_for_auth": used_for_auth}))
        .expect(201)
        .await
}

fn path_of(channel: &Value) -> String {
    format!(
        "/contact-channels/{}/{}",
        channel["user_id"].as_str().unwrap(),
        channel["id"].as_str().unwrap()
    )
}

#[tokio::test]
async fn channels_are_added_changed_and_removed() {
    let server = TestServer::start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let second = unique_email();
    let channel = add(
        &server,
        &user,
        &format!(" {}", second.to_uppercase()),
        false,
    )
    .await;
    assert_eq!(channel["value"], second.as_str());
    assert_eq!(
        (
            &channel["is_primary"],
            &channel["is_verified"],
            &channel["used_for_auth"]
        ),
        (&json!(false), &json!(false), &json!(false))
    );
    let list = || {
        server
            .client("GET", "/contact-channels?user_id=me")
            .user(&user)
    };
    let items = list().expect(200).await["items"].clone();
    let values: Vec<&str> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["value"].as_str().unwrap())
        .collect();
    assert_eq!(values, [email.as_str(), second.as_str()]);
    let path = path_of(&channel);
    assert_eq!(
        server.client("GET", &path).user(&user).expect(200).await,
        channel
    );
    // It becomes the primary one, and one to sign in with.
    let changed = server
        .client("PATCH", &path)
        .user(&user)
        .body(json!({"is_primary": true, "used_for_auth": true}))
        .expect(200)
        .await;
    assert_eq!(
        (&changed["is_primary"], &changed["used_for_auth"]),
        (&json!(true), &json!(true))
    );
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(me["primary_email"], second.as_str());
    for address in [&email, &second] {
        server
            .client("POST", "/auth/password/sign-in")
            .body(json!({"email": address, "password": PASSWORD}))
            .expect(200)
            .await;
    }
    server.assert_verified().await;
    // Without the primary one the user has none.
    let delete = || server.client("DELETE", &path).user(&user);
    assert_eq!(delete().expect(200).await, json!({"success": true}));
    delete().refused_in_words(400).await;
    server
        .client("GET", &path)
        .user(&user)
        .refused_in_words(404)
        .await;
    let patch = server
        .client("PATCH", &path)
        .user(&user)
        .body(json!({"is_primary": true}));
    patch.refused_in_words(400).await;
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(me["primary_email"], Value::Null);
    server.assert_verified().await;
}

#[tokio::test]
async fn a_new_value_is_unverified_unless_a_server_says_otherwise() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let body = json!({
        "user_id": user.user_id, "type": "email", "value": unique_email(),
        "used_for_auth": false, "is_verified": true,
    });
    let channel = server
        .server("POST", "/contact-channels")
        .body(body.clone())
        .expect(201)
        .await;
    assert_eq!(channel["is_verified"], true);
    server
        .client("POST", "/contact-channels")
        .user(&user)
        .body(body)
        .refused(400, "SCHEMA_ERROR")
        .await;
    let path = path_of(&channel);
    let next = unique_email();
    let changed = server
        .client("PATCH", &path)
        .user(&user)
        .body(json!({"value": next.to_uppercase()}));
    let changed = changed.expect(200).await;
    assert_eq!(
        (&changed["value"], &changed["is_verified"]),
        (&json!(next), &json!(false))
    );
    server
        .client("PATCH", &path)
        .user(&user)
        .body(json!({"is_verified": true}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    let changed = server
        .server("PATCH", &path)
        .body(json!({"value": unique_email(), "is_verified": true}));
    assert_eq!(changed.expect(200).await["is_verified"], true);
    server.assert_verified().await;
}

#[tokio::test]
async fn an_address_signs_in_one_user_only() {
    let server = TestServer::start().await;
    let (taken, own) = (unique_email(), unique_email());
    server.sign_up(&taken).await;
    let user = server.sign_up(&own).await;
    let details = server
        .client("POST", "/contact-channels")
        .user(&user)
        .body(json!({"user_id": "me", "type": "email", "value": taken, "used_for_auth": true}))
        .refused(409, "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE")
        .await;
    assert_eq!(
        details,
        json!({"type": "email", "contact_channel_value": taken, "would_work_if_email_was_verified": false})
    );
    let channel = add(&server, &user, &taken, false).await;
    let details = server
        .client("PATCH", &path_of(&channel))
        .user(&user)
        .body(json!({"used_for_auth": true}))
        .refused(409, "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE")
        .await;
    assert_eq!(details["contact_channel_value"], Value::Null);
    // The same user has each address once.
    let again = json!({"user_id": "me", "type": "email", "value": own, "used_for_auth": false});
    server
        .client("POST", "/contact-channels")
        .user(&user)
        .body(again)
        .refused_in_words(400)
        .await;
    let patch = server
        .client("PATCH", &path_of(&channel))
        .user(&user)
        .body(json!({"value": own}));
    patch.refused_in_words(400).await;
    server.assert_verified().await;
}

#[tokio::test]
async fn clients_handle_their_own_channels_only() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let other = server.sign_up(&unique_email()).await;
    let channel = add(&server, &other, &unique_email(), false).await;
    let path = path_of(&channel);
    server
        .client("GET", "/contact-channels")
        .user(&user)
        .refused_in_words(403)
        .await;
    let elsewhere = format!("/contact-channels?user_id={}", other.user_id);
    server
        .client("GET", &elsewhere)
        .user(&user)
        .refused_in_words(403)
        .await;
    server
        .client("GET", "/contact-channels")
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    server
        .client("GET", &path)
        .user(&user)
        .refused_in_words(403)
        .await;
    server
        .client("DELETE", &path)
        .user(&user)
        .refused_in_words(403)
        .await;
    server
        .client("PATCH", &path)
        .user(&user)
        .body(json!({}))
        .refused_in_words(403)
        .await;
    let send = format!("{path}/send-verification-code");
    let body = json!({"callback_url": CALLBACK});
    server
        .client("POST", &send)
        .user(&user)
        .body(body.clone())
        .refused_in_words(400)
        .await;
    server
        .client("POST", &send)
        .body(body)
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    let all = server.server("GET", "/contact-channels").expect(200).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    let one = format!(
        "/contact-channels?contact_channel_id={}",
        channel["id"].as_str().unwrap()
    );
    assert_eq!(
        server.server("GET", &one).expect(200).await["items"],
        json!([channel])
    );
    let nobody = json!({
        "user_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de", "type": "email",
        "value": unique_email(), "used_for_auth": false,
    });
    server
        .server("POST", "/contact-channels")
        .body(nobody)
        .refused(404, "USER_NOT_FOUND")
        .await;
}

#[tokio::test]
async fn a_mailed_code_verifies_its_channel() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let second = unique_email();
    let channel = add(&server, &user, &second, false).await;
    let send = format!("{}/send-verification-code", path_of(&channel));
    let call = |callback: &str| {
        let body = json!({"callback_url": callback});
        server.client("POST", &send).user(&user).body(body)
    };
    call("https://evil.example.org")
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
    call(CALLBACK).expect(200).await;
    call(CALLBACK).expect(200).await;
    let (first, again) = (
        server.mail.first(&second).await.code(),
        server.mail.nth(&second, 2).await.code(),
    );
    let check = server.client("POST", "/contact-channels/verify/check-code");
    assert_eq!(
        check.body(json!({"code": first})).expect(200).await,
        json!({"is_code_valid": true})
    );
    let verify = |code: &str| {
        let call = server.client("POST", "/contact-channels/verify");
        call.body(json!({"code": code}))
    };
    verify(&again).expect(200).await;
    verify(&first)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let read = server
        .client("GET", &path_of(&channel))
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(read["is_verified"], true);
    call(CALLBACK).refused(409, "EMAIL_ALREADY_VERIFIED").await;
    // The older endpoint knows the primary address only.
    let legacy = |email: &str| {
        server
            .client("POST", "/contact-channels/send-verification-code")
            .user(&user)
            .body(json!({"email": email, "callback_url": CALLBACK}))
    };
    let details = legacy(&second)
        .refused(400, "EMAIL_IS_NOT_PRIMARY_EMAIL")
        .await;
    assert_eq!(details, json!({"email": second, "primary_email": email}));
    legacy(&email).expect(200).await;
    let code = server.mail.first(&email).await.code();
    // The address moved on before the code came back.
    let primary = server
        .client("GET", "/contact-channels?user_id=me")
        .user(&user)
        .expect(200)
        .await;
    let path = path_of(&primary["items"][0]);
    server
        .client("PATCH", &path)
        .user(&user)
        .body(json!({"value": unique_email()}))
        .expect(200)
        .await;
    for _ in 0..2 {
        verify(&code)
            .refused(404, "VERIFICATION_CODE_NOT_FOUND")
            .await;
    }
    let unknown = "/contact-channels/6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de/6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de/send-verification-code";
    let body = json!({"callback_url": CALLBACK});
    let details = server
        .server("POST", unknown)
        .body(body.clone())
        .refused(400, "USER_ID_DOES_NOT_EXIST")
        .await;
    assert_eq!(
        details,
        json!({"user_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de"})
    );
    let unknown = format!(
        "/contact-channels/{}/6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de/send-verification-code",
        user.user_id
    );
    server
        .server("POST", &unknown)
        .body(body)
        .refused_in_words(404)
        .await;
    server.assert_verified().await;
}
