//! Contract 07 §3: recordings of what users saw.

use std::io::Read;

use flate2::read::GzDecoder;
use futures_util::future::join_all;
use muniment_projections::objects::private_objects;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Call, TestServer, Tokens, analytics, eventually, unique_email};
use crate::telemetry::{BATCH, SEGMENT, enable, observing, refresh, select};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A batch id of one's own.
fn batch_id(number: u32) -> String {
    format!("0b1c2d3e-4f2f-4b1c-8d27-{number:012x}")
}

fn chunk(number: u32, events: Value) -> Value {
    json!({
        "browser_session_id": "1b1c2d3e-4f2f-4b1c-8d27-1d4a61d1f0de",
        "session_replay_segment_id": SEGMENT,
        "batch_id": batch_id(number),
        "started_at_ms": 1_000,
        "sent_at_ms": 5_000,
        "events": events,
    })
}

fn event(timestamp: i64) -> Value {
    json!({"type": 3, "timestamp": timestamp, "data": {"source": 1}})
}

fn upload(server: &TestServer, user: &Tokens) -> Call {
    server.client("POST", "/session-replays/batch").user(user)
}

/// Uploads, and yields the recording's id.
async fn record(server: &TestServer, user: &Tokens, number: u32, at: i64) -> String {
    let sent = chunk(number, json!([event(at)]));
    let answer = upload(server, user).body(sent).expect(200).await;
    assert_eq!(answer["deduped"], false);
    answer["session_replay_id"].as_str().unwrap().to_owned()
}

async fn list(server: &TestServer, query: &str) -> Vec<Value> {
    let path = format!("/internal/session-replays{query}");
    let page = server.admin("GET", &path).expect(200).await;
    page["items"].as_array().unwrap().clone()
}

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_chunk_is_kept_as_the_contract_says() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let events =
        json!([event(2_000), {"timestamp": "9"}, [1], event(1_500), {"timestamp": 3_000.7}]);
    let answer = upload(&server, &user)
        .body(chunk(1, events.clone()))
        .expect(200)
        .await;
    let replay = answer["session_replay_id"].as_str().unwrap();
    let key = format!(
        "session-replays/{}/main/{replay}/{}.json.gz",
        server.project.id,
        batch_id(1)
    );
    assert_eq!(
        answer,
        json!({"session_replay_id": replay, "batch_id": batch_id(1), "s3_key": key, "deduped": false})
    );
    let object = private_objects::get(server.pool(), &key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(object.content_type, "application/json");
    assert_eq!(object.content_encoding.as_deref(), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&*object.body)
        .read_to_string(&mut text)
        .unwrap();
    let kept: Value = serde_json::from_str(&text).unwrap();
    let mut expected = chunk(1, events.clone());
    expected["v"] = json!(1);
    expected["session_replay_id"] = json!(replay);
    assert_eq!(kept, expected);
    let item = json!({
        "id": replay,
        "project_user": {"id": user.user_id, "display_name": null, "primary_email": email_of(&server, &user).await},
        "started_at_millis": 1_500,
        "last_event_at_millis": 3_000,
        "chunk_count": 1,
        "event_count": 5,
    });
    assert_eq!(list(&server, "").await, vec![item.clone()]);
    let path = format!("/internal/session-replays/{replay}");
    assert_eq!(server.admin("GET", &path).expect(200).await, item);
    let path = format!("/internal/session-replays/{replay}/chunks");
    let chunks = server.admin("GET", &path).expect(200).await;
    let id = chunks["items"][0]["id"].as_str().unwrap();
    let now = server.clock.now().0;
    let shown = json!({
        "id": id,
        "batch_id": batch_id(1),
        "session_replay_segment_id": SEGMENT,
        "browser_session_id": "1b1c2d3e-4f2f-4b1c-8d27-1d4a61d1f0de",
        "event_count": 5,
        "byte_length": object.body.len(),
        "first_event_at_millis": 1_500,
        "last_event_at_millis": 3_000,
        "created_at_millis": now,
    });
    assert_eq!(
        chunks,
        json!({"items": [shown], "pagination": {"next_cursor": null}})
    );
    let read = server
        .admin("GET", &format!("{path}/{id}/events"))
        .expect(200)
        .await;
    assert_eq!(read, json!({"events": events}));
}

async fn email_of(server: &TestServer, user: &Tokens) -> Value {
    let path = format!("/users/{}", user.user_id);
    server.server("GET", &path).expect(200).await["primary_email"].clone()
}

#[tokio::test]
async fn events_without_a_time_are_as_old_as_the_upload() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
    let body = chunk(1, json!([]))
        .to_string()
        .replace("[]", &format!("[{deep}]"));
    upload(&server, &user)
        .raw("application/json", body)
        .expect(200)
        .await;
    let items = list(&server, "").await;
    assert_eq!(items[0]["started_at_millis"], 5_000);
    assert_eq!(items[0]["last_event_at_millis"], 5_000);
}

#[tokio::test]
async fn malformed_uploads_are_refused() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let good = chunk(1, json!([event(1)]));
    let mut bodies = vec![
        json!([]),
        json!({}),
        chunk(1, json!({})),
        chunk(1, json!(null)),
    ];
    for (name, value) in [
        ("browser_session_id", json!("x")),
        (
            "session_replay_segment_id",
            json!("00000000-0000-0000-0000-000000000000"),
        ),
        ("batch_id", json!("6fb53bb84f2f4b1c9d271d4a61d1f0de")),
        ("started_at_ms", json!(-1)),
        ("sent_at_ms", json!(0.5)),
        ("sent_at_ms", json!(null)),
        ("extra", json!(1)),
    ] {
        let mut body = good.clone();
        body[name] = value;
        bodies.push(body);
    }
    for body in bodies {
        upload(&server, &user)
            .body(body)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let many: Vec<Value> = (0..5_001).map(|_| json!(1)).collect();
    upload(&server, &user)
        .body(chunk(1, json!([])))
        .refused_in_words(400)
        .await;
    upload(&server, &user)
        .body(chunk(1, json!(many)))
        .refused_in_words(400)
        .await;
    upload(&server, &user)
        .body(chunk(1, json!(many[..5_000])))
        .expect(200)
        .await;
}

/// The body's size is looked at after the user, and before its events.
#[tokio::test]
async fn large_uploads_are_refused_as_too_large() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let sized = |size: usize| {
        let body = chunk(7, json!([""])).to_string();
        let filler = "x".repeat(size - body.len());
        body.replace("[\"\"]", &format!("[\"{filler}\"]"))
    };
    let send = |size: usize| upload(&server, &user).raw("application/json", sized(size));
    send(1_000_000).expect(200).await;
    for size in [1_000_001, 1_048_577, 3_000_000] {
        send(size).refused_in_words(413).await;
        let nobody = server.client("POST", "/session-replays/batch");
        let call = nobody.raw("application/json", sized(size));
        call.refused(401, "USER_AUTHENTICATION_REQUIRED").await;
    }
}

#[tokio::test]
async fn the_application_is_checked_before_the_user() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let call = || server.client("POST", "/session-replays/batch");
    let good = chunk(1, json!([event(1)]));
    call().body(json!({})).refused(400, "SCHEMA_ERROR").await;
    call()
        .body(chunk(1, json!([])))
        .refused(400, "ANALYTICS_NOT_ENABLED")
        .await;
    call()
        .user(&user)
        .body(good.clone())
        .refused(400, "ANALYTICS_NOT_ENABLED")
        .await;
    enable(&server).await;
    call()
        .body(chunk(1, json!([])))
        .refused(401, "USER_AUTHENTICATION_REQUIRED")
        .await;
    call().user(&user).body(good).expect(200).await;
}

#[tokio::test]
async fn uploads_of_a_session_make_up_one_recording_until_it_is_quiet() {
    let server = observing().await;
    let mut user = server.sign_up(&unique_email()).await;
    let start = server.clock.now().0;
    let first = record(&server, &user, 1, start).await;
    // Another tab, another session of the browser's own: the same recording.
    let mut other = chunk(2, json!([event(start + 5)]));
    other["session_replay_segment_id"] = json!(BATCH);
    other["browser_session_id"] = json!(SEGMENT);
    let answer = upload(&server, &user).body(other).expect(200).await;
    assert_eq!(answer["session_replay_id"], *first);
    server.clock.advance(3 * MINUTE);
    assert_eq!(record(&server, &user, 3, start + 10).await, first);
    // What counts is when something was uploaded, not when the recording began.
    server.clock.advance(3 * MINUTE);
    assert_eq!(record(&server, &user, 4, start - 10).await, first);
    server.clock.advance(3 * MINUTE + 1);
    user.access = refresh(&server, &user).await;
    let second = record(&server, &user, 5, start + 20).await;
    assert_ne!(second, first);
    let items = list(&server, "").await;
    assert_eq!(ids(&items), [second.as_str(), first.as_str()]);
    assert_eq!(items[1]["started_at_millis"], start - 10);
    assert_eq!(items[1]["last_event_at_millis"], start + 10);
    assert_eq!(items[1]["chunk_count"], 4);
    // Somebody else's session is another recording.
    let stranger = server.sign_up(&unique_email()).await;
    assert_ne!(record(&server, &stranger, 5, start).await, second);
}

#[tokio::test]
async fn a_recording_is_twelve_hours_long_at_most() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let now = server.clock.now().0;
    let long = record(&server, &user, 1, now - 12 * HOUR).await;
    assert_eq!(record(&server, &user, 2, now).await, long);
    server.clock.advance(1);
    let next = record(&server, &user, 3, now - 12 * HOUR).await;
    assert_ne!(next, long);
    // Its events are as old again, so each upload begins a recording.
    assert_ne!(record(&server, &user, 4, now).await, next);
}

#[tokio::test]
async fn a_repeated_upload_extends_the_recording_and_is_not_kept_again() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let now = server.clock.now().0;
    let first = upload(&server, &user)
        .body(chunk(1, json!([event(now)])))
        .expect(200)
        .await;
    let key = first["s3_key"].as_str().unwrap();
    let kept = private_objects::get(server.pool(), key).await.unwrap();
    server.clock.advance(2 * MINUTE);
    let again = chunk(1, json!([event(now - 7), event(now + 7)]));
    let second = upload(&server, &user).body(again.clone()).expect(200).await;
    let mut expected = first.clone();
    expected["deduped"] = json!(true);
    assert_eq!(second, expected);
    assert_eq!(
        private_objects::get(server.pool(), key).await.unwrap(),
        kept
    );
    let items = list(&server, "").await;
    assert_eq!(items[0]["started_at_millis"], now - 7);
    assert_eq!(items[0]["last_event_at_millis"], now + 7);
    assert_eq!(items[0]["event_count"], 1);
    // It was an upload, so the recording goes on; but only as long as it does is anything repeated.
    server.clock.advance(2 * MINUTE);
    assert_eq!(
        upload(&server, &user).body(again.clone()).expect(200).await["deduped"],
        true
    );
    server.clock.advance(4 * MINUTE);
    let later = upload(&server, &user).body(again).expect(200).await;
    assert_eq!(later["deduped"], false);
    assert_ne!(later["session_replay_id"], first["session_replay_id"]);
}

#[tokio::test]
async fn uploads_at_once_make_one_recording_and_lose_nothing() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let now = server.clock.now().0;
    // Every chunk twice.
    let uploads = (0..24).map(|number: u32| {
        let at = now + i64::from(number / 2) * if number % 4 < 2 { 1 } else { -1 };
        upload(&server, &user)
            .body(chunk(number / 2, json!([event(at)])))
            .expect(200)
    });
    let answers = join_all(uploads).await;
    let replay = &answers[0]["session_replay_id"];
    assert!(
        answers
            .iter()
            .all(|answer| answer["session_replay_id"] == *replay)
    );
    let fresh = answers
        .iter()
        .filter(|answer| answer["deduped"] == false)
        .count();
    assert_eq!(fresh, 12);
    let items = list(&server, "").await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["chunk_count"], 12);
    assert_eq!(items[0]["started_at_millis"], now - 11);
    assert_eq!(items[0]["last_event_at_millis"], now + 10);
}

#[tokio::test]
async fn recordings_are_found_by_every_filter() {
    let server = observing().await;
    let base = server.clock.now().0 - HOUR;
    let mut users = Vec::new();
    let mut replays = Vec::new();
    for number in 0..4_u32 {
        let user = server.sign_up(&unique_email()).await;
        let length = i64::from(number) * 1_000;
        let sent = chunk(
            number,
            json!([event(base - length), event(base + i64::from(number))]),
        );
        let answer = upload(&server, &user).body(sent).expect(200).await;
        replays.push(answer["session_replay_id"].as_str().unwrap().to_owned());
        users.push(user);
    }
    let team = server.create_team(&users[0]).await;
    server.add_member(&team, &users[2]).await;
    let expect = |indices: &[usize]| -> Vec<String> {
        indices
            .iter()
            .map(|index| replays[*index].clone())
            .collect()
    };
    let (id0, id3) = (&users[0].user_id, &users[3].user_id);
    let cases = [
        (String::new(), vec![3, 2, 1, 0]),
        ("?limit=2".to_owned(), vec![3, 2]),
        ("?limit=x&cursor=".to_owned(), vec![3, 2, 1, 0]),
        (format!("?user_ids={id0},%20{id3},"), vec![3, 0]),
        (format!("?team_ids={team}"), vec![2, 0]),
        (format!("?team_ids={team}&user_ids={id0}"), vec![0]),
        ("?duration_ms_min=2002".to_owned(), vec![3, 2]),
        ("?duration_ms_max=1001".to_owned(), vec![1, 0]),
        (
            "?duration_ms_min=1001&duration_ms_max=2002".to_owned(),
            vec![2, 1],
        ),
        (
            format!("?last_event_at_from_millis={}", base + 2),
            vec![3, 2],
        ),
        (
            format!("?last_event_at_to_millis={}.5", base + 1),
            vec![1, 0],
        ),
        ("?click_count_min=0".to_owned(), vec![3, 2, 1, 0]),
        (format!("?cursor={}", replays[2]), vec![1, 0]),
        (format!("?cursor={}&limit=1", replays[3]), vec![2]),
    ];
    for (query, indices) in cases {
        assert_eq!(
            ids(&list(&server, &query).await),
            expect(&indices),
            "{query}"
        );
    }
    let page = server
        .admin("GET", "/internal/session-replays?limit=2")
        .expect(200)
        .await;
    assert_eq!(page["pagination"]["next_cursor"], *replays[2]);
    let path = format!("/internal/session-replays?limit=2&cursor={}", replays[2]);
    let page = server.admin("GET", &path).expect(200).await;
    assert_eq!(page["pagination"]["next_cursor"], Value::Null);
}

#[tokio::test]
async fn malformed_filters_are_refused_in_words() {
    let server = observing().await;
    for query in [
        "user_ids=me",
        "user_ids=6FB53BB8-4F2F-4B1C-9D27-1D4A61D1F0DE",
        "team_ids=x",
        "duration_ms_min=1.5",
        "duration_ms_max=-1",
        "duration_ms_min=2&duration_ms_max=1",
        "last_event_at_from_millis=x",
        "last_event_at_to_millis=-1",
        "last_event_at_from_millis=2&last_event_at_to_millis=1",
        "click_count_min=-1",
        "click_count_min=1.5",
    ] {
        let path = format!("/internal/session-replays?{query}");
        server.admin("GET", &path).refused_in_words(400).await;
    }
    let path = "/internal/session-replays?page=2";
    server.admin("GET", path).refused(400, "SCHEMA_ERROR").await;
    for cursor in ["x", BATCH] {
        let path = format!("/internal/session-replays?cursor={cursor}");
        let details = server
            .admin("GET", &path)
            .refused(404, "ITEM_NOT_FOUND")
            .await;
        assert_eq!(details, json!({"item_id": cursor}));
        // Nothing has so many clicks, so the cursor is not looked at.
        let path = format!("{path}&click_count_min=1");
        server.admin("GET", &path).expect(200).await;
    }
}

#[tokio::test]
async fn chunks_are_read_in_the_order_of_their_events() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let now = server.clock.now().0;
    let mut replay = String::new();
    for (number, at) in [(1, now + 20), (2, now), (3, now + 10)] {
        replay = record(&server, &user, number, at).await;
    }
    let base = format!("/internal/session-replays/{replay}");
    let get = |path: String| server.admin("GET", &path);
    let batches = |items: &Value| -> Vec<Value> {
        let items = items.as_array().unwrap().iter();
        items.map(|item| item["batch_id"].clone()).collect()
    };
    let page = get(format!("{base}/chunks?limit=2")).expect(200).await;
    assert_eq!(batches(&page["items"]), [batch_id(2), batch_id(3)]);
    let cursor = page["pagination"]["next_cursor"].as_str().unwrap();
    let page = get(format!("{base}/chunks?cursor={cursor}"))
        .expect(200)
        .await;
    assert_eq!(batches(&page["items"]), [batch_id(1)]);
    assert_eq!(page["pagination"]["next_cursor"], Value::Null);
    for (query, timestamps) in [
        ("", vec![now, now + 10, now + 20]),
        ("?offset=1", vec![now + 10, now + 20]),
        ("?offset=1&limit=1", vec![now + 10]),
        ("?offset=-1&limit=0", vec![now, now + 10, now + 20]),
        ("?offset=x&limit=2", vec![now, now + 10]),
        ("?offset=9", vec![]),
    ] {
        let read = get(format!("{base}/events{query}")).expect(200).await;
        assert_eq!(
            batches(&read["chunks"]),
            [batch_id(2), batch_id(3), batch_id(1)]
        );
        assert_eq!(read["chunks"][0].get("browser_session_id"), None);
        let chunks = read["chunk_events"].as_array().unwrap();
        let found: Vec<i64> = chunks
            .iter()
            .map(|chunk| chunk["events"][0]["timestamp"].as_i64().unwrap())
            .collect();
        assert_eq!(found, timestamps, "{query}");
    }
    let missing = |path: String, id: &'static str| async move {
        let details = get(path).refused(404, "ITEM_NOT_FOUND").await;
        assert_eq!(details, json!({"item_id": id}));
    };
    missing(format!("{base}/chunks?cursor={BATCH}"), BATCH).await;
    missing(format!("{base}/chunks?cursor=x"), "x").await;
    missing(format!("{base}/chunks/{BATCH}/events"), BATCH).await;
    for id in [BATCH, "x"] {
        missing(format!("/internal/session-replays/{id}"), id).await;
        missing(format!("/internal/session-replays/{id}/chunks"), id).await;
        missing(format!("/internal/session-replays/{id}/events"), id).await;
        missing(
            format!("/internal/session-replays/{id}/chunks/y/events"),
            "y",
        )
        .await;
    }
}

#[tokio::test]
async fn events_that_are_missing_or_damaged_are_told_apart() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let answer = upload(&server, &user)
        .body(chunk(1, json!([event(1)])))
        .expect(200)
        .await;
    let replay = answer["session_replay_id"].as_str().unwrap();
    let base = format!("/internal/session-replays/{replay}");
    let chunks = server
        .admin("GET", &format!("{base}/chunks"))
        .expect(200)
        .await;
    let id = chunks["items"][0]["id"].as_str().unwrap();
    let paths = [
        format!("{base}/chunks/{id}/events"),
        format!("{base}/events"),
    ];
    let sql = "UPDATE private_objects SET body = 'x'";
    sqlx::query(sql).execute(server.pool()).await.unwrap();
    for path in &paths {
        server.admin("GET", path).refused_in_words(500).await;
    }
    sqlx::query("DELETE FROM private_objects")
        .execute(server.pool())
        .await
        .unwrap();
    for path in &paths {
        let details = server
            .admin("GET", path)
            .refused(404, "ITEM_NOT_FOUND")
            .await;
        assert_eq!(details, json!({"item_id": id}));
    }
}

#[tokio::test]
async fn projects_do_not_see_each_others_recordings() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let replay = record(&server, &user, 1, 1).await;
    let other = server.new_project(json!({})).await;
    let page = server
        .admin_of(&other, "GET", "/internal/session-replays")
        .expect(200)
        .await;
    assert_eq!(page["items"], json!([]));
    for path in ["", "/chunks", "/events", "/chunks/x/events"] {
        let path = format!("/internal/session-replays/{replay}{path}");
        server
            .admin_of(&other, "GET", &path)
            .refused(404, "ITEM_NOT_FOUND")
            .await;
    }
    let path = format!("/internal/session-replays?cursor={replay}");
    server
        .admin_of(&other, "GET", &path)
        .refused(404, "ITEM_NOT_FOUND")
        .await;
}

#[tokio::test]
async fn recordings_go_with_their_user_and_their_project() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let other = server.sign_up(&unique_email()).await;
    let gone = record(&server, &user, 1, 1).await;
    let kept = record(&server, &other, 2, 2).await;
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    assert_eq!(ids(&list(&server, "").await), [kept.as_str()]);
    let path = format!("/internal/session-replays/{gone}/chunks");
    server
        .admin("GET", &path)
        .refused(404, "ITEM_NOT_FOUND")
        .await;
    let sent = chunk(3, json!([event(1)]));
    let call = upload(&server, &user).body(sent);
    call.refused(401, "USER_AUTHENTICATION_REQUIRED").await;
    erased_but_for(&server, 1).await;
    server
        .admin("DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    erased_but_for(&server, 0).await;
}

async fn erased_but_for(server: &TestServer, count: i64) {
    eventually("recordings are erased", || async {
        let sql = "SELECT (SELECT count(*) FROM session_replays),
                          (SELECT count(*) FROM session_replay_chunks),
                          (SELECT count(*) FROM private_objects)";
        let counts: (i64, i64, i64) = sqlx::query_as(sql).fetch_one(server.pool()).await.unwrap();
        counts == (count, count, count)
    })
    .await;
}

#[tokio::test]
async fn events_of_browsers_name_the_recording_that_is_going_on() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let click = |at: i64| {
        json!({
            "session_replay_segment_id": BATCH, "batch_id": BATCH, "sent_at_ms": 1,
            "events": [{"event_type": "$click", "event_at_ms": at, "data": {}}],
        })
    };
    let send = |at: i64| {
        let call = server.client("POST", "/analytics/events/batch").user(&user);
        call.body(click(at)).expect(200)
    };
    let now = server.clock.now().0;
    send(1).await;
    let replay = record(&server, &user, 1, now).await;
    send(2).await;
    send(3).await;
    server.clock.advance(3 * MINUTE + 1);
    send(4).await;
    let rows = crate::telemetry::events(&server, "$click", 4).await;
    let named: Vec<&Value> = rows.iter().map(|row| &row["session_replay_id"]).collect();
    let (none, some) = (Value::Null, json!(replay));
    assert_eq!(named, [&none, &some, &some, &none]);
    assert!(Uuid::parse_str(&replay).is_ok());
    assert_eq!(
        ids(&list(&server, "?click_count_min=2").await),
        [replay.as_str()]
    );
    assert_eq!(
        list(&server, "?click_count_min=3").await,
        Vec::<Value>::new()
    );
    // Recordings are no events.
    let sql = format!(
        "SELECT DISTINCT event_type FROM events WHERE project_id = '{}' ORDER BY event_type",
        server.project.id
    );
    let types = select(&analytics().await, &sql).await;
    assert_eq!(
        types,
        [
            json!({"event_type": "$click"}),
            json!({"event_type": "$token-refresh"})
        ]
    );
}
