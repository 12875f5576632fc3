//! Many at once: uniqueness, lost updates, and appends that commit late.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use muniment_domain::session::{Session, SessionCommand, SessionOrigin, SessionStarted};
use muniment_domain::user::{NewUser, User, UserCommand, UserError};
use muniment_domain::{Millis, ProjectId, SecretHash, SessionId, UserId};
use muniment_event_store::subscription::{BatchPolicy, Subscriber, follow};
use muniment_event_store::{EventContext, LedgerError, MasterKey, RecordedEvent};
use serde_json::json;
use sqlx::PgConnection;

use crate::support::{PASSWORD, TestServer, database, eventually, secret, unique_email};
use muniment::server;

#[tokio::test]
async fn fifty_sign_ups_with_one_address_make_one_user() {
    let server = Arc::new(TestServer::start().await);
    let email = unique_email();
    let attempts = (0..50).map(|_| {
        let (server, email) = (Arc::clone(&server), email.clone());
        tokio::spawn(async move {
            let body = json!({"email": email, "password": PASSWORD});
            let call = server.client("POST", "/auth/password/sign-up").body(body);
            let answer = call.send().await;
            (
                answer.status.as_u16(),
                answer.known_error().map(str::to_owned),
            )
        })
    });
    let mut successes = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            (200, None) => successes += 1,
            (409, Some(code)) => assert_eq!(code, "USER_EMAIL_ALREADY_EXISTS"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(successes, 1);
    let users = server.server("GET", "/users").expect(200).await;
    assert_eq!(users["items"].as_array().unwrap().len(), 1);
    server.assert_verified().await;
}

#[tokio::test]
async fn concurrent_changes_of_one_user_all_take_effect() {
    let server = Arc::new(TestServer::start().await);
    let user = server.sign_up(&unique_email()).await;
    let before = events_of(&server, &user.user_id).await;
    let changes = (0..20).map(|n| {
        let (server, user) = (Arc::clone(&server), user.clone());
        tokio::spawn(async move {
            let body = json!({"display_name": format!("name {n}")});
            server
                .client("PATCH", "/users/me")
                .user(&user)
                .body(body)
                .expect(200)
                .await;
        })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap();
    }
    assert_eq!(events_of(&server, &user.user_id).await, before + 20);
    server.assert_verified().await;
}

async fn events_of(server: &TestServer, user: &str) -> usize {
    server.log().stream("user", user).await.unwrap().len()
}

/// Keeps the positions it was given.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Vec<i64>>>);

impl Collector {
    pub(crate) fn positions(&self) -> Vec<i64> {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Collector {
    fn name(&self) -> &'static str {
        "collector"
    }

    async fn accept(
        &self,
        _: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        self.0
            .lock()
            .unwrap()
            .extend(batch.iter().map(|event| event.cursor.position));
        Ok(())
    }
}

#[tokio::test]
async fn a_subscriber_misses_no_append_that_commits_late() {
    let pool = server::connect(&database().await, 60).await.unwrap();
    let log = muniment_projections::open_log(pool.clone(), MasterKey::derive(secret().as_bytes()));
    let collector = Collector::default();
    let subscription = follow(
        log,
        collector.clone(),
        BatchPolicy {
            poll: Duration::from_millis(5),
            ..BatchPolicy::default()
        },
    );
    let appends = (0..200_u32).map(|n| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut transaction = pool.begin().await.unwrap();
            let position: i64 = sqlx::query_scalar(
                "INSERT INTO events (project_id, aggregate_type, aggregate_id, sequence, event_type,
                                     event_version, payload, metadata)
                 VALUES ('p', 'project', $1, 1, 'ProjectDeleted', '1.0.0', '{\"type\": \"ProjectDeleted\"}', '{}')
                 RETURNING position",
            )
            .bind(n.to_string())
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
            // Positions are drawn in one order and become visible in quite another.
            tokio::time::sleep(Duration::from_millis(u64::from(n * 37 % 150))).await;
            transaction.commit().await.unwrap();
            position
        })
    });
    let mut appended = BTreeSet::new();
    for append in appends.collect::<Vec<_>>() {
        appended.insert(append.await.unwrap());
    }
    eventually("all 200 are delivered", || async {
        collector.0.lock().unwrap().len() >= 200
    })
    .await;
    drop(subscription);
    let delivered = collector.0.lock().unwrap().clone();
    assert_eq!(delivered.len(), 200, "each exactly once");
    assert_eq!(delivered.into_iter().collect::<BTreeSet<_>>(), appended);
}

/// What another writer does between a unit's looks and its commit, for each way in which an account
/// stops to be what it was looked at for. The unit itself is the pause: it does the other's work on
/// its first run.
#[tokio::test]
async fn what_a_unit_looked_at_still_holds_at_the_commit() {
    let server = TestServer::start().await;
    let kept = server.sign_up(&unique_email()).await;
    let closed = server.sign_up(&unique_email()).await;
    for (user, is_closed) in [(&kept, false), (&closed, true)] {
        let id = UserId(user.user_id.parse().unwrap());
        let context = EventContext::system(
            ProjectId::from_caller(&server.project.id),
            "test",
            Millis(1),
        );
        let (log, runs) = (server.log(), &AtomicUsize::new(0));
        let session = &SessionId(uuid::Uuid::new_v4());
        let (server, context) = (&server, &context);
        let opened = log
            .transact(context, |mut unit| async move {
                let is_active = unit.look::<User>(&id).await?.is_active();
                if runs.fetch_add(1, Ordering::Relaxed) == 0 {
                    interfere(server, &user.user_id, is_closed).await;
                }
                if !is_active {
                    return Err(LedgerError::from(UserError::NotFound));
                }
                let start = SessionCommand::Start(session_of(id, context));
                unit.create::<Session>(session, start).await?;
                Ok((unit, ()))
            })
            .await;
        assert_eq!(runs.load(Ordering::Relaxed), 2, "decided anew once");
        assert_eq!(opened.is_err(), is_closed);
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE aggregate_id = $1")
            .bind(session.to_string())
            .fetch_one(server.pool())
            .await
            .unwrap();
        assert_eq!(events, i64::from(!is_closed));
    }
    server.assert_verified().await;
}

async fn interfere(server: &TestServer, user: &str, close: bool) {
    let path = format!("/users/{user}");
    if close {
        server.server("DELETE", &path).expect(200).await;
        return;
    }
    let rename = server
        .server("PATCH", &path)
        .body(json!({"display_name": "another"}));
    rename.expect(200).await;
}

fn session_of(user_id: UserId, context: &EventContext) -> SessionStarted {
    SessionStarted {
        project_id: context.project_id.clone(),
        user_id,
        token_hash: SecretHash::of(&user_id.to_string()),
        created_at: context.now,
        expires_at: None,
        is_impersonation: false,
        opening: SessionOrigin::Password,
    }
}

/// Nothing is written in a project that was deleted meanwhile, whatever it is.
#[tokio::test]
async fn nothing_is_written_in_a_project_that_is_gone() {
    let server = TestServer::start().await;
    let context = &EventContext::system(
        ProjectId::from_caller(&server.project.id),
        "test",
        Millis(1),
    );
    let runs = &AtomicUsize::new(0);
    let id = &UserId(uuid::Uuid::new_v4());
    let server = &server;
    let opened = server
        .log()
        .transact(context, |mut unit| async move {
            if runs.fetch_add(1, Ordering::Relaxed) == 0 {
                let delete = server.admin("DELETE", "/internal/projects/current");
                delete.expect(200).await;
            }
            let new = NewUser::blank(context.project_id.clone(), context.now);
            unit.create::<User>(id, UserCommand::Create(Box::new(new)))
                .await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await;
    assert!(
        matches!(&opened, Err(LedgerError::ProjectDeleted(id)) if *id == context.project_id),
        "{opened:?}"
    );
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users WHERE id = $1")
        .bind(id.0)
        .fetch_one(server.pool())
        .await
        .unwrap();
    assert_eq!(users, 0);
    server.assert_verified().await;
}
