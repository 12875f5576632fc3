//! The log is moved to another cluster of Postgres, whose transaction ids are others: V1.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use muniment::embedded::cache_folder::cache_folder;
use muniment::embedded::postgres::{Durability, Lifetime, PrivatePostgres};
use muniment::server::{self, Follow};
use muniment_domain::{Millis, UserId};
use muniment_event_store::LedgerError;
use muniment_event_store::subscription::{BatchPolicy, follow};
use muniment_projections::maintenance::history::{state_at, timeline};
use muniment_projections::maintenance::replay::replay;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::concurrency::Collector;
use crate::prefixes::tables;
use crate::receiver::{Received, Receiver};
use crate::support::{Project, TestServer, Tokens, database, eventually, unique_email};

/// A cluster that has begun so many transactions more than a fresh one.
async fn cluster(transactions: u32) -> PrivatePostgres {
    let lifetime = Lifetime::Ephemeral(Durability::Fast);
    let postgres = PrivatePostgres::start(lifetime, &cache_folder()).await;
    let postgres = postgres.unwrap();
    run(&postgres.url("postgres"), "CREATE DATABASE ledger").await;
    let spend = format!(
        "DO $$ BEGIN FOR n IN 1..{transactions} LOOP
             PERFORM pg_current_xact_id(); COMMIT;
         END LOOP; END $$"
    );
    run(&postgres.url("postgres"), &spend).await;
    postgres
}

async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(statement).await.unwrap();
    connection.close().await.unwrap();
}

/// A program of Postgres: the server's own, or the system's.
fn program(postgres: &PrivatePostgres, name: &str) -> PathBuf {
    let own = postgres.bin_dir().join(name);
    if own.exists() { own } else { name.into() }
}

/// Moves the database `ledger`, as operators do it: by `pg_dump`, read by `psql`.
fn dump(from: &PrivatePostgres, to: &PrivatePostgres) {
    let mut dumping = Command::new(program(from, "pg_dump"))
        .args(["--no-owner", &from.url("ledger")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("pg_dump and psql move the database; install the package postgresql-client");
    let read = Command::new(program(to, "psql"))
        .args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1"])
        .args(["--output", "/dev/null", &to.url("ledger")])
        .stdin(dumping.stdout.take().unwrap())
        .status();
    assert!(dumping.wait().unwrap().success());
    assert!(read.unwrap().success());
}

async fn epochs(pool: &PgPool) -> Vec<(i32, Option<i64>)> {
    let sql = "SELECT epoch, system_identifier FROM log_epochs ORDER BY epoch";
    sqlx::query_as(sql).fetch_all(pool).await.unwrap()
}

async fn count(pool: &PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

const UNTALLIED: &str = "SELECT (SELECT count(*) FROM events)
                              - (SELECT coalesce(sum(count), 0)::bigint FROM event_tally)";

/// Who is in the log before it is moved.
struct People {
    project: Project,
    /// Is changed afterwards.
    ada: Tokens,
    /// Is deleted afterwards.
    grace: Tokens,
    /// Was deleted before.
    deleted: Tokens,
    /// Was restricted and let in again.
    freed: Tokens,
    moved_at: Millis,
}

async fn live(postgres: &PrivatePostgres, receiver: &Receiver) -> People {
    let url = postgres.url("ledger");
    let pool = server::connect(&url, 2).await.unwrap();
    server::migrate(&pool).await.unwrap();
    pool.close().await;
    let server = TestServer::start_on(&url, Follow::Everything).await;
    let endpoint = json!({"url": receiver.url()});
    let endpoint = server
        .admin("POST", "/internal/webhooks/endpoints")
        .body(endpoint);
    endpoint.expect(201).await;
    let ada = server.sign_up(&unique_email()).await;
    let grace = server.sign_up(&unique_email()).await;
    let deleted = server.sign_up(&unique_email()).await;
    let freed = server.sign_up(&unique_email()).await;
    let change = async |user: &Tokens, body| {
        let path = format!("/users/{}", user.user_id);
        server.server("PATCH", &path).body(body).expect(200).await;
    };
    change(&ada, json!({"display_name": "Before"})).await;
    change(&freed, json!({"restricted_by_admin": true})).await;
    change(&freed, json!({"restricted_by_admin": false})).await;
    let path = format!("/users/{}", deleted.user_id);
    server.server("DELETE", &path).expect(200).await;
    receiver.first("user.deleted").await;
    eventually("everything is tallied", || async {
        count(server.pool(), UNTALLIED).await == 0
    })
    .await;
    let moved_at =
        sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
    let moved_at = Millis(moved_at.fetch_one(server.pool()).await.unwrap());
    let project = server.project.clone();
    server.stop().await;
    People {
        project,
        ada,
        grace,
        deleted,
        freed,
        moved_at,
    }
}

/// Everything that follows the log goes on behind what was moved, and the log says what it said.
async fn assert_goes_on(postgres: &PrivatePostgres, receiver: &Receiver, people: &People) {
    let server = TestServer::start_on(&postgres.url("ledger"), Follow::Everything).await;
    let pool = server.pool();
    let user = |user: &Tokens| format!("/users/{}", user.user_id);
    let told = receiver.received().len();
    let change = server.server_of(&people.project, "PATCH", &user(&people.ada));
    let change = change.body(json!({"display_name": "After"}));
    change.expect(200).await;
    let delete = server.server_of(&people.project, "DELETE", &user(&people.grace));
    delete.expect(200).await;
    eventually("webhooks tell of what happened here", || async {
        let received = receiver.received();
        let new = received.iter().skip(told);
        new.map(Received::kind).collect::<BTreeSet<_>>()
            == BTreeSet::from(["user.deleted".to_owned(), "user.updated".to_owned()])
    })
    .await;
    let key = format!(
        "SELECT count(wrapped_key) FROM subject_keys WHERE subject = '{}'",
        people.grace.user_id
    );
    eventually("the deleted are erased", || async {
        count(pool, &key).await == 0
    })
    .await;
    eventually("everything is tallied once", || async {
        count(pool, UNTALLIED).await == 0
    })
    .await;
    assert_eq!(count(pool, "SELECT count(*) FROM dead_letters").await, 0);

    let ada: UserId = people.ada.user_id.parse().unwrap();
    let events = timeline(server.log(), ada).await.unwrap().events;
    let then = state_at(&events, ada, people.moved_at).unwrap();
    assert_eq!(then["user"]["display_name"], "Before");
    let now = state_at(&events, ada, Millis(i64::MAX)).unwrap();
    assert_eq!(now["user"]["display_name"], "After");

    server.assert_verified().await;
    let before = tables(pool).await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    assert_eq!(tables(pool).await, before);
    server.assert_verified().await;
    let gone = server.server_of(&people.project, "GET", &user(&people.deleted));
    gone.refused(404, "USER_NOT_FOUND").await;
    let freed = server.server_of(&people.project, "GET", &user(&people.freed));
    assert_eq!(freed.expect(200).await["restricted_by_admin"], false);
    server.stop().await;
}

#[tokio::test]
async fn a_dump_goes_on_in_a_younger_cluster() {
    let (old, young) = (cluster(20_000).await, cluster(0).await);
    let receiver = Receiver::open().await;
    let people = live(&old, &receiver).await;
    dump(&old, &young);
    assert_goes_on(&young, &receiver, &people).await;
    let pool = PgPool::connect(&young.url("ledger")).await.unwrap();
    let stays = epochs(&pool).await;
    assert_eq!(stays.len(), 2);
    assert!(stays.iter().all(|(_, identifier)| identifier.is_some()));
    assert_ne!(stays[0].1, stays[1].1);
    let misplaced = "SELECT count(*) FROM events a JOIN events b ON a.position < b.position
                     WHERE a.epoch > b.epoch";
    assert_eq!(count(&pool, misplaced).await, 0);
    // And once more, back to where it came from.
    run(&old.url("postgres"), "DROP DATABASE ledger").await;
    run(&old.url("postgres"), "CREATE DATABASE ledger").await;
    pool.close().await;
    dump(&young, &old);
    let back = TestServer::start_on(&old.url("ledger"), Follow::Everything).await;
    assert_eq!(epochs(back.pool()).await.len(), 3);
    back.assert_verified().await;
}

#[tokio::test]
async fn a_dump_goes_on_in_an_older_cluster() {
    let (young, old) = (cluster(0).await, cluster(20_000).await);
    let receiver = Receiver::open().await;
    let people = live(&young, &receiver).await;
    dump(&young, &old);
    assert_goes_on(&old, &receiver, &people).await;
}

#[tokio::test]
async fn a_log_from_before_there_were_epochs_is_recognised_too() {
    let (old, young) = (cluster(20_000).await, cluster(0).await);
    let receiver = Receiver::open().await;
    let people = live(&old, &receiver).await;
    // What an earlier version left: nobody knows in which cluster.
    run(
        &old.url("ledger"),
        "UPDATE log_epochs SET system_identifier = NULL",
    )
    .await;
    dump(&old, &young);
    assert_goes_on(&young, &receiver, &people).await;
}

#[tokio::test]
async fn a_node_that_was_running_appends_to_the_epoch_that_another_began() {
    let url = database().await;
    let server = Arc::new(TestServer::start_on(&url, Follow::Nothing).await);
    let seen = Collector::default();
    let policy = BatchPolicy {
        poll: std::time::Duration::from_millis(5),
        linger: std::time::Duration::ZERO,
        ..BatchPolicy::default()
    };
    let _following = follow(server.log().clone(), seen.clone(), policy);
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                for _ in 0..25 {
                    server.sign_up(&unique_email()).await;
                }
            })
        })
        .collect();
    for stay in 2..12 {
        run(&url, "UPDATE log_epochs SET system_identifier = -epoch").await;
        // Another node comes up.
        server::connect(&url, 1).await.unwrap().close().await;
        assert!(epochs(server.pool()).await.len() >= stay);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    server.sign_up(&unique_email()).await;
    let appended = count(server.pool(), "SELECT count(*) FROM events").await;
    eventually("every event was seen", || async {
        seen.positions().len() >= usize::try_from(appended).unwrap()
    })
    .await;
    let all: Vec<i64> =
        sqlx::query_scalar("SELECT position FROM events ORDER BY epoch, transaction, position")
            .fetch_all(server.pool())
            .await
            .unwrap();
    assert_eq!(seen.positions(), all);
    // A transaction may be older than the epoch that it appends to, never younger than its end.
    let outside = "SELECT count(*) FROM events e JOIN log_epochs next ON next.epoch = e.epoch + 1
                   WHERE e.transaction >= next.first_transaction";
    assert_eq!(count(server.pool(), outside).await, 0);
    server.assert_verified().await;
}

#[tokio::test]
async fn a_role_that_may_not_ask_for_the_identifier_goes_by_transaction_ids() {
    let postgres = cluster(0).await;
    let url = postgres.url("ledger");
    let pool = server::connect(&url, 2).await.unwrap();
    server::migrate(&pool).await.unwrap();
    for sql in [
        "UPDATE log_epochs SET system_identifier = NULL",
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        "CREATE ROLE ordinary LOGIN",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO ordinary",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ordinary",
    ] {
        pool.execute(sql).await.unwrap();
    }
    let ordinary = url.replacen("postgres@", "ordinary@", 1);
    assert_ne!(ordinary, url);
    server::connect(&ordinary, 1).await.unwrap().close().await;
    assert_eq!(epochs(&pool).await, [(1, None)]);
    let ahead = "UPDATE log_epochs SET first_transaction = '1000000'";
    pool.execute(ahead).await.unwrap();
    server::connect(&ordinary, 1).await.unwrap().close().await;
    assert_eq!(epochs(&pool).await, [(1, None), (2, None)]);
}

#[tokio::test]
async fn a_log_that_was_moved_to_where_it_cannot_be_written_is_refused_in_words() {
    let url = database().await;
    let pool = server::connect(&url, 1).await.unwrap();
    pool.execute("UPDATE log_epochs SET system_identifier = 42")
        .await
        .unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&pool)
        .await
        .unwrap();
    pool.execute(&*format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ))
    .await
    .unwrap();
    let refused = server::connect(&url, 1).await.unwrap_err();
    assert!(matches!(refused, LedgerError::StrangeCluster { .. }));
    let words = refused.to_string();
    assert!(
        words.contains("cluster 42") && words.contains("read-only"),
        "{words}"
    );
    assert_eq!(epochs(&pool).await, [(1, Some(42))]);
}
