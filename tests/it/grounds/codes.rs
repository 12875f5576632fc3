//! Codes that open an account, or prove an address of it.

use futures_util::future::join_all;
use serde_json::json;

use super::{
    assert_void, mailed, patch_user, primary_channel, reset_code, sign_in, start, with_code,
};
use crate::support::{CALLBACK, PASSWORD, TestServer, Tokens, unique_email};

const RESET: &str = "/auth/password/reset";
const RESET_CHECK: &str = "/auth/password/reset/check-code";
const SIGN_IN: &str = "/auth/otp/sign-in";
const SIGN_IN_CHECK: &str = "/auth/otp/sign-in/check-code";
const VERIFY: &str = "/contact-channels/verify";
const VERIFY_CHECK: &str = "/contact-channels/verify/check-code";

#[tokio::test]
async fn a_reset_code_is_void_once_its_address_opens_the_account_no_longer() {
    let server = start().await;
    // The address is replaced and removed; or it is kept, but not for signing in; or it is changed.
    for way in 0..3 {
        let (old, new) = (unique_email(), unique_email());
        let user = server.sign_up(&old).await;
        let channel = primary_channel(&server, &user).await;
        let code = reset_code(&server, &old).await;
        with_code(&server, RESET_CHECK, &code).expect(200).await;
        match way {
            0 => {
                let change = json!({"primary_email": new, "primary_email_auth_enabled": true});
                patch_user(&server, &user, change).expect(200).await;
                server.server("DELETE", &channel).expect(200).await;
            }
            1 => {
                let change = json!({"used_for_auth": false});
                let call = server.server("PATCH", &channel).body(change);
                call.expect(200).await;
            }
            _ => {
                let call = server.server("PATCH", &channel).body(json!({"value": new}));
                call.expect(200).await;
            }
        }
        assert_void(&server, RESET, RESET_CHECK, &code).await;
    }
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let code = reset_code(&server, &email).await;
    super::delete_user(&server, &user).expect(200).await;
    assert_void(&server, RESET, RESET_CHECK, &code).await;
    server.assert_verified().await;
}

#[tokio::test]
async fn one_reset_code_voids_the_others() {
    let server = start().await;
    let (email, second) = (unique_email(), unique_email());
    let user = server.sign_up(&email).await;
    let body = json!({"user_id": user.user_id, "type": "email", "value": second, "is_verified": true, "used_for_auth": true});
    let add = server.server("POST", "/contact-channels").body(body);
    add.expect(201).await;
    let older = reset_code(&server, &email).await;
    let newer = reset_code(&server, &email).await;
    let elsewhere = reset_code(&server, &second).await;
    with_code(&server, RESET, &newer).expect(200).await;
    for void in [&older, &elsewhere] {
        assert_void(&server, RESET, RESET_CHECK, void).await;
    }
    sign_in(&server, &email, "a new password").expect(200).await;

    // Used at once, exactly one is.
    let codes = [
        reset_code(&server, &email).await,
        reset_code(&server, &email).await,
        reset_code(&server, &email).await,
    ];
    let uses = codes
        .iter()
        .map(|code| with_code(&server, RESET, code).send());
    let answers = join_all(uses).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    let lost = answers
        .iter()
        .filter(|answer| answer.known_error() == Some("VERIFICATION_CODE_NOT_FOUND"));
    assert_eq!((won, lost.count()), (1, 2));
    server.assert_verified().await;
}

#[tokio::test]
async fn a_password_changed_by_other_means_voids_reset_codes() {
    let server = start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let code = reset_code(&server, &email).await;
    let update = server.client("POST", "/auth/password/update");
    let body = json!({"old_password": PASSWORD, "new_password": "another password"});
    update.user(&user).body(body).expect(200).await;
    assert_void(&server, RESET, RESET_CHECK, &code).await;
    for password in [json!("yet another one"), json!(null)] {
        let code = reset_code(&server, &email).await;
        let change = json!({"password": password});
        patch_user(&server, &user, change).expect(200).await;
        assert_void(&server, RESET, RESET_CHECK, &code).await;
    }
    // A first password is a change as well: what was to set it is not needed any more.
    let code = reset_code(&server, &email).await;
    let path = "/auth/sessions";
    let body = json!({"user_id": user.user_id});
    let session = server.server("POST", path).body(body).expect(200).await;
    let user = Tokens {
        access: session["access_token"].as_str().unwrap().to_owned(),
        ..user
    };
    let set = server.client("POST", "/auth/password/set").user(&user);
    set.body(json!({"password": "a first password"}))
        .expect(200)
        .await;
    assert_void(&server, RESET, RESET_CHECK, &code).await;
    // Nothing else that changes does that.
    let code = reset_code(&server, &email).await;
    patch_user(&server, &user, json!({"display_name": "Ada"}))
        .expect(200)
        .await;
    sign_in(&server, &email, "a first password")
        .expect(200)
        .await;
    with_code(&server, RESET, &code).expect(200).await;
    server.assert_verified().await;
}

/// A user who signed up with a code.
async fn by_code(server: &TestServer, email: &str) -> Tokens {
    let code = server.sign_in_code(email).await;
    Tokens::of(&with_code(server, SIGN_IN, &code).expect(200).await)
}

#[tokio::test]
async fn a_sign_in_code_is_void_once_nobody_signs_in_with_its_address() {
    let server = start().await;
    let email = unique_email();
    let user = by_code(&server, &email).await;
    let code = server.sign_in_code(&email).await;
    let channel = primary_channel(&server, &user).await;
    server.server("DELETE", &channel).expect(200).await;
    assert_void(&server, SIGN_IN, SIGN_IN_CHECK, &code).await;

    // The mailbox is another account's by now, and it is that one that it opens.
    let moved = unique_email();
    let former = by_code(&server, &moved).await;
    let code = server.sign_in_code(&moved).await;
    let channel = primary_channel(&server, &former).await;
    server.server("DELETE", &channel).expect(200).await;
    let heir = by_code(&server, &moved).await;
    with_code(&server, SIGN_IN_CHECK, &code).expect(200).await;
    let signed_in = with_code(&server, SIGN_IN, &code).expect(200).await;
    assert_eq!(signed_in["user_id"], heir.user_id.as_str());
    assert_ne!(heir.user_id, former.user_id);

    // Kept, but not for signing in.
    let email = unique_email();
    let user = by_code(&server, &email).await;
    let code = server.sign_in_code(&email).await;
    let channel = primary_channel(&server, &user).await;
    let call = server
        .server("PATCH", &channel)
        .body(json!({"used_for_auth": false}));
    call.expect(200).await;
    assert_void(&server, SIGN_IN, SIGN_IN_CHECK, &code).await;
    server.assert_verified().await;
}

#[tokio::test]
async fn of_sign_in_codes_one_voids_the_others() {
    let server = start().await;
    let email = unique_email();
    let stranger = server.sign_in_code(&email).await;
    by_code(&server, &email).await;
    let older = server.sign_in_code(&email).await;
    let newer = server.sign_in_code(&email).await;
    with_code(&server, SIGN_IN, &newer).expect(200).await;
    for void in [&older, &stranger] {
        assert_void(&server, SIGN_IN, SIGN_IN_CHECK, void).await;
    }
    let codes = [
        server.sign_in_code(&email).await,
        server.sign_in_code(&email).await,
    ];
    let uses = codes
        .iter()
        .map(|code| with_code(&server, SIGN_IN, code).send());
    let answers = join_all(uses).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    server.assert_verified().await;
}

#[tokio::test]
async fn two_codes_of_a_new_address_used_at_once_both_get_in() {
    let server = start().await;
    for _ in 0..5 {
        let email = unique_email();
        let codes = [
            server.sign_in_code(&email).await,
            server.sign_in_code(&email).await,
            server.sign_in_code(&email).await,
        ];
        let uses = codes
            .iter()
            .map(|code| with_code(&server, SIGN_IN, code).expect(200));
        let answers = join_all(uses).await;
        let new = answers
            .iter()
            .filter(|answer| answer["is_new_user"] == true);
        assert_eq!(new.count(), 1);
        assert!(
            answers
                .iter()
                .all(|it| it["user_id"] == answers[0]["user_id"])
        );
    }
    server.assert_verified().await;
}

#[tokio::test]
async fn a_verification_code_is_void_once_the_address_left_the_account() {
    let server = start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let channel = primary_channel(&server, &user).await;
    let send = || {
        let call = server.client("POST", &format!("{channel}/send-verification-code"));
        call.user(&user).body(json!({"callback_url": CALLBACK}))
    };
    let code = mailed(&server, send(), &email).await;
    server.server("DELETE", &channel).expect(200).await;
    assert_void(&server, VERIFY, VERIFY_CHECK, &code).await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let channel = primary_channel(&server, &user).await;
    let send = server.client("POST", &format!("{channel}/send-verification-code"));
    let send = send.user(&user).body(json!({"callback_url": CALLBACK}));
    let code = mailed(&server, send, &email).await;
    super::delete_user(&server, &user).expect(200).await;
    assert_void(&server, VERIFY, VERIFY_CHECK, &code).await;
    server.assert_verified().await;
}

#[tokio::test]
async fn one_verification_code_voids_the_others() {
    let server = start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let channel = primary_channel(&server, &user).await;
    let send = || {
        let call = server.client("POST", &format!("{channel}/send-verification-code"));
        call.user(&user).body(json!({"callback_url": CALLBACK}))
    };
    let older = mailed(&server, send(), &email).await;
    let newer = mailed(&server, send(), &email).await;
    with_code(&server, VERIFY, &newer).expect(200).await;
    // Even if the address has to be proved again.
    let call = server
        .server("PATCH", &channel)
        .body(json!({"is_verified": false}));
    call.expect(200).await;
    assert_void(&server, VERIFY, VERIFY_CHECK, &older).await;
    let fresh = mailed(&server, send(), &email).await;
    with_code(&server, VERIFY, &fresh).expect(200).await;
    server.assert_verified().await;
}
