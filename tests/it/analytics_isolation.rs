//! Queries that try to leave their project, or to touch the machine. The same table runs against a
//! ClickHouse server: `MUNIMENT_TEST_CLICKHOUSE_URL=http://… cargo test analytics_isolation`.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use muniment::security::secrets::Random;
use muniment_projections::analytics::{AnalyticsError, AnalyticsStore, TenantQuery, VIEWS};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::analytics_store::ask;
use crate::support::{analytics, start_engine};

/// What must become of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It is answered, and says nothing of others.
    Harmless,
    /// 62
    Syntax,
    /// 164
    ReadOnly,
    /// 396
    TooMany,
    /// 159
    Timeout,
    /// 636
    NoStructure,
    /// 497
    Denied,
    /// Any code, as long as nothing is answered: engines notice different things first.
    Refused,
}
use Fate::{Denied, Harmless, NoStructure, ReadOnly, Refused, Syntax, Timeout, TooMany};

/// Where a hostile query would write. The process that runs queries may not.
const CANARY: &str = "/tmp/muniment-canary";

const QUERIES: &[(&str, Fate)] = &[
    // Several statements, and what is no query.
    ("SELECT 1; SELECT 2", Syntax),
    ("SELECT 1;\n;", Syntax),
    (
        "SELECT 1; SET ROLE owner; SELECT * FROM analytics_internal.users",
        Syntax,
    ),
    ("SELECT 1 PARALLEL WITH SELECT 2", Refused),
    ("definitely not SQL", Syntax),
    ("", Syntax),
    ("-- only a comment", Syntax),
    ("SELECT 1 FORMAT CSV", Syntax),
    ("SET ROLE owner", Syntax),
    ("SET readonly = 0", Syntax),
    ("USE analytics_internal", Syntax),
    ("GRANT ALL ON *.* TO limited_user", Syntax),
    ("CREATE FUNCTION f AS x -> x", Syntax),
    ("EXECUTE AS default SELECT 1", Refused),
    ("CREATE TABLE t (a Int8) ENGINE = Memory", Denied),
    ("CREATE TEMPORARY TABLE t (a Int8)", Refused),
    (
        "CREATE MATERIALIZED VIEW m ENGINE = Memory AS SELECT * FROM events",
        Denied,
    ),
    (
        "CREATE VIEW v AS SELECT * FROM analytics_internal.events",
        Denied,
    ),
    (
        "CREATE DICTIONARY d (id UInt64) PRIMARY KEY id SOURCE(FILE(path '/etc/passwd' format 'LineAsString')) LAYOUT(FLAT()) LIFETIME(1)",
        Refused,
    ),
    ("CREATE USER u", Refused),
    (
        "CREATE ROW POLICY OR REPLACE p ON users USING 1 TO ALL",
        Refused,
    ),
    ("DROP TABLE events", Denied),
    ("DROP ROW POLICY tenant ON events", Refused),
    ("ALTER TABLE events ADD COLUMN x Int8", Denied),
    ("ALTER TABLE events DELETE WHERE 1", Denied),
    ("ALTER TABLE events UPDATE event_type = '' WHERE 1", Denied),
    ("TRUNCATE TABLE events", Denied),
    ("INSERT INTO events (event_type) VALUES ('x')", Denied),
    ("INSERT INTO events (event_type) SELECT 'x'", Denied),
    (
        "INSERT INTO FUNCTION file('/tmp/muniment-canary', 'CSV', 'a String') SELECT 'x'",
        Refused,
    ),
    ("KILL QUERY WHERE 1", Denied),
    ("SYSTEM SHUTDOWN", Refused),
    (
        "BACKUP TABLE events TO File('/tmp/muniment-canary')",
        Refused,
    ),
    ("OPTIMIZE TABLE analytics_internal.events FINAL", Refused),
    ("ATTACH TABLE x", Refused),
    ("RENAME TABLE events TO e", Refused),
    ("EXCHANGE TABLES events AND users", Refused),
    ("CHECK TABLE analytics_internal.events", Refused),
    ("EXISTS TABLE analytics_internal.events", Refused),
    // Settings.
    ("SELECT 1 SETTINGS SQL_project_id = '{other}'", ReadOnly),
    (
        "SELECT * FROM users SETTINGS SQL_project_id = '{other}', SQL_branch_id = 'main'",
        ReadOnly,
    ),
    (
        "SELECT * FROM users SETTINGS SQL_branch_id = 'other'",
        ReadOnly,
    ),
    (
        "SELECT * FROM (SELECT * FROM users SETTINGS SQL_project_id = '{other}')",
        ReadOnly,
    ),
    (
        "SELECT * FROM (SELECT * FROM users SETTINGS log_comment = '{other}:main')",
        Refused,
    ),
    ("SELECT 1 SETTINGS max_memory_usage = 0", ReadOnly),
    ("SELECT 1 SETTINGS readonly = 0", ReadOnly),
    ("SELECT 1 SETTINGS log_comment = '{other}:main'", ReadOnly),
    (
        "SELECT * FROM events /* */ SETTINGS /* x */ log_comment /**/ = '{other}:main'",
        ReadOnly,
    ),
    (
        "SELECT 1 SETTINGS additional_table_filters = {'events': '1'}",
        ReadOnly,
    ),
    // Other databases, and other people's queries.
    ("SELECT * FROM analytics_internal.users", Refused),
    ("SELECT * FROM `analytics_internal`.`events`", Refused),
    ("SELECT * FROM analytics_internal.events LIMIT 0", Refused),
    ("SELECT count() FROM analytics_internal.events", Refused),
    ("DESCRIBE TABLE analytics_internal.events", Refused),
    ("SHOW TABLES FROM analytics_internal", Harmless),
    ("SHOW CREATE TABLE analytics_internal.events", Refused),
    ("SELECT 'x' IN analytics_internal.users", Refused),
    (
        "SELECT * FROM events JOIN analytics_internal.users USING (project_id)",
        Refused,
    ),
    (
        "SELECT (SELECT count() FROM analytics_internal.events)",
        Refused,
    ),
    (
        "WITH x AS (SELECT * FROM analytics_internal.events) SELECT * FROM x",
        Refused,
    ),
    (
        "WITH events AS (SELECT * FROM analytics_internal.events) SELECT * FROM events",
        Refused,
    ),
    (
        "SELECT * FROM users UNION ALL SELECT * FROM analytics_internal.users",
        Refused,
    ),
    (
        "SELECT * FROM view(SELECT * FROM analytics_internal.users)",
        Refused,
    ),
    ("EXPLAIN SELECT * FROM analytics_internal.users", Refused),
    (
        "SELECT * FROM (EXPLAIN SELECT * FROM analytics_internal.users)",
        Refused,
    ),
    ("EXPLAIN ESTIMATE SELECT * FROM events", Refused),
    ("SELECT * FROM nowhere.at_all", Refused),
    ("SELECT nothing FROM users", Refused),
    ("SELECT * FROM system.numbers LIMIT 1", Denied),
    ("SELECT * FROM system.users", Denied),
    ("SELECT * FROM system.query_log", Denied),
    ("SELECT * FROM system.processes", Denied),
    ("SELECT * FROM system.dictionaries", Denied),
    ("SELECT * FROM system . /* x */ `processes`", Denied),
    ("SELECT * FROM \"system\".\"processes\"", Denied),
    (
        "SELECT * FROM (SELECT * FROM (SELECT query FROM system.processes))",
        Denied,
    ),
    (
        "WITH x AS (SELECT query FROM system.processes) SELECT * FROM x",
        Denied,
    ),
    (
        "SELECT 1 UNION ALL SELECT count() FROM system.processes",
        Denied,
    ),
    (
        "SELECT 1 WHERE 1 IN (SELECT count() FROM system.parts)",
        Denied,
    ),
    ("SELECT * FROM information_schema.tables", Denied),
    ("SELECT * FROM INFORMATION_SCHEMA.TABLES", Denied),
    ("SELECT * FROM system.stack_trace", Denied),
    ("SELECT * FROM system.errors", Refused),
    ("SELECT * FROM system.disks", Refused),
    ("SELECT * FROM system.row_policies", Refused),
    ("SELECT * FROM system.server_settings", Refused),
    ("SELECT * FROM system.settings_profiles", Refused),
    ("SELECT * FROM merge('system', '.*')", NoStructure),
    ("SELECT * FROM merge('system', 'process.*')", NoStructure),
    ("SELECT * FROM loop(analytics_internal.users)", Refused),
    (
        "SELECT * FROM mergeTreeIndex(analytics_internal, events)",
        Refused,
    ),
    (
        "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT * FROM analytics_internal.users))",
        Refused,
    ),
    ("SHOW PROCESSLIST", Refused),
    ("SHOW USERS", Refused),
    ("SHOW ACCESS", Refused),
    // The machine and the network.
    ("SELECT * FROM file('/etc/passwd')", Denied),
    ("SELECT * FROM file('/etc/passwd', 'LineAsString')", Denied),
    ("DESCRIBE TABLE file('/etc/passwd', 'LineAsString')", Denied),
    (
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        Denied,
    ),
    (
        "SELECT * FROM url('file:///etc/passwd', 'LineAsString')",
        Denied,
    ),
    ("SELECT * FROM remote('127.0.0.1', system.one)", Denied),
    (
        "SELECT * FROM remoteSecure('127.0.0.1', system.one)",
        Denied,
    ),
    ("SELECT * FROM cluster('default', system.one)", Denied),
    (
        "SELECT * FROM clusterAllReplicas('default', system.one)",
        Denied,
    ),
    (
        "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV', 'a String')",
        Denied,
    ),
    ("SELECT * FROM jdbc('jdbc:x', 's', 't')", Denied),
    (
        "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
        Denied,
    ),
    (
        "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
        Denied,
    ),
    (
        "SELECT * FROM mongodb('127.0.0.1:1', 'd', 'c', 'u', 'p', 'a String')",
        Refused,
    ),
    (
        "SELECT * FROM redis('127.0.0.1:1', 'a', 'a String')",
        Refused,
    ),
    ("SELECT * FROM sqlite('/etc/passwd', 't')", Refused),
    (
        "SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'CSV', 'a String')",
        Refused,
    ),
    ("SELECT * FROM iceberg('http://127.0.0.1:1/x')", Refused),
    ("SELECT * FROM executable('ls', 'TSV', 'a String')", Denied),
    ("SELECT * FROM input('a String')", Denied),
    ("SELECT * FROM dictionary('d')", Refused),
    ("SELECT file('/etc/passwd')", Refused),
    ("SELECT FILE('/etc/passwd')", Refused),
    ("SELECT `file`('/etc/passwd')", Refused),
    ("SELECT /* */ file /* */ ( '/etc/passwd' )", Refused),
    (
        "SELECT * APPLY file FROM (SELECT '/etc/passwd' AS a)",
        Refused,
    ),
    (
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd' AS a)",
        Refused,
    ),
    (
        "SELECT COLUMNS('a') APPLY(x -> file(x)) FROM (SELECT '/etc/passwd' AS a)",
        Refused,
    ),
    ("SELECT arrayMap(x -> file(x), ['/etc/passwd'])", Refused),
    ("SELECT arrayMap(file, ['/etc/passwd'])", Refused),
    (
        "WITH file AS f SELECT arrayMap(f, ['/etc/passwd'])",
        Refused,
    ),
    ("WITH x -> file(x) AS f SELECT f('/etc/passwd')", Refused),
    ("SELECT dictGet('d', 'a', 1)", Refused),
    (
        "SELECT joinGet('analytics_internal.users', 'id', 1)",
        Refused,
    ),
    (
        "SELECT hasColumnInTable('analytics_internal', 'users', 'id')",
        Refused,
    ),
    ("SELECT catboostEvaluate('/etc/passwd', 1)", Refused),
    ("SELECT addressToLine(1)", Refused),
    ("SELECT 1 INTO OUTFILE '/tmp/muniment-canary'", Refused),
    (
        "SELECT 1 INTO OUTFILE '/tmp/muniment-canary' TRUNCATE",
        Refused,
    ),
    // Limits.
    ("SELECT * FROM numbers(1000000000)", TooMany),
    ("SELECT repeat('x', 1000000) FROM numbers(100)", TooMany),
    (
        "SELECT repeat(toString(number % 10), 1000000) FROM numbers(100)",
        TooMany,
    ),
    ("SELECT sleep(3)", Timeout),
    (
        "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1",
        Timeout,
    ),
    (
        "SELECT groupArray(number) FROM numbers(10000000000)",
        Refused,
    ),
    // Many ways to say what is allowed.
    ("SELECT * FROM users", Harmless),
    (
        "SELECT * FROM default.users WHERE project_id = '{other}'",
        Harmless,
    ),
    (
        "SELECT * FROM users WHERE 1 OR project_id = '{other}'",
        Harmless,
    ),
    (
        "SELECT u.display_name FROM users AS u CROSS JOIN teams AS t",
        Harmless,
    ),
    ("SELECT * FROM users AS system", Harmless),
    ("WITH system AS (SELECT 1) SELECT * FROM system", Harmless),
    (
        "WITH users AS (SELECT 1 AS a) SELECT * FROM users",
        Harmless,
    ),
    ("SELECT * FROM merge('default', '^users$')", Refused),
    ("SHOW TABLES", Harmless),
    ("SHOW GRANTS", Harmless),
    ("SELECT database, name FROM system.tables", Harmless),
    (
        "SELECT name FROM system.columns WHERE database = 'analytics_internal'",
        Harmless,
    ),
    ("SELECT name FROM system.databases", Harmless),
    ("EXPLAIN SYNTAX SELECT * FROM users", Harmless),
    (
        "SELECT 'file(1); system.processes -- /* ' AS text",
        Harmless,
    ),
    ("SELECT * FROM events -- ; SELECT 2", Harmless),
    ("SELECT $$it's; a heredoc$$", Harmless),
    ("SELECT uniqExactIf(id, 1) FROM users", Harmless),
    ("SELECT url FROM (SELECT 'x' AS url)", Harmless),
];

/// Rows of two projects in every table. Those of the other carry its id wherever text can be.
async fn two_projects(store: &AnalyticsStore) -> (String, String) {
    let project = || Random::system().uuid().to_string();
    let (own, other) = (project(), project());
    for view in VIEWS {
        for (whose, branch) in [(&own, "main"), (&own, "other"), (&other, "main")] {
            let marker = if branch == "main" {
                whose
            } else {
                "branch-other"
            };
            let marked = match view {
                "events" => "event_type, event_at, data",
                "users" | "teams" => "display_name, id",
                "contact_channels" => "value, id",
                "team_member_profiles" => "display_name, team_id",
                // A session has no text.
                "team_permissions" | "project_permissions" | "refresh_tokens" => "id, user_id",
                "team_invitations" => "recipient_email, id",
                "email_outboxes" => "subject, id",
                "notification_preferences" => "notification_category_id, user_id",
                "connected_accounts" => "provider, user_id",
                view => panic!("what is in {view}?"),
            };
            let values = match view {
                "events" => format!("'{marker}', now(), '{{}}'"),
                "refresh_tokens" => "generateUUIDv4(), generateUUIDv4()".to_owned(),
                _ => format!("'{marker}', generateUUIDv4()"),
            };
            let insert = format!(
                "INSERT INTO {view} (project_id, branch_id, {marked}) SELECT '{whose}', '{branch}', {values}"
            );
            store.owner().query_raw(&insert).execute().await.unwrap();
        }
    }
    (own, other)
}

fn fate_of(code: u32) -> Fate {
    match code {
        62 => Syntax,
        164 => ReadOnly,
        396 => TooMany,
        159 => Timeout,
        636 => NoStructure,
        497 => Denied,
        _ => Refused,
    }
}

/// What an answer says, if it says what it must not.
fn leak(answer: &str, other: &str) -> Option<&'static str> {
    if answer.contains(other) {
        return Some("another project");
    }
    if answer.contains("branch-other") {
        return Some("another branch");
    }
    if answer.contains("root:") {
        return Some("the machine");
    }
    None
}

#[tokio::test]
async fn no_query_leaves_its_project_or_touches_the_machine() {
    let store = analytics().await;
    let (own, other) = two_projects(&store).await;
    let mut wrong = String::new();
    for (query, expected) in QUERIES {
        let text = query.replace("{other}", &other);
        let params = Map::new();
        let query_id = format!("{own}:main:{}", Random::system().uuid());
        let asked = store.tenant_query(TenantQuery {
            query_id: &query_id,
            project_id: &own,
            branch_id: "main",
            text: &text,
            params: &params,
            timeout: Duration::from_secs(1),
        });
        let (fate, words) = match asked.await {
            Ok(answer) => {
                let rows: Vec<&str> = answer.rows.iter().map(|row| row.get()).collect();
                (Harmless, rows.concat())
            }
            Err(AnalyticsError::Refused { code, message }) => {
                (fate_of(code), format!("{code} {message}"))
            }
            Err(error) => (Refused, format!("OUTAGE {error}")),
        };
        // The caller's own words may come back.
        let leak = leak(&words.replace(&text, ""), &other)
            .filter(|_| fate == Harmless && !text.contains(&other));
        let as_expected = fate == *expected || (*expected == Refused && fate != Harmless);
        if !as_expected || leak.is_some() || words.starts_with("OUTAGE") {
            let words: String = words.chars().take(300).collect();
            writeln!(
                wrong,
                "{query}\n  expected {expected:?}, got {fate:?} {leak:?}: {words}"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(!Path::new(CANARY).exists());
    for view in VIEWS {
        let count = format!("SELECT count() AS n FROM {view}");
        let rows = ask(&store, &own, &count).await.unwrap().rows;
        assert_eq!(rows[0].get(), "{\"n\":1}", "{view}");
    }
}

#[tokio::test]
async fn very_long_and_deeply_nested_queries_are_refused_or_answered() {
    let store = analytics().await;
    let (own, other) = two_projects(&store).await;
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!(
            "SELECT {}{inner}{}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    for text in [
        nested("(", "1", ")", 100_000),
        nested("[", "1", "]", 5_000),
        nested("(SELECT ", "1", ")", 2_000),
        nested("arrayMap(x -> ", "file('/etc/passwd')", ", [1])", 300),
        format!("SELECT {}1", "1 + ".repeat(60_000)),
        format!("SELECT '{}'", "x".repeat(1_000_000)),
        format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(3_000)),
        format!("SELECT {}", "'".repeat(10_001)),
        format!("{}SELECT 1", "/*".repeat(50_000)),
        format!("SELECT {} FROM users", "`".repeat(9_999)),
        "\u{0}".to_owned(),
        "SELECT \u{2028}1\u{a0}, '\u{1f600}', é".to_owned(),
    ] {
        match ask(&store, &own, &text).await {
            Ok(answer) => {
                for row in answer.rows {
                    assert_eq!(leak(row.get(), &other), None);
                }
            }
            Err(AnalyticsError::Refused { .. }) => {}
            Err(error) => panic!("{error}: {}", &text[..text.len().min(80)]),
        }
    }
    ask(&store, &own, "SELECT 1").await.unwrap();
}

/// Expressions around something forbidden, as the grammar allows them.
fn hostile() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "file('/etc/passwd')",
        "FiLe('/etc/passwd')",
        "`file` ('/etc/passwd')",
        "\"file\"(concat('/etc/', 'passwd'))",
        "(SELECT file('/etc/passwd'))",
        "(SELECT any(query) FROM system.processes)",
        "(SELECT any(line) FROM file('/etc/passwd', 'LineAsString', 'line String'))",
        "(SELECT any(display_name) FROM analytics_internal.users)",
        "arrayMap(file, ['/etc/passwd'])",
        "(SELECT * APPLY file FROM (SELECT '/etc/passwd' AS a))",
        "dictGet('d', 'a', 1)",
        "hasColumnInTable('analytics_internal', 'users', 'id')",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|text| format!("({text})")),
            inner.clone().prop_map(|text| format!("[{text}]")),
            inner.clone().prop_map(|text| format!("toString({text})")),
            inner
                .clone()
                .prop_map(|text| format!("tuple(1, /* ' */ {text})")),
            inner
                .clone()
                .prop_map(|text| format!("if(1, {text}, {text})")),
            inner
                .clone()
                .prop_map(|text| format!("arrayMap(x -> {text}, [1])")),
            inner
                .clone()
                .prop_map(|text| format!("(SELECT {text} -- '\n)")),
            inner
                .clone()
                .prop_map(|text| format!("(WITH {text} AS y SELECT y)")),
            inner
                .clone()
                .prop_map(|text| format!("CASE WHEN 1 THEN {text} END")),
            inner.clone().prop_map(|text| format!("{text} AS `a\\`b`")),
            inner.prop_map(|text| format!("(SELECT 1 WHERE {text} IS NOT NULL)")),
        ]
    })
}

#[tokio::test]
async fn what_is_forbidden_stays_forbidden_wherever_it_stands() {
    let store = analytics().await;
    let (own, _) = two_projects(&store).await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let text = format!(
            "SELECT {}",
            hostile().new_tree(&mut runner).unwrap().current()
        );
        match ask(&store, &own, &text).await {
            Err(AnalyticsError::Refused { .. }) => {}
            Err(error) => panic!("{error}: {text}"),
            Ok(answer) => panic!("{text}: {:?}", answer.rows),
        }
    }
}

#[tokio::test]
async fn a_server_is_told_the_truth_about_itself() {
    let store = analytics().await;
    let (own, _) = two_projects(&store).await;
    let answer = |text: &'static str| {
        let (store, own) = (store.clone(), own.clone());
        async move {
            let rows = ask(&store, &own, text).await.unwrap().rows;
            let rows: Vec<Value> = rows
                .iter()
                .map(|row| serde_json::from_str(row.get()).unwrap())
                .collect();
            Value::from(rows)
        }
    };
    assert_eq!(
        answer("SELECT currentUser() AS a, currentDatabase() AS b, currentRoles() AS c, getSetting('SQL_project_id') AS d, getSetting('SQL_branch_id') AS e").await,
        json!([{"a": "limited_user", "b": "default", "c": [], "d": own, "e": "main"}])
    );
    assert_eq!(
        answer("SELECT currentUser()").await,
        json!([{"currentUser()": "limited_user"}])
    );
    let grants: Vec<Value> = VIEWS
        .iter()
        .map(|view| json!({"GRANTS": format!("GRANT SELECT ON default.{view} TO limited_user")}))
        .collect();
    assert_eq!(answer("SHOW GRANTS").await, Value::from(grants));
    let tables: Vec<Value> = VIEWS
        .iter()
        .map(|view| json!({"database": "default", "name": view}))
        .collect();
    assert_eq!(
        answer("SELECT database, name FROM system.tables").await,
        Value::from(tables)
    );
}

#[tokio::test]
async fn queries_that_run_at_once_do_not_mix() {
    let store = analytics().await;
    let (first, second) = two_projects(&store).await;
    let asking = (0..100).map(|n| {
        let project = if n % 2 == 0 { &first } else { &second };
        let store = &store;
        async move {
            let text = "SELECT project_id, sleepEachRow(0.01) FROM users";
            let rows = ask(store, project, text).await.unwrap().rows;
            assert_eq!(rows.len(), 1);
            assert!(rows[0].get().contains(project.as_str()), "{}", rows[0]);
        }
    });
    join_all(asking).await;
}

/// The second wall: without any check, with all rights, the engine's process still reaches neither
/// files nor the network.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_engine_is_confined_where_the_kernel_can() {
    use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
    let kernel_can = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V4))
        .is_ok_and(|ruleset| ruleset.create().is_ok());
    if !kernel_can {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    let engine = start_engine().await;
    engine.store().migrate().await.unwrap();
    for query in [
        "SELECT file('/etc/passwd')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT 1 INTO OUTFILE '/tmp/muniment-canary'",
    ] {
        let refused = engine.store().owner().query_raw(query).execute().await;
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("Permission denied"), "{query}: {text}");
    }
    assert!(!Path::new(CANARY).exists());
}
