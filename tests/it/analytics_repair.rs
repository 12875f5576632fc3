//! What keeps the analytics store true: repeated deliveries, replay, verification, erasure, and
//! patience while the store is away.

use std::sync::Arc;

use muniment::server::Follow;
use muniment_event_store::subscription::lags;
use muniment_projections::analytics::sync::replay::replay;
use muniment_projections::analytics::sync::verify::verify;
use muniment_projections::analytics::{AnalyticsStore, Endpoint, Engine};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::analytics_sync::{TABLES, answer, everything, synchronized};
use crate::support::{
    CALLBACK, TestServer, Variant, database, eventually, start_engine, unique_email,
};

/// Something in every table, and things that were and are no more.
async fn populate(server: &TestServer) {
    server.offer_everything().await;
    let config = json!({"oauth_providers": [{"id": "github", "type": "shared"}]});
    server.configure(config).await;
    let definition = json!({"id": "read"});
    let define = server.admin("POST", "/project-permission-definitions");
    define.body(definition).expect(201).await;
    let body = json!({
        "primary_email": unique_email(), "display_name": "Linked",
        "oauth_providers": [{"id": "github", "account_id": "42", "email": null}],
    });
    let linked = server.server("POST", "/users").body(body).expect(201).await;
    let linked = linked["id"].as_str().unwrap();
    let preference =
        format!("/emails/notification-preference/{linked}/4f6f8873-3d04-46bd-8bef-18338b1a1b4c");
    let call = server.server("PATCH", &preference);
    call.body(json!({"enabled": false})).expect(200).await;
    let grant = format!("/project-permissions/{linked}/read");
    server
        .server("POST", &grant)
        .body(json!({}))
        .expect(201)
        .await;
    let (owner, member, gone) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let (team, dissolved) = (
        server.create_team(&owner).await,
        server.create_team(&owner).await,
    );
    for team in [&team, &dissolved] {
        server.add_member(team, &member).await;
        server.add_member(team, &gone).await;
        let body = json!({"team_id": team, "email": unique_email(), "callback_url": CALLBACK});
        let invite = server.server("POST", "/team-invitations/send-code");
        invite.body(body).expect(200).await;
    }
    let dissolve = format!("/teams/{dissolved}");
    server.server("DELETE", &dissolve).expect(200).await;
    let delete = format!("/users/{}", gone.user_id);
    server.server("DELETE", &delete).expect(200).await;
}

async fn assert_verified(server: &TestServer) {
    let store = server.app().analytics.clone().unwrap();
    let differences = verify(server.log(), &store, |_| ())
        .await
        .unwrap()
        .differences;
    assert!(differences.is_empty(), "{differences:#?}");
}

/// A server with a store of its own.
async fn start_alone() -> (
    TestServer,
    muniment::embedded::analytics_engine::AnalyticsEngine,
) {
    let engine = start_engine().await;
    engine.store().migrate().await.unwrap();
    let server = TestServer::start_analysing(Some(engine.store().clone())).await;
    (server, engine)
}

#[tokio::test]
async fn what_is_delivered_again_changes_nothing() {
    let (server, _engine) = start_alone().await;
    populate(&server).await;
    synchronized(&server).await;
    assert_verified(&server).await;
    let before = everything(&server, &server.project).await;
    for (table, rows) in &before {
        assert!(!rows.is_empty(), "{table} has rows");
    }
    let rewind =
        "UPDATE subscriptions SET transaction = '0', position = 0 WHERE name = 'analytics'";
    sqlx::query(rewind).execute(server.pool()).await.unwrap();
    synchronized(&server).await;
    assert_eq!(everything(&server, &server.project).await, before);
    assert_verified(&server).await;
}

#[tokio::test]
async fn verification_finds_what_is_wrong_and_replay_mends_it() {
    let (server, _engine) = start_alone().await;
    populate(&server).await;
    synchronized(&server).await;
    let before = everything(&server, &server.project).await;
    let store = server.app().analytics.clone().unwrap();
    for statement in [
        "ALTER TABLE users DELETE WHERE display_name = 'Linked' SETTINGS mutations_sync = 1",
        "INSERT INTO teams (project_id, branch_id, id, display_name, created_at, sync_sequence_id)
         SELECT project_id, branch_id, id, 'tampered', created_at, sync_sequence_id + 1 FROM teams FINAL
         WHERE sync_is_deleted = 0 AND project_id != 'internal' LIMIT 1",
        "INSERT INTO notification_preferences (project_id, branch_id, user_id, sync_sequence_id)
         VALUES ('p', 'main', generateUUIDv4(), 1)",
    ] {
        store.owner().query(statement).execute().await.unwrap();
    }
    let found = verify(server.log(), &store, |_| ())
        .await
        .unwrap()
        .differences;
    let mut found: Vec<(&str, bool, bool)> = found
        .iter()
        .map(|it| (it.table, it.live.is_some(), it.expected.is_some()))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("notification_preferences", true, false),
            ("teams", true, true),
            ("users", false, true),
        ]
    );
    let mut folded = 0;
    replay(server.log(), &store, |progress| folded = progress.done)
        .await
        .unwrap();
    assert!(folded > 20);
    assert_eq!(everything(&server, &server.project).await, before);
    assert_verified(&server).await;
    let leftover = "SELECT toUInt64(count()) FROM system.tables WHERE name LIKE '%fresh'";
    let leftover = store.owner().query(leftover).fetch_one::<u64>().await;
    assert_eq!(leftover.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_runs_beside_live_traffic() {
    let (server, _engine) = start_alone().await;
    let server = Arc::new(server);
    let store = server.app().analytics.clone().unwrap();
    let busy = {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for n in 0..30 {
                let user = server.sign_up(&unique_email()).await;
                let path = format!("/users/{}", user.user_id);
                let team = server.create_team(&user).await;
                if n % 3 == 0 {
                    let path = format!("/teams/{team}");
                    server.server("DELETE", &path).expect(200).await;
                    server
                        .server("DELETE", &format!("/users/{}", user.user_id))
                        .expect(200)
                        .await;
                } else {
                    let change = json!({"display_name": format!("n{n}")});
                    server.server("PATCH", &path).body(change).expect(200).await;
                }
            }
        })
    };
    for _ in 0..2 {
        replay(server.log(), &store, |_| ()).await.unwrap();
        assert_verified(&server).await;
    }
    busy.await.unwrap();
    synchronized(&server).await;
    assert_verified(&server).await;
    let users = "SELECT toUInt32(count()) AS n FROM users";
    assert_eq!(
        answer(&server, &server.project, users).await,
        [json!({"n": 20})]
    );
}

/// The rows, of any version, in which a text is found.
async fn traces(store: &AnalyticsStore, table: &str, text: &str) -> u64 {
    let sql =
        format!("SELECT toUInt64(count()) FROM {table} WHERE position(toString(tuple(*)), ?) > 0");
    let query = store.owner().query(&sql).bind(text);
    query.fetch_one().await.unwrap()
}

#[tokio::test]
async fn of_the_erased_nothing_is_left_in_any_version_of_any_row() {
    let (server, _engine) = start_alone().await;
    let store = server.app().analytics.clone().unwrap();
    let (email, second) = (unique_email(), unique_email());
    let user = server.sign_up(&email).await;
    let stays = server.sign_up(&unique_email()).await;
    let team = server.create_team(&stays).await;
    server.add_member(&team, &user).await;
    synchronized(&server).await;
    // Rows of several versions.
    for name in ["Grace", "Hopper"] {
        let path = format!("/users/{}", user.user_id);
        let body = json!({"display_name": name, "primary_email": second});
        server.server("PATCH", &path).body(body).expect(200).await;
        let path = format!("/team-member-profiles/{team}/{}", user.user_id);
        let body = json!({"display_name": name});
        server.server("PATCH", &path).body(body).expect(200).await;
        synchronized(&server).await;
    }
    let event =
        "INSERT INTO events (event_type, event_at, data, project_id, branch_id, user_id) VALUES";
    for (kind, data, of) in [
        ("$click", "{}".to_owned(), format!("'{}'", user.user_id)),
        ("$click", "{}".to_owned(), format!("'{}'", stays.user_id)),
        (
            "$sign-up-rule-trigger",
            json!({"email": email}).to_string(),
            "NULL".to_owned(),
        ),
    ] {
        let project = &server.project.id;
        let sql = format!("{event} ('{kind}', now(), '{data}', '{project}', 'main', {of})");
        store.owner().query(&sql).execute().await.unwrap();
    }
    let personal = [&*email, &*second, "Grace", "Hopper"];
    assert!(traces(&store, "users", &email).await > 0);
    assert!(traces(&store, "team_member_profiles", "Grace").await > 0);
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    eventually("the erasure has reached the store", || async {
        let events = traces(&store, "events", &user.user_id).await;
        events == 0 && erasures(server.pool()).await == 0
    })
    .await;
    for table in TABLES.into_iter().chain(["events"]) {
        for text in personal {
            assert_eq!(traces(&store, table, text).await, 0, "{text} in {table}");
        }
    }
    assert!(traces(&store, "events", &stays.user_id).await > 0);
    assert!(traces(&store, "users", &stays.user_id).await > 0);
    assert_verified(&server).await;
}

/// Deletions that the store is still to be told of.
async fn erasures(pool: &PgPool) -> i64 {
    let digests = "SELECT count(*) FROM analytics_erasures";
    sqlx::query_scalar(digests).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn while_the_store_is_away_everything_waits_and_nothing_else_suffers() {
    let url = database().await;
    let nowhere = AnalyticsStore::new(Endpoint {
        engine: Engine::Embedded,
        // The discard service, which nobody offers.
        url: "http://127.0.0.1:9".to_owned(),
        owner: "owner".to_owned(),
        owner_password: String::new(),
        tenant_password: String::new(),
    });
    let away = Variant {
        analytics: Some(nowhere),
        ..Variant::usual().await
    };
    let server = TestServer::start_with(&url, away).await;
    let user = server.sign_up(&unique_email()).await;
    let me = server.client("GET", "/users/me").user(&user);
    me.expect(200).await;
    eventually("other subscribers go on", || async {
        let lags = lags(server.pool()).await.unwrap();
        let behind = |name: &str| {
            lags.iter()
                .find(|lag| lag.name == name)
                .map(|lag| lag.events)
        };
        behind("tally") == Some(0) && behind("analytics") > Some(0)
    })
    .await;
    let shown = server.page("GET", "/metrics").send().await.text;
    let line = shown.lines().find(|line| {
        line.starts_with("muniment_subscription_lag_events{subscription=\"analytics\"}")
    });
    assert!(line.is_some(), "{shown}");
    let project = server.project.clone();
    server.stop().await;
    let server = TestServer::start_on(&url, Follow::Everything).await;
    synchronized(&server).await;
    let ids = "SELECT toString(id) AS id FROM users";
    assert_eq!(
        answer(&server, &project, ids).await,
        [json!({"id": user.user_id})]
    );
    let dead: Vec<Value> = sqlx::query_scalar("SELECT to_jsonb(d) FROM dead_letters d")
        .fetch_all(server.pool())
        .await
        .unwrap();
    assert_eq!(dead, Vec::<Value>::new());
}
