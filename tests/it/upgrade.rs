//! Logs that earlier versions wrote are read by this one.
//!
//! `tests/fixtures/*.sql` are the tables that cannot be rebuilt, as an earlier version left them:
//! the log, and the keys that open it under the tests' secret. After a change of what is written,
//! add a file: `MUNIMENT_RECORD_LOG=tests/fixtures/NAME.sql cargo test --test it upgrade::`.

use std::path::Path;

use muniment::server::Follow;
use muniment_domain::ProjectId;
use muniment_domain::support_conversation::{SupportConversation, SupportConversationCommand};
use muniment_event_store::EventContext;
use muniment_projections::maintenance::replay::replay;
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::postgres::PgPool;

use crate::integrations::{HOST, provision};
use crate::shop::Shop;
use crate::stripe_server::StripeServer;
use crate::support::{PASSWORD, Project, TestServer, Tokens, database};
use crate::upgrade_payments::{read_trade, trade};

/// The names by which recorded accounts are found again.
const EMAIL: &str = "ada@example.com";
const OTHER_EMAIL: &str = "grace@example.com";
const AGENT_EMAIL: &str = "agent@example.com";

#[tokio::test]
async fn recorded_logs_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "sql"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        read_back(&std::fs::read_to_string(&file).unwrap()).await;
    }
}

async fn read_back(recorded: &str) {
    let url = database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    sqlx::raw_sql(recorded).execute(&pool).await.unwrap();
    let log = muniment_projections::open_log(
        pool.clone(),
        muniment_event_store::MasterKey::derive(crate::support::secret().as_bytes()),
    );
    replay(&log, &[], |_| ()).await.unwrap();
    pool.close().await;
    // The server starts on it, seeds what differs, and goes on writing to it.
    let server = TestServer::start_on(&url, Follow::Everything).await;
    server.assert_verified().await;
    let keys: Value = recorded
        .lines()
        .find_map(|line| line.strip_prefix("-- keys: "))
        .map(|keys| serde_json::from_str(keys).unwrap())
        .unwrap();
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    let project = Project {
        id: text("id"),
        client: text("client"),
        server: text("server"),
        admin: text("admin"),
    };
    let users = server
        .server_of(&project, "GET", "/users")
        .expect(200)
        .await;
    let emails: Vec<&str> = users["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["primary_email"].as_str().unwrap())
        .collect();
    assert_eq!(emails, [EMAIL]);
    let config = server
        .admin_of(&project, "GET", "/internal/projects/current")
        .expect(200)
        .await;
    assert_eq!(config["display_name"], "Recorded");
    assert_eq!(config["config"]["magic_link_enabled"], true);
    let definitions = server
        .admin_of(&project, "GET", "/team-permission-definitions")
        .expect(200)
        .await;
    assert!(definitions.to_string().contains("posts:read"));
    let teams = server
        .server_of(&project, "GET", "/teams")
        .expect(200)
        .await;
    assert_eq!(teams["items"][0]["display_name"], "Recorded team");
    let vault = server.server_of(&project, "POST", "/data-vault/stores/s/get");
    let vault = vault.body(json!({"hashed_key": "k"})).expect(200).await;
    assert_eq!(vault["encrypted_value"], "sealed");
    if let Some(made) = keys.get("provisioned") {
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let provisioned = Project {
            id: text("id"),
            admin: text("admin"),
            ..project.clone()
        };
        let opened = server.admin_of(&provisioned, "GET", "/internal/projects/current");
        assert_eq!(opened.expect(200).await["owner_team_id"], Value::Null);
        let transfer = server.call("POST", "/integrations/neon/projects/transfer");
        let transfer = transfer.header("authorization", HOST);
        transfer
            .body(json!({"project_id": provisioned.id}))
            .expect(200)
            .await;
    }
    // Teams that were founded before there were plans have one now.
    let internal = server.internal();
    let owners = server.server_of(&internal, "GET", "/teams");
    let owners = owners.expect(200).await["items"].clone();
    assert!(owners.as_array().unwrap().len() > 2);
    for team in owners.as_array().unwrap() {
        let team = team["id"].as_str().unwrap();
        let path = format!("/payments/items/team/{team}/dashboard_admins");
        let seats = server.server_of(&internal, "GET", &path).expect(200).await;
        assert_eq!(seats["quantity"], 1, "{team}");
    }
    let call = server.client_of(&project, "POST", "/auth/password/sign-in");
    let call = call.body(json!({"email": EMAIL, "password": PASSWORD}));
    let user = Tokens::of(&call.expect(200).await);
    if let Some(keys) = keys.get("payments") {
        read_trade(&server, &project, &user, keys).await;
    }
    if keys.get("conversations").is_some() {
        read_conversations(&server, &project).await;
    }
}

async fn read_conversations(server: &TestServer, project: &Project) {
    let internal = server.internal();
    let sign_in = server.client_of(&internal, "POST", "/auth/password/sign-in");
    let sign_in = sign_in.body(json!({"email": AGENT_EMAIL, "password": PASSWORD}));
    let agent = Tokens::of(&sign_in.expect(200).await);
    let read = async |path: String| {
        let path = format!("/internal/{path}projectId={}", project.id);
        let call = server.client_of(&internal, "GET", &path).user(&agent);
        call.expect(200).await["conversations"].clone()
    };
    let asked = read("ai-conversations?".to_owned()).await;
    assert_eq!(asked.as_array().unwrap().len(), 1);
    assert_eq!(asked[0]["title"], "Renamed");
    let found = read("conversations?query=Refund&".to_owned()).await;
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["userDisplayName"], "Ada");
    assert_eq!(found[0]["metadata"]["tags"], json!(["vip"]));
    // The other one was with somebody who was erased.
    let all = read("conversations?".to_owned()).await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .any(|c| c["userId"] == Value::Null)
    );
}

/// Writes a log that has something of everything, if a file is named to record it in.
#[tokio::test]
async fn a_log_is_recorded_when_asked_for() {
    let Ok(file) = std::env::var("MUNIMENT_RECORD_LOG") else {
        return;
    };
    let stripe = StripeServer::open().await;
    let server = TestServer::start_charging(stripe.access()).await;
    let user = server.sign_up(EMAIL).await;
    let erased = server.sign_up(OTHER_EMAIL).await;
    let team = live(&server, &user, &erased).await;
    let shop = Shop {
        stripe,
        server,
        ada: user,
        email: EMAIL.to_owned(),
    };
    let Shop { server, .. } = &shop;
    let Project {
        id,
        client,
        server: secret,
        admin,
    } = &server.project;
    let made = provision(server, "neon", HOST).await;
    shop.stock().await;
    let payments = trade(&shop, &team).await;
    let keys = json!({"id": id, "client": client, "server": secret, "admin": admin,
                      "provisioned": {"id": made.id, "admin": made.admin},
                      "conversations": true, "payments": payments});
    // Subscribers have work to do yet, which the recording shall hold as well.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let mut recorded = format!("-- keys: {keys}\n");
    for (table, columns) in [
        (
            "events",
            "position, project_id, aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata, recorded_at",
        ),
        (
            "subject_keys",
            "subject, wrapped_key, created_at, destroyed_at",
        ),
    ] {
        // One line per row: Postgres itself writes and reads the values.
        let sql = format!(
            "SELECT format('INSERT INTO {table} ({columns}) SELECT {columns} FROM \
             jsonb_populate_record(NULL::{table}, %L);', to_jsonb(t)::text) FROM {table} t ORDER BY 1"
        );
        let mut lines: Vec<String> = sqlx::query(&sql)
            .fetch_all(server.pool())
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        lines.sort_by_key(|line| position_in(line));
        recorded.push_str(&lines.join("\n"));
        recorded.push('\n');
    }
    recorded
        .push_str("SELECT setval('events_position_seq', (SELECT max(position) FROM events));\n");
    std::fs::write(file, recorded).unwrap();
}

fn position_in(line: &str) -> u64 {
    let digits = line.split("\"position\": ").nth(1).unwrap_or_default();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    digits[..end].parse().unwrap_or_default()
}

/// Yields the team.
async fn live(server: &TestServer, user: &Tokens, erased: &Tokens) -> String {
    let settings = json!({"display_name": "Recorded", "config": {
        "magic_link_enabled": true, "domains": [{"domain": "https://a.example.com", "handler_path": "/h"}],
    }});
    let patch = server.admin("PATCH", "/internal/projects/current");
    patch.body(settings).expect(200).await;
    let pushed = json!({"auth.signUpRules.a": {"enabled": true, "condition": "false"}, "dataVault.stores.s": {}});
    let body =
        json!({"config_string": pushed.to_string(), "source": {"type": "pushed-from-unknown"}});
    server
        .server("PUT", "/internal/config/override/branch")
        .body(body)
        .expect(200)
        .await;
    let reset = server.admin("POST", "/internal/config/override/environment/reset-keys");
    reset
        .body(json!({"keys": ["domains.allowLocalhost"]}))
        .expect(200)
        .await;
    server
        .admin("DELETE", "/internal/config/source")
        .expect(200)
        .await;
    let definition = json!({"id": "posts:read", "contained_permission_ids": []});
    let define = server.admin("POST", "/team-permission-definitions");
    define.body(definition).expect(201).await;
    let team = server.create_team(user).await;
    let rename = server.server("PATCH", &format!("/teams/{team}"));
    rename
        .body(json!({"display_name": "Recorded team"}))
        .expect(200)
        .await;
    server.add_member(&team, erased).await;
    let grant = format!("/team-permissions/{team}/{}/posts:read", user.user_id);
    server
        .server("POST", &grant)
        .body(json!({}))
        .expect(201)
        .await;
    let me = server.client("PATCH", "/users/me").user(user);
    me.body(json!({"display_name": "Ada", "client_metadata": {"a": 1}}))
        .expect(200)
        .await;
    let value = json!({"hashed_key": "k", "encrypted_value": "sealed"});
    let vault = server.server("POST", "/data-vault/stores/s/set");
    vault.body(value).expect(200).await;
    converse(server, user, erased).await;
    let gone = format!("/users/{}", erased.user_id);
    server.server("DELETE", &gone).expect(200).await;
    team
}

/// Everything that can be said in the dashboard.
async fn converse(server: &TestServer, user: &Tokens, erased: &Tokens) {
    let internal = server.internal();
    let agent = server.sign_up_to(&internal, AGENT_EMAIL).await;
    let project = &server.project.id;
    let current = server.admin("GET", "/internal/projects/current");
    let owner = current.expect(200).await["owner_team_id"].clone();
    let membership = format!(
        "/team-memberships/{}/{}",
        owner.as_str().unwrap(),
        agent.user_id
    );
    let join = server.server_of(&internal, "POST", &membership);
    join.body(json!({})).expect(201).await;
    let say = async |method: &str, path: &str, body: Value| {
        let call = server.client_of(&internal, method, path).user(&agent);
        call.body(body).expect(200).await
    };
    let asked = "/internal/ai-conversations";
    let messages = json!([{"role": "user", "content": "why?"}]);
    let start = json!({"title": "First", "projectId": project, "messages": messages});
    for keep in [true, false] {
        let started = say("POST", asked, start.clone()).await;
        let path = format!("{asked}/{}", started["id"].as_str().unwrap());
        say("PATCH", &path, json!({"title": "Renamed"})).await;
        let body = json!({"messages": [{"role": "assistant", "content": {"because": 1}}]});
        say("PUT", &format!("{path}/messages"), body).await;
        if !keep {
            say("DELETE", &path, json!({})).await;
        }
    }
    for customer in [user, erased] {
        let opening = json!({"projectId": project, "userId": customer.user_id, "priority": "low",
                             "subject": "Refund", "initialMessage": "Hello"});
        let opened = say("POST", "/internal/conversations", opening).await;
        let id = opened["conversationId"].as_str().unwrap();
        let app = server.app();
        let context = EventContext::system(ProjectId::from_caller(project), "test", app.now());
        let receive = SupportConversationCommand::Receive {
            message_id: uuid::Uuid::new_v4(),
            body: "Thanks".to_owned(),
            at: app.now(),
        };
        app.execute::<SupportConversation>(&context, &id.parse().unwrap(), &receive)
            .await
            .unwrap();
        for change in [
            json!({"type": "reply", "body": "Done"}),
            json!({"type": "internal-note", "body": "kind"}),
            json!({"type": "status", "status": "closed"}),
            json!({"type": "metadata", "priority": "high", "tags": ["vip"],
                   "assignedToUserId": agent.user_id, "assignedToDisplayName": "Agent"}),
        ] {
            let mut body = change;
            body["projectId"] = json!(project);
            say("PATCH", &format!("/internal/conversations/{id}"), body).await;
        }
    }
}
