//! The event log's own promises: snapshots, subscriptions, replay, verification.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use muniment::server::Follow;
use muniment_event_store::RecordedEvent;
use muniment_event_store::subscription::{BatchPolicy, Subscriber, follow, lags};
use muniment_event_store::{LedgerError, LedgerEvent};
use muniment_projections::analytics::AnalyticsError;
use muniment_projections::maintenance::replay::replay;
use muniment_projections::maintenance::verify::verify;
use serde_json::json;
use sqlx::PgConnection;

use crate::support::{TestServer, database, eventually, unique_email};

#[tokio::test]
async fn long_streams_load_from_snapshots() {
    let url = database().await;
    let server = TestServer::start_on(&url, Follow::Nothing).await;
    let user = server.sign_up(&unique_email()).await;
    for n in 0..210 {
        let body = json!({"display_name": format!("n{n}")});
        server
            .client("PATCH", "/users/me")
            .user(&user)
            .body(body)
            .expect(200)
            .await;
    }
    let (sequence, number): (i64, i64) = sqlx::query_as(
        "SELECT last_sequence, current_snapshot FROM snapshots WHERE aggregate_id = $1",
    )
    .bind(&user.user_id)
    .fetch_one(server.pool())
    .await
    .unwrap();
    assert_eq!((sequence, number), (200, 2));
    // Another process remembers nothing and starts from the snapshot.
    let second = TestServer::start_on(&url, Follow::Nothing).await;
    let path = format!("/users/{}", user.user_id);
    let patch = second
        .server_of(&server.project, "PATCH", &path)
        .body(json!({"primary_email": unique_email()}));
    patch.expect(200).await;
    // The first process's memory is stale now; its next change is decided anew.
    let patch = server
        .server("PATCH", &path)
        .body(json!({"display_name": "last"}));
    assert_eq!(patch.expect(200).await["display_name"], "last");
    server.assert_verified().await;
}

#[tokio::test]
async fn the_log_keeps_who_did_it_and_seals_what_is_personal() {
    let server = TestServer::start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    server
        .client("PATCH", "/users/me")
        .user(&user)
        .header("user-agent", "Mozilla/5.0")
        .header("x-real-ip", "203.0.113.77")
        .body(json!({"display_name": "Ada Lovelace"}))
        .expect(200)
        .await;
    let stream = server
        .log()
        .stream("user", &user.user_id)
        .await
        .unwrap()
        .events;
    let update = stream.last().unwrap();
    assert_eq!(update.metadata["actor"], format!("user:{}", user.user_id));
    assert_eq!(update.metadata["access"], "client");
    assert_eq!(update.metadata["ip"], "203.0.113.77");
    assert_eq!(update.metadata["request_id"].len(), 16);
    assert!(matches!(&update.event, LedgerEvent::User(_)));
    for (secret, sql) in [
        (
            email.as_str(),
            "SELECT count(*) FROM events WHERE events::text ILIKE '%' || $1 || '%'",
        ),
        (
            "Ada Lovelace",
            "SELECT count(*) FROM events WHERE events::text ILIKE '%' || $1 || '%'",
        ),
        (
            "203.0.113.77",
            "SELECT count(*) FROM events WHERE events::text ILIKE '%' || $1 || '%'",
        ),
        (
            user.refresh.as_str(),
            "SELECT count(*) FROM events WHERE events::text ILIKE '%' || $1 || '%'",
        ),
        (
            user.refresh.as_str(),
            "SELECT count(*) FROM sessions WHERE sessions::text ILIKE '%' || $1 || '%'",
        ),
    ] {
        let found: i64 = sqlx::query_scalar(sql)
            .bind(secret)
            .fetch_one(server.pool())
            .await
            .unwrap();
        assert_eq!(found, 0, "{secret}");
    }
}

#[tokio::test]
async fn replay_rebuilds_what_was_lost_and_verify_finds_it() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    server.sign_up(&unique_email()).await;
    server.assert_verified().await;
    sqlx::raw_sql("UPDATE users SET display_name = 'tampered'; DELETE FROM team_memberships; INSERT INTO project_permissions SELECT id, 'p', project_id FROM users LIMIT 1")
        .execute(server.pool())
        .await
        .unwrap();
    let found = verify(server.log(), |_| ()).await.unwrap().differences;
    let tables: Vec<&str> = found.iter().map(|difference| difference.table).collect();
    assert_eq!(tables.iter().filter(|table| **table == "users").count(), 3);
    assert!(tables.contains(&"team_memberships") && tables.contains(&"project_permissions"));
    let constraints_before = constraints(&server).await;
    let mut folded = 0;
    replay(server.log(), &[], |progress| folded = progress.done)
        .await
        .unwrap();
    assert!(folded > 5);
    server.assert_verified().await;
    // The rebuilt tables have their indexes and keys, and serve live traffic.
    let path = format!("/teams/{team}");
    server.client("DELETE", &path).user(&user).expect(200).await;
    let email = unique_email();
    server.sign_up(&email).await;
    let body = json!({"email": email, "password": "long enough"});
    server
        .client("POST", "/auth/password/sign-up")
        .body(body)
        .refused(409, "USER_EMAIL_ALREADY_EXISTS")
        .await;
    replay(server.log(), &["users".to_owned()], |_| ())
        .await
        .unwrap();
    server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    let unknown = replay(server.log(), &["nonsense".to_owned()], |_| ()).await;
    assert!(matches!(unknown, Err(LedgerError::Refused(_))));
    server.assert_verified().await;
    assert_eq!(constraints(&server).await, constraints_before);
}

/// The constraints and indexes of all tables, as statements.
async fn constraints(server: &TestServer) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
         FROM pg_constraint WHERE connamespace = 'public'::regnamespace
         UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    )
    .fetch_all(server.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn replay_runs_beside_live_traffic() {
    let server = Arc::new(TestServer::start().await);
    let user = server.sign_up(&unique_email()).await;
    let busy = {
        let (server, user) = (Arc::clone(&server), user.clone());
        tokio::spawn(async move {
            for n in 0..150 {
                let body = json!({"display_name": format!("n{n}")});
                server
                    .client("PATCH", "/users/me")
                    .user(&user)
                    .body(body)
                    .expect(200)
                    .await;
                server.sign_up(&unique_email()).await;
            }
        })
    };
    for _ in 0..4 {
        replay(server.log(), &[], |_| ()).await.unwrap();
        server.assert_verified().await;
    }
    busy.await.unwrap();
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(me["display_name"], "n149");
    server.assert_verified().await;
}

/// Fails the first times, and for one event always.
#[derive(Clone)]
struct Moody {
    failures_left: Arc<AtomicU32>,
    hated: i64,
    taken: Arc<AtomicU32>,
}

impl Subscriber for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    async fn accept(
        &self,
        _: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        let failing = self
            .failures_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if failing.is_ok()
            || batch
                .iter()
                .any(|event| event.cursor.position == self.hated)
        {
            return Err(LedgerError::Refused("not in the mood".to_owned()));
        }
        self.taken
            .fetch_add(u32::try_from(batch.len()).unwrap(), Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn what_a_subscriber_cannot_take_goes_to_the_dead_letters() {
    let server = TestServer::start_on(&database().await, Follow::Nothing).await;
    server.sign_up(&unique_email()).await;
    let (count, hated): (i64, i64) =
        sqlx::query_as("SELECT count(*), min(position) + 3 FROM events")
            .fetch_one(server.pool())
            .await
            .unwrap();
    let moody = Moody {
        failures_left: Arc::new(AtomicU32::new(2)),
        hated,
        taken: Arc::default(),
    };
    let pace = BatchPolicy {
        attempts: 3,
        first_pause: Duration::from_millis(1),
        poll: Duration::from_millis(5),
        ..BatchPolicy::default()
    };
    let first = follow(server.log().clone(), moody.clone(), pace);
    // A second holder stands by: nothing is delivered twice.
    let second = follow(server.log().clone(), moody.clone(), pace);
    eventually("the log is followed to its end", || async {
        lags(server.pool())
            .await
            .unwrap()
            .iter()
            .any(|lag| lag.name == "moody" && lag.events == 0)
    })
    .await;
    assert_eq!(i64::from(moody.taken.load(Ordering::SeqCst)), count - 1);
    let dead: (String, i64, i32) =
        sqlx::query_as("SELECT subscription, position, attempts FROM dead_letters")
            .fetch_one(server.pool())
            .await
            .unwrap();
    assert_eq!(dead, ("moody".to_owned(), hated, 3));
    drop(first);
    server.sign_up(&unique_email()).await;
    let more: i64 = sqlx::query_scalar("SELECT count(*) FROM events")
        .fetch_one(server.pool())
        .await
        .unwrap();
    eventually("the standby takes over", || async {
        i64::from(moody.taken.load(Ordering::SeqCst)) == more - 1
    })
    .await;
    drop(second);
}

#[tokio::test]
async fn the_tally_counts_every_event_once() {
    let server = TestServer::start().await;
    for _ in 0..5 {
        server.sign_up(&unique_email()).await;
    }
    eventually("everything is tallied", || async {
        tallied(&server).await == logged(&server).await
    })
    .await;
}

async fn tallied(server: &TestServer) -> Vec<(String, i64)> {
    let sql = "SELECT event_type, sum(count)::bigint FROM event_tally GROUP BY 1 ORDER BY 1";
    sqlx::query_as(sql).fetch_all(server.pool()).await.unwrap()
}

async fn logged(server: &TestServer) -> Vec<(String, i64)> {
    let sql = "SELECT event_type, count(*) FROM events GROUP BY 1 ORDER BY 1";
    sqlx::query_as(sql).fetch_all(server.pool()).await.unwrap()
}

/// Its sink is away the first times.
#[derive(Clone)]
struct Cut {
    failures_left: Arc<AtomicU32>,
    taken: Arc<AtomicU32>,
}

impl Subscriber for Cut {
    fn name(&self) -> &'static str {
        "cut"
    }

    async fn accept(
        &self,
        _: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        let failing = self
            .failures_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if failing.is_ok() {
            let silence = AnalyticsError::Unreachable("no answer".to_owned());
            return Err(LedgerError::SinkAway(Box::new(silence)));
        }
        self.taken
            .fetch_add(u32::try_from(batch.len()).unwrap(), Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn while_a_sink_is_away_no_event_is_to_blame() {
    let server = TestServer::start_on(&database().await, Follow::Nothing).await;
    server.sign_up(&unique_email()).await;
    let logged: i64 = sqlx::query_scalar("SELECT count(*) FROM events")
        .fetch_one(server.pool())
        .await
        .unwrap();
    let cut = Cut {
        failures_left: Arc::new(AtomicU32::new(40)),
        taken: Arc::default(),
    };
    let pace = BatchPolicy {
        attempts: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(4),
        ..BatchPolicy::default()
    };
    let _following = follow(server.log().clone(), cut.clone(), pace);
    eventually("everything arrives in the end", || async {
        i64::from(cut.taken.load(Ordering::SeqCst)) == logged
    })
    .await;
    assert_eq!(cut.failures_left.load(Ordering::SeqCst), 0);
    let dead: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters")
        .fetch_one(server.pool())
        .await
        .unwrap();
    assert_eq!(dead, 0);
}

/// V12: a failover that leaves the server with a replica.
#[tokio::test]
async fn a_database_that_is_read_only_is_said_to_be_away() {
    let server = TestServer::start_on(&database().await, Follow::Nothing).await;
    let user = server.sign_up(&unique_email()).await;
    let rename = || {
        let call = server.client("PATCH", "/users/me").user(&user);
        call.body(json!({"display_name": "Ada"}))
    };
    let make = async |read_only: bool| {
        // Connections take it up when they are opened; this one is on its way out.
        let sql = format!(
            "DO $$ BEGIN
                 EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {read_only}',
                                current_database());
             END $$"
        );
        let mut connection = server.pool().acquire().await.unwrap();
        let writable = "SET default_transaction_read_only = off";
        sqlx::raw_sql(writable)
            .execute(&mut *connection)
            .await
            .unwrap();
        sqlx::raw_sql(&sql).execute(&mut *connection).await.unwrap();
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query(others).execute(&mut *connection).await.unwrap();
        connection.close().await.unwrap();
    };
    make(true).await;
    eventually("changes are refused", || async {
        let refused = rename().send().await;
        refused.status == 503 && refused.header("retry-after") == "5"
    })
    .await;
    assert_eq!(server.page("GET", "/health?db=1").send().await.status, 500);
    server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    make(false).await;
    eventually("changes are taken again", || async {
        rename().send().await.status == 200
    })
    .await;
    assert_eq!(server.page("GET", "/health?db=1").send().await.status, 200);
}

/// V9: a damaged snapshot, and one of an older shape.
#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_passed_over() {
    let url = database().await;
    let server = TestServer::start_on(&url, Follow::Nothing).await;
    let settings = json!({"payments.items.units": {"customerType": "custom"}});
    let call = server.admin("PATCH", "/internal/config/override/branch");
    let body = json!({"config_override_string": settings.to_string()});
    call.body(body).expect(200).await;
    let path = "/payments/items/custom/hot/units";
    let add = async |server: &TestServer| {
        let update = format!("{path}/update-quantity?allow_negative=false");
        let call = server.server("POST", &update);
        call.body(json!({"delta": 1})).expect(200).await;
    };
    for _ in 0..105 {
        add(&server).await;
    }
    let mut expected = 105;
    for damage in [
        r#"jsonb_set(payload, '{sealed}', '"AAAA"')"#,
        r"jsonb_set(payload, '{shape}', '0')",
    ] {
        let sql =
            format!("UPDATE snapshots SET payload = {damage} WHERE aggregate_type = 'customer'");
        let damaged = sqlx::query(&sql).execute(server.pool()).await.unwrap();
        assert_eq!(damaged.rows_affected(), 1);
        // One that remembers nothing.
        let mut other = TestServer::start_on(&url, Follow::Nothing).await;
        other.project = server.project.clone();
        add(&other).await;
        expected += 1;
        assert_eq!(
            other.server("GET", path).expect(200).await["quantity"],
            expected
        );
    }
    // At the next hundred, a new one is written.
    for _ in expected..200 {
        add(&server).await;
    }
    let shape = "SELECT payload ->> 'shape' FROM snapshots WHERE aggregate_type = 'customer'";
    let shape: Option<String> = sqlx::query_scalar(shape)
        .fetch_one(server.pool())
        .await
        .unwrap();
    assert_eq!(shape.as_deref(), Some("1"));
    server.assert_verified().await;
}
