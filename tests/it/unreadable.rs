//! Events that this version cannot read: of an unknown type, of a newer version, damaged. V2 and V3.

use std::process::{Command, Output};

use muniment::server::Follow;
use muniment_projections::maintenance::replay::replay;
use muniment_projections::maintenance::verify::verify;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{TestServer, Tokens, database, eventually, secret, unique_email};

/// Appends to a user's stream what no version up to this one writes. Yields its position.
async fn append(server: &TestServer, user: &Tokens, event_type: &str, version: &str) -> i64 {
    let sql = "INSERT INTO events (project_id, aggregate_type, aggregate_id, sequence, event_type,
                                   event_version, payload, metadata)
               SELECT $1, 'user', $2, max(sequence) + 1, $3, $4, jsonb_build_object('type', $3), '{}'
               FROM events WHERE aggregate_type = 'user' AND aggregate_id = $2
               RETURNING position";
    let appended = sqlx::query_scalar(sql)
        .bind(&server.project.id)
        .bind(&user.user_id)
        .bind(event_type)
        .bind(version);
    appended.fetch_one(server.pool()).await.unwrap()
}

/// What was set aside: by whom, at which position, whether type and ids were enough.
async fn aside(server: &TestServer) -> Vec<(String, i64, bool)> {
    let sql = "SELECT subscription, position, is_taken FROM set_aside
               WHERE subscription <> 'analytics' ORDER BY subscription, position";
    sqlx::query_as(sql).fetch_all(server.pool()).await.unwrap()
}

async fn count(server: &TestServer, sql: &str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(server.pool())
        .await
        .unwrap()
}

async fn listen(server: &TestServer) -> Receiver {
    let receiver = Receiver::open().await;
    let endpoint = server.admin("POST", "/internal/webhooks/endpoints");
    let endpoint = endpoint.body(json!({"url": receiver.url()}));
    endpoint.expect(201).await;
    receiver
}

async fn rename(server: &TestServer, user: &Tokens, name: &str) {
    let path = format!("/users/{}", user.user_id);
    let change = server.server("PATCH", &path);
    let change = change.body(json!({"display_name": name}));
    change.expect(200).await;
}

/// Runs the binary on the server's database.
async fn command(server: &TestServer, url: &str, arguments: &[&str]) -> Output {
    assert!(count(server, "SELECT count(*) FROM events").await > 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_muniment"));
    command
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", url)
        .env("MUNIMENT_SERVER_SECRET", secret().to_base64url());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn an_event_of_an_unknown_type_holds_nobody_else_up() {
    let url = database().await;
    let server = TestServer::start_on(&url, Follow::Everything).await;
    let receiver = listen(&server).await;
    let (ada, grace) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let position = append(&server, &ada, "UserPromoted", "1.0.0").await;
    rename(&server, &grace, "Grace").await;
    let told = receiver.first("user.updated").await;
    assert_eq!(told.data()["display_name"], "Grace");
    let delete = format!("/users/{}", grace.user_id);
    server.server("DELETE", &delete).expect(200).await;
    receiver.first("user.deleted").await;
    let key = format!(
        "SELECT count(wrapped_key) FROM subject_keys WHERE subject = '{}'",
        grace.user_id
    );
    eventually("the deleted are erased", || async {
        count(&server, &key).await == 0
    })
    .await;
    let untallied = "SELECT (SELECT count(*) FROM events)
                          - (SELECT sum(count)::bigint FROM event_tally)";
    eventually("every event is tallied", || async {
        count(&server, untallied).await == 0
    })
    .await;
    let expected = [
        ("erasure".to_owned(), position, false),
        ("tally".to_owned(), position, true),
        ("webhooks".to_owned(), position, false),
    ];
    assert_eq!(aside(&server).await, expected);
    assert_eq!(count(&server, "SELECT count(*) FROM dead_letters").await, 0);
    let health = server.page("GET", "/health?db=1").expect(200).await;
    assert_eq!(health, json!({"status": "ok", "unreadable_events": 1}));
    let metrics = server.page("GET", "/metrics").send().await.text;
    assert!(metrics.contains("muniment_unreadable_events 1"));

    // Only the stream that it is on cannot be changed.
    let change = server.server("PATCH", &format!("/users/{}", ada.user_id));
    let change = change.body(json!({"display_name": "Ada"}));
    change.refused_in_words(503).await;
    server.sign_up(&unique_email()).await;

    let found = verify(server.log(), |_| ()).await.unwrap();
    assert!(found.differences.is_empty());
    assert_eq!(found.unreadable.len(), 1);
    assert_eq!(found.unreadable[0].cursor.position, position);
    let passed_over = replay(server.log(), &[], |_| ()).await.unwrap();
    assert_eq!(passed_over, found.unreadable);
    let named = format!(
        "position {position}, stream user {}, number 2, type UserPromoted, version 1.0.0",
        ada.user_id
    );
    for arguments in [&["verify"][..], &["replay"], &["history", &ada.user_id]] {
        let output = command(&server, &url, arguments).await;
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {words}");
        assert!(words.contains(&named), "{words}");
    }
    let output = command(&server, &url, &["history", &grace.user_id]).await;
    assert_eq!(output.status.code(), Some(0));
    sqlx::query("UPDATE users SET display_name = 'altered'")
        .execute(server.pool())
        .await
        .unwrap();
    let output = command(&server, &url, &["verify"]).await;
    assert_eq!(output.status.code(), Some(3));
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.contains("rows differ"), "{words}");
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_refused_by_name_and_handed_over_later() {
    let url = database().await;
    let server = TestServer::start_on(&url, Follow::Everything).await;
    let receiver = listen(&server).await;
    let ada = server.sign_up(&unique_email()).await;
    rename(&server, &ada, "Ada").await;
    receiver.first("user.updated").await;
    let newer = "UPDATE events SET event_version = $1
                 WHERE aggregate_id = $2 AND event_type = 'UserUpdated'";
    let set_version = async |version: &str| {
        let done = sqlx::query(newer).bind(version).bind(&ada.user_id);
        done.execute(server.pool()).await.unwrap();
    };
    set_version("9.0.0").await;
    let server = {
        // A binary that was rolled back remembers nothing of the newer one.
        let project = server.project.clone();
        server.stop().await;
        let mut server = TestServer::start_on(&url, Follow::Everything).await;
        server.project = project;
        server
    };
    let found = verify(server.log(), |_| ()).await.unwrap();
    assert_eq!(found.unreadable.len(), 1);
    let words = found.unreadable[0].to_string();
    assert!(words.contains("version 9.0.0: it was written by a newer version"));
    let path = format!("/users/{}", ada.user_id);
    let change = server.server("PATCH", &path);
    let change = change.body(json!({"display_name": "Rolled back"}));
    change.refused_in_words(503).await;

    // Another node, newer than this one, still writes. What it says rests on what is not known here.
    let told = receiver.received().len();
    let sql = "INSERT INTO events (project_id, aggregate_type, aggregate_id, sequence, event_type,
                                   event_version, payload, metadata)
               SELECT project_id, aggregate_type, aggregate_id, sequence + 1, event_type, '1.0.0',
                      jsonb_set(payload, '{personal}', 'null'), metadata
               FROM events WHERE aggregate_id = $1 AND event_type = 'UserUpdated'
               RETURNING position";
    let resting: i64 = sqlx::query_scalar(sql)
        .bind(&ada.user_id)
        .fetch_one(server.pool())
        .await
        .unwrap();
    let is_aside = ("webhooks".to_owned(), resting, false);
    eventually("it is set aside", || async {
        aside(&server).await.contains(&is_aside)
    })
    .await;
    assert_eq!(receiver.received().len(), told);

    // After an upgrade all can be read.
    let repaired = sqlx::query(newer).bind("1.0.0").bind(&ada.user_id);
    repaired.execute(server.pool()).await.unwrap();
    server.stop().await;
    let server = TestServer::start_on(&url, Follow::Everything).await;
    eventually("it is told after all", || async {
        receiver.received().len() > told
    })
    .await;
    eventually("nothing is aside", || async {
        aside(&server).await.is_empty()
    })
    .await;
    let health = server.page("GET", "/health?db=1").expect(200).await;
    assert_eq!(health, json!({"status": "ok"}));
}

#[tokio::test]
async fn the_deletion_of_an_unreadable_version_erases_all_the_same() {
    let server = TestServer::start().await;
    let ada = server.sign_up(&unique_email()).await;
    append(&server, &ada, "UserDeleted", "2.0.0").await;
    let key = format!(
        "SELECT count(wrapped_key) FROM subject_keys WHERE subject = '{}'",
        ada.user_id
    );
    eventually("the key is destroyed", || async {
        count(&server, &key).await == 0
    })
    .await;
}

#[tokio::test]
async fn a_damaged_event_is_named_and_passed_over() {
    let server = TestServer::start_on(&database().await, Follow::Nothing).await;
    let ada = server.sign_up(&unique_email()).await;
    server.sign_up(&unique_email()).await;
    let damage = "UPDATE events
                  SET payload = jsonb_set(payload, '{personal,sealed}', to_jsonb(
                          'AAAA' || substr(payload #>> '{personal,sealed}', 5)))
                  WHERE aggregate_id = $1 AND event_type = 'UserCreated' RETURNING position";
    let position: i64 = sqlx::query_scalar(damage)
        .bind(&ada.user_id)
        .fetch_one(server.pool())
        .await
        .unwrap();
    let found = verify(server.log(), |_| ()).await.unwrap();
    assert_eq!(found.unreadable.len(), 1);
    let words = found.unreadable[0].to_string();
    assert!(words.starts_with(&format!("position {position}, ")));
    assert!(words.ends_with("what is sealed in it cannot be opened"));
    let of_others = found.differences.iter().filter(|difference| {
        let row = difference.live.as_ref().or(difference.expected.as_ref());
        !row.map_or(String::new(), Value::to_string)
            .contains(&ada.user_id)
    });
    assert_eq!(of_others.count(), 0);
}
