//! Contract 06 §3 and §4: how much of an item a customer has.

use std::sync::Arc;

use muniment::server::Follow;
use muniment_projections::maintenance::replay::replay;
use serde_json::{Value, json};

use crate::support::{Answer, Call, Project, TestServer, database, unique_email};

const GHOST: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
const DAY: i64 = 86_400_000;

async fn start() -> TestServer {
    let server = TestServer::start().await;
    configure(&server).await;
    server
}

/// Through the endpoint that dashboards use.
async fn configure(server: &TestServer) {
    let settings = json!({
        "payments.items.credits": {"displayName": "Credits", "customerType": "user"},
        "payments.items.seats": {"customerType": "team"},
        "payments.items.units": {"customerType": "custom"},
    });
    let call = server.admin("PATCH", "/internal/config/override/branch");
    let body = json!({"config_override_string": settings.to_string()});
    call.body(body).expect(200).await;
}

fn change(server: &TestServer, path: &str, delta: i64, allow_negative: bool) -> Call {
    let path = format!("/payments/items/{path}/update-quantity?allow_negative={allow_negative}");
    server.server("POST", &path).body(json!({"delta": delta}))
}

async fn read(server: &TestServer, path: &str) -> Value {
    let call = server.server("GET", &format!("/payments/items/{path}"));
    call.expect(200).await["quantity"].clone()
}

#[tokio::test]
async fn quantities_go_up_and_down() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let path = format!("user/{}/credits", user.user_id);
    let call = server.client("GET", &format!("/payments/items/{path}"));
    let shown = call.user(&user).expect(200).await;
    let nothing = json!({"id": "credits", "display_name": "Credits", "quantity": 0});
    assert_eq!(shown, nothing);
    for (delta, expected) in [(2, 2), (-1, 1), (5, 6), (0, 6)] {
        let done = change(&server, &path, delta, false).expect(200).await;
        assert_eq!(done, json!({}));
        assert_eq!(read(&server, &path).await, expected);
    }
    let details = change(&server, &path, -7, false)
        .refused(400, "ITEM_QUANTITY_INSUFFICIENT_AMOUNT")
        .await;
    let expected = json!({"item_id": "credits", "customer_id": user.user_id, "quantity": -7});
    assert_eq!(details, expected);
    change(&server, &path, -9, true).expect(200).await;
    assert_eq!(read(&server, &path).await, -3);
    // Also what makes it better is refused as long as it is not enough.
    change(&server, &path, 2, false)
        .refused(400, "ITEM_QUANTITY_INSUFFICIENT_AMOUNT")
        .await;
    change(&server, &path, 3, false).expect(200).await;
    assert_eq!(read(&server, &path).await, 0);
    server.assert_verified().await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
    assert_eq!(read(&server, &path).await, 0);
}

#[tokio::test]
async fn grants_expire_when_they_say_so() {
    let server = start().await;
    let grant = |delta: i64, after: i64| {
        let at = muniment::timestamp::format(server.clock.now().plus(after));
        let path = "/payments/items/custom/acme/units/update-quantity?allow_negative=true";
        let body = json!({"delta": delta, "expires_at": at, "description": "promotion"});
        server.server("POST", path).body(body)
    };
    grant(4, -1).expect(200).await;
    assert_eq!(read(&server, "custom/acme/units").await, 0);
    grant(5, 10 * DAY).expect(200).await;
    server.clock.advance(4 * DAY);
    grant(-3, DAY).expect(200).await;
    assert_eq!(read(&server, "custom/acme/units").await, 2);
    server.clock.advance(6 * DAY);
    assert_eq!(read(&server, "custom/acme/units").await, 0);
    change(&server, "custom/acme/units", 10, false)
        .expect(200)
        .await;
    assert_eq!(read(&server, "custom/acme/units").await, 10);
    server.assert_verified().await;
}

#[tokio::test]
async fn an_instant_is_the_same_in_every_time_zone() {
    let server = start().await;
    let units = "custom/acme/units";
    let now = server.clock.now();
    let second = now.plus(DAY - now.0.rem_euclid(1000));
    let utc = muniment::timestamp::format(second);
    let utc = utc.strip_suffix('Z').unwrap();
    for (offset, ahead) in [("Z", 0), ("+14:00", 14 * 60), ("-09:30", -(9 * 60 + 30))] {
        let local = muniment::timestamp::format(second.plus(ahead * 60_000));
        let local = format!("{}{offset}", local.strip_suffix('Z').unwrap());
        assert!(offset != "Z" || local == format!("{utc}Z"));
        let path = format!("/payments/items/{units}/update-quantity?allow_negative=true");
        let body = json!({"delta": 2, "expires_at": local});
        server.server("POST", &path).body(body).expect(200).await;
    }
    server.clock.advance(second.0 - now.0 - 1);
    assert_eq!(read(&server, units).await, 6);
    server.clock.advance(1);
    assert_eq!(read(&server, units).await, 0);
}

#[tokio::test]
async fn wrong_items_and_customers() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let both = |path: &str| {
        let read = server.server("GET", &format!("/payments/items/{path}"));
        [read, change(&server, path, 1, true)]
    };
    for call in both(&format!("user/{}/coins", user.user_id)) {
        let details = call.refused(404, "ITEM_NOT_FOUND").await;
        assert_eq!(details, json!({"item_id": "coins"}));
    }
    for call in both("custom/x/credits") {
        let details = call.refused(400, "ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH").await;
        let expected = json!({
            "item_id": "credits", "customer_id": "x",
            "item_customer_type": "user", "actual_customer_type": "custom",
        });
        assert_eq!(details, expected);
    }
    for id in [GHOST, "nobody"] {
        for call in both(&format!("user/{id}/credits")) {
            call.refused(404, "USER_NOT_FOUND").await;
        }
        for call in both(&format!("team/{id}/seats")) {
            let details = call.refused(404, "TEAM_NOT_FOUND").await;
            assert_eq!(details, json!({"team_id": id}));
        }
    }
    for call in both("org/x/credits") {
        call.refused(400, "SCHEMA_ERROR").await;
    }
    let path = "/payments/items/custom/x/units/update-quantity";
    for (query, body) in [
        ("", json!({"delta": 1})),
        ("?allow_negative=1", json!({"delta": 1})),
        ("?allow_negative=true", json!({})),
        ("?allow_negative=true", json!({"delta": 1.5})),
        ("?allow_negative=true", json!({"delta": 2_147_483_648_i64})),
        ("?allow_negative=true", json!({"delta": -2_147_483_649_i64})),
        (
            "?allow_negative=true",
            json!({"delta": 1, "expires_at": "tomorrow"}),
        ),
        ("?allow_negative=true", json!({"delta": 1, "expires_at": 5})),
        (
            "?allow_negative=true",
            json!({"delta": 1, "description": "a\u{0}b"}),
        ),
        ("?allow_negative=true", json!({"delta": 1, "extra": 1})),
    ] {
        let call = server.server("POST", &format!("{path}{query}"));
        call.body(body).refused(400, "SCHEMA_ERROR").await;
    }
    let other = server.new_project(json!({})).await;
    let path = format!("/payments/items/user/{}/credits", user.user_id);
    let call = server.server_of(&other, "GET", &path);
    call.refused(404, "ITEM_NOT_FOUND").await;
}

#[tokio::test]
async fn clients_reach_their_own_and_their_teams_items_only() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let other = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    let get = |path: &str| server.client("GET", &format!("/payments/items/{path}"));
    let own = format!("user/{}/credits", user.user_id);
    get(&own).refused(401, "USER_AUTHENTICATION_REQUIRED").await;
    get(&own).user(&user).expect(200).await;
    get(&own).user(&other).refused_in_words(403).await;
    get("custom/x/units")
        .user(&user)
        .refused_in_words(403)
        .await;
    let seats = format!("team/{team}/seats");
    get(&seats).user(&user).expect(200).await;
    let details = get(&seats)
        .user(&other)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    assert_eq!(details, json!({"team_id": team, "user_id": other.user_id}));
    server.add_member(&team, &other).await;
    let details = get(&seats)
        .user(&other)
        .refused(401, "TEAM_PERMISSION_REQUIRED")
        .await;
    assert_eq!(details["permission_id"], "team_admin");
    // Who is calling is asked before what for.
    get(&format!("user/{}/coins", other.user_id))
        .user(&user)
        .refused_in_words(403)
        .await;
}

#[tokio::test]
async fn the_same_change_is_made_once() {
    let server = Arc::new(start().await);
    let calls = (0..20).map(|_| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let call = change(&server, "custom/acme/units", 3, false);
            call.header("Idempotency-Key", "order-1").expect(200).await
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(read(&server, "custom/acme/units").await, 3);
    let call = change(&server, "custom/acme/units", 3, false);
    call.header("Idempotency-Key", "order-2").expect(200).await;
    // A key counts for one item of one customer.
    let call = change(&server, "custom/zenith/units", 3, false);
    call.header("Idempotency-Key", "order-1").expect(200).await;
    assert_eq!(read(&server, "custom/acme/units").await, 6);
    assert_eq!(read(&server, "custom/zenith/units").await, 3);
}

/// So many takes of one, spread over servers. Yields how many went through.
async fn take_at_once(servers: &[Arc<TestServer>], project: &Project, takes: usize) -> usize {
    let calls = (0..takes).map(|nth| {
        let server = Arc::clone(&servers[nth % servers.len()]);
        let project = project.clone();
        tokio::spawn(async move {
            let path = "/payments/items/custom/hot/units/update-quantity?allow_negative=false";
            let call = server.server_of(&project, "POST", path);
            call.body(json!({"delta": -1})).send().await
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut taken = 0;
    for call in calls {
        let answer: Answer = call.await.unwrap();
        match answer.known_error() {
            None => {
                assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
                taken += 1;
            }
            Some(code) => assert_eq!(code, "ITEM_QUANTITY_INSUFFICIENT_AMOUNT"),
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_takes_at_once_never_oversell() {
    let server = Arc::new(start().await);
    change(&server, "custom/hot/units", 300, false)
        .expect(200)
        .await;
    let servers = [Arc::clone(&server)];
    assert_eq!(take_at_once(&servers, &server.project, 1_000).await, 300);
    assert_eq!(read(&server, "custom/hot/units").await, 0);
    server.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_do_they_across_two_servers() {
    let url = database().await;
    let one = Arc::new(TestServer::start_on(&url, Follow::Everything).await);
    configure(&one).await;
    let two = Arc::new(TestServer::start_on(&url, Follow::Nothing).await);
    change(&one, "custom/hot/units", 100, false)
        .expect(200)
        .await;
    let servers = [Arc::clone(&one), two];
    assert_eq!(take_at_once(&servers, &one.project, 1_000).await, 100);
    assert_eq!(read(&one, "custom/hot/units").await, 0);
    one.assert_verified().await;
}

#[tokio::test]
async fn what_a_deleted_user_had_is_gone() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let path = format!("user/{}/credits", user.user_id);
    change(&server, &path, 5, false).expect(200).await;
    let call = server.server("DELETE", &format!("/users/{}", user.user_id));
    call.expect(200).await;
    let call = server.server("GET", &format!("/payments/items/{path}"));
    call.refused(404, "USER_NOT_FOUND").await;
    let sql = "SELECT count(*) FROM item_balances WHERE project_id = $1";
    let left: i64 = sqlx::query_scalar(sql)
        .bind(&server.project.id)
        .fetch_one(server.pool())
        .await
        .unwrap();
    assert_eq!(left, 0);
    server.assert_verified().await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
}
