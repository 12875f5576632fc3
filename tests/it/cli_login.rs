//! Contract 01 §7: signing a command-line program in through a browser.

use serde_json::{Value, json};

use crate::support::{PASSWORD, TestServer, Tokens, unique_email};

async fn begin(server: &TestServer, body: Value) -> (String, String) {
    let begun = server
        .client("POST", "/auth/cli")
        .body(body)
        .expect(200)
        .await;
    let text = |name: &str| begun[name].as_str().unwrap().to_owned();
    assert!(text("expires_at").ends_with('Z'));
    (text("polling_code"), text("login_code"))
}

async fn poll(server: &TestServer, code: &str, status: u16) -> Value {
    let call = server.client("POST", "/auth/cli/poll");
    call.body(json!({"polling_code": code}))
        .expect(status)
        .await
}

fn complete(server: &TestServer, body: Value) -> crate::support::Call {
    server.client("POST", "/auth/cli/complete").body(body)
}

#[tokio::test]
async fn a_program_gets_the_browsers_session_once() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let (polling, login) = begin(&server, json!({})).await;
    assert_eq!(
        poll(&server, &polling, 200).await,
        json!({"status": "waiting"})
    );
    let check = complete(&server, json!({"login_code": login, "mode": "check"}));
    assert_eq!(
        check.expect(200).await,
        json!({"cli_session_state": "none"})
    );
    complete(&server, json!({"login_code": login}))
        .refused_in_words(400)
        .await;
    complete(
        &server,
        json!({"login_code": login, "refresh_token": "nonsense"}),
    )
    .refused_in_words(400)
    .await;
    let body = json!({"login_code": login, "refresh_token": user.refresh});
    assert_eq!(
        complete(&server, body.clone()).expect(200).await,
        json!({"success": true})
    );
    complete(&server, body).refused_in_words(400).await;
    let success = poll(&server, &polling, 201).await;
    assert_eq!(
        success,
        json!({"status": "success", "refresh_token": user.refresh})
    );
    assert_eq!(
        poll(&server, &polling, 200).await,
        json!({"status": "used"})
    );
    server
        .client("POST", "/auth/cli/poll")
        .body(json!({"polling_code": "unknown"}))
        .refused(400, "INVALID_POLLING_CODE")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn of_concurrent_polls_and_completions_exactly_one_wins() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let (polling, login) = begin(&server, json!({})).await;
    let body = json!({"login_code": login, "mode": "complete", "refresh_token": user.refresh});
    let all = (0..8).map(|_| complete(&server, body.clone()).send());
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1
    );
    let all = (0..8).map(|_| {
        let call = server.client("POST", "/auth/cli/poll");
        call.body(json!({"polling_code": polling})).send()
    });
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        1
    );
    assert!(answers.iter().all(|answer| answer.status.is_success()));
}

#[tokio::test]
async fn an_anonymous_program_keeps_its_data_through_the_browser() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous().await;
    let (polling, login) = begin(&server, json!({"anon_refresh_token": anonymous.refresh})).await;
    let check = || complete(&server, json!({"login_code": login, "mode": "check"}));
    for _ in 0..2 {
        assert_eq!(
            check().expect(200).await,
            json!({"cli_session_state": "anonymous"})
        );
    }
    let claim = || {
        complete(
            &server,
            json!({"login_code": login, "mode": "claim-anon-session"}),
        )
    };
    let claimed = claim().expect(200).await;
    assert_eq!(claimed["refresh_token"], anonymous.refresh.as_str());
    claim().refused_in_words(400).await;
    assert_eq!(
        check().expect(200).await,
        json!({"cli_session_state": "none"})
    );
    let browser = Tokens {
        access: claimed["access_token"].as_str().unwrap().to_owned(),
        ..anonymous.clone()
    };
    let signed_up = server
        .client("POST", "/auth/password/sign-up")
        .user(&browser)
        .body(json!({"email": unique_email(), "password": PASSWORD}))
        .expect(200)
        .await;
    assert_eq!(signed_up["user_id"], anonymous.user_id.as_str());
    let body = json!({"login_code": login, "refresh_token": signed_up["refresh_token"]});
    complete(&server, body).expect(200).await;
    let success = poll(&server, &polling, 201).await;
    assert_eq!(success["refresh_token"], signed_up["refresh_token"]);
    server.assert_verified().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    for body in [
        json!({"expires_in_millis": 86_400_001}),
        json!({"expires_in_millis": "soon"}),
        json!({"unknown": 1}),
    ] {
        server
            .client("POST", "/auth/cli")
            .body(body)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    for token in ["unknown", user.refresh.as_str()] {
        let call = server
            .client("POST", "/auth/cli")
            .body(json!({"anon_refresh_token": token}));
        call.refused_in_words(400).await;
    }
    server.client("POST", "/auth/cli").expect(200).await;
    let other = server.new_project(json!({})).await;
    let (polling, login) = begin(&server, json!({"expires_in_millis": 1000})).await;
    server
        .client_of(&other, "POST", "/auth/cli/poll")
        .body(json!({"polling_code": polling}))
        .refused(400, "INVALID_POLLING_CODE")
        .await;
    let stranger = server.sign_up_to(&other, &unique_email()).await;
    let body = json!({"login_code": login, "refresh_token": stranger.refresh});
    complete(&server, body).refused_in_words(400).await;
    complete(&server, json!({"login_code": login, "mode": "steal"}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server.clock.advance(1001);
    assert_eq!(
        poll(&server, &polling, 200).await,
        json!({"status": "expired"})
    );
    for mode in ["check", "claim-anon-session", "complete"] {
        let body = json!({"login_code": login, "mode": mode, "refresh_token": user.refresh});
        complete(&server, body).refused_in_words(400).await;
    }
}
