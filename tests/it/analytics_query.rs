//! Contract 07 §5: the query endpoint and the timing of queries.

use muniment::app::QueryErrors;
use serde_json::{Value, json};

use crate::support::{TestServer, Variant, database};

const QUERY: &str = "/internal/analytics/query";
const TIMING: &str = "/internal/analytics/query/timing";

async fn ask(server: &TestServer, body: Value) -> Value {
    server.admin("POST", QUERY).body(body).expect(200).await
}

/// The text of a refusal.
async fn refusal(server: &TestServer, body: Value) -> String {
    let call = server.admin("POST", QUERY).body(body);
    let answer = call.send().await;
    assert_eq!(
        answer.known_error(),
        Some("ANALYTICS_QUERY_ERROR"),
        "{}",
        answer.text
    );
    assert_eq!(answer.status.as_u16(), 400);
    let body = answer.json();
    assert_eq!(body["details"], json!({"error": body["error"]}));
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rows_are_answered_as_objects() {
    let server = TestServer::start().await;
    let body = ask(
        &server,
        json!({"query": "SELECT * FROM (SELECT 1 AS a, 'x' AS b, NULL AS c, [1, 2] AS d, toDateTime64('2026-01-02 03:04:05.678', 3, 'UTC') AS e, toUUID('6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de') AS f FROM numbers(1) UNION ALL SELECT 2, 'y', NULL, [], toDateTime64('2026-01-02 03:04:05.678', 3, 'UTC'), toUUID('6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de')) ORDER BY a;"}),
    )
    .await;
    assert_eq!(
        body["result"],
        json!([
            {"a": 1, "b": "x", "c": null, "d": [1, 2], "e": "2026-01-02 03:04:05.678", "f": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de"},
            {"a": 2, "b": "y", "c": null, "d": [], "e": "2026-01-02 03:04:05.678", "f": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de"},
        ])
    );
    let id = body["query_id"].as_str().unwrap();
    let uuid = id
        .strip_prefix(&format!("{}:main:", server.project.id))
        .unwrap();
    assert_eq!(uuid.len(), 36);
    // Anything may be in a text, also what a template would take for a placeholder.
    let body = ask(
        &server,
        json!({"query": "SELECT '?' AS a, '??' AS b, unhex('ff') AS c -- ?"}),
    )
    .await;
    assert_eq!(
        body["result"],
        json!([{"a": "?", "b": "??", "c": "\u{fffd}"}])
    );
    let none = ask(&server, json!({"query": "SELECT * FROM users WHERE 0"})).await;
    assert_eq!(none["result"], json!([]));
}

#[tokio::test]
async fn parameters_are_values() {
    let server = TestServer::start().await;
    let hostile = "x'; SELECT file('/etc/passwd') -- \\ \n \t {b:String}";
    let body = ask(
        &server,
        json!({
            "query": "SELECT {a:String} AS a, {b:UInt8} + 1 AS b, {c:Nullable(String)} AS c, {d:Array(String)} AS d, {e:Bool} AS e, {f:Map(String, String)} AS f",
            "params": {"a": hostile, "b": 41, "c": null, "d": ["it's", hostile], "e": true, "f": {"k": "v"}, "not a name": 1},
        }),
    )
    .await;
    assert_eq!(
        body["result"],
        json!([{"a": hostile, "b": 42, "c": null, "d": ["it's", hostile], "e": true, "f": {"k": "v"}}])
    );
    for body in [
        json!({"query": "SELECT {a:String}"}),
        json!({"query": "SELECT {a:UInt8}", "params": {"a": "1); SELECT 1"}}),
        json!({"query": "SELECT * FROM {t:Identifier}", "params": {"t": "system.processes"}}),
    ] {
        refusal(&server, body).await;
    }
}

#[tokio::test]
async fn refusals_say_what_may_be_known() {
    let server = TestServer::start_with(
        &database().await,
        Variant {
            query_errors: QueryErrors::Withheld,
            ..Variant::usual().await
        },
    )
    .await;
    for (query, words) in [
        ("SELEC 1", "yntax error"),
        ("SELECT 1; SELECT 2", "yntax error"),
        ("GRANT SELECT ON users TO x", "yntax error"),
        ("SELECT 1 SETTINGS SQL_project_id = 'x'", "SQL_project_id"),
        ("SELECT 1 SETTINGS max_memory_usage = 1", "max_memory_usage"),
        ("SELECT * FROM numbers(1000000000)", "imit"),
        ("SELECT sleep(3)", "Timeout exceeded"),
        ("SELECT * FROM merge('system', '.*')", "structure"),
    ] {
        let text = refusal(&server, json!({"query": query, "timeout_ms": 1000})).await;
        assert!(text.contains(words), "{query}: {text}");
    }
    let generic = refusal(&server, json!({"query": "SELECT * FROM unknown_table"})).await;
    for query in [
        "SELECT * FROM analytics_internal.users",
        "SELECT unknown_column FROM users",
        "SELECT * FROM system.processes",
        "SELECT [1] + 'x'",
        "SELECT throwIf(1, 'a secret')",
        "DROP TABLE users",
    ] {
        assert_eq!(
            refusal(&server, json!({"query": query})).await,
            generic,
            "{query}"
        );
    }
    assert!(!generic.contains("unknown_table"), "{generic}");
    server.stop().await;

    let talkative = TestServer::start().await;
    let text = refusal(&talkative, json!({"query": "SELECT * FROM unknown_table"})).await;
    let note = text.strip_prefix(&generic).unwrap();
    assert!(
        note.contains("60 ") && note.contains("unknown_table"),
        "{note}"
    );
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let server = TestServer::start().await;
    for body in [
        json!({}),
        json!({"query": ""}),
        json!({"query": ["SELECT 1"]}),
        json!({"query": "SELECT 1", "params": []}),
        json!({"query": "SELECT 1", "timeout_ms": 999}),
        json!({"query": "SELECT 1", "timeout_ms": 120_001}),
        json!({"query": "SELECT 1", "timeout_ms": 1000.5}),
        json!({"query": "SELECT 1", "include_all_branches": "no"}),
        json!({"query": "SELECT 1", "unknown": 1}),
    ] {
        let call = server.admin("POST", QUERY).body(body.clone());
        let answer = call.send().await;
        assert_eq!(
            answer.known_error(),
            Some("SCHEMA_ERROR"),
            "{body}: {}",
            answer.text
        );
    }
    for body in [json!({}), json!({"query_id": ""}), json!({"query_id": {}})] {
        server
            .server("POST", TIMING)
            .body(body)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let call = server.admin("POST", QUERY);
    let call = call.body(json!({"query": "SELECT 1", "include_all_branches": true}));
    call.refused_in_words(500).await;
}

#[tokio::test]
async fn timings_are_told_to_the_project_that_asked() {
    let server = TestServer::start().await;
    let body = ask(&server, json!({"query": "SELECT sleep(0.05)"})).await;
    let id = body["query_id"].as_str().unwrap();
    let timing = server
        .server("POST", TIMING)
        .body(json!({"query_id": id}))
        .expect(200)
        .await;
    let millis = |name: &str| timing["stats"][name].as_f64().unwrap();
    assert!(millis("wall_clock_time") >= 50.0, "{timing}");
    assert!(millis("cpu_time") >= 0.0, "{timing}");

    let other = server.new_project(json!({})).await;
    let foreign = server
        .admin_of(&other, "POST", TIMING)
        .body(json!({"query_id": id}));
    let details = foreign.refused(404, "ITEM_NOT_FOUND").await;
    assert_eq!(details, json!({"item_id": id}));
    let unknown = format!("{}:main:unknown", server.project.id);
    let call = server
        .admin("POST", TIMING)
        .body(json!({"query_id": unknown}));
    call.refused(404, "ITEM_NOT_FOUND").await;
}

#[tokio::test]
async fn without_a_store_the_answer_says_so() {
    let server = TestServer::start_analysing(None).await;
    let answer = server
        .admin("POST", QUERY)
        .body(json!({"query": "SELECT 1"}))
        .send()
        .await;
    assert_eq!(answer.status.as_u16(), 503);
    assert!(answer.text.contains("CLICKHOUSE_URL"), "{}", answer.text);
}

#[tokio::test]
async fn what_analysts_write_is_answered() {
    let server = TestServer::start().await;
    let mut refused = Vec::new();
    for query in [
        "SELECT toStartOfDay(event_at) AS day, count(), uniq(user_id) FROM events WHERE event_type = '$page-view' GROUP BY day ORDER BY day WITH FILL",
        "SELECT data.path::String AS path, countIf(data.is_anonymous = true) FROM events GROUP BY path HAVING count() > 1 ORDER BY 2 DESC LIMIT 10",
        "SELECT data.ip_info.country_code::String AS country, uniqExact(user_id) FROM events GROUP BY ALL",
        "SELECT data.file, data.system.cpu, data.url AS url FROM events",
        "SELECT u.display_name, count(t.team_id) FROM users u LEFT JOIN team_member_profiles t ON t.user_id = u.id GROUP BY u.display_name",
        "SELECT * FROM users WHERE id IN (SELECT user_id FROM team_permissions WHERE id LIKE 'team%')",
        "WITH first AS (SELECT user_id, min(event_at) AS at FROM events GROUP BY user_id) SELECT toMonday(at) AS week, count() FROM first GROUP BY week",
        "SELECT user_id, row_number() OVER (PARTITION BY user_id ORDER BY event_at), lagInFrame(event_at) OVER w FROM events WINDOW w AS (PARTITION BY user_id ORDER BY event_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
        "SELECT quantiles(0.5, 0.9)(dateDiff('second', signed_up_at, now())) FROM users",
        "SELECT CASE WHEN is_anonymous THEN 'anonymous' ELSE 'known' END AS kind, count() FROM users GROUP BY kind WITH TOTALS",
        "SELECT arrayMap(x -> upper(x), splitByChar('@', assumeNotNull(primary_email))) FROM users",
        "SELECT arrayMap(upper, ['a']), arraySum(x -> x * 2, [1, 2]), [1, 2, 3][2], (1, 'a').2, map('a', 1)['a']",
        "SELECT JSONExtractString(client_metadata, 'plan'), toJSONString(data) FROM users CROSS JOIN events",
        "SELECT DATE '2026-01-01' + INTERVAL 1 DAY, CAST(1 AS Decimal(10, 2)), EXTRACT(YEAR FROM now()), trim(BOTH 'a' FROM 'aba')",
        "SELECT 1 BETWEEN 0 AND 2, NOT 1, 1 IS NULL, 'a' ILIKE 'A', - -1, 1 - (-1), 0.5e-3, 0xff, 1_000, true",
        "SELECT count(DISTINCT user_id) FILTER (WHERE event_at > now() - INTERVAL 30 DAY) FROM events",
        "SELECT * EXCEPT (client_metadata) REPLACE (upper(display_name) AS display_name) FROM teams",
        "SELECT * APPLY toString FROM team_permissions",
        "SELECT number, n FROM numbers(3) ARRAY JOIN [1, 2] AS n WHERE number > {least:UInt8} OR 1",
        "SELECT windowFunnel(3600)(toDateTime(event_at), event_type = '$page-view', event_type = '$click') FROM events GROUP BY user_id",
        "SELECT sumMerge(s) FROM (SELECT sumState(1) AS s FROM users)",
        "SELECT (SELECT count() FROM users) AS users, EXISTS (SELECT 1 FROM teams) AS any",
        "SELECT 1 UNION DISTINCT SELECT 2 INTERSECT SELECT 2 EXCEPT SELECT 3",
        "DESCRIBE TABLE users",
        "EXPLAIN PLAN SELECT * FROM users",
        "SELECT name, type FROM system.columns WHERE table = 'users'",
    ] {
        let body = json!({"query": query, "params": {"least": 1}});
        let answer = server.admin("POST", QUERY).body(body).send().await;
        if answer.status.as_u16() != 200 {
            refused.push((query, answer.text));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}
