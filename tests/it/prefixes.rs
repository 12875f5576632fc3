//! Any prefix of the log, replayed, makes the read tables that were live at that point.
//!
//! A server carries out commands drawn at random and notes the tables after some of them. Then, for
//! each of these moments, the events after it are removed from a copy of the database, and the rest
//! is replayed there.

use std::collections::BTreeMap;

use muniment::server::{self, Follow};
use muniment_event_store::MasterKey;
use muniment_projections::READ_TABLES;
use muniment_projections::maintenance::replay::replay;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{CALLBACK, TestServer, close_off, copy_of, database, secret, unique_email};

/// Few users and teams, so that commands meet. The numbers choose among those there are.
#[derive(Clone, Debug)]
enum Step {
    CreateUser,
    RenameUser(usize),
    MoveEmail(usize),
    AddChannel(usize, bool),
    RemoveChannels(usize),
    DeleteUser(usize),
    CreateTeam(usize),
    AddMember(usize, usize),
    RemoveMember(usize, usize),
    GrantAdmin(usize, usize),
    SelectTeam(usize, usize),
    DeleteTeam(usize),
    Invite(usize, usize),
    AcceptInvitations(usize),
    IssueKey(usize),
    Define(usize),
    Undefine(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let one = || 0..3_usize;
    let two = || (0..3_usize, 0..3_usize);
    prop_oneof![
        3 => Just(Step::CreateUser),
        1 => one().prop_map(Step::RenameUser),
        2 => one().prop_map(Step::MoveEmail),
        2 => (one(), any::<bool>()).prop_map(|(user, primary)| Step::AddChannel(user, primary)),
        1 => one().prop_map(Step::RemoveChannels),
        1 => one().prop_map(Step::DeleteUser),
        2 => one().prop_map(Step::CreateTeam),
        4 => two().prop_map(|(team, user)| Step::AddMember(team, user)),
        1 => two().prop_map(|(team, user)| Step::RemoveMember(team, user)),
        2 => two().prop_map(|(team, user)| Step::GrantAdmin(team, user)),
        2 => two().prop_map(|(team, user)| Step::SelectTeam(team, user)),
        1 => one().prop_map(Step::DeleteTeam),
        3 => two().prop_map(|(team, user)| Step::Invite(team, user)),
        2 => one().prop_map(Step::AcceptInvitations),
        1 => one().prop_map(Step::IssueKey),
        2 => one().prop_map(Step::Define),
        1 => one().prop_map(Step::Undefine),
    ]
}

/// What the steps have made so far.
#[derive(Default)]
struct World {
    users: Vec<String>,
    teams: Vec<String>,
}

impl World {
    fn user(&self, n: usize) -> &str {
        self.users.get(n).map_or(NOBODY, String::as_str)
    }

    fn team(&self, n: usize) -> &str {
        self.teams.get(n).map_or(NOBODY, String::as_str)
    }
}

const NOBODY: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";

/// Sends a request that may be refused, but must not fail.
async fn attempt(server: &TestServer, method: &str, path: &str, body: Value) -> Value {
    let answer = server.admin(method, path).body(body).send().await;
    assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap_or_default()
}

async fn carry_out(server: &TestServer, world: &mut World, step: &Step) {
    let id_of = |made: &Value| made["id"].as_str().map(str::to_owned);
    let (method, path, body) = match *step {
        Step::CreateUser => {
            let body = json!({
                "primary_email": unique_email(), "primary_email_verified": true,
                "primary_email_auth_enabled": true, "password": "correct horse battery",
            });
            let made = attempt(server, "POST", "/users", body).await;
            return world.users.extend(id_of(&made));
        }
        Step::CreateTeam(user) => {
            let creator = world.users.get(user);
            let body = json!({"display_name": "Team", "creator_user_id": creator});
            let body = if creator.is_some() {
                body
            } else {
                json!({"display_name": "Team"})
            };
            let made = attempt(server, "POST", "/teams", body).await;
            return world.teams.extend(id_of(&made));
        }
        Step::RemoveChannels(user) => return remove_channels(server, world.user(user)).await,
        Step::AcceptInvitations(user) => return accept(server, world.user(user)).await,
        Step::Invite(team, user) => {
            return invite(server, world.team(team), world.user(user)).await;
        }
        Step::RenameUser(user) => (
            "PATCH",
            format!("/users/{}", world.user(user)),
            json!({"display_name": unique_email(), "client_metadata": {"n": user}}),
        ),
        Step::MoveEmail(user) => (
            "PATCH",
            format!("/users/{}", world.user(user)),
            json!({"primary_email": unique_email()}),
        ),
        Step::SelectTeam(team, user) => (
            "PATCH",
            format!("/users/{}", world.user(user)),
            json!({"selected_team_id": world.team(team)}),
        ),
        Step::AddChannel(user, is_primary) => (
            "POST",
            "/contact-channels".to_owned(),
            json!({
                "user_id": world.user(user), "type": "email", "value": unique_email(),
                "used_for_auth": true, "is_primary": is_primary,
            }),
        ),
        Step::DeleteUser(user) => ("DELETE", format!("/users/{}", world.user(user)), json!({})),
        Step::AddMember(team, user) => ("POST", membership(world, team, user), json!({})),
        Step::RemoveMember(team, user) => ("DELETE", membership(world, team, user), json!({})),
        Step::GrantAdmin(team, user) => (
            "POST",
            format!(
                "/team-permissions/{}/{}/team_admin",
                world.team(team),
                world.user(user)
            ),
            json!({}),
        ),
        Step::DeleteTeam(team) => ("DELETE", format!("/teams/{}", world.team(team)), json!({})),
        Step::IssueKey(user) => (
            "POST",
            "/user-api-keys".to_owned(),
            json!({"user_id": world.user(user), "description": "ci", "expires_at_millis": null}),
        ),
        Step::Define(n) => (
            "POST",
            "/team-permission-definitions".to_owned(),
            json!({"id": format!("p{n}"), "contained_permission_ids": ["$read_members"]}),
        ),
        Step::Undefine(n) => (
            "DELETE",
            format!("/team-permission-definitions/p{n}"),
            json!({}),
        ),
    };
    attempt(server, method, &path, body).await;
}

fn membership(world: &World, team: usize, user: usize) -> String {
    format!(
        "/team-memberships/{}/{}",
        world.team(team),
        world.user(user)
    )
}

async fn remove_channels(server: &TestServer, user: &str) {
    let path = format!("/contact-channels?user_id={user}");
    let list = attempt(server, "GET", &path, json!({})).await;
    for channel in list["items"].as_array().unwrap() {
        let id = channel["id"].as_str().unwrap();
        let path = format!("/contact-channels/{user}/{id}");
        attempt(server, "DELETE", &path, json!({})).await;
    }
}

async fn invite(server: &TestServer, team: &str, user: &str) {
    let path = format!("/users/{user}");
    let user = attempt(server, "GET", &path, json!({})).await;
    let email = user["primary_email"].as_str().unwrap_or("x@example.com");
    let body = json!({"team_id": team, "email": email, "callback_url": CALLBACK});
    attempt(server, "POST", "/team-invitations/send-code", body).await;
}

async fn accept(server: &TestServer, user: &str) {
    let path = format!("/team-invitations?user_id={user}");
    let list = attempt(server, "GET", &path, json!({})).await;
    for invitation in list["items"].as_array().unwrap() {
        let id = invitation["id"].as_str().unwrap();
        let path = format!("/team-invitations/{id}/accept?user_id={user}");
        attempt(server, "POST", &path, json!({})).await;
    }
}

pub(crate) type Tables = BTreeMap<&'static str, Vec<Value>>;

/// Everything that the read tables say.
pub(crate) async fn tables(pool: &PgPool) -> Tables {
    let mut tables = Tables::new();
    for table in READ_TABLES {
        let sql = format!("SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)::text");
        let rows = sqlx::query_scalar(&sql).fetch_all(pool).await.unwrap();
        tables.insert(table, rows);
    }
    tables
}

/// What no rule of one aggregate can promise alone.
async fn assert_whole(pool: &PgPool) {
    for sql in [
        "SELECT count(*) FROM team_memberships m WHERE NOT EXISTS (
             SELECT FROM teams t WHERE t.id = m.team_id AND t.project_id = m.project_id)",
        "SELECT count(*) FROM team_memberships m WHERE NOT EXISTS (
             SELECT FROM users u WHERE u.id = m.user_id AND u.project_id = m.project_id)",
        "SELECT count(*) FROM (SELECT FROM contact_channels WHERE is_primary
             GROUP BY user_id HAVING count(*) > 1) twice",
        "SELECT count(*) FROM users u LEFT JOIN contact_channels c ON c.user_id = u.id AND c.is_primary
             WHERE (u.primary_email, u.primary_email_verified, u.primary_email_auth_enabled)
                 IS DISTINCT FROM (c.value, coalesce(c.is_verified, false), coalesce(c.used_for_auth, false))",
        "SELECT count(*) FROM users u WHERE selected_team_id IS NOT NULL AND NOT EXISTS (
             SELECT FROM team_memberships m WHERE m.user_id = u.id AND m.team_id = u.selected_team_id)",
        "SELECT count(*) FROM api_keys k WHERE user_id IS NOT NULL AND NOT EXISTS (
             SELECT FROM users u WHERE u.id = k.user_id)",
    ] {
        let broken: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.unwrap();
        assert_eq!(broken, 0, "{sql}");
    }
}

async fn check(steps: Vec<Step>) {
    let server = TestServer::start_on(&database().await, Follow::Nothing).await;
    server
        .configure(json!({"allow_localhost": true, "allow_user_api_keys": true}))
        .await;
    let mut world = World::default();
    let mut moments = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        carry_out(&server, &mut world, step).await;
        if n % 6 == 5 || n + 1 == steps.len() {
            assert_whole(server.pool()).await;
            let end: i64 = sqlx::query_scalar("SELECT max(position) FROM events")
                .fetch_one(server.pool())
                .await
                .unwrap();
            moments.push((end, tables(server.pool()).await));
        }
    }
    server.assert_verified().await;
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(server.pool())
        .await
        .unwrap();
    server.stop().await;
    close_off(&name).await;
    for (end, live) in moments {
        let pool = server::connect(&copy_of(&name).await, 4).await.unwrap();
        sqlx::query("DELETE FROM events WHERE position > $1")
            .bind(end)
            .execute(&pool)
            .await
            .unwrap();
        let master = MasterKey::derive(secret().as_bytes());
        let log = muniment_projections::open_log(pool.clone(), master);
        replay(&log, &[], |_| ()).await.unwrap();
        let replayed = tables(&pool).await;
        for (table, rows) in live {
            assert_eq!(replayed[table], rows, "{table} at {end}, after {steps:?}");
        }
        pool.close().await;
    }
}

#[test]
fn every_prefix_of_the_log_replays_to_what_was_live_then() {
    let config = Config {
        cases: 4,
        max_shrink_iters: 8,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = prop::collection::vec(any_step(), 18..36);
    let tested = TestRunner::new(config).run(&steps, |steps| {
        // Enough users and teams for the steps to be about.
        let first = [Step::CreateUser, Step::CreateUser, Step::CreateTeam(0)];
        let steps = first.into_iter().chain(steps).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(check(steps));
        Ok(())
    });
    tested.unwrap();
}
