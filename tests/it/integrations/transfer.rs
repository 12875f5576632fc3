//! Somebody claims a project that a platform made.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{HOST, RIVAL, provision};
use crate::crash::Binary;
use crate::support::{Call, DASHBOARD_URL, TestServer, Tokens, database, unique_email};

const HOUR: i64 = 60 * 60 * 1000;

fn path(integration: &str) -> String {
    format!("/integrations/{integration}/projects/transfer")
}

fn initiate(server: &TestServer, integration: &str, client: &str, project: &str) -> Call {
    let call = server.call("POST", &path(integration));
    call.header("authorization", client)
        .body(json!({"project_id": project}))
}

/// The code of a fresh link.
async fn code(server: &TestServer, integration: &str, project: &str) -> String {
    let begun = initiate(server, integration, HOST, project);
    let url = begun.expect(200).await["confirmation_url"].clone();
    let start = format!("{DASHBOARD_URL}{}/confirm?code=", path(integration));
    let code = url
        .as_str()
        .unwrap()
        .strip_prefix(&start)
        .unwrap()
        .to_owned();
    assert_eq!(code.len(), 45);
    code
}

fn check(server: &TestServer, code: &str) -> Call {
    let path = format!("{}/confirm/check", path("custom"));
    let call = server.client_of(&server.internal(), "POST", &path);
    call.body(json!({"code": code}))
}

fn confirm(server: &TestServer, integration: &str, user: &Tokens, code: &str) -> Call {
    let path = format!("{}/confirm", path(integration));
    let call = server.client_of(&server.internal(), "POST", &path);
    call.user(user).body(json!({"code": code}))
}

#[tokio::test]
async fn a_project_gets_its_owner_by_a_link() {
    let server = TestServer::start().await;
    let internal = server.internal();
    for integration in ["custom", "neon"] {
        let made = provision(&server, integration, HOST).await;
        let preview = || {
            let path = format!("{}?project_id={}", path(integration), made.id);
            server.call("GET", &path).header("authorization", HOST)
        };
        assert!(preview().expect(200).await["message"].is_string());
        let alias = format!("{}/initiate", path(integration));
        let call = server.call("POST", &alias).header("authorization", HOST);
        let other = call.body(json!({"project_id": made.id})).expect(200).await;
        assert!(other["confirmation_url"].is_string());
        let code = code(&server, integration, &made.id).await;
        assert_eq!(
            check(&server, &code).expect(200).await,
            json!({"is_code_valid": true})
        );

        let email = unique_email();
        let user = server.sign_up_to(&internal, &email).await;
        let claimed = confirm(&server, integration, &user, &code.to_uppercase());
        assert_eq!(claimed.expect(200).await, json!({"project_id": made.id}));

        let project = server
            .admin_of(&made, "GET", "/internal/projects/current")
            .expect(200)
            .await;
        let team = project["owner_team_id"].as_str().unwrap();
        let team_path = format!("/teams/{team}");
        let shown = server
            .server_of(&internal, "GET", &team_path)
            .expect(200)
            .await;
        assert_eq!(shown["display_name"], format!("{email}'s Team"));
        let held = format!("/team-permissions?team_id={team}&user_id={}", user.user_id);
        let held = server.server_of(&internal, "GET", &held).expect(200).await;
        assert_eq!(held["items"][0]["id"], "team_admin");
        let seats = format!("/payments/items/team/{team}/dashboard_admins");
        let seats = server.server_of(&internal, "GET", &seats).expect(200).await;
        assert_eq!(seats["quantity"], 1);
        let owned = server
            .client_of(&internal, "GET", "/internal/projects")
            .user(&user);
        assert_eq!(owned.expect(200).await["items"][0]["id"], made.id);
        // From now on the owner's token opens the project; the platform's key still does, too.
        server
            .call("GET", "/internal/projects/current")
            .header("x-stack-access-type", "admin")
            .header("x-stack-project-id", &made.id)
            .header("x-stack-admin-access-token", &user.access)
            .expect(200)
            .await;

        preview().refused_in_words(400).await;
        initiate(&server, integration, HOST, &made.id)
            .refused_in_words(400)
            .await;
        confirm(&server, integration, &user, &code)
            .refused(409, "VERIFICATION_CODE_ALREADY_USED")
            .await;
        // What happened to the project is told in its own history, whoever brought it about.
        let told: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM events WHERE project_id = $1
             AND event_type IN ('ProjectProvisioned', 'ProjectTransferred')",
        )
        .bind(&made.id)
        .fetch_one(server.pool())
        .await
        .unwrap();
        assert_eq!(told, 2);
    }
    server.assert_verified().await;
}

#[tokio::test]
async fn a_platform_gives_only_its_own_projects_away() {
    let server = TestServer::start().await;
    let made = provision(&server, "custom", HOST).await;
    let owned = server.project.id.clone();
    let unknown = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de".to_owned();
    for (client, project) in [(RIVAL, &made.id), (HOST, &owned), (HOST, &unknown)] {
        let preview = format!("{}?project_id={project}", path("custom"));
        let preview = server.call("GET", &preview).header("authorization", client);
        preview.refused_in_words(400).await;
        initiate(&server, "custom", client, project)
            .refused_in_words(400)
            .await;
    }
    for wrong in ["Basic !", "Basic bm9ib2R5Ong="] {
        initiate(&server, "custom", wrong, &made.id)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let bare = server
        .call("GET", &path("neon"))
        .header("authorization", HOST);
    bare.refused(400, "SCHEMA_ERROR").await;
    let bare = server
        .call("POST", &path("neon"))
        .header("authorization", HOST);
    bare.body(json!({})).refused(400, "SCHEMA_ERROR").await;
    initiate(&server, "elsewhere", HOST, &made.id)
        .refused_in_words(404)
        .await;
}

#[tokio::test]
async fn codes_fail_as_the_contract_says() {
    let server = TestServer::start().await;
    let internal = server.internal();
    let user = server.sign_up_to(&internal, &unique_email()).await;
    let made = provision(&server, "custom", HOST).await;
    let first = code(&server, "custom", &made.id).await;
    let second = code(&server, "custom", &made.id).await;
    let confirm_path = format!("{}/confirm", path("custom"));
    let body = json!({"code": first});

    let bare = server.call("POST", &confirm_path).body(body.clone());
    bare.refused(400, "ACCESS_TYPE_REQUIRED").await;
    let nobody = server.client_of(&internal, "POST", &confirm_path);
    nobody
        .body(body.clone())
        .refused(401, "USER_AUTHENTICATION_REQUIRED")
        .await;
    let elsewhere = server.sign_up(&unique_email()).await;
    for path in [confirm_path.clone(), format!("{confirm_path}/check")] {
        let call = server.client("POST", &path).user(&elsewhere);
        call.body(body.clone()).refused(400, "SCHEMA_ERROR").await;
        for bad in [
            json!({}),
            json!({"code": "short"}),
            json!({"code": "x".repeat(46)}),
        ] {
            let call = server.client_of(&internal, "POST", &path).user(&user);
            call.body(bad).refused(400, "SCHEMA_ERROR").await;
        }
        let unknown = server.client_of(&internal, "POST", &path).user(&user);
        unknown
            .body(json!({"code": "0".repeat(45)}))
            .refused(404, "VERIFICATION_CODE_NOT_FOUND")
            .await;
    }

    confirm(&server, "custom", &user, &first).expect(200).await;
    check(&server, &first)
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    let teams = async || {
        let list = server
            .server_of(&internal, "GET", "/teams")
            .expect(200)
            .await;
        list["items"].as_array().unwrap().len()
    };
    let before = teams().await;
    confirm(&server, "custom", &user, &second)
        .refused_in_words(400)
        .await;
    assert_eq!(teams().await, before, "a team was left behind");

    let other = provision(&server, "custom", HOST).await;
    let late = code(&server, "custom", &other.id).await;
    server.clock.advance(HOUR);
    let call = server.client_of(&internal, "POST", &format!("{confirm_path}/check"));
    call.body(json!({"code": late}))
        .refused(400, "VERIFICATION_CODE_EXPIRED")
        .await;
    server.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_names_platforms_and_the_dashboard() {
    let clients = json!([{"client_id": "named", "client_secret": "s", "redirect_uris": []}]);
    let settings = [
        ("STACK_INTEGRATION_CLIENTS_CONFIG", clients.to_string()),
        ("MUNIMENT_DASHBOARD_URL", String::new()),
        (
            "NEXT_PUBLIC_STACK_DASHBOARD_URL",
            "https://console.example.com/".to_owned(),
        ),
    ];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let server = Binary::serve_with(&database().await, &settings).await;
    let http = reqwest::Client::new();
    let post = async |rest: &str, body: Value| -> Value {
        let url = format!("{}/api/v1/integrations/custom/projects/{rest}", server.base);
        let request = http.post(url).basic_auth("named", Some("s")).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    };
    let made = post("provision", json!({"display_name": "Shop"})).await;
    let link = post("transfer", json!({"project_id": made["project_id"]})).await;
    let link = link["confirmation_url"].as_str().unwrap();
    let start = "https://console.example.com/integrations/custom/projects/transfer/confirm?code=";
    assert!(link.starts_with(start), "{link}");
}

#[tokio::test]
async fn of_many_who_claim_at_once_one_becomes_the_owner() {
    let server = TestServer::start().await;
    let internal = server.internal();
    let made = provision(&server, "neon", HOST).await;
    let mut claims = Vec::new();
    for _ in 0..8 {
        let user = server.sign_up_to(&internal, &unique_email()).await;
        claims.push((user, code(&server, "neon", &made.id).await));
    }
    let sent = claims
        .iter()
        .map(|(user, code)| confirm(&server, "neon", user, code).send());
    let statuses: Vec<u16> = join_all(sent)
        .await
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    let won = statuses.iter().filter(|status| **status == 200).count();
    let lost = statuses.iter().filter(|status| **status == 400).count();
    assert_eq!((won, lost), (1, 7), "{statuses:?}");
    let project = server
        .admin_of(&made, "GET", "/internal/projects/current")
        .expect(200)
        .await;
    assert_ne!(project["owner_team_id"], Value::Null);
    server.assert_verified().await;
}
