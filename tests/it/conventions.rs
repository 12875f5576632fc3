//! Contract 01 §1: bodies, validation, headers, methods, versions.

use serde_json::{Value, json};

use crate::support::{PASSWORD, TestServer, unique_email};

#[tokio::test]
async fn every_answer_carries_the_envelope() {
    let server = TestServer::start().await;
    for (call, status) in [
        (server.client("GET", "/projects/current"), 200),
        (server.client("GET", "/users/me"), 400),
        (server.call("GET", "/nothing/here"), 404),
        (server.client("DELETE", "/projects/current"), 405),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-stack-request-id").len(), 16);
        assert_eq!(answer.header("cache-control"), "no-store, max-age=0");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(
            answer
                .header("access-control-expose-headers")
                .contains("x-stack-known-error")
        );
    }
}

#[tokio::test]
async fn error_statuses_are_overridden_on_request() {
    let server = TestServer::start().await;
    for (call, actual) in [
        (server.client("GET", "/users/me"), "400"),
        (server.call("GET", "/nothing"), "404"),
        (server.client("PUT", "/projects/current"), "405"),
    ] {
        let answer = call
            .header("x-stack-override-error-status", "true")
            .send()
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-stack-actual-status"), actual);
    }
    let fine = server
        .client("GET", "/projects/current")
        .header("x-stack-override-error-status", "");
    let fine = fine.send().await;
    assert_eq!(
        (fine.status.as_u16(), fine.header("x-stack-actual-status")),
        (200, "")
    );
}

#[tokio::test]
async fn preflight_requests_pass_everywhere() {
    let server = TestServer::start().await;
    for path in ["/users/me", "/nothing/here"] {
        let call = server
            .call("OPTIONS", path)
            .header("x-stack-access-type", "nonsense");
        let answer = call.send().await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
        assert!(
            answer
                .header("access-control-allow-headers")
                .contains("x-stack-access-token")
        );
        assert_eq!(answer.header("access-control-max-age"), "86400");
    }
    assert_eq!(
        server
            .client("HEAD", "/projects/current")
            .send()
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn all_versions_answer_and_others_do_not() {
    let server = TestServer::start().await;
    for prefix in [
        "/api/v1",
        "/api/v2beta1",
        "/api/v2beta5",
        "/api/latest",
        "/api/v1/",
    ] {
        let answer = server.page("GET", prefix).send().await;
        assert_eq!(answer.status, 200, "{prefix}");
        assert!(answer.text.ends_with("Authentication: None"));
    }
    server
        .page("GET", "/api/v3/users/me")
        .refused_in_words(404)
        .await;
    let text = server.call("GET", "/nothing?x=1").send().await.text;
    assert!(text.contains("/api/v1/nothing?x=1"), "{text}");
}

#[tokio::test]
async fn the_root_says_who_is_calling() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let text = server.client("GET", "").user(&user).send().await.text;
    assert!(
        text.contains("Authentication: Client\n  Project: "),
        "{text}"
    );
    assert!(text.contains("@example.com"), "{text}");
    server
        .client("GET", "?x=1")
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn json_is_laid_out_for_browsers() {
    let server = TestServer::start().await;
    let call = server
        .client("GET", "/projects/current")
        .header("accept", "text/html,*/*");
    let answer = call.send().await;
    assert!(answer.text.starts_with("{\n  \""), "{}", answer.text);
    assert_eq!(
        answer.header("content-type"),
        "application/json; charset=utf-8"
    );
}

#[tokio::test]
async fn bodies_that_cannot_be_read_come_before_everything_else() {
    let server = TestServer::start().await;
    let big = format!("{{\"x\": \"{}\"}}", "y".repeat(2 * 1024 * 1024));
    for (content_type, body) in [
        ("application/json", "{\"email\": "),
        ("application/json", ""),
        ("multipart/form-data; boundary=x", "--x--"),
        ("application/json", big.as_str()),
    ] {
        // No credentials at all, and still it is the body that is complained about.
        let call = server
            .call("POST", "/auth/password/sign-up")
            .raw(content_type, body.to_owned());
        let details = call.refused(400, "BODY_PARSING_ERROR").await;
        assert_eq!(details, Value::Null);
    }
}

#[tokio::test]
async fn bad_input_never_becomes_an_internal_error() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let long = "x".repeat(10_000);
    let me = "/users/me";
    for body in [
        json!({"display_name": long}),
        json!({"display_name": 3, "nonsense": true}),
        json!({"display_name": "a\u{0}b"}),
        json!({"client_metadata": {"k\u{0}": [1]}}),
        json!({"display_name": ["list"]}),
        json!({"selected_team_id": "not-a-uuid"}),
        json!({"primary_email": "nonsense"}),
        json!({"primary_email": ""}),
        json!({"server_metadata": {}}),
        json!({"totp_secret_base64": "%%%"}),
        json!({"passkey_auth_enabled": null}),
        json!({"profile_image_url": "no url"}),
        json!([]),
        json!("text"),
        json!(null),
    ] {
        let call = server.client("PATCH", me).user(&user).body(body);
        let details = call.refused(400, "SCHEMA_ERROR").await;
        assert!(
            details["message"]
                .as_str()
                .unwrap()
                .starts_with("PATCH /api/v1/users/me")
        );
    }
    server
        .client("PATCH", me)
        .user(&user)
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .client("GET", "/users/me?x=1")
        .user(&user)
        .refused(400, "SCHEMA_ERROR")
        .await;
    for path in [
        "/users/123",
        "/users/00000000-0000-0000-0000-00000000000g",
        "/users/%00",
        "/users/x?limit=1",
    ] {
        server
            .server("GET", path)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    server
        .server("GET", "/users/%ff")
        .refused_in_words(400)
        .await;
    for query in [
        "limit=0",
        "limit=x",
        "desc=1",
        "cursor=x",
        "order_by=name",
        "unknown=1",
        "query=%00",
    ] {
        server
            .server("GET", &format!("/users?{query}"))
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let call = server.client("GET", me).header("x-stack-project-id", "x");
    assert_eq!(call.send().await.status, 400);
}

#[tokio::test]
async fn all_violations_are_reported_together() {
    let server = TestServer::start().await;
    let body = json!({"primary_email": "x", "oops": 1, "is_anonymous": "perhaps"});
    let details = server
        .server("POST", "/users")
        .body(body)
        .refused(400, "SCHEMA_ERROR")
        .await;
    let message = details["message"].as_str().unwrap();
    for path in ["body.primary_email", "body.oops", "body.is_anonymous"] {
        assert!(message.contains(path), "{message}");
    }
}

#[tokio::test]
async fn scalars_are_coerced() {
    let server = TestServer::start().await;
    let body = json!({"display_name": 7, "is_anonymous": "false", "primary_email_verified": "0"});
    let user = server.server("POST", "/users").body(body).expect(201).await;
    assert_eq!(user["display_name"], "7");
    let form = format!(
        "email={}&password={}",
        unique_email(),
        PASSWORD.replace(' ', "+")
    );
    let call = server.client("POST", "/auth/password/sign-up");
    call.raw("application/x-www-form-urlencoded", form)
        .expect(200)
        .await;
}

#[tokio::test]
async fn health_and_metrics_answer() {
    let server = TestServer::start().await;
    assert_eq!(
        server.page("GET", "/health").expect(200).await,
        json!({"status": "ok"})
    );
    assert_eq!(
        server.page("GET", "/health?db=1").expect(200).await,
        json!({"status": "ok"})
    );
    let metrics = server.page("GET", "/metrics").send().await.text;
    assert!(
        metrics.contains("muniment_subscription_lag_events"),
        "{metrics}"
    );
}

#[tokio::test]
async fn sdk_versions_are_judged() {
    let server = TestServer::start().await;
    for (version, up_to_date, severe) in [
        ("2.8.108", true, Value::Null),
        ("2.8.200", true, Value::Null),
        ("2.8.60", false, json!(false)),
        ("2.8.56", false, json!(true)),
        ("3.0.0", false, json!(true)),
        ("nonsense", false, json!(true)),
    ] {
        let call = server
            .call("POST", "/check-version")
            .body(json!({"clientVersion": version}));
        let verdict = call.expect(200).await;
        assert_eq!(verdict["upToDate"], up_to_date, "{version}");
        assert_eq!(
            verdict.get("severe").cloned().unwrap_or(Value::Null),
            severe,
            "{version}"
        );
    }
    server
        .call("POST", "/check-version")
        .body(json!({}))
        .refused(400, "SCHEMA_ERROR")
        .await;
}
