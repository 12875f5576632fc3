//! The read tables are the same in the schema, in the registry, and for what replays and verifies
//! them.

use std::collections::BTreeSet;

use muniment::server::Follow;
use muniment_projections::READ_TABLES;
use muniment_projections::maintenance::replay::replay;
use muniment_projections::maintenance::verify::verify;
use sqlx::{PgPool, Row};

use crate::support::{TestServer, database, unique_email};

/// The tables that are not projected from the log, and why. Every other one is a read table.
const OTHER_TABLES: [(&str, &str); 29] = [
    ("_sqlx_migrations", "which migrations have run"),
    ("events", "the log itself"),
    (
        "leaders",
        "which process does what, and when it was last heard of",
    ),
    ("log_epochs", "the log's stays in clusters of Postgres"),
    (
        "snapshots",
        "states of aggregates, so that streams load fast",
    ),
    (
        "subject_keys",
        "keys to what is sealed in the log; never made again",
    ),
    ("subscriptions", "how far each subscriber is"),
    ("dead_letters", "events that a subscriber could not take"),
    ("set_aside", "events that could not be read"),
    ("event_tally", "what a subscriber counts, after the commit"),
    (
        "session_activity",
        "telemetry: when sessions were used last",
    ),
    ("user_activity", "telemetry: when users were seen last"),
    (
        "images",
        "files that were uploaded; the log has their URLs only",
    ),
    ("private_objects", "files of the server's own"),
    (
        "sign_up_rule_triggers",
        "telemetry: how often rules applied",
    ),
    ("webhook_endpoints", "settings of the delivery service"),
    ("webhook_secrets", "signing secrets of its endpoints"),
    ("webhook_messages", "what is to be delivered"),
    ("webhook_deliveries", "the queue of deliveries"),
    ("webhook_attempts", "how deliveries went"),
    ("webhook_replays", "the queue of what is delivered again"),
    (
        "stripe_cancellations",
        "the queue of what is to be cancelled at Stripe",
    ),
    (
        "webhook_submissions",
        "the queue of what goes to a Svix server",
    ),
    (
        "telemetry_spool",
        "telemetry on its way to the analytics store",
    ),
    ("telemetry_batches", "how it is inserted there"),
    ("telemetry_refused", "what the analytics store refused"),
    ("session_replays", "telemetry: recordings"),
    ("session_replay_chunks", "the parts of recordings"),
    (
        "analytics_erasures",
        "the queue of what the analytics store is to forget",
    ),
];

/// The tables of the migrated schema that are none of the others.
async fn read_tables(pool: &PgPool) -> BTreeSet<String> {
    let sql = "SELECT relname::text FROM pg_class
               WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm', 'f')";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(pool).await.unwrap();
    let mut tables: BTreeSet<String> = tables.into_iter().collect();
    for (table, reason) in OTHER_TABLES {
        assert!(!reason.is_empty());
        assert!(tables.remove(table), "there is no table {table}");
    }
    tables
}

#[tokio::test]
async fn the_registry_names_the_read_tables_of_the_schema() {
    let pool = PgPool::connect(&database().await).await.unwrap();
    let registered: BTreeSet<String> = READ_TABLES.iter().map(|&it| it.to_owned()).collect();
    assert_eq!(registered.len(), READ_TABLES.len(), "one is named twice");
    assert_eq!(registered, read_tables(&pool).await);
}

/// Puts a row into a table that no event has made, whatever its columns are, and yields it.
async fn put_stray_row(pool: &PgPool, table: &str) -> serde_json::Value {
    let columns = "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type
                   FROM pg_attribute
                   WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
                     AND attnotnull AND NOT atthasdef";
    let columns = sqlx::query(columns)
        .bind(table)
        .fetch_all(pool)
        .await
        .unwrap();
    let (names, values): (Vec<String>, Vec<&str>) = columns
        .iter()
        .map(|column| (column.get("name"), stray_value(column.get("type"))))
        .unzip();
    // What the row's foreign keys point to is not there.
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("SET LOCAL session_replication_role = replica")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let sql = format!(
        "INSERT INTO {table} ({}) VALUES ({}) RETURNING to_jsonb({table})",
        names.join(", "),
        values.join(", ")
    );
    let row = sqlx::query_scalar(&sql).fetch_one(&mut *transaction).await;
    transaction.commit().await.unwrap();
    row.unwrap_or_else(|error| panic!("{table}: {error}"))
}

fn stray_value(column_type: &str) -> &'static str {
    match column_type {
        "uuid" => "gen_random_uuid()",
        "text" => "'stray'",
        "bigint" | "integer" => "7",
        "boolean" => "true",
        "jsonb" | "text[]" => "'{}'",
        other => panic!("no value of the type {other} is known"),
    }
}

#[tokio::test]
async fn verify_compares_and_replay_rebuilds_every_read_table() {
    let server = TestServer::start_on(&database().await, Follow::Nothing).await;
    let user = server.sign_up(&unique_email()).await;
    server.create_team(&user).await;
    server.assert_verified().await;
    let tables = read_tables(server.pool()).await;
    let mut strays = Vec::new();
    for table in &tables {
        strays.push((table.clone(), put_stray_row(server.pool(), table).await));
    }
    let mut found = verify(server.log(), |_| ()).await.unwrap().differences;
    found.sort_by_key(|difference| difference.table);
    let compared: Vec<&str> = found.iter().map(|difference| difference.table).collect();
    assert_eq!(compared, tables.iter().collect::<Vec<_>>());
    for (difference, (table, stray)) in found.iter().zip(&strays) {
        assert_eq!(difference.live.as_ref(), Some(stray), "{table}");
        assert_eq!(difference.expected, None, "{table}");
    }
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
}
