//! Contract 03 §6: API keys of users and teams.

use muniment_projections::maintenance::replay::replay;
use serde_json::{Value, json};

use crate::support::{TestServer, unique_email};

const GHOST: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";

async fn start() -> TestServer {
    let server = TestServer::start().await;
    let enabled = json!({"allow_user_api_keys": true, "allow_team_api_keys": true});
    server.configure(enabled).await;
    server
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn issue_for_user(server: &TestServer, user: &str, more: Value) -> Value {
    let mut body = json!({"description": "ci", "expires_at_millis": null, "user_id": user});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let call = server.server("POST", "/user-api-keys").body(body);
    call.expect(200).await
}

async fn issue_for_team(server: &TestServer, team: &str) -> Value {
    let body = json!({"description": "ci", "expires_at_millis": null, "team_id": team});
    let call = server.server("POST", "/team-api-keys").body(body);
    call.expect(200).await
}

fn assert_format(key: &Value, prefix: &str, owner: &str, flag: char) {
    let value = text(&key["value"]);
    assert_eq!(value.len(), 102);
    let (body, checksum) = value.split_at(94);
    assert!(body.starts_with(prefix), "{value}");
    let id = text(&key["id"]).replace('-', "");
    assert!(
        body.ends_with(&format!("{id}{owner}{flag}574ck4u7h")),
        "{value}"
    );
    assert_eq!(checksum, format!("{:08x}", crc(body.as_bytes())));
}

/// CRC-32 (IEEE), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (0_u32.wrapping_sub(crc & 1)))
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[tokio::test]
async fn a_user_issues_uses_describes_and_revokes_a_key() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let body = json!({"description": "laptop", "expires_at_millis": null, "user_id": "me"});
    let call = server.client("POST", "/user-api-keys").user(&user);
    let key = call.body(body).expect(200).await;
    assert_format(&key, "sk_", "user", '1');
    let value = text(&key["value"]);
    let mut shown = json!({
        "id": key["id"], "description": "laptop", "is_public": false, "type": "user",
        "user_id": user.user_id, "created_at_millis": server.clock.now().0,
        "value": value,
    });
    assert_eq!(key, shown);
    // The value is shown this once, and kept nowhere.
    shown["value"] = json!({"last_four": value[value.len() - 4..]});
    let path = format!("/user-api-keys/{}", text(&key["id"]));
    let mine = |method: &str, path: &str| server.client(method, path).user(&user);
    assert_eq!(mine("GET", &path).expect(200).await, shown);
    let by_owner = format!("{path}?user_id=me");
    assert_eq!(mine("GET", &by_owner).expect(200).await, shown);
    let listed = mine("GET", "/user-api-keys?user_id=me").expect(200).await;
    assert_eq!(listed, json!({"items": [shown], "is_paginated": false}));
    let check = || {
        let call = server.server("POST", "/user-api-keys/check");
        call.body(json!({"api_key": value}))
    };
    assert_eq!(check().expect(200).await, shown);
    let stored: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events e, api_keys k
         WHERE strpos(e.payload::text, $1) > 0 OR strpos(k::text, $1) > 0",
    )
    .bind(value)
    .fetch_one(server.pool())
    .await
    .unwrap();
    assert_eq!(stored, 0);
    let patch = |body: Value| mine("PATCH", &path).body(body);
    let described = patch(json!({"description": "desktop"})).expect(200).await;
    shown["description"] = json!("desktop");
    assert_eq!(described, shown);
    assert_eq!(patch(json!({})).expect(200).await, shown);
    let revoked_at = server.clock.now().0;
    shown["manually_revoked_at_millis"] = json!(revoked_at);
    assert_eq!(patch(json!({"revoked": true})).expect(200).await, shown);
    server.clock.advance(1_000);
    // The first revocation counts; a revoked key can still be described.
    shown["description"] = json!("old desktop");
    let again = patch(json!({"revoked": true, "description": "old desktop"}));
    assert_eq!(again.expect(200).await, shown);
    check().refused(401, "API_KEY_REVOKED").await;
    let listed = mine("GET", "/user-api-keys?user_id=me").expect(200).await;
    assert_eq!(listed["items"], json!([shown]));
    server.assert_verified().await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
}

#[tokio::test]
async fn public_keys_and_expiring_keys() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let key = issue_for_user(&server, &user.user_id, json!({"is_public": true})).await;
    assert_format(&key, "pk_", "user", '3');
    assert_eq!(key["is_public"], true);
    assert_eq!(key.get("expires_at_millis"), None);
    let zero = issue_for_user(&server, &user.user_id, json!({"expires_at_millis": 0})).await;
    assert_eq!(zero.get("expires_at_millis"), None);
    let end = server.clock.now().0 + 1_000;
    let soon = issue_for_user(&server, &user.user_id, json!({"expires_at_millis": end})).await;
    assert_eq!(soon["expires_at_millis"], end);
    let check = |value: &Value| {
        let call = server.server("POST", "/user-api-keys/check");
        call.body(json!({"api_key": value}))
    };
    check(&soon["value"]).expect(200).await;
    server.clock.advance(1_000);
    check(&soon["value"]).refused(401, "API_KEY_EXPIRED").await;
    check(&zero["value"]).expect(200).await;
    let past = issue_for_user(&server, &user.user_id, json!({"expires_at_millis": 1})).await;
    check(&past["value"]).refused(401, "API_KEY_EXPIRED").await;
    // Revocation is told before expiry.
    let path = format!("/user-api-keys/{}", text(&past["id"]));
    let revoke = json!({"revoked": true});
    server.server("PATCH", &path).body(revoke).expect(200).await;
    check(&past["value"]).refused(401, "API_KEY_REVOKED").await;
    let listed = format!("/user-api-keys?user_id={}", user.user_id);
    let listed = server.server("GET", &listed).expect(200).await;
    let times: Vec<i64> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["created_at_millis"].as_i64().unwrap())
        .collect();
    assert_eq!(times.len(), 4);
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
}

#[tokio::test]
async fn keys_are_checked_by_their_exact_value() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    let of_user = issue_for_user(&server, &user.user_id, json!({})).await;
    let of_team = issue_for_team(&server, &team).await;
    assert_format(&of_team, "sk_", "team", '1');
    assert_eq!(of_team["team_id"], team);
    let check = |family: &str, value: &str| {
        let path = format!("/{family}-api-keys/check");
        server.server("POST", &path).body(json!({"api_key": value}))
    };
    for value in ["", "nonsense", &text(&of_user["value"])[1..]] {
        for family in ["user", "team"] {
            check(family, value).refused(404, "API_KEY_NOT_FOUND").await;
        }
    }
    let details = check("team", text(&of_user["value"]))
        .refused(400, "WRONG_API_KEY_TYPE")
        .await;
    assert_eq!(
        details,
        json!({"expected_type": "team", "actual_type": "user"})
    );
    let details = check("user", text(&of_team["value"]))
        .refused(400, "WRONG_API_KEY_TYPE")
        .await;
    assert_eq!(
        details,
        json!({"expected_type": "user", "actual_type": "team"})
    );
    assert_eq!(
        check("team", text(&of_team["value"])).expect(200).await["type"],
        "team"
    );
    for bad in [
        json!({}),
        json!({"api_key": null}),
        json!({"api_key": "x", "more": 1}),
    ] {
        let call = server.server("POST", "/user-api-keys/check").body(bad);
        call.refused(400, "SCHEMA_ERROR").await;
    }
    // A key of the other family is not found by its id either.
    for (path, key) in [("/team-api-keys", &of_user), ("/user-api-keys", &of_team)] {
        let path = format!("{path}/{}", text(&key["id"]));
        for method in ["GET", "PATCH"] {
            let call = server.server(method, &path).body(json!({}));
            call.refused(404, "API_KEY_NOT_FOUND").await;
        }
    }
    // Nor in another project.
    let other = server
        .new_project(json!({"allow_user_api_keys": true}))
        .await;
    let path = format!("/user-api-keys/{}", text(&of_user["id"]));
    for method in ["GET", "PATCH"] {
        let call = server.server_of(&other, method, &path).body(json!({}));
        call.refused(404, "API_KEY_NOT_FOUND").await;
    }
    let body = json!({"api_key": of_user["value"]});
    server
        .server_of(&other, "POST", "/user-api-keys/check")
        .body(body)
        .refused(404, "API_KEY_NOT_FOUND")
        .await;
    let listed = format!("/user-api-keys?user_id={}", user.user_id);
    let listed = server.server_of(&other, "GET", &listed).expect(200).await;
    assert_eq!(listed["items"], json!([]));
    let body = json!({"description": "x", "expires_at_millis": null, "user_id": user.user_id});
    server
        .server_of(&other, "POST", "/user-api-keys")
        .body(body)
        .refused(404, "USER_NOT_FOUND")
        .await;
}

#[tokio::test]
async fn requests_are_refused_where_the_contract_says_so() {
    let server = start().await;
    let (user, other) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let good = json!({"description": "x", "expires_at_millis": null, "user_id": user.user_id});
    let mut bad = vec![json!({"description": "x", "expires_at_millis": null, "team_id": GHOST})];
    for (name, value) in [
        ("description", None),
        ("description", Some(json!(null))),
        ("expires_at_millis", None),
        ("expires_at_millis", Some(json!("soon"))),
        ("user_id", None),
        ("user_id", Some(json!("nonsense"))),
        ("is_public", Some(json!(null))),
        ("is_public", Some(json!("maybe"))),
        ("value", Some(json!("sk_mine"))),
    ] {
        let mut body = good.clone();
        match value {
            Some(value) => body[name] = value,
            None => {
                body.as_object_mut().unwrap().remove(name);
            }
        }
        bad.push(body);
    }
    for body in bad {
        let call = server.server("POST", "/user-api-keys").body(body);
        call.refused(400, "SCHEMA_ERROR").await;
    }
    for path in [
        "/user-api-keys",
        "/user-api-keys?user_id=x",
        "/user-api-keys?user_id=6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de&limit=1",
        "/team-api-keys",
        "/team-api-keys?team_id=me",
        "/user-api-keys/x",
        "/user-api-keys/6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de?team_id=6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
    ] {
        let call = server.server("GET", path);
        call.refused(400, "SCHEMA_ERROR").await;
    }
    let mut body = good.clone();
    body["user_id"] = json!(GHOST);
    let call = server.server("POST", "/user-api-keys").body(body.clone());
    call.refused(404, "USER_NOT_FOUND").await;
    body["user_id"] = json!("me");
    let call = server.client("POST", "/user-api-keys").body(body);
    call.refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER").await;
    let key = issue_for_user(&server, &user.user_id, json!({})).await;
    let path = format!("/user-api-keys/{}", text(&key["id"]));
    let list = format!("/user-api-keys?user_id={}", user.user_id);
    let ghost = format!("/user-api-keys/{GHOST}");
    for (method, path) in [
        ("POST", "/user-api-keys"),
        ("GET", &list),
        ("GET", &path),
        ("PATCH", &path),
    ] {
        let body = if method == "PATCH" {
            json!({})
        } else {
            good.clone()
        };
        let call = || server.client(method, path).body(body.clone());
        call().refused(401, "USER_AUTHENTICATION_REQUIRED").await;
        call().user(&other).refused_in_words(403).await;
        call().user(&user).expect(200).await;
    }
    for method in ["GET", "PATCH"] {
        let call = || server.client(method, &ghost).body(json!({}));
        call().refused(401, "USER_AUTHENTICATION_REQUIRED").await;
        call().user(&user).refused(404, "API_KEY_NOT_FOUND").await;
    }
    for bad in [
        json!({"revoked": false}),
        json!({"description": null}),
        json!({"user_id": user.user_id}),
        json!({"expires_at_millis": 1}),
        json!({"is_public": true}),
    ] {
        let call = server.server("PATCH", &path).body(bad);
        call.refused(400, "SCHEMA_ERROR").await;
    }
    server
        .server("PATCH", &path)
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn a_project_without_api_keys_has_none_of_their_endpoints() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    for (family, owner) in [("user", user.user_id.as_str()), ("team", GHOST)] {
        let path = format!("/{family}-api-keys");
        let mut body = json!({"description": "x", "expires_at_millis": null});
        body[format!("{family}_id")] = json!(owner);
        let call = server.server("POST", &path).body(body.clone());
        call.refused_in_words(400).await;
        // Before anything else is asked.
        body[format!("{family}_id")] = json!(GHOST);
        let call = server.client("POST", &path).body(body);
        call.refused_in_words(400).await;
        let list = format!("{path}?{family}_id={owner}");
        server.server("GET", &list).refused_in_words(400).await;
        let one = format!("{path}/{GHOST}");
        server.client("GET", &one).refused_in_words(400).await;
        let call = server.server("PATCH", &one).body(json!({}));
        call.refused_in_words(400).await;
        let check = format!("{path}/check");
        let call = server.server("POST", &check).body(json!({"api_key": "x"}));
        call.refused_in_words(400).await;
    }
    // One family does not switch the other on.
    server.configure(json!({"allow_team_api_keys": true})).await;
    let list = format!("/team-api-keys?team_id={GHOST}");
    server.server("GET", &list).expect(200).await;
    let list = format!("/user-api-keys?user_id={GHOST}");
    server.server("GET", &list).refused_in_words(400).await;
}

#[tokio::test]
async fn managing_a_teams_keys_takes_a_permission() {
    let server = start().await;
    let (admin, member, stranger) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let team = server.create_team(&admin).await;
    server.add_member(&team, &member).await;
    let key = issue_for_team(&server, &team).await;
    let good = json!({"description": "x", "expires_at_millis": null, "team_id": team});
    let one = format!("/team-api-keys/{}", text(&key["id"]));
    let one_with_team = format!("{one}?team_id={team}");
    let list = format!("/team-api-keys?team_id={team}");
    for (method, path, body) in [
        ("POST", "/team-api-keys", &good),
        ("GET", &list, &good),
        ("GET", &one, &good),
        ("GET", &one_with_team, &good),
        ("PATCH", &one, &json!({"description": "y"})),
    ] {
        let call = || server.client(method, path).body(body.clone());
        call().refused(401, "USER_AUTHENTICATION_REQUIRED").await;
        for outsider in [&member, &stranger] {
            call()
                .user(outsider)
                .refused(404, "API_KEY_NOT_FOUND")
                .await;
        }
        call().user(&admin).expect(200).await;
    }
    let mut body = good.clone();
    body["team_id"] = json!(GHOST);
    let call = server.client("POST", "/team-api-keys").user(&admin);
    call.body(body.clone())
        .refused(404, "API_KEY_NOT_FOUND")
        .await;
    let call = server.server("POST", "/team-api-keys").body(body);
    let details = call.refused(404, "TEAM_NOT_FOUND").await;
    assert_eq!(details, json!({"team_id": GHOST}));
    // Through another permission, too.
    let grant = format!(
        "/team-permissions/{team}/{}/$manage_api_keys",
        member.user_id
    );
    server
        .server("POST", &grant)
        .body(json!({}))
        .expect(201)
        .await;
    let listed = server.client("GET", &list).user(&member).expect(200).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn keys_go_with_their_owner() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    let of_user = issue_for_user(&server, &user.user_id, json!({})).await;
    let of_team = issue_for_team(&server, &team).await;
    server
        .server("DELETE", &format!("/teams/{team}"))
        .expect(200)
        .await;
    server
        .server("DELETE", &format!("/users/{}", user.user_id))
        .expect(200)
        .await;
    for (family, key) in [("user", of_user), ("team", of_team)] {
        let path = format!("/{family}-api-keys/{}", text(&key["id"]));
        let call = server.server("GET", &path);
        call.refused(404, "API_KEY_NOT_FOUND").await;
        let path = format!("/{family}-api-keys/check");
        let body = json!({"api_key": key["value"]});
        let call = server.server("POST", &path).body(body);
        call.refused(404, "API_KEY_NOT_FOUND").await;
    }
    server.assert_verified().await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
}

#[tokio::test]
async fn everything_goes_with_the_project() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    issue_for_user(&server, &user.user_id, json!({})).await;
    issue_for_team(&server, &team).await;
    server
        .admin("DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM api_keys WHERE project_id = $1)
              + (SELECT count(*) FROM permission_closure WHERE project_id = $1)",
    )
    .bind(&server.project.id)
    .fetch_one(server.pool())
    .await
    .unwrap();
    assert_eq!(left, 0);
    server.assert_verified().await;
}

#[tokio::test]
async fn scanners_report_leaked_keys() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    let report = |value: &Value| {
        let call = server.call("POST", "/integrations/credential-scanning/revoke");
        call.body(json!({"api_key": value}))
    };
    report(&json!("sk_nonsense"))
        .refused(404, "API_KEY_NOT_FOUND")
        .await;
    report(&json!(null)).refused(400, "SCHEMA_ERROR").await;
    let public = json!({"is_public": true, "expires_at_millis": 1});
    let public = issue_for_user(&server, &user.user_id, public).await;
    report(&public["value"])
        .refused(400, "PUBLIC_API_KEY_CANNOT_BE_REVOKED")
        .await;
    let past = issue_for_user(&server, &user.user_id, json!({"expires_at_millis": 1})).await;
    report(&past["value"]).refused(401, "API_KEY_EXPIRED").await;
    let of_user = issue_for_user(&server, &user.user_id, json!({})).await;
    let of_team = issue_for_team(&server, &team).await;
    for (family, key) in [("user", &of_user), ("team", &of_team)] {
        for _ in 0..2 {
            let done = report(&key["value"]).expect(200).await;
            assert_eq!(done, json!({"success": true}));
        }
        let path = format!("/{family}-api-keys/check");
        let body = json!({"api_key": key["value"]});
        let call = server.server("POST", &path).body(body);
        call.refused(401, "API_KEY_REVOKED").await;
        let path = format!("/{family}-api-keys/{}", text(&key["id"]));
        let shown = server.server("GET", &path).expect(200).await;
        let now = server.clock.now().0;
        assert_eq!(shown["manually_revoked_at_millis"], now);
    }
    // A second report is no second event.
    let leaks: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events
         WHERE event_type = 'ApiKeyRevoked' AND payload ->> 'cause' = 'leaked'",
    )
    .fetch_one(server.pool())
    .await
    .unwrap();
    assert_eq!(leaks, 2);
    server.assert_verified().await;
}

#[tokio::test]
async fn whoever_may_manage_a_leaked_key_is_told_once() {
    let server = start().await;
    let (owner_email, manager_email, member_email) =
        (unique_email(), unique_email(), unique_email());
    let owner = server.sign_up(&owner_email).await;
    let manager = server.sign_up(&manager_email).await;
    let member = server.sign_up(&member_email).await;
    let nameless = server.anonymous().await;
    let team = server.create_team(&owner).await;
    for user in [&manager, &member, &nameless] {
        server.add_member(&team, user).await;
    }
    for user in [&manager, &nameless] {
        let path = format!("/team-permissions/{team}/{}/$manage_api_keys", user.user_id);
        let grant = server.server("POST", &path).body(json!({}));
        grant.expect(201).await;
    }
    let description = json!({"description": "ci <b>runner</b>"});
    let of_user = issue_for_user(&server, &member.user_id, description).await;
    let of_team = issue_for_team(&server, &team).await;
    for key in [&of_team, &of_user] {
        for _ in 0..2 {
            let call = server.call("POST", "/integrations/credential-scanning/revoke");
            let body = json!({"api_key": key["value"]});
            call.body(body).expect(200).await;
        }
    }
    let mail = server.mail.first(&member_email).await;
    assert!(
        mail.subject.contains("ci <b>runner</b>"),
        "{}",
        mail.subject
    );
    assert!(mail.html.contains("ci &lt;b&gt;runner"), "{}", mail.html);
    assert!(mail.text.contains("at Test"), "{}", mail.text);
    for address in [&owner_email, &manager_email] {
        let mail = server.mail.first(address).await;
        assert!(mail.subject.contains(text(&of_team["description"])));
    }
    // Three letters in all: each address once per key, and none without an address.
    let letters: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM outgoing_emails WHERE template = 'api_key_leaked'",
    )
    .fetch_one(server.pool())
    .await
    .unwrap();
    assert_eq!(letters, 3);
    server.assert_verified().await;
}
