//! Sending mail: retries, refusals, and what a crash may do.

use muniment::server::Follow;
use serde_json::json;
use sqlx::Row;

use crate::smtp::Mood;
use crate::support::{CALLBACK, TestServer, database, eventually, unique_email};

async fn ask(server: &TestServer, email: &str) {
    server
        .client("POST", "/auth/otp/send-sign-in-code")
        .body(json!({"email": email, "callback_url": CALLBACK}))
        .expect(200)
        .await;
}

/// Status, failures and the latest failure of the only email.
async fn state(server: &TestServer) -> (String, i32, Option<String>) {
    let row = sqlx::query("SELECT status, failures, last_failure FROM outgoing_emails")
        .fetch_one(server.pool())
        .await
        .unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test]
async fn a_passing_refusal_is_tried_again_later() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let email = unique_email();
    server.mail.next_moods([Mood::Reply("450 greylisted")]);
    ask(&server, &email).await;
    eventually("the first failure", || async {
        state(&server).await.1 == 1
    })
    .await;
    let (status, _, failure) = state(&server).await;
    assert_eq!(
        (status.as_str(), failure.as_deref()),
        ("pending", Some("TEMPORARY"))
    );
    assert!(server.mail.to(&email).is_empty());
    // The pause is forty seconds, give or take half.
    server.clock.advance(61_000);
    server.mail.first(&email).await;
    eventually("the note of it", || async {
        state(&server).await.0 == "sent"
    })
    .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn five_attempts_are_made_in_all() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    server
        .mail
        .next_moods(vec![Mood::Reply("421 come back later"); 6]);
    ask(&server, &unique_email()).await;
    for failures in 1..=5 {
        eventually("another failure", || async {
            state(&server).await.1 == failures
        })
        .await;
        server.clock.advance(600_000);
    }
    assert_eq!(state(&server).await.0, "failed");
    server.assert_verified().await;
}

#[tokio::test]
async fn a_lasting_refusal_is_the_end() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    server.mail.next_moods([Mood::Reply("553 no such mailbox")]);
    ask(&server, &unique_email()).await;
    eventually("the end", || async { state(&server).await.0 == "failed" }).await;
    assert_eq!(
        state(&server).await.2.as_deref(),
        Some("INVALID_EMAIL_ADDRESS")
    );
}

#[tokio::test]
async fn what_was_asked_for_while_nobody_sent_is_sent_once_by_the_next() {
    let url = database().await;
    let silent = TestServer::start_on(&url, Follow::Nothing).await;
    silent.offer_everything().await;
    let emails: Vec<String> = (0..20).map(|_| unique_email()).collect();
    for email in &emails {
        ask(&silent, email).await;
    }
    silent.stop().await;
    let (one, two) = (
        TestServer::start_on(&url, Follow::Everything).await,
        TestServer::start_on(&url, Follow::Everything).await,
    );
    eventually("all is sent", || async {
        let waiting = muniment_projections::read_models::outgoing_emails::waiting(one.pool());
        waiting.await.unwrap() == 0
    })
    .await;
    for email in &emails {
        assert_eq!(
            one.mail.to(email).len() + two.mail.to(email).len(),
            1,
            "{email}"
        );
    }
    one.assert_verified().await;
}

#[tokio::test]
async fn a_projects_own_server_is_used_in_its_own_name() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let own = crate::smtp::MailBox::open().await;
    server
        .configure(json!({"email_config": {
            "type": "standard", "host": "127.0.0.1", "port": own.server().port,
            "username": "user", "password": "password",
            "sender_name": "The Team", "sender_email": "team@example.com",
        }}))
        .await;
    let email = unique_email();
    ask(&server, &email).await;
    let mail = own.first(&email).await;
    assert_eq!(mail.from, "The Team <team@example.com>");
    assert!(server.mail.to(&email).is_empty());
}
