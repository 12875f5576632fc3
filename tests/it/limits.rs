//! Limits against abuse, and whose address they go by.

use muniment::security::limits::Quotas;
use muniment::server::Follow;
use serde_json::json;

use crate::support::{Answer, Call, PASSWORD, TestServer, database, unique_email};

async fn limited(quotas: &str, trusted_proxy: Option<&str>) -> TestServer {
    let trusted_proxy = trusted_proxy.map(|proxy| proxy.parse().unwrap());
    let quotas: Quotas = quotas.parse().unwrap();
    TestServer::start_limited(&database().await, Follow::Nothing, quotas, trusted_proxy).await
}

fn sign_in(server: &TestServer, email: &str, password: &str) -> Call {
    let call = server.client("POST", "/auth/password/sign-in");
    call.body(json!({"email": email, "password": password}))
}

/// Demands a refusal, and yields the seconds to wait.
fn refusal(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{}", answer.text);
    assert_eq!(answer.known_error(), None);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("content-type").starts_with("text/plain"));
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn passwords_cannot_be_guessed() {
    let server = TestServer::start().await;
    let email = unique_email();
    server.sign_up(&email).await;
    for guessed in [&email, "nobody@example.com"] {
        for _ in 0..20 {
            sign_in(&server, guessed, "wrong password")
                .refused(400, "EMAIL_PASSWORD_MISMATCH")
                .await;
        }
        let answer = sign_in(&server, guessed, "wrong password").send().await;
        assert_eq!(refusal(&answer), 30);
        // However it is written.
        let answer = sign_in(&server, &guessed.to_uppercase(), "wrong password");
        refusal(&answer.send().await);
    }
    // Not even the right one is looked at.
    refusal(&sign_in(&server, &email, PASSWORD).send().await);
    // Others are not affected, also those of another project with the same address.
    let other = unique_email();
    server.sign_up(&other).await;
    sign_in(&server, &other, PASSWORD).expect(200).await;
    let project = server.new_project(json!({})).await;
    server.sign_up_to(&project, &email).await;
    let call = server.client_of(&project, "POST", "/auth/password/sign-in");
    call.body(json!({"email": email, "password": PASSWORD}))
        .expect(200)
        .await;
    server.clock.advance(29_000);
    let answer = sign_in(&server, &email, PASSWORD).send().await;
    assert_eq!(refusal(&answer), 1);
    server.clock.advance(1_000);
    for _ in 0..30 {
        sign_in(&server, &email, PASSWORD).expect(200).await;
    }
    sign_in(&server, &email, "wrong password")
        .refused(400, "EMAIL_PASSWORD_MISMATCH")
        .await;
    refusal(&sign_in(&server, &email, PASSWORD).send().await);
}

#[tokio::test]
async fn guessing_in_parallel_gains_nothing_and_signing_in_in_parallel_costs_nothing() {
    let server = TestServer::start().await;
    let email = unique_email();
    server.sign_up(&email).await;
    let together = |password: &str| {
        let calls: Vec<_> = (0..60)
            .map(|_| tokio::spawn(sign_in(&server, &email, password).send()))
            .collect();
        async {
            let mut statuses = Vec::new();
            for call in calls {
                statuses.push(call.await.unwrap().status.as_u16());
            }
            statuses
        }
    };
    assert_eq!(together(PASSWORD).await, [200; 60]);
    let mut statuses = together("wrong password").await;
    statuses.sort_unstable();
    assert_eq!(statuses[..20], [400; 20]);
    assert_eq!(statuses[20..], [429; 40]);
}

#[tokio::test]
async fn sign_ups_are_limited_by_the_connections_address() {
    // The test server itself signs an owner up for its project.
    let server = limited("sign-up-ip=4/1m, sign-in-ip=2/1m", None).await;
    let email = unique_email();
    server.sign_up(&email).await;
    server.anonymous().await;
    let sign_up = || {
        let body = json!({"email": unique_email(), "password": PASSWORD});
        server.client("POST", "/auth/password/sign-up").body(body)
    };
    sign_up().expect(200).await;
    let answer = sign_up().send().await;
    assert_eq!(refusal(&answer), 15);
    let answer = server.client("POST", "/auth/anonymous/sign-up");
    refusal(&answer.send().await);
    // Nobody vouches for what the caller claims.
    for header in ["x-forwarded-for", "x-real-ip", "cf-connecting-ip"] {
        let call = sign_up().header(header, "203.0.113.7");
        refusal(&call.header("user-agent", "Mozilla/5.0").send().await);
    }
    // The application's own server asks for many.
    let body = json!({"email": unique_email(), "password": PASSWORD});
    let call = server.server("POST", "/auth/password/sign-up");
    call.body(body).expect(200).await;
    for _ in 0..2 {
        sign_in(&server, &email, PASSWORD).expect(200).await;
    }
    refusal(&sign_in(&server, &email, PASSWORD).send().await);
    server.clock.advance(15_000);
    sign_up().expect(200).await;
    // The status can be hidden; the time to wait stays.
    let answer = sign_up().header("x-stack-override-error-status", "true");
    let answer = answer.send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-stack-actual-status"), "429");
    assert_eq!(answer.header("retry-after"), "15");
}

#[tokio::test]
async fn trusted_proxies_tell_callers_apart() {
    for trusted in ["1", "127.0.0.0/8"] {
        let server = limited("sign-up-ip=2/1m", Some(trusted)).await;
        let from = |chain: &str| {
            let call = server.client("POST", "/auth/anonymous/sign-up");
            call.header("x-forwarded-for", chain)
        };
        for _ in 0..2 {
            from("203.0.113.7").expect(200).await;
            from("2001:db8::1").expect(200).await;
        }
        refusal(&from("203.0.113.7").send().await);
        // What stands before the proxy's own entry is the caller's invention.
        refusal(&from("198.51.100.1, 203.0.113.7").send().await);
        refusal(&from("2001:db8::ffff:1").send().await);
        from("203.0.113.8").expect(200).await;
    }
}

#[tokio::test]
async fn one_address_may_do_much() {
    let server = TestServer::start().await;
    for _ in 0..500 {
        server.anonymous().await;
    }
}

#[tokio::test]
async fn limits_can_be_switched_off() {
    let server = limited("off", None).await;
    for _ in 0..40 {
        sign_in(&server, "nobody@example.com", "wrong password")
            .refused(400, "EMAIL_PASSWORD_MISMATCH")
            .await;
    }
}
