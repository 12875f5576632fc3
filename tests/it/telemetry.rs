//! Contract 07 §1, §2 and DESIGN point 9: what is observed reaches the analytics store, once.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use muniment::config::TrustedProxy;
use muniment::server::Follow;
use muniment_domain::{Millis, ProjectId};
use muniment_projections::analytics::{AnalyticsStore, Endpoint, Engine};
use muniment_projections::telemetry::drain::{Step, drain, step};
use muniment_projections::telemetry::{TelemetryEvent, spool};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio_util::task::AbortOnDropHandle;

use crate::support::{
    Call, PASSWORD, TestServer, Tokens, Variant, analytics, database, eventually, unique_email,
};

pub(crate) const SEGMENT: &str = "6fb53bb8-4f2f-7b1c-9d27-1d4a61d1f0de";
pub(crate) const BATCH: &str = "0b1c2d3e-4f2f-4b1c-8d27-1d4a61d1f0de";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64)";

/// A server whose test project takes what browsers observe.
pub(crate) async fn observing() -> TestServer {
    let server = TestServer::start().await;
    enable(&server).await;
    server
}

pub(crate) async fn enable(server: &TestServer) {
    let changes = json!({"apps.installed.analytics.enabled": true});
    server.override_settings(changes).await;
}

/// A store that does not answer.
pub(crate) fn away() -> AnalyticsStore {
    AnalyticsStore::new(Endpoint {
        engine: Engine::Server,
        url: "http://127.0.0.1:1".to_owned(),
        owner: "default".to_owned(),
        owner_password: String::new(),
        tenant_password: String::new(),
    })
}

/// Yields a new access token for the session.
pub(crate) async fn refresh(server: &TestServer, user: &Tokens) -> String {
    let answer = server
        .client("POST", "/auth/sessions/current/refresh")
        .header("x-stack-refresh-token", &user.refresh)
        .expect(200)
        .await;
    answer["access_token"].as_str().unwrap().to_owned()
}

/// The rows of a question to the analytics store.
pub(crate) async fn select(store: &AnalyticsStore, sql: &str) -> Vec<Value> {
    let mut rows = store.owner().query(sql).fetch_bytes("JSONEachRow").unwrap();
    let text = rows.collect().await.unwrap();
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// The test project's events of a type, the oldest first, once there are so many.
pub(crate) async fn events(server: &TestServer, event_type: &str, count: usize) -> Vec<Value> {
    let store = analytics().await;
    let sql = format!(
        "SELECT * FROM events WHERE project_id = '{}' AND event_type = '{event_type}'
         ORDER BY event_at, created_at",
        server.project.id
    );
    server.app().recorder.flush().await.unwrap();
    eventually("the events arrive", || async {
        select(&store, &sql).await.len() >= count
    })
    .await;
    let rows = select(&store, &sql).await;
    assert_eq!(rows.len(), count, "{rows:#?}");
    rows
}

fn batch(events: Value) -> Value {
    json!({
        "session_replay_segment_id": SEGMENT,
        "batch_id": BATCH,
        "sent_at_ms": 1_760_000_000_500_i64,
        "events": events,
    })
}

fn click(at: i64) -> Value {
    json!({"event_type": "$click", "event_at_ms": at, "data": {"selector": "#buy", "x": 1.5}})
}

fn post(server: &TestServer, user: &Tokens) -> Call {
    server.client("POST", "/analytics/events/batch").user(user)
}

#[tokio::test]
async fn what_browsers_send_can_be_queried_with_every_column() {
    let server = observing().await;
    let user = server.anonymous().await;
    let view = json!({
        "event_type": "$page-view", "event_at_ms": 0, "data": {"url": "https://a.example/", "referrer": ""},
    });
    let sent = batch(json!([view, click(1_760_000_000_123)]));
    let answer = post(&server, &user).body(sent).expect(200).await;
    assert_eq!(answer, json!({"inserted": 2}));
    let rows = events(&server, "$page-view", 1).await;
    let now = rows[0]["created_at"].as_str().unwrap().to_owned();
    let expected = json!({
        "event_type": "$page-view",
        "event_at": "1970-01-01 00:00:00.000",
        "data": {"url": "https://a.example/", "referrer": ""},
        "project_id": server.project.id,
        "branch_id": "main",
        "user_id": user.user_id,
        "team_id": null,
        "refresh_token_id": session_of(&server, &user).await,
        "session_replay_id": null,
        "session_replay_segment_id": SEGMENT,
        "created_at": now,
    });
    assert_eq!(rows[0], expected);
    let rows = events(&server, "$click", 1).await;
    assert_eq!(rows[0]["event_at"], "2025-10-09 08:53:20.123");
    assert_eq!(rows[0]["data"], json!({"selector": "#buy", "x": 1.5}));
}

async fn session_of(server: &TestServer, user: &Tokens) -> Value {
    let path = format!("/auth/sessions?user_id={}", user.user_id);
    let sessions = server.server("GET", &path).expect(200).await;
    sessions["items"][0]["id"].clone()
}

/// Half of a pair of surrogates, a NUL, things that are no objects, names that collide, and depth.
#[tokio::test]
async fn any_json_is_taken() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let data = [
        r#"{"text": "cut \ud83c", "list": ["\udf89", {"in": "\ud83c\udf89 \ud83c"}]}"#.to_owned(),
        r#"{"text": "a\u0000b"}"#.to_owned(),
        "null".to_owned(),
        "[1, \"two\", {\"three\": 3}]".to_owned(),
        r#"{"a.b": 1, "a": {"b": 2}}"#.to_owned(),
        r#"{"same": 1, "same": 2}"#.to_owned(),
    ];
    let item = |event_type: &str, at: usize, data: &str| {
        format!(r#"{{"event_type": "{event_type}", "event_at_ms": {at}, "data": {data}}}"#)
    };
    let clicks = data.iter().enumerate();
    let mut items: Vec<String> = clicks.map(|(at, data)| item("$click", at, data)).collect();
    items.push(item("$page-view", 0, &deep));
    let body = format!(
        r#"{{"session_replay_segment_id": "{SEGMENT}", "batch_id": "{BATCH}", "sent_at_ms": 1, "events": [{}]}}"#,
        items.join(",")
    );
    let answer = post(&server, &user).raw("application/json", body);
    assert_eq!(answer.expect(200).await["inserted"], data.len() + 1);
    let rows = events(&server, "$click", data.len()).await;
    assert_eq!(rows[0]["data"]["text"], "cut \u{fffd}");
    let list = rows[0]["data"]["list"].to_string();
    assert!(list.contains("🎉 \u{fffd}"), "{list}");
    assert_eq!(rows[1]["data"]["text"], "a\0b");
    assert!(
        rows[3]["data"]["value"].to_string().contains("two"),
        "{}",
        rows[3]
    );
    // Too deep for this test to read.
    let sql = format!(
        "SELECT length(toString(data)) > 1000 AS is_whole FROM events
         WHERE project_id = '{}' AND event_type = '$page-view'",
        server.project.id
    );
    assert_eq!(
        select(&analytics().await, &sql).await,
        [json!({"is_whole": 1})]
    );
}

/// As releases of the SDK since 2.8 send it.
#[tokio::test]
async fn batches_may_be_compressed() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let packed = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let send = |body: Vec<u8>| post(&server, &user).raw("application/octet-stream", body);
    let sent = batch(json!([click(5)])).to_string();
    assert_eq!(
        send(packed(&sent)).expect(200).await,
        json!({"inserted": 1})
    );
    events(&server, "$click", 1).await;
    let bomb =
        batch(json!([{"event_type": "$click", "event_at_ms": 1, "data": " ".repeat(50_000_000)}]));
    for broken in [packed("{"), sent.into_bytes(), packed(&bomb.to_string())] {
        send(broken).refused(400, "BODY_PARSING_ERROR").await;
    }
}

#[tokio::test]
async fn a_batch_that_is_sent_again_counts_again() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    for _ in 0..2 {
        let sent = batch(json!([click(5)]));
        post(&server, &user).body(sent).expect(200).await;
    }
    events(&server, "$click", 2).await;
}

#[tokio::test]
async fn malformed_batches_are_refused() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let good = batch(json!([click(5)]));
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let event = |name: &str, value: Value| {
        let mut event = click(5);
        event[name] = value;
        batch(json!([click(4), event]))
    };
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let mut no_data = good.clone();
    no_data["events"][0].as_object_mut().unwrap().remove("data");
    let many: Vec<Value> = (0..501).map(click).collect();
    let bodies = [
        with("session_replay_segment_id", json!("x")),
        with("batch_id", json!("00000000-0000-0000-0000-000000000000")),
        with("sent_at_ms", json!(-1)),
        with("sent_at_ms", json!(1.5)),
        with("events", json!([])),
        with("events", json!({})),
        with("events", json!(null)),
        with("events", json!([1])),
        with("events", json!(many)),
        with("extra", json!(1)),
        without("session_replay_segment_id"),
        without("batch_id"),
        without("sent_at_ms"),
        without("events"),
        event("event_type", json!("$scroll")),
        event("event_type", json!(null)),
        event("event_at_ms", json!(-1)),
        event("event_at_ms", json!("soon")),
        event("extra", json!(1)),
        no_data,
        json!([]),
    ];
    for body in bodies {
        let call = post(&server, &user).body(body);
        let details = call.refused(400, "SCHEMA_ERROR").await;
        let message = details["message"].as_str().unwrap();
        assert!(
            message.starts_with("POST /api/v1/analytics/events/batch"),
            "{message}"
        );
    }
    let full: Vec<Value> = (0..500).map(click).collect();
    let call = post(&server, &user).body(batch(json!(full)));
    assert_eq!(call.expect(200).await["inserted"], 500);
    let large =
        batch(json!([{"event_type": "$click", "event_at_ms": 1, "data": "x".repeat(1_100_000)}]));
    post(&server, &user)
        .body(large)
        .refused(400, "BODY_PARSING_ERROR")
        .await;
}

#[tokio::test]
async fn the_application_is_checked_before_the_user_and_the_body_before_both() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let call = || server.client("POST", "/analytics/events/batch");
    let good = batch(json!([click(5)]));
    call().body(json!({})).refused(400, "SCHEMA_ERROR").await;
    call()
        .body(good.clone())
        .refused(400, "ANALYTICS_NOT_ENABLED")
        .await;
    let signed_in = call().user(&user).body(good.clone());
    signed_in.refused(400, "ANALYTICS_NOT_ENABLED").await;
    enable(&server).await;
    call().body(json!({})).refused(400, "SCHEMA_ERROR").await;
    call()
        .body(good.clone())
        .refused(401, "USER_AUTHENTICATION_REQUIRED")
        .await;
    call().user(&user).body(good.clone()).expect(200).await;
    for call in [
        server.server("POST", "/analytics/events/batch"),
        server.admin("POST", "/analytics/events/batch"),
    ] {
        call.user(&user).body(good.clone()).expect(200).await;
    }
}

#[tokio::test]
async fn every_issued_token_leaves_one_event() {
    let server = TestServer::start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    server
        .client("POST", "/auth/password/sign-in")
        .body(json!({"email": email, "password": PASSWORD}))
        .expect(200)
        .await;
    for _ in 0..3 {
        server.clock.advance(1_000);
        refresh(&server, &user).await;
    }
    server
        .server("POST", "/auth/sessions")
        .body(json!({"user_id": user.user_id}))
        .expect(200)
        .await;
    server.clock.advance(1_000);
    let anonymous = server.anonymous().await;
    let rows = events(&server, "$token-refresh", 7).await;
    for row in &rows[..6] {
        assert_eq!(row["user_id"], user.user_id);
        assert_eq!(row["data"]["is_anonymous"], false);
    }
    let last = &rows[6];
    assert_eq!(last["user_id"], anonymous.user_id);
    assert_eq!(last["data"]["is_anonymous"], true);
    assert_eq!(last["data"]["refresh_token_id"], last["refresh_token_id"]);
    assert_eq!(
        last["data"]["refresh_token_id"],
        session_of(&server, &anonymous).await
    );
    // A JSON column keeps no nulls.
    assert_eq!(last["data"].get("ip_info"), None);
    assert_eq!(last["team_id"], Value::Null);
    assert_eq!(last["session_replay_segment_id"], Value::Null);
}

#[tokio::test]
async fn events_of_tokens_say_where_the_end_user_is() {
    for (proxy, is_trusted) in [(None, false), (Some(TrustedProxy::Vercel), true)] {
        let variant = Variant {
            trusted_proxy: proxy,
            ..Variant::usual().await
        };
        let server = TestServer::start_with(&database().await, variant).await;
        let headers = [
            ("user-agent", BROWSER),
            ("x-vercel-forwarded-for", "203.0.113.9"),
            ("x-vercel-ip-country", "nl"),
            ("x-vercel-ip-country-region", "NH"),
            ("x-vercel-ip-city", "Amsterdam"),
            ("x-vercel-ip-latitude", "52.37"),
            ("x-vercel-ip-longitude", "4.89"),
            ("x-vercel-ip-timezone", "Europe/Amsterdam"),
        ];
        let mut call = server.client("POST", "/auth/anonymous/sign-up");
        for (name, value) in headers {
            call = call.header(name, value);
        }
        call.expect(200).await;
        let rows = events(&server, "$token-refresh", 1).await;
        let expected = json!({
            "ip": "203.0.113.9",
            "is_trusted": is_trusted,
            "country_code": "NL",
            "region_code": "NH",
            "city_name": "Amsterdam",
            "latitude": 52.37,
            "longitude": 4.89,
            "tz_identifier": "Europe/Amsterdam",
        });
        assert_eq!(rows[0]["data"]["ip_info"], expected);
    }
}

#[tokio::test]
async fn rules_that_apply_to_a_sign_up_leave_an_event_each() {
    let server = TestServer::start().await;
    server
        .override_settings(json!({
            "auth.signUpRules.a": {"enabled": true, "priority": 2, "condition": "true", "action": {"type": "log"}},
            "auth.signUpRules.b": {"enabled": true, "priority": 1, "condition": "true", "action": {"type": "reject"}},
        }))
        .await;
    let email = unique_email();
    server
        .client("POST", "/auth/password/sign-up")
        .body(json!({"email": email, "password": PASSWORD}))
        .refused(403, "SIGN_UP_REJECTED")
        .await;
    let mut rows = events(&server, "$sign-up-rule-trigger", 2).await;
    rows.sort_by_key(|row| row["data"]["rule_id"].to_string());
    let data = |rule: &str, action: &str| {
        json!({
            "rule_id": rule, "action": action, "email": email,
            "auth_method": "password", "oauth_provider": "",
        })
    };
    assert_eq!(rows[0]["data"], data("a", "log"));
    assert_eq!(rows[1]["data"], data("b", "reject"));
    for row in &rows {
        assert_eq!(row["user_id"], Value::Null);
        assert_eq!(row["refresh_token_id"], Value::Null);
    }
}

fn spooled(project: &str, number: i64) -> TelemetryEvent {
    TelemetryEvent {
        event_type: "$click".to_owned(),
        at: Millis(1_760_000_000_000 + number),
        data: json!({"number": number}).to_string(),
        project_id: ProjectId::from_caller(project),
        user: None,
        session: None,
        replay: None,
        segment: None,
        created_at: Millis(1_760_000_000_000),
    }
}

/// Puts these events into the spool, in the place of what starting the server left there.
async fn spool_only(server: &TestServer, events: &[TelemetryEvent]) {
    let empty = sqlx::query("DELETE FROM telemetry_spool");
    empty.execute(server.pool()).await.unwrap();
    spool::append(server.pool(), events).await.unwrap();
}

/// How many events the store has of a project, how many different ones, and their sum.
async fn arrived(project: &str) -> Value {
    let sql = format!(
        "SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(data.number.:Int64)) AS different,
                toUInt32(sum(data.number.:Int64)) AS sum
         FROM events WHERE project_id = '{project}'"
    );
    select(&analytics().await, &sql).await.remove(0)
}

/// The process dies after the store took a batch and before Postgres forgot it.
#[tokio::test]
async fn a_batch_that_arrived_before_a_crash_is_recognised() {
    let url = database().await;
    let server = TestServer::start_on(&url, Follow::Nothing).await;
    let project = &server.project.id;
    let sent: Vec<TelemetryEvent> = (0..100).map(|number| spooled(project, number)).collect();
    spool_only(&server, &sent).await;
    let store = analytics().await.owner();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for sql in [
        "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'crash'; END $$",
        "CREATE TRIGGER crash BEFORE DELETE ON telemetry_batches EXECUTE FUNCTION crash()",
    ] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    for _ in 0..3 {
        assert!(step(&mut connection, &store).await.is_err());
        assert_eq!(
            arrived(project).await,
            json!({"rows": 100, "different": 100, "sum": 4950})
        );
    }
    // What comes in the meantime belongs to the next batch.
    spool::append(server.pool(), &[spooled(project, 100)])
        .await
        .unwrap();
    let sql = "DROP TRIGGER crash ON telemetry_batches";
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    assert_eq!(step(&mut connection, &store).await.unwrap(), Step::Moved);
    assert_eq!(arrived(project).await["rows"], 100);
    assert_eq!(step(&mut connection, &store).await.unwrap(), Step::Moved);
    assert_eq!(step(&mut connection, &store).await.unwrap(), Step::Idle);
    assert_eq!(
        arrived(project).await,
        json!({"rows": 101, "different": 101, "sum": 5050})
    );
}

/// The drainer is killed again and again, wherever it is.
#[tokio::test]
async fn however_often_the_drainer_is_killed_everything_arrives_once() {
    const EVENTS: i64 = 3_000;
    let server = TestServer::start_on(&database().await, Follow::Nothing).await;
    let project = &server.project.id;
    for hundred in 0..EVENTS / 100 {
        let numbers = hundred * 100..(hundred + 1) * 100;
        let sent: Vec<TelemetryEvent> = numbers.map(|number| spooled(project, number)).collect();
        spool::append(server.pool(), &sent).await.unwrap();
        let (recorder, store) = (server.app().recorder.clone(), analytics().await.owner());
        let draining = drain(server.pool().clone(), recorder, store);
        let draining = AbortOnDropHandle::new(tokio::spawn(draining));
        // Where the drainer is by then is up to chance.
        tokio::time::sleep(Duration::from_millis(u64::try_from(hundred).unwrap() * 2)).await;
        drop(draining);
    }
    let (recorder, store) = (server.app().recorder.clone(), analytics().await.owner());
    let draining = drain(server.pool().clone(), recorder, store);
    let _draining = AbortOnDropHandle::new(tokio::spawn(draining));
    eventually("the spool is empty", || async {
        spool::backlog(server.pool()).await.unwrap().waiting == 0
    })
    .await;
    let sum = EVENTS * (EVENTS - 1) / 2;
    let expected = json!({"rows": EVENTS, "different": EVENTS, "sum": sum});
    let sql = format!(
        "SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(data.number.:Int64)) AS different,
                toUInt32(sum(data.number.:Int64)) AS sum
         FROM events WHERE project_id = '{project}' AND event_type = '$click'"
    );
    assert_eq!(select(&analytics().await, &sql).await[0], expected);
}

#[tokio::test]
async fn a_row_that_the_store_cannot_read_holds_nobody_up() {
    let url = database().await;
    let server = TestServer::start_on(&url, Follow::Nothing).await;
    let project = "unreadable-row-among-others";
    let mut sent: Vec<TelemetryEvent> = (0..9).map(|number| spooled(project, number)).collect();
    "no json".clone_into(&mut sent[6].data);
    spool_only(&server, &sent).await;
    let store = analytics().await.owner();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    while step(&mut connection, &store).await.unwrap() != Step::Idle {}
    let rows = format!("SELECT data.number AS n FROM events WHERE project_id = '{project}'");
    assert_eq!(select(&analytics().await, &rows).await.len(), 8);
    let backlog = spool::backlog(server.pool()).await.unwrap();
    assert_eq!((backlog.waiting, backlog.refused), (0, 1));
    let refused: (String, String) = sqlx::query_as("SELECT data, refusal FROM telemetry_refused")
        .fetch_one(server.pool())
        .await
        .unwrap();
    assert_eq!(refused.0, "no json");
    assert!(refused.1.contains("code 117"), "{}", refused.1);
}

#[tokio::test]
async fn while_the_store_is_away_everything_waits() {
    let variant = Variant {
        analytics: Some(away()),
        ..Variant::usual().await
    };
    let url = database().await;
    let server = TestServer::start_with(&url, variant).await;
    enable(&server).await;
    let user = server.sign_up(&unique_email()).await;
    let sent = batch(json!([click(5), click(6)]));
    post(&server, &user).body(sent).expect(200).await;
    server.app().recorder.flush().await.unwrap();
    server.clock.advance(5_000);
    let backlog = spool::backlog(server.pool()).await.unwrap();
    // The owner of the project signed up as well.
    assert_eq!(backlog.waiting, 4);
    let page = server.page("GET", "/metrics").send().await.text;
    assert!(page.contains("muniment_telemetry_spool_rows 4"), "{page}");
    assert!(
        page.contains("muniment_telemetry_spool_age_seconds 5"),
        "{page}"
    );
    let mut connection = PgConnection::connect(&url).await.unwrap();
    while step(&mut connection, &analytics().await.owner())
        .await
        .unwrap()
        != Step::Idle
    {}
    events(&server, "$click", 2).await;
    events(&server, "$token-refresh", 1).await;
}

#[tokio::test]
async fn what_is_on_its_way_is_forgotten_with_its_user() {
    let server = TestServer::start_analysing(Some(away())).await;
    enable(&server).await;
    server
        .override_settings(json!({
            "auth.signUpRules.a": {"enabled": true, "condition": "true", "action": {"type": "log"}},
        }))
        .await;
    let kept = server.sign_up(&unique_email()).await;
    let user = server.sign_up(&unique_email()).await;
    for user in [&kept, &user] {
        let sent = batch(json!([click(5)]));
        post(&server, user).body(sent).expect(200).await;
    }
    server.app().recorder.flush().await.unwrap();
    let count = || async {
        let sql = "SELECT count(*) FROM telemetry_spool WHERE project_id = $1";
        let count = sqlx::query_scalar::<_, i64>(sql).bind(&server.project.id);
        count.fetch_one(server.pool()).await.unwrap()
    };
    // A token, a rule and a click each.
    assert_eq!(count().await, 6);
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    eventually("the user's are forgotten", || async { count().await == 3 }).await;
}

#[tokio::test]
async fn without_a_store_nothing_is_kept_and_browsers_are_told() {
    let server = TestServer::start_analysing(None).await;
    enable(&server).await;
    let user = server.sign_up(&unique_email()).await;
    let sent = batch(json!([click(5)]));
    post(&server, &user).body(sent).refused_in_words(503).await;
    server.app().recorder.flush().await.unwrap();
    assert_eq!(spool::backlog(server.pool()).await.unwrap().waiting, 0);
}

#[tokio::test]
async fn what_was_observed_is_written_when_the_server_stops() {
    let url = database().await;
    let server = TestServer::start_on(&url, Follow::Nothing).await;
    let user = server.sign_up(&unique_email()).await;
    server.stop().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let sql = "SELECT count(*) FROM telemetry_spool WHERE user_id::text = $1";
    let kept: i64 = sqlx::query_scalar(sql)
        .bind(&user.user_id)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, 1);
}
