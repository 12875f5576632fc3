//! Webhooks: what they say, how they are signed, tried again, sent again, and managed.

use muniment::clients::address_policy::AddressPolicy;
use muniment::config::Delivery;
use muniment_projections::webhooks::queue;
use serde_json::{Value, json};

use crate::receiver::{Received, Receiver};
use crate::support::{PASSWORD, TestServer, database, eventually, unique_email};

const ENDPOINTS: &str = "/internal/webhooks/endpoints";
const HOUR: i64 = 60 * 60 * 1000;

/// Makes an endpoint. Yields its id and its secret.
async fn endpoint(server: &TestServer, receiver: &Receiver, more: Value) -> (String, String) {
    let mut body = json!({"url": receiver.url()});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = server.admin("POST", ENDPOINTS).body(body).expect(201).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("{ENDPOINTS}/{id}/secret");
    let secret = server.admin("GET", &path).expect(200).await;
    (id, secret["secret"].as_str().unwrap().to_owned())
}

async fn attempts(server: &TestServer, query: &str) -> Vec<Value> {
    let path = format!("/internal/webhooks/attempts?{query}");
    let listed = server.admin("GET", &path).expect(200).await;
    listed["items"].as_array().unwrap().clone()
}

async fn sorted_kinds(receiver: &Receiver, count: usize) -> Vec<String> {
    eventually("all messages", || async {
        receiver.received().len() >= count
    })
    .await;
    let mut kinds: Vec<String> = receiver.received().iter().map(Received::kind).collect();
    kinds.sort();
    kinds
}

#[tokio::test]
async fn users_are_told_of_as_the_server_shows_them() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let (_, secret) = endpoint(&server, &receiver, json!({})).await;
    let body = json!({
        "primary_email": unique_email(),
        "primary_email_auth_enabled": true,
        "password": PASSWORD,
        "display_name": "Ada",
        "server_metadata": {"plan": "gold"},
    });
    let user = server.server("POST", "/users").body(body).expect(201).await;
    let created = receiver.first("user.created").await;
    assert_eq!(created.data(), user);
    assert_eq!(created.body().as_object().unwrap().len(), 2);
    assert!(created.is_signed_with(&secret));
    assert!(created.id().starts_with("msg_") && created.id().len() == 31);
    assert_eq!(created.header("webhook-id"), created.id());
    assert_eq!(created.header("content-type"), "application/json");
    assert_eq!(created.path, "/webhook");

    let path = format!("/users/{}", user["id"].as_str().unwrap());
    let body = json!({"display_name": "Grace", "primary_email": unique_email()});
    let changed = server.server("PATCH", &path).body(body).expect(200).await;
    let updated = receiver.first("user.updated").await;
    assert_eq!(updated.data(), changed);
    // Also when nothing changes.
    server
        .server("PATCH", &path)
        .body(json!({}))
        .expect(200)
        .await;
    assert_eq!(receiver.nth("user.updated", 2).await.data(), changed);
}

#[tokio::test]
async fn a_sign_up_tells_of_the_user_before_the_personal_team() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    server
        .configure(json!({"create_team_on_sign_up": true}))
        .await;
    endpoint(&server, &receiver, json!({})).await;
    let user = server.sign_up(&unique_email()).await;
    assert_eq!(
        sorted_kinds(&receiver, 2).await,
        ["team.created", "user.created"]
    );
    let created = receiver.first("user.created").await.data();
    assert_eq!(created["id"], user.user_id);
    assert_eq!(created["selected_team_id"], Value::Null);
    assert_eq!(created["selected_team"], Value::Null);
    let me = server.client("GET", "/users/me").user(&user);
    let team = me.expect(200).await["selected_team"].clone();
    let told = receiver.first("team.created").await.data();
    assert_eq!(told["id"], team["id"]);
    assert!(told["created_at_millis"].is_i64());

    server
        .client("PATCH", "/users/me")
        .user(&user)
        .body(json!({"display_name": "Ada"}))
        .expect(200)
        .await;
    let updated = receiver.first("user.updated").await.data();
    assert_eq!(updated["selected_team"], told);
}

#[tokio::test]
async fn anonymous_users_who_sign_up_are_updated() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    endpoint(&server, &receiver, json!({})).await;
    let anonymous = server.anonymous().await;
    let created = receiver.first("user.created").await.data();
    assert_eq!(created["restricted_reason"], json!({"type": "anonymous"}));
    server
        .client("POST", "/auth/password/sign-up")
        .user(&anonymous)
        .body(json!({"email": unique_email(), "password": PASSWORD}))
        .expect(200)
        .await;
    let updated = receiver.first("user.updated").await.data();
    assert_eq!(updated["id"], anonymous.user_id);
    assert_eq!(updated["is_anonymous"], false);
    assert_eq!(receiver.of_kind("user.created").len(), 1);
    assert!(receiver.of_kind("team.updated").is_empty());
}

#[tokio::test]
async fn teams_memberships_and_permissions_are_told_of() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let (owner, member) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    server
        .admin("POST", "/project-permission-definitions")
        .body(json!({"id": "ship"}))
        .expect(201)
        .await;
    endpoint(&server, &receiver, json!({})).await;
    let team = server.create_team(&owner).await;
    let created = receiver.first("team.created").await.data();
    let path = format!("/teams/{team}");
    assert_eq!(created, server.server("GET", &path).expect(200).await);
    server.add_member(&team, &member).await;
    let change = json!({"team_id": team, "user_id": member.user_id});
    let joined = receiver.first("team_membership.created").await;
    assert_eq!(joined.data(), change);
    let granted = receiver.first("team_permission.created").await;
    let permission = json!({"id": "team_member", "team_id": team, "user_id": member.user_id});
    assert_eq!(granted.data(), permission);
    let grant = format!("/team-permissions/{team}/{}/team_admin", member.user_id);
    for nth in 2..4 {
        server
            .server("POST", &grant)
            .body(json!({}))
            .expect(201)
            .await;
        let granted = receiver.nth("team_permission.created", nth).await;
        assert_eq!(granted.data()["id"], "team_admin");
    }
    server.server("DELETE", &grant).expect(200).await;
    let revoked = receiver.first("team_permission.deleted").await;
    assert_eq!(revoked.data()["id"], "team_admin");
    let grant = format!("/project-permissions/{}/ship", member.user_id);
    server
        .server("POST", &grant)
        .body(json!({}))
        .expect(201)
        .await;
    let permission = json!({"id": "ship", "user_id": member.user_id});
    let granted = receiver.first("project_permission.created").await;
    assert_eq!(granted.data(), permission);
    server.server("DELETE", &grant).expect(200).await;
    let revoked = receiver.first("project_permission.deleted").await;
    assert_eq!(revoked.data(), permission);
    let body = json!({"display_name": "Crew"});
    let changed = server.server("PATCH", &path).body(body).expect(200).await;
    assert_eq!(receiver.first("team.updated").await.data(), changed);

    let second = server.create_team(&member).await;
    let user = format!("/users/{}", member.user_id);
    server.server("DELETE", &user).expect(200).await;
    let deleted = receiver.first("user.deleted").await.data();
    let teams = json!([{"id": team}, {"id": second}]);
    assert_eq!(deleted["id"], member.user_id);
    let mut told = deleted["teams"].as_array().unwrap().clone();
    let mut expected = teams.as_array().unwrap().clone();
    // The clock stands still, so both teams are equally old.
    told.sort_by_key(ToString::to_string);
    expected.sort_by_key(ToString::to_string);
    assert_eq!(told, expected);
    receiver.nth("team_membership.deleted", 2).await;
    server.server("DELETE", &path).expect(200).await;
    let deleted = receiver.first("team.deleted").await.data();
    assert_eq!(deleted, json!({"id": team}));
    assert_eq!(receiver.of_kind("team_membership.deleted").len(), 2);
    assert_eq!(receiver.of_kind("team_membership.created").len(), 1);
}

#[tokio::test]
async fn a_message_shows_the_state_of_its_event_not_of_its_delivery() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let owner = server.sign_up(&unique_email()).await;
    let team = server.create_team(&owner).await;
    for name in ["One", "Two", "Three"] {
        server
            .server("PATCH", &format!("/teams/{team}"))
            .body(json!({"display_name": name}))
            .expect(200)
            .await;
    }
    // Only now somebody wants to know, and gets the past from the log.
    let (id, _) = endpoint(
        &server,
        &receiver,
        json!({"filter_types": ["team.updated"]}),
    )
    .await;
    let path = format!("{ENDPOINTS}/{id}/replay");
    let body = json!({"since_millis": 0});
    server
        .admin("POST", &path)
        .body(body.clone())
        .expect(202)
        .await;
    receiver.nth("team.updated", 3).await;
    let mut names: Vec<_> = receiver
        .received()
        .iter()
        .map(|message| message.data()["display_name"].to_string())
        .collect();
    names.sort();
    assert_eq!(names, [r#""One""#, r#""Three""#, r#""Two""#]);
    // What was sent is not sent again.
    server.admin("POST", &path).body(body).expect(202).await;
    server
        .server("PATCH", &format!("/teams/{team}"))
        .body(json!({"display_name": "Four"}))
        .expect(200)
        .await;
    receiver.nth("team.updated", 4).await;
    eventually("the replay is done", || async {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook_replays")
            .fetch_one(server.pool())
            .await
            .unwrap();
        left == 0
    })
    .await;
    assert_eq!(receiver.received().len(), 4);
}

#[tokio::test]
async fn failures_are_tried_again_on_schedule_under_the_same_id() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let (id, secret) = endpoint(&server, &receiver, json!({})).await;
    // A redirect is not followed.
    receiver.answer(302);
    server.sign_up(&unique_email()).await;
    let pauses = [
        5_000,
        300_000,
        HOUR / 2,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        10 * HOUR,
    ];
    for (tried, pause) in (1..).zip(pauses) {
        receiver.nth("user.created", tried).await;
        eventually("the attempt is logged", || async {
            attempts(&server, &format!("endpoint_id={id}")).await.len() == tried
        })
        .await;
        server.clock.advance(pause - 1_000);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(receiver.received().len(), tried, "not before its time");
        server.clock.advance(1_000);
    }
    receiver.nth("user.created", 8).await;
    let stats = format!("{ENDPOINTS}/{id}/stats");
    eventually("it is given up", || async {
        server.admin("GET", &stats).expect(200).await["fail"] == 1
    })
    .await;
    let received = receiver.received();
    assert_eq!(received.len(), 8);
    for message in &received {
        assert_eq!(message.path, "/webhook");
        assert_eq!(message.id(), received[0].id());
        assert_eq!(message.bytes, received[0].bytes);
        assert!(message.is_signed_with(&secret));
    }
    assert_ne!(
        received[0].header("svix-signature"),
        received[7].header("svix-signature")
    );
    let logged = attempts(&server, "status=fail&event_type=user.created").await;
    assert_eq!(logged.len(), 8);
    assert_eq!(logged[0]["response_status_code"], 302);
    assert_eq!(logged[0]["response"], "noted");
    assert_eq!(logged[0]["trigger"], "scheduled");
    assert_eq!(logged[0]["payload"], received[0].body());

    // Whoever repaired the receiver asks for what was missed.
    server.clock.advance(1_000);
    receiver.answer(204);
    let path = format!("{ENDPOINTS}/{id}/recover");
    let body = json!({"since_millis": 0});
    let recovered = server.admin("POST", &path).body(body).expect(202).await;
    assert_eq!(recovered["count"], 1);
    let again = receiver.nth("user.created", 9).await;
    assert_eq!(again.id(), received[0].id());
    eventually("it counts as delivered", || async {
        let stats = server.admin("GET", &stats).expect(200).await;
        stats == json!({"success": 1, "pending": 0, "fail": 0})
    })
    .await;
    let logged = attempts(&server, &format!("message_id={}&limit=1", again.id())).await;
    assert_eq!(logged[0]["trigger"], "manual");
    let path = format!("/internal/webhooks/messages/{}", again.id());
    let message = server.admin("GET", &path).expect(200).await;
    assert_eq!(message["payload"], again.body());
    let path = format!("{path}/endpoints/{id}/resend");
    server.admin("POST", &path).expect(202).await;
    assert_eq!(receiver.nth("user.created", 10).await.id(), again.id());
}

#[tokio::test]
async fn an_endpoint_that_fails_for_days_is_disabled() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let (id, _) = endpoint(&server, &receiver, json!({})).await;
    let path = format!("{ENDPOINTS}/{id}");
    receiver.answer(500);
    let is_disabled = async || server.admin("GET", &path).expect(200).await["disabled"] == true;
    let mut rounds = 0;
    while !is_disabled().await {
        rounds += 1;
        assert!(rounds < 40, "it is disabled in the end");
        let before = attempts(&server, "limit=250").await.len();
        server.sign_up(&unique_email()).await;
        // Retries may have been the last straw since it was looked at.
        eventually("another attempt, or none any more", || async {
            attempts(&server, "limit=250").await.len() > before || is_disabled().await
        })
        .await;
        server.clock.advance(6 * HOUR);
    }
    assert!(rounds > 20, "five days at four a day");
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let (sent, logged) = (receiver.received().len(), attempts(&server, "").await.len());
    server.sign_up(&unique_email()).await;
    server.clock.advance(24 * HOUR);
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(receiver.received().len(), sent, "nothing is sent to it");
    assert_eq!(attempts(&server, "").await.len(), logged);
    receiver.answer(200);
    let body = json!({"disabled": false});
    let enabled = server.admin("PATCH", &path).body(body).expect(200).await;
    assert_eq!(enabled["failing_since_millis"], Value::Null);
    let user = server.sign_up(&unique_email()).await;
    // What happened while it was disabled may be told late, and then counts as well.
    eventually("it is sent to again", || async {
        let received = receiver.received();
        received.iter().any(|it| it.data()["id"] == user.user_id)
    })
    .await;
}

#[tokio::test]
async fn secrets_are_rotated_with_a_day_of_overlap() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (id, old) = endpoint(&server, &receiver, json!({"secret": given})).await;
    assert_eq!(old, given);
    let path = format!("{ENDPOINTS}/{id}/secret/rotate");
    let new = server.admin("POST", &path).expect(200).await;
    let new = new["secret"].as_str().unwrap();
    server.sign_up(&unique_email()).await;
    let both = receiver.nth("user.created", 1).await;
    assert!(both.is_signed_with(&old) && both.is_signed_with(new));
    server.clock.advance(24 * HOUR);
    server.sign_up(&unique_email()).await;
    let one = receiver.nth("user.created", 2).await;
    assert!(!one.is_signed_with(&old) && one.is_signed_with(new));
    // In the database no secret is in clear text.
    let found: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM webhook_secrets WHERE position($1::bytea IN sealed) > 0",
    )
    .bind(new.as_bytes())
    .fetch_one(server.pool())
    .await
    .unwrap();
    assert_eq!(found, 0);
}

#[tokio::test]
async fn endpoints_choose_what_they_are_told_and_how() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let more = json!({
        "filter_types": ["user.deleted"], "description": "d", "headers": {"x-token": "t"},
    });
    let (id, _) = endpoint(&server, &receiver, more).await;
    let disabled = Receiver::open().await;
    let (other, _) = endpoint(&server, &disabled, json!({"disabled": true})).await;
    let user = server.sign_up(&unique_email()).await;
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    let deleted = receiver.first("user.deleted").await;
    assert_eq!(deleted.header("x-token"), "t");
    assert_eq!(receiver.received().len(), 1);
    assert!(disabled.received().is_empty());
    let listed = server.admin("GET", ENDPOINTS).expect(200).await;
    let mut ids = [&listed["items"][0]["id"], &listed["items"][1]["id"]];
    let mut expected = [&json!(id), &json!(other)];
    ids.sort_by_key(ToString::to_string);
    expected.sort_by_key(ToString::to_string);
    assert_eq!(ids, expected);
    let path = format!("{ENDPOINTS}/{id}");
    let body = json!({"filter_types": null, "url": disabled.url()});
    let changed = server.admin("PATCH", &path).body(body).expect(200).await;
    assert_eq!(changed["filter_types"], Value::Null);
    assert_eq!(changed["description"], "d");
    server.sign_up(&unique_email()).await;
    disabled.first("user.created").await;
    server.admin("DELETE", &path).expect(200).await;
    server.admin("GET", &path).refused_in_words(404).await;
}

#[tokio::test]
async fn bad_endpoints_are_refused() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let refused = [
        json!({}),
        json!({"url": "ftp://example.com"}),
        json!({"url": "nonsense"}),
        json!({"url": "https://example.com\u{0}"}),
        json!({"url": format!("https://example.com/{}", "x".repeat(2000))}),
        json!({"url": "https://example.com", "filter_types": ["user.born"]}),
        json!({"url": "https://example.com", "filter_types": "user.created"}),
        json!({"url": "https://example.com", "secret": "whsec_short"}),
        json!({"url": "https://example.com", "headers": {"svix-id": "x"}}),
        json!({"url": "https://example.com", "headers": {"x y": "x"}}),
        json!({"url": "https://example.com", "headers": {"x": "a\nb"}}),
        json!({"url": "https://example.com", "surprise": true}),
    ];
    for body in refused {
        server
            .admin("POST", ENDPOINTS)
            .body(body)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let (id, _) = endpoint(&server, &receiver, json!({})).await;
    for query in [
        "limit=0",
        "limit=251",
        "status=maybe",
        "event_type=x",
        "x=1",
    ] {
        server
            .admin("GET", &format!("/internal/webhooks/attempts?{query}"))
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    for body in [
        json!({}),
        json!({"since_millis": -1}),
        json!({"since_millis": "x"}),
    ] {
        for action in ["replay", "recover"] {
            server
                .admin("POST", &format!("{ENDPOINTS}/{id}/{action}"))
                .body(body.clone())
                .refused(400, "SCHEMA_ERROR")
                .await;
        }
    }
    // Somebody else's endpoint is nobody's.
    let other = server.new_project(json!({})).await;
    let path = format!("{ENDPOINTS}/{id}");
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("GET", format!("{path}/secret")),
        ("GET", format!("{path}/stats")),
        ("POST", format!("{path}/secret/rotate")),
        ("GET", "/internal/webhooks/messages/msg_x".to_owned()),
        (
            "POST",
            format!("/internal/webhooks/messages/msg_x/endpoints/{id}/resend"),
        ),
    ] {
        let call = server.admin_of(&other, method, &path);
        call.refused_in_words(404).await;
    }
    let listed = server.admin_of(&other, "GET", ENDPOINTS).expect(200).await;
    assert_eq!(listed["items"], json!([]));
    server.admin("GET", &path).expect(200).await;
}

#[tokio::test]
async fn attempts_are_listed_by_pages() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    endpoint(&server, &receiver, json!({})).await;
    for _ in 0..5 {
        server.anonymous().await;
    }
    eventually("all attempts are logged", || async {
        attempts(&server, "").await.len() == 5
    })
    .await;
    let mut seen = Vec::new();
    let mut path = "/internal/webhooks/attempts?limit=2".to_owned();
    loop {
        let page = server.admin("GET", &path).expect(200).await;
        for item in page["items"].as_array().unwrap() {
            seen.push(item["id"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["pagination"]["next_cursor"].as_str() else {
            break;
        };
        path = format!("/internal/webhooks/attempts?limit=2&cursor={next}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn endpoints_are_tested_with_a_message_of_their_own() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let (id, secret) = endpoint(
        &server,
        &receiver,
        json!({"filter_types": ["team.created"]}),
    )
    .await;
    let test = async |id: &str| {
        server
            .admin("POST", "/internal/send-test-webhook")
            .body(json!({"endpoint_id": id}))
            .expect(200)
            .await
    };
    assert_eq!(test(&id).await, json!({"success": true}));
    let message = receiver.first("stack.test").await;
    assert!(message.is_signed_with(&secret));
    assert_eq!(message.data()["endpointUrl"], receiver.url());
    assert!(message.data()["message"].is_string());
    receiver.answer(500);
    let failed = test(&id).await;
    assert_eq!(failed["success"], false);
    assert!(failed["error_message"].as_str().unwrap().contains("500"));
    let unknown = test("ep_nowhere").await;
    assert_eq!(unknown["success"], false);
    assert!(
        unknown["error_message"]
            .as_str()
            .unwrap()
            .contains("not found")
    );
    // It is not tried again.
    server.clock.advance(HOUR);
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(receiver.received().len(), 2);
    server
        .admin("POST", "/internal/send-test-webhook")
        .body(json!({}))
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let webhooks = Delivery::Embedded(AddressPolicy::Public);
    let server = TestServer::start_delivering(&database().await, webhooks).await;
    let receiver = Receiver::open().await;
    let port = receiver.url().rsplit_once(':').unwrap().1.to_owned();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
    ] {
        let body = json!({"url": format!("http://{host}:{port}")});
        let made = server.admin("POST", ENDPOINTS).body(body).expect(201).await;
        let tested = server
            .admin("POST", "/internal/send-test-webhook")
            .body(json!({"endpoint_id": made["id"]}))
            .expect(200)
            .await;
        assert_eq!(tested["success"], false, "{host}");
        let message = tested["error_message"].as_str().unwrap();
        assert!(message.contains("private"), "{host}: {message}");
    }
    assert!(receiver.received().is_empty());
    let logged = attempts(&server, "").await;
    assert_eq!(logged.len(), 5);
    assert_eq!(logged[0]["response_status_code"], 0);
}

#[tokio::test]
async fn a_slow_endpoint_keeps_only_itself_waiting() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    // It accepts connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let body = json!({"url": url});
    server.admin("POST", ENDPOINTS).body(body).expect(201).await;
    endpoint(&server, &receiver, json!({})).await;
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        server.anonymous().await;
    }
    receiver.nth("user.created", 3).await;
    assert!(begun.elapsed().as_secs() < 10);
}

#[tokio::test]
async fn deleting_a_project_deletes_its_endpoints() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    endpoint(&server, &receiver, json!({})).await;
    server.anonymous().await;
    receiver.first("user.created").await;
    server
        .admin("DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    eventually("nothing is left", || async {
        let left: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM webhook_endpoints)
                  + (SELECT count(*) FROM webhook_messages)
                  + (SELECT count(*) FROM webhook_attempts)
                  + (SELECT count(*) FROM webhook_secrets)",
        )
        .fetch_one(server.pool())
        .await
        .unwrap();
        left == 0
    })
    .await;
}

#[tokio::test]
async fn the_backlog_is_a_metric() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    endpoint(&server, &receiver, json!({})).await;
    server.anonymous().await;
    receiver.first("user.created").await;
    let metrics = server.page("GET", "/metrics").send().await.text;
    for name in [
        "muniment_webhook_attempts_total",
        "muniment_webhook_backlog",
        "muniment_webhook_lag_seconds",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
}

#[tokio::test]
async fn what_was_told_of_the_erased_is_forgotten() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    endpoint(&server, &receiver, json!({})).await;
    let user = server.sign_up(&unique_email()).await;
    let created = receiver.first("user.created").await;
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    let deleted = receiver.first("user.deleted").await;
    let payload = async |id: &str| {
        let path = format!("/internal/webhooks/messages/{id}");
        server.admin("GET", &path).expect(200).await["payload"].clone()
    };
    eventually("it is forgotten", || async {
        let mut connection = server.pool().acquire().await.unwrap();
        queue::forget_erased(&mut connection).await.unwrap();
        payload(created.id()).await == Value::Null
    })
    .await;
    assert_eq!(payload(deleted.id()).await, deleted.body());
}
