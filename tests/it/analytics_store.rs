//! The analytics store itself: its schema, who sees which rows, and what happens when the engine
//! dies.

use std::time::Duration;

use clickhouse::Row;
use muniment::security::secrets::Random;
use muniment_projections::analytics::{
    AnalyticsError, AnalyticsStore, TenantAnswer, TenantQuery, VIEWS,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::support::{analytics, eventually, start_engine};

/// Asks as that project's branch `main`.
pub(crate) async fn ask(
    store: &AnalyticsStore,
    project: &str,
    text: &str,
) -> Result<TenantAnswer, AnalyticsError> {
    let params = Map::new();
    let query = TenantQuery {
        query_id: &format!("{project}:main:{}", Random::system().uuid()),
        project_id: project,
        branch_id: "main",
        text,
        params: &params,
        timeout: Duration::from_secs(10),
    };
    store.tenant_query(query).await
}

async fn rows(store: &AnalyticsStore, project: &str, text: &str) -> Vec<Value> {
    let answer = ask(store, project, text).await.unwrap();
    let rows = answer.rows.iter();
    rows.map(|row| serde_json::from_str(row.get()).unwrap())
        .collect()
}

#[derive(Row, Serialize)]
#[expect(clippy::struct_field_names, reason = "the columns' names")]
struct Event {
    event_type: String,
    event_at: i64,
    data: String,
    project_id: String,
    branch_id: String,
    user_id: Option<String>,
    team_id: Option<String>,
    refresh_token_id: Option<String>,
    session_replay_id: Option<String>,
    session_replay_segment_id: Option<String>,
}

fn event(project: &str, branch: &str, data: &Value) -> Event {
    Event {
        event_type: "$click".to_owned(),
        event_at: 1_760_000_000_123,
        data: data.to_string(),
        project_id: project.to_owned(),
        branch_id: branch.to_owned(),
        user_id: None,
        team_id: None,
        refresh_token_id: None,
        session_replay_id: None,
        session_replay_segment_id: None,
    }
}

async fn insert(store: &AnalyticsStore, token: &str, events: &[Event]) {
    let client = store
        .owner()
        .with_setting("input_format_binary_read_json_as_string", "1")
        .with_setting("insert_deduplication_token", token);
    let mut insert = client.insert::<Event>("events").await.unwrap();
    for event in events {
        insert.write(event).await.unwrap();
    }
    insert.end().await.unwrap();
}

fn fresh_project() -> String {
    Random::system().uuid().to_string()
}

#[tokio::test]
async fn tenants_see_their_own_rows_of_twelve_views() {
    let store = analytics().await;
    let (own, other) = (fresh_project(), fresh_project());
    insert(
        &store,
        &own,
        &[
            event(&own, "main", &json!({"a": {"b": 1}, "text": "it's; -- \n"})),
            event(&own, "other", &json!({})),
            event(&other, "main", &json!({})),
        ],
    )
    .await;

    assert_eq!(
        rows(&store, &own, "SELECT * FROM events").await,
        [json!({
            "event_type": "$click",
            "event_at": "2025-10-09 08:53:20.123",
            "data": {"a": {"b": 1}, "text": "it's; -- \n"},
            "project_id": own,
            "branch_id": "main",
            "user_id": null,
            "team_id": null,
            "refresh_token_id": null,
            "session_replay_id": null,
            "session_replay_segment_id": null,
            "created_at": rows(&store, &own, "SELECT created_at FROM events").await[0]["created_at"],
        })]
    );
    let names: Vec<Value> = VIEWS.iter().map(|view| json!({"name": view})).collect();
    assert_eq!(rows(&store, &own, "SHOW TABLES").await, names);
    for view in VIEWS {
        let count = format!("SELECT count() AS n FROM {view}");
        let expected = u8::from(view == "events");
        assert_eq!(rows(&store, &own, &count).await, [json!({"n": expected})]);
    }
}

#[tokio::test]
async fn an_insert_that_is_repeated_changes_nothing() {
    let store = analytics().await;
    let project = fresh_project();
    for _ in 0..3 {
        insert(&store, &project, &[event(&project, "main", &json!({}))]).await;
    }
    let count = rows(&store, &project, "SELECT count() AS n FROM events").await;
    assert_eq!(count, [json!({"n": 1})]);
}

#[tokio::test]
async fn a_deleted_row_is_gone_in_whichever_month_it_was_deleted() {
    let store = analytics().await;
    let project = fresh_project();
    let sync = |month: u32, sequence: u32, deleted: u8| {
        format!(
            "INSERT INTO teams (project_id, branch_id, id, display_name, created_at, sync_sequence_id, sync_is_deleted) \
             VALUES ('{project}', 'main', '00000000-0000-0000-0000-000000000001', 'Name {sequence}', '2025-0{month}-01 00:00:00', {sequence}, {deleted})"
        )
    };
    let names = || rows(&store, &project, "SELECT display_name FROM teams");
    for (statement, expected) in [
        (sync(1, 1, 0), vec![json!({"display_name": "Name 1"})]),
        (sync(1, 2, 0), vec![json!({"display_name": "Name 2"})]),
        (sync(6, 3, 1), vec![]),
    ] {
        store.owner().query_raw(&statement).execute().await.unwrap();
        assert_eq!(names().await, expected);
    }
}

#[tokio::test]
async fn a_killed_engine_is_started_again_with_its_data() {
    let engine = start_engine().await;
    let store = engine.store();
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    let project = fresh_project();
    insert(store, "1", &[event(&project, "main", &json!({}))]).await;
    for _ in 0..2 {
        let first = engine.process_id().unwrap();
        let pid = rustix::process::Pid::from_raw(first.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        eventually("another engine", async || {
            engine.process_id().is_some_and(|id| id != first)
        })
        .await;
        let count = rows(store, &project, "SELECT count() AS n FROM events").await;
        assert_eq!(count, [json!({"n": 1})]);
    }
}
