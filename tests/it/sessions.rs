//! Contract 01 §4: sessions, refreshing, and key sets.

use serde_json::{Value, json};

use crate::support::{TestServer, Tokens, unique_email};

#[tokio::test]
async fn a_refresh_token_yields_access_tokens_until_sign_out() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let refresh = || server.client("POST", "/auth/sessions/current/refresh");
    refresh().refused(400, "SCHEMA_ERROR").await;
    refresh()
        .header("x-stack-refresh-token", "nonsense")
        .refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
        .await;
    server.clock.advance(700_000);
    let body = refresh()
        .header("x-stack-refresh-token", &user.refresh)
        .expect(200)
        .await;
    assert_eq!(body.as_object().unwrap().len(), 1);
    let fresh = Tokens {
        access: body["access_token"].as_str().unwrap().to_owned(),
        ..user.clone()
    };
    server
        .client("GET", "/users/me")
        .user(&fresh)
        .expect(200)
        .await;
    let out = || server.client("DELETE", "/auth/sessions/current");
    let details = out()
        .header("x-stack-refresh-token", &user.refresh)
        .refused(401, "ACCESS_TOKEN_EXPIRED")
        .await;
    assert_eq!(
        (&details["project_id"], &details["user_id"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        out().user(&fresh).body(json!({})).expect(200).await,
        json!({"success": true})
    );
    assert_eq!(
        out()
            .user(&fresh)
            .refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
            .await,
        Value::Null
    );
    let call = refresh().header("x-stack-refresh-token", &user.refresh);
    call.refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
        .await;
    let details = server
        .client("GET", "/users/me")
        .user(&fresh)
        .refused(401, "ACCESS_TOKEN_EXPIRED")
        .await;
    assert_eq!(details["user_id"], user.user_id.as_str());
    server.assert_verified().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    server.clock.advance(1_000);
    let body =
        json!({"user_id": user.user_id, "expires_in_millis": 60_000, "is_impersonation": true});
    let opened = server
        .server("POST", "/auth/sessions")
        .body(body)
        .expect(200)
        .await;
    assert_eq!(opened.as_object().unwrap().len(), 2);
    server.clock.advance(1_000);
    let second = server
        .server("POST", "/auth/sessions")
        .body(json!({"user_id": user.user_id}))
        .expect(200)
        .await;
    let list = server
        .client("GET", "/auth/sessions?user_id=me")
        .user(&user)
        .expect(200)
        .await;
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &list["is_paginated"]), (2, &json!(false)));
    assert_eq!(items[0]["is_current_session"], false);
    assert_eq!(
        (
            &items[1]["is_current_session"],
            &items[1]["is_impersonation"]
        ),
        (&json!(true), &json!(false))
    );
    assert!(items[0]["created_at"].as_i64() > items[1]["created_at"].as_i64());
    assert!(items[0].get("last_used_at_end_user_ip_info").is_none());
    let all = server
        .admin("GET", &format!("/auth/sessions?user_id={}", user.user_id))
        .expect(200)
        .await;
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    let own = items[1]["id"].as_str().unwrap();
    let end = |id: &str| format!("/auth/sessions/{id}?user_id=me");
    let call = server.client("DELETE", &end(own)).user(&user);
    call.refused(400, "CANNOT_DELETE_CURRENT_SESSION").await;
    let other = items[0]["id"].as_str().unwrap();
    let stranger = server.sign_up(&unique_email()).await;
    server
        .client("DELETE", &end(other))
        .user(&stranger)
        .refused_in_words(404)
        .await;
    server
        .client("DELETE", &format!("/auth/sessions/{other}"))
        .refused_in_words(404)
        .await;
    server
        .client("DELETE", &end(other))
        .user(&user)
        .expect(200)
        .await;
    server
        .client("DELETE", &end(other))
        .user(&user)
        .refused_in_words(404)
        .await;
    server
        .server("DELETE", "/auth/sessions/x")
        .refused(400, "SCHEMA_ERROR")
        .await;
    let call = server.client("POST", "/auth/sessions/current/refresh");
    let call = call.header(
        "x-stack-refresh-token",
        second["refresh_token"].as_str().unwrap(),
    );
    call.refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
        .await;
    server.clock.advance(60_000);
    let call = server.client("POST", "/auth/sessions/current/refresh");
    let call = call.header(
        "x-stack-refresh-token",
        opened["refresh_token"].as_str().unwrap(),
    );
    call.refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
        .await;
    server
        .client("GET", "/auth/sessions")
        .user(&user)
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .server("GET", "/auth/sessions")
        .refused(400, "SCHEMA_ERROR")
        .await;
    let theirs = format!("/auth/sessions?user_id={}", user.user_id);
    server
        .client("GET", &theirs)
        .user(&stranger)
        .refused_in_words(403)
        .await;
    server
        .client("GET", &theirs)
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    for body in [
        json!({"user_id": user.user_id, "expires_in_millis": 31_708_800_001_i64}),
        json!({"user_id": user.user_id, "expires_in_millis": 0}),
        json!({}),
    ] {
        server
            .server("POST", "/auth/sessions")
            .body(body)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let ghost = json!({"user_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de"});
    let details = server
        .server("POST", "/auth/sessions")
        .body(ghost.clone())
        .refused(400, "USER_ID_DOES_NOT_EXIST")
        .await;
    assert_eq!(details, ghost);
}

#[tokio::test]
async fn browsers_leave_their_address_with_the_session() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let call = server
        .client("POST", "/auth/sessions/current/refresh")
        .header("x-stack-refresh-token", &user.refresh)
        .header("user-agent", "Mozilla/5.0")
        .header("x-forwarded-for", "203.0.113.9, 10.0.0.1")
        .header("cf-ipcountry", "NL");
    call.expect(200).await;
    let list = server
        .client("GET", "/auth/sessions?user_id=me")
        .user(&user)
        .expect(200)
        .await;
    let place = &list["items"][0]["last_used_at_end_user_ip_info"];
    assert_eq!(*place, json!({"ip": "203.0.113.9", "countryCode": "NL"}));
    // What was only in memory until now survives the process.
    server.flush_activity().await;
    let stored: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM session_activity WHERE ip_info ->> 'ip' = '203.0.113.9'",
    )
    .fetch_one(server.pool())
    .await
    .unwrap();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn the_oauth_token_endpoint_refreshes() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let project = server.project.clone();
    let call = |body: Value| server.call("POST", "/auth/oauth/token").body(body);
    let grant = |secret: &str| {
        json!({"grant_type": "refresh_token", "refresh_token": user.refresh,
               "client_id": project.id, "client_secret": secret, "anything": "else"})
    };
    for secret in [project.client.as_str(), "__stack_public_client__"] {
        let answer = call(grant(secret)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = answer.json();
        assert_eq!(
            (&body["token_type"], &body["scope"]),
            (&json!("Bearer"), &json!("legacy"))
        );
        assert!(body.get("refresh_token").is_none());
    }
    let details = call(grant("pck_wrong"))
        .refused(400, "INVALID_OAUTH_CLIENT_ID_OR_SECRET")
        .await;
    assert_eq!(details, json!({"client_id": null}));
    let mut unknown = grant(&project.client);
    unknown["client_id"] = json!("nowhere");
    call(unknown)
        .refused(400, "INVALID_OAUTH_CLIENT_ID_OR_SECRET")
        .await;
    let mut wrong = grant(&project.client);
    wrong["refresh_token"] = json!("nonsense");
    call(wrong)
        .refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
        .await;
    let mut missing = grant(&project.client);
    missing.as_object_mut().unwrap().remove("refresh_token");
    assert_eq!(call(missing).expect(400).await["error"], "invalid_request");
    call(json!({"grant_type": "password"}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    call(json!({})).refused(400, "SCHEMA_ERROR").await;
    let form = format!(
        "grant_type=refresh_token&refresh_token={}&client_id={}&client_secret={}",
        user.refresh, project.id, project.client
    );
    let call = server.call("POST", "/auth/oauth/token");
    call.raw("application/x-www-form-urlencoded", form)
        .expect(200)
        .await;
}

#[tokio::test]
async fn key_sets_are_published() {
    let server = TestServer::start().await;
    let path = format!("/projects/{}/.well-known/jwks.json", server.project.id);
    let answer = server.call("GET", &path).send().await;
    assert_eq!(answer.header("cache-control"), "public, max-age=3600");
    for (query, count) in [
        ("", 2),
        ("?include_restricted=true", 4),
        ("?include_anonymous=true", 6),
        ("?include_anonymous=false", 2),
    ] {
        let set = server
            .call("GET", &format!("{path}{query}"))
            .expect(200)
            .await;
        let keys = set["keys"].as_array().unwrap();
        assert_eq!(keys.len(), count);
        assert!(
            keys.iter()
                .all(|key| key["kty"] == "EC" && key["alg"] == "ES256" && key.get("d").is_none())
        );
    }
    server
        .call("GET", &format!("{path}?include_anonymous=1"))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .call("GET", &format!("{path}?other=1"))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .call("GET", "/projects/nowhere/.well-known/jwks.json")
        .refused_in_words(404)
        .await;
    // A verifier that starts from an anonymous user's issuer is led to the right set.
    let path = format!(
        "/projects-anonymous-users/{}/.well-known/jwks.json",
        server.project.id
    );
    let set = server.call("GET", &path).expect(200).await;
    assert_eq!(set["keys"].as_array().unwrap().len(), 6);
}
