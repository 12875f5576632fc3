//! Contract 07's tables to the letter: columns of the views, codes of refusals, members of answers.

use muniment::app::QueryErrors;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{TestServer, Variant, database, eventually, unique_email};
use crate::telemetry::{BATCH, SEGMENT, observing};

const QUERY: &str = "/internal/analytics/query";
/// Short for the types that the contract has short for.
const SHORT: [(&str, &str); 4] = [
    ("N(dt)", "Nullable(DateTime64(3, 'UTC'))"),
    ("dt", "DateTime64(3, 'UTC')"),
    ("N(String)", "Nullable(String)"),
    ("N(UInt8)", "Nullable(UInt8)"),
];
/// §4: each view, and what it has after the project and the branch. `events` has them elsewhere.
const VIEWS: [(&str, &str); 12] = [
    (
        "connected_accounts",
        "user_id UUID, provider String, provider_account_id String, created_at dt",
    ),
    (
        "contact_channels",
        "id UUID, user_id UUID, type LowCardinality(String), value String, is_primary UInt8, \
         is_verified UInt8, used_for_auth UInt8, created_at dt",
    ),
    (
        "email_outboxes",
        "id UUID, status LowCardinality(String), simple_status LowCardinality(String), \
         created_with LowCardinality(String), email_draft_id N(String), \
         email_programmatic_call_template_id N(String), theme_id N(String), is_high_priority UInt8, \
         is_transactional N(UInt8), subject N(String), notification_category_id N(String), \
         started_rendering_at N(dt), rendered_at N(dt), render_error N(String), scheduled_at dt, \
         created_at dt, updated_at dt, started_sending_at N(dt), server_error N(String), \
         delivered_at N(dt), opened_at N(dt), clicked_at N(dt), unsubscribed_at N(dt), \
         marked_as_spam_at N(dt), bounced_at N(dt), delivery_delayed_at N(dt), \
         can_have_delivery_info N(UInt8), skipped_reason LowCardinality(N(String)), \
         skipped_details N(String), send_retries Int32, is_paused UInt8",
    ),
    (
        "events",
        "event_type LowCardinality(String), event_at dt, data JSON, project_id String, \
         branch_id String, user_id N(String), team_id N(String), refresh_token_id N(String), \
         session_replay_id N(String), session_replay_segment_id N(String), created_at dt",
    ),
    (
        "notification_preferences",
        "user_id UUID, notification_category_id String, enabled UInt8",
    ),
    (
        "project_permissions",
        "user_id UUID, id String, created_at dt",
    ),
    (
        "refresh_tokens",
        "id UUID, user_id UUID, created_at dt, last_used_at dt, is_impersonation UInt8, \
         expires_at N(dt)",
    ),
    (
        "team_invitations",
        "id UUID, team_id UUID, team_display_name String, recipient_email String, \
         expires_at_millis Int64, created_at dt",
    ),
    (
        "team_member_profiles",
        "team_id UUID, user_id UUID, display_name N(String), profile_image_url N(String), \
         created_at dt",
    ),
    (
        "team_permissions",
        "team_id UUID, user_id UUID, id String, created_at dt",
    ),
    (
        "teams",
        "id UUID, display_name String, profile_image_url N(String), created_at dt, \
         client_metadata String, client_read_only_metadata String, server_metadata String",
    ),
    (
        "users",
        "id UUID, display_name N(String), profile_image_url N(String), primary_email N(String), \
         primary_email_verified UInt8, signed_up_at dt, client_metadata String, \
         client_read_only_metadata String, server_metadata String, is_anonymous UInt8, \
         restricted_by_admin UInt8, restricted_by_admin_reason N(String), \
         restricted_by_admin_private_details N(String)",
    ),
];

#[tokio::test]
async fn views_have_the_columns_of_the_contract_in_its_order() {
    let server = TestServer::start().await;
    let query = "SELECT table, groupArray(concat(name, ' ', type)) AS columns
                 FROM (SELECT * FROM system.columns ORDER BY table, position)
                 WHERE database = currentDatabase() GROUP BY table ORDER BY table";
    let call = server.admin("POST", QUERY).body(json!({"query": query}));
    let rows = call.expect(200).await["result"].clone();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), VIEWS.len());
    for (row, (view, columns)) in rows.iter().zip(VIEWS) {
        assert_eq!(row["table"], view);
        let first = match view {
            "events" => "",
            _ => "project_id String, branch_id String, ",
        };
        let in_full = SHORT
            .iter()
            .fold(format!("{first}{columns}"), |text, (short, long)| {
                let text = text.replace(&format!(" {short}"), &format!(" {long}"));
                text.replace(&format!("({short})"), &format!("({long})"))
            });
        let found = row["columns"].as_array().unwrap().iter();
        let found: Vec<&str> = found.map(|column| column.as_str().unwrap()).collect();
        assert_eq!(found.join(", "), in_full, "{view}");
    }
}

/// What a query is refused with.
async fn refusal(server: &TestServer, query: &str) -> String {
    let body = json!({"query": query, "timeout_ms": 1000, "params": {"name": "users"}});
    let call = server.admin("POST", QUERY).body(body);
    let details = call.refused(400, "ANALYTICS_QUERY_ERROR").await;
    assert_eq!(details.as_object().unwrap().len(), 1);
    details["error"].as_str().unwrap().to_owned()
}

/// §5.1: the generic sentence carries the store's code in development, and nothing in production.
#[tokio::test]
async fn refusals_carry_the_codes_of_the_contract() {
    let discreet = Variant {
        query_errors: QueryErrors::Withheld,
        ..Variant::usual().await
    };
    let discreet = TestServer::start_with(&database().await, discreet).await;
    let talkative = TestServer::start().await;
    let generic = refusal(&discreet, "SELECT * FROM unknown_table").await;
    for (query, code) in [
        ("SELECT * FROM {name:Identifier}", 36),
        ("SELECT upper(1)", 43),
        ("SELECT unknown_column FROM users", 47),
        ("SELECT * FROM unknown_table", 60),
        ("SELECT least(1, 'x')", 386),
        ("CREATE TABLE x (a UInt8) ENGINE = Memory", 497),
        (
            "CREATE MATERIALIZED VIEW m ENGINE = Memory AS SELECT 1",
            497,
        ),
        ("DROP TABLE users", 497),
        ("ALTER TABLE users ADD COLUMN a UInt8", 497),
        ("ALTER TABLE users DELETE WHERE 1", 497),
        ("ALTER TABLE users UPDATE display_name = '' WHERE 1", 497),
        ("TRUNCATE TABLE users", 497),
        ("INSERT INTO users (display_name) VALUES ('x')", 497),
        ("KILL QUERY WHERE 1", 497),
        ("SELECT * FROM system.query_log", 497),
        ("SELECT * FROM information_schema.tables", 497),
        ("SELECT * FROM url('http://example.com', 'CSV')", 497),
        ("SELECT * FROM executable('ls', 'CSV', 'a String')", 497),
        // Of no class, and so reported to the operator.
        ("SELECT throwIf(1)", 395),
        ("SELECT toUInt8('x')", 6),
    ] {
        let text = refusal(&talkative, query).await;
        let note = text.strip_prefix(&generic);
        let note = note.unwrap_or_else(|| panic!("{query}: {text}"));
        assert!(note.contains(&format!("{code} ")), "{query}: {note}");
        assert_eq!(refusal(&discreet, query).await, generic, "{query}");
    }
    for query in [
        "SELEC 1",
        "SELECT 1; SELECT 2",
        "GRANT SELECT ON users TO x",
        "CREATE FUNCTION f AS x -> x",
        "SELECT 1 SETTINGS SQL_branch_id = 'x'",
        "SELECT * FROM numbers(10001)",
        "SELECT repeat(toString(number % 10), 1000000) FROM numbers(11)",
        "SELECT sleep(3)",
        "SELECT * FROM merge('system', '.*')",
    ] {
        let text = refusal(&discreet, query).await;
        assert!(!text.contains(&generic), "{query}: {text}");
    }
    let exactly = json!({"query": "SELECT number FROM numbers(10000)"});
    let call = discreet.admin("POST", QUERY).body(exactly);
    let rows = call.expect(200).await["result"].clone();
    assert_eq!(rows.as_array().unwrap().len(), 10_000);
}

/// The names of an object's members, in alphabetical order.
fn members(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn answers_have_the_members_of_the_contract() {
    let server = TestServer::start().await;
    let body = json!({"query": "SELECT toUInt64(1) AS a, toInt64(-1) AS b, 1 = 1 AS c"});
    let answer = server.admin("POST", QUERY).body(body).expect(200).await;
    assert_eq!(members(&answer), ["query_id", "result"]);
    let timing = json!({"query_id": answer["query_id"]});
    let call = server.admin("POST", "/internal/analytics/query/timing");
    let timing = call.body(timing).expect(200).await;
    assert_eq!(members(&timing), ["stats"]);
    assert_eq!(members(&timing["stats"]), ["cpu_time", "wall_clock_time"]);

    let metrics = server.admin("GET", "/internal/metrics?include_anonymous=false");
    let metrics = metrics.expect(200).await;
    assert_eq!(
        members(&metrics["email_overview"]),
        [
            "bounce_rate",
            "click_rate",
            "daily_emails",
            "daily_emails_by_status",
            "deliverability_rate",
            "deliverability_status",
            "emails_by_status",
            "emails_sent",
            "recent_emails",
            "total_emails",
        ]
    );
    assert_eq!(
        members(&metrics["email_overview"]["daily_emails_by_status"][0]),
        ["date", "error", "in_progress", "ok"]
    );
    let seen: Vec<&str> = members(&metrics["analytics_overview"])
        .into_iter()
        .filter(|name| !["bounce_rate", "conversion_rate", "deltas"].contains(name))
        .collect();
    assert_eq!(
        seen,
        [
            "avg_session_seconds",
            "daily_clicks",
            "daily_page_views",
            "daily_revenue",
            "daily_visitors",
            "online_live",
            "recent_replays",
            "revenue_per_visitor",
            "top_referrers",
            "top_region",
            "total_replays",
            "total_revenue_cents",
            "visitors",
        ]
    );
    assert_eq!(members(&metrics["daily_users"][0]), ["activity", "date"]);
}

/// §10.3: "every key always present".
#[tokio::test]
async fn webhooks_carry_the_members_of_the_contract() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let call = server.admin("POST", "/internal/webhooks/endpoints");
    call.body(json!({"url": receiver.url()})).expect(201).await;
    let user = server.sign_up(&unique_email()).await;
    server.create_team(&user).await;
    let created = receiver.first("user.created").await;
    assert_eq!(members(&created.body()), ["data", "type"]);
    assert_eq!(
        members(&created.data()),
        [
            "auth_with_email",
            "client_metadata",
            "client_read_only_metadata",
            "country_code",
            "display_name",
            "has_password",
            "id",
            "is_anonymous",
            "is_restricted",
            "last_active_at_millis",
            "oauth_providers",
            "otp_auth_enabled",
            "passkey_auth_enabled",
            "primary_email",
            "primary_email_auth_enabled",
            "primary_email_verified",
            "profile_image_url",
            "requires_totp_mfa",
            "restricted_by_admin",
            "restricted_by_admin_private_details",
            "restricted_by_admin_reason",
            "restricted_reason",
            "risk_scores",
            "selected_team",
            "selected_team_id",
            "server_metadata",
            "signed_up_at_millis",
        ]
    );
    assert_eq!(members(&created.data()["risk_scores"]), ["sign_up"]);
    assert_eq!(
        members(&created.data()["risk_scores"]["sign_up"]),
        ["bot", "free_trial_abuse"]
    );
    let team = receiver.first("team.created").await;
    assert_eq!(
        members(&team.data()),
        [
            "client_metadata",
            "client_read_only_metadata",
            "created_at_millis",
            "display_name",
            "id",
            "profile_image_url",
            "server_metadata",
        ]
    );
    let call = server
        .admin("POST", "/webhooks/svix-token")
        .body(json!({"more": 1}));
    call.refused(400, "SCHEMA_ERROR").await;
    let sent = json!({"endpoint_id": "ep_x", "more": 1});
    let call = server
        .admin("POST", "/internal/send-test-webhook")
        .body(sent);
    call.refused(400, "SCHEMA_ERROR").await;
}

/// §3.2, §3.3 and §3.5: limits are read like `parseInt` does, and kept within bounds.
#[tokio::test]
async fn pages_of_recordings_are_as_long_as_the_contract_allows() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let batch = json!({
        "browser_session_id": SEGMENT, "session_replay_segment_id": SEGMENT, "batch_id": BATCH,
        "started_at_ms": 1, "sent_at_ms": 2, "events": [{"timestamp": 3}],
    });
    let call = server.client("POST", "/session-replays/batch").user(&user);
    let replay = call.body(batch).expect(200).await["session_replay_id"].clone();
    let replay = replay.as_str().unwrap();
    for sql in [
        "INSERT INTO session_replays
         SELECT gen_random_uuid(), project_id, user_id, session_id, started_at, last_event_at,
                created_at, updated_at
         FROM session_replays, generate_series(1, 210)",
        "INSERT INTO session_replay_chunks
         SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(),
                                                             'batch_id', n::text))).*
         FROM session_replay_chunks c, generate_series(1, 510) n",
    ] {
        sqlx::query(sql).execute(server.pool()).await.unwrap();
    }
    let recordings = "/internal/session-replays".to_owned();
    let chunks = format!("{recordings}/{replay}/chunks");
    for (path, [usual, most]) in [(&recordings, [50, 200]), (&chunks, [100, 500])] {
        for (limit, length) in [
            ("", usual),
            ("x", usual),
            ("1000", most),
            ("0", 1),
            ("-5", 1),
            ("2x", 2),
            ("3.9", 3),
        ] {
            let call = server.admin("GET", &format!("{path}?limit={limit}"));
            let page = call.expect(200).await;
            assert_eq!(members(&page), ["items", "pagination"]);
            let items = page["items"].as_array().unwrap();
            assert_eq!(items.len(), length, "{path}?limit={limit}");
            let last = &items[length - 1]["id"];
            assert_eq!(page["pagination"], json!({"next_cursor": last}));
        }
    }
    let path = format!("{recordings}/{replay}/events?limit=1");
    let read = server.admin("GET", &path).expect(200).await;
    assert_eq!(members(&read), ["chunk_events", "chunks"]);
    assert_eq!(read["chunks"].as_array().unwrap().len(), 511);
    assert_eq!(
        members(&read["chunks"][0]),
        [
            "batch_id",
            "byte_length",
            "created_at_millis",
            "event_count",
            "first_event_at_millis",
            "id",
            "last_event_at_millis",
            "session_replay_segment_id",
        ]
    );
    assert_eq!(read["chunk_events"].as_array().unwrap().len(), 1);
    assert_eq!(members(&read["chunk_events"][0]), ["chunk_id", "events"]);
}

/// §6: folders of saved queries are settings of the environment.
#[tokio::test]
async fn queries_are_saved_in_the_configuration() {
    let server = TestServer::start().await;
    let patch = |level: &str, changes: Value| {
        let path = format!("/internal/config/override/{level}");
        let body = json!({"config_override_string": changes.to_string()});
        server.admin("PATCH", &path).body(body)
    };
    let folders = async || {
        let read = server.admin("GET", "/internal/config").expect(200).await;
        let config: Value = serde_json::from_str(read["config_string"].as_str().unwrap()).unwrap();
        config["analytics"]["queryFolders"].clone()
    };
    assert_eq!(folders().await, json!({}));
    let folder = json!({"displayName": "Wöchentlich", "sortOrder": -1_000_000});
    let query = json!({"displayName": "🦀", "sqlQuery": "SELEC no SQL '", "description": "d"});
    let changes = json!({
        "analytics.queryFolders.weekly": folder,
        "analytics.queryFolders.weekly.queries.first": query,
        "analytics.queryFolders.weekly.queries.second": {},
        "analytics.queryFolders.empty": {},
    });
    patch("environment", changes).expect(200).await;
    let expected = json!({
        "weekly": {
            "displayName": "Wöchentlich", "sortOrder": -1_000_000,
            "queries": {"first": query, "second": {"displayName": "Unnamed Query", "sqlQuery": ""}},
        },
        "empty": {"displayName": "Unnamed Folder", "sortOrder": 0, "queries": {}},
    });
    assert_eq!(folders().await, expected);
    // What is pushed as the branch's leaves them alone, and cannot have any.
    let path = "/internal/config/override/branch";
    let body = json!({"config_string": "{}", "source": {"type": "pushed-from-unknown"}});
    server.admin("PUT", path).body(body).expect(200).await;
    assert_eq!(folders().await, expected);
    let pushed = patch("branch", json!({"analytics.queryFolders.pushed": {}}));
    assert_eq!(pushed.send().await.status.as_u16(), 400);
    let gone = json!({
        "analytics.queryFolders.weekly.queries.first": null, "analytics.queryFolders.empty": null,
    });
    patch("environment", gone).expect(200).await;
    let left = folders().await;
    assert_eq!(members(&left), ["weekly"]);
    assert_eq!(members(&left["weekly"]["queries"]), ["second"]);
    let gone = json!({"analytics.queryFolders.weekly": null});
    patch("environment", gone).expect(200).await;
    assert_eq!(folders().await, json!({}));
}

/// §7: how many are listed, and who.
#[tokio::test]
async fn the_last_five_users_are_recently_active() {
    let server = TestServer::start().await;
    let mut users = Vec::new();
    for _ in 0..7 {
        server.clock.advance(1_000);
        users.push(server.sign_up(&unique_email()).await.user_id);
    }
    users.reverse();
    let restricted = format!("/users/{}", users[0]);
    let body = json!({"restricted_by_admin": true});
    server
        .server("PATCH", &restricted)
        .body(body)
        .expect(200)
        .await;
    let listed = async |query: &str, name: &str| {
        let path = format!("/internal/metrics{query}");
        let metrics = server.admin("GET", &path).expect(200).await;
        let users = metrics[name].as_array().unwrap().iter();
        let ids = users.map(|user| user["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    // Restricted users are as active as others, and registered only for who asks for everybody.
    assert_eq!(listed("", "recently_active").await, users[..5]);
    assert_eq!(listed("", "recently_registered").await, users[1..]);
    let all = "?include_anonymous=true";
    assert_eq!(listed(all, "recently_registered").await, users);
}

/// §2: a rule's trigger names who it was about, never as a user.
#[tokio::test]
async fn triggers_of_rules_have_the_members_of_the_contract() {
    let server = TestServer::start().await;
    let rule = json!({
        "enabled": true, "displayName": "Watch", "priority": 1, "condition": "true",
        "action": {"type": "log"},
    });
    server
        .override_settings(json!({"auth.signUpRules.watch": rule}))
        .await;
    server.sign_up("watched@example.com").await;
    let query = json!({"query": "SELECT data, user_id, refresh_token_id, team_id FROM events
                                 WHERE event_type = '$sign-up-rule-trigger'"});
    let rows = async || {
        let call = server.admin("POST", QUERY).body(query.clone());
        call.expect(200).await["result"].clone()
    };
    eventually("the trigger arrives", || async {
        !rows().await.as_array().unwrap().is_empty()
    })
    .await;
    let row = rows().await[0].clone();
    let data = json!({
        "rule_id": "watch", "action": "log", "email": "watched@example.com",
        "auth_method": "password", "oauth_provider": "",
    });
    assert_eq!(row["data"], data);
    for name in ["user_id", "refresh_token_id", "team_id"] {
        assert_eq!(row[name], Value::Null, "{name}");
    }
}
