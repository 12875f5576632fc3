//! Contract 07 §4: the eleven synced tables say what the API says, a moment later.

use muniment_event_store::subscription::lags;
use serde_json::{Value, json};

use crate::support::{CALLBACK, PASSWORD, Project, TestServer, Tokens, eventually, unique_email};

/// The synced tables.
pub(crate) const TABLES: [&str; 11] = [
    "connected_accounts",
    "contact_channels",
    "email_outboxes",
    "notification_preferences",
    "project_permissions",
    "refresh_tokens",
    "team_invitations",
    "team_member_profiles",
    "team_permissions",
    "teams",
    "users",
];
const MARKETING: &str = "4f6f8873-3d04-46bd-8bef-18338b1a1b4c";

/// Waits until the store has everything that the log has.
pub(crate) async fn synchronized(server: &TestServer) {
    eventually("the analytics store has caught up", || async {
        let lags = lags(server.pool()).await.unwrap();
        lags.iter()
            .any(|lag| lag.name == "analytics" && lag.events == 0)
    })
    .await;
}

/// What a project's admin is answered.
pub(crate) async fn answer(server: &TestServer, project: &Project, query: &str) -> Vec<Value> {
    let call = server.admin_of(project, "POST", "/internal/analytics/query");
    let answer = call.body(json!({"query": query})).expect(200).await;
    answer["result"].as_array().unwrap().clone()
}

/// Likewise, of the test's project, when the store has caught up.
async fn rows(server: &TestServer, query: &str) -> Vec<Value> {
    synchronized(server).await;
    answer(server, &server.project, query).await
}

/// A number that a query yields.
async fn count(server: &TestServer, rest: &str) -> u64 {
    let rows = rows(
        server,
        &format!("SELECT toUInt32(count()) AS n FROM {rest}"),
    )
    .await;
    rows[0]["n"].as_u64().unwrap()
}

/// Everything that a project's admin can see of the synced tables.
pub(crate) async fn everything(
    server: &TestServer,
    project: &Project,
) -> Vec<(&'static str, Vec<Value>)> {
    let mut seen = Vec::new();
    for table in TABLES {
        let query = format!("SELECT * FROM {table} ORDER BY ALL");
        seen.push((table, answer(server, project, &query).await));
    }
    seen
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn dated(millis: &Value) -> String {
    let millis = millis.as_i64().unwrap();
    let at = muniment::timestamp::format_with_millis(muniment_domain::Millis(millis));
    at.replace('T', " ").replace('Z', "")
}

#[tokio::test]
async fn users_are_as_the_api_shows_them() {
    let server = TestServer::start().await;
    let email = unique_email();
    let body = json!({
        "primary_email": email, "primary_email_verified": true, "display_name": "Ada",
        "profile_image_url": "https://example.com/ada.png", "client_metadata": {"a": [1, null]},
        "server_metadata": {"b": "\u{1F980}"}, "password": PASSWORD,
    });
    let user = server.server("POST", "/users").body(body).expect(201).await;
    let id = text(&user["id"]);
    let mut expected = json!({
        "project_id": server.project.id, "branch_id": "main", "id": id, "display_name": "Ada",
        "profile_image_url": "https://example.com/ada.png", "primary_email": email,
        "primary_email_verified": 1, "signed_up_at": dated(&user["signed_up_at_millis"]),
        "client_metadata": "{\"a\": [1, null]}", "client_read_only_metadata": "{}",
        "server_metadata": "{\"b\": \"\u{1F980}\"}", "is_anonymous": 0, "restricted_by_admin": 0,
        "restricted_by_admin_reason": null, "restricted_by_admin_private_details": null,
    });
    let all = "SELECT * FROM users";
    assert_eq!(rows(&server, all).await, [expected.clone()]);
    let path = format!("/users/{id}");
    let change = json!({
        "display_name": null, "client_read_only_metadata": {}, "restricted_by_admin": true,
        "restricted_by_admin_reason": "r", "restricted_by_admin_private_details": "d",
    });
    server.server("PATCH", &path).body(change).expect(200).await;
    expected["display_name"] = Value::Null;
    expected["restricted_by_admin"] = json!(1);
    expected["restricted_by_admin_reason"] = json!("r");
    expected["restricted_by_admin_private_details"] = json!("d");
    assert_eq!(rows(&server, all).await, [expected]);
    server.server("DELETE", &path).expect(200).await;
    assert_eq!(rows(&server, all).await, Vec::<Value>::new());
}

#[tokio::test]
async fn who_signs_up_at_last_is_one_user_still() {
    let server = TestServer::start().await;
    let user = server.anonymous().await;
    assert_eq!(count(&server, "users WHERE is_anonymous = 1").await, 1);
    // In another month, and so in another partition of the table.
    server.clock.advance(40 * 24 * 60 * 60 * 1000);
    let session = server
        .client("POST", "/auth/sessions/current/refresh")
        .header("x-stack-refresh-token", &user.refresh)
        .expect(200)
        .await;
    server
        .client("POST", "/auth/password/sign-up")
        .header("x-stack-access-token", text(&session["access_token"]))
        .header("x-stack-allow-anonymous-user", "true")
        .body(json!({"email": unique_email(), "password": PASSWORD}))
        .expect(200)
        .await;
    let users = rows(&server, "SELECT * FROM users").await;
    assert_eq!(users.len(), 1, "{users:?}");
    assert_eq!(users[0]["is_anonymous"], 0);
    assert_eq!(users[0]["id"], user.user_id);
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    assert_eq!(count(&server, "users").await, 0);
}

#[tokio::test]
async fn contact_channels_come_change_and_go() {
    let server = TestServer::start().await;
    let (first, second) = (unique_email(), unique_email());
    let user = server.sign_up(&first).await;
    let body = json!({
        "user_id": user.user_id, "type": "email", "value": second, "used_for_auth": false,
        "is_verified": true,
    });
    let add = server.server("POST", "/contact-channels").body(body);
    let added = add.expect(201).await;
    let channels = "SELECT value, toString(user_id) AS user, type, is_primary, is_verified,
                    used_for_auth FROM contact_channels ORDER BY created_at, is_primary DESC";
    let channel = |value: &str, primary: u8, verified: u8, auth: u8| {
        json!({"value": value, "user": user.user_id, "type": "EMAIL", "is_primary": primary,
               "is_verified": verified, "used_for_auth": auth})
    };
    let seen = rows(&server, channels).await;
    assert_eq!(seen, [channel(&first, 1, 0, 1), channel(&second, 0, 1, 0)]);
    // Making one the primary one makes the other none, and changes the user.
    let path = format!("/contact-channels/{}/{}", user.user_id, text(&added["id"]));
    let change = server.server("PATCH", &path);
    change.body(json!({"is_primary": true})).expect(200).await;
    let primary = "SELECT value FROM contact_channels WHERE is_primary = 1";
    assert_eq!(rows(&server, primary).await, [json!({"value": second})]);
    let mirrored = "SELECT primary_email, primary_email_verified FROM users";
    assert_eq!(
        rows(&server, mirrored).await,
        [json!({"primary_email": second, "primary_email_verified": 1})]
    );
    server.server("DELETE", &path).expect(200).await;
    assert_eq!(
        rows(&server, "SELECT value, is_primary FROM contact_channels").await,
        [json!({"value": first, "is_primary": 0})]
    );
    assert_eq!(count(&server, "users WHERE primary_email IS NULL").await, 1);
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    assert_eq!(count(&server, "contact_channels").await, 0);
}

#[tokio::test]
async fn teams_take_everything_with_them() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let owner = server.sign_up(&unique_email()).await;
    let member = server.sign_up(&unique_email()).await;
    let team = server.create_team(&owner).await;
    let path = format!("/teams/{team}");
    let change = json!({"display_name": "Renamed", "client_metadata": {"k": 1}});
    server.server("PATCH", &path).body(change).expect(200).await;
    server.add_member(&team, &member).await;
    let of = |table: &str| format!("{table} WHERE team_id = '{team}'");
    let team_row = format!("SELECT * FROM teams WHERE id = '{team}'");
    let seen = rows(&server, &team_row).await;
    assert_eq!(seen[0]["display_name"], "Renamed");
    assert_eq!(seen[0]["client_metadata"], "{\"k\": 1}");
    assert_eq!(count(&server, &of("team_member_profiles")).await, 2);
    let profile = format!("/team-member-profiles/{team}/{}", member.user_id);
    let call = server.server("PATCH", &profile);
    call.body(json!({"display_name": "M"})).expect(200).await;
    let named = format!(
        "{} AND display_name = 'M' AND user_id = '{}'",
        of("team_member_profiles"),
        member.user_id
    );
    assert_eq!(count(&server, &named).await, 1);
    let invited = unique_email();
    server
        .server("POST", "/team-invitations/send-code")
        .body(json!({"team_id": team, "email": invited, "callback_url": CALLBACK}))
        .expect(200)
        .await;
    let rename = json!({"display_name": "Again"});
    server.server("PATCH", &path).body(rename).expect(200).await;
    assert_eq!(
        rows(&server, "SELECT toString(team_id) AS t, team_display_name AS n, recipient_email AS e FROM team_invitations").await,
        [json!({"t": team, "n": "Again", "e": invited})]
    );
    // Who leaves takes their permissions along.
    let theirs = format!(
        "{} AND user_id = '{}'",
        of("team_permissions"),
        member.user_id
    );
    assert_eq!(count(&server, &theirs).await, 1);
    let membership = format!("/team-memberships/{team}/{}", member.user_id);
    server.server("DELETE", &membership).expect(200).await;
    assert_eq!(count(&server, &theirs).await, 0);
    assert_eq!(count(&server, &of("team_member_profiles")).await, 1);
    // And may come back.
    server.add_member(&team, &member).await;
    assert_eq!(count(&server, &theirs).await, 1);
    server.server("DELETE", &path).expect(200).await;
    assert_eq!(rows(&server, &team_row).await, Vec::<Value>::new());
    for table in [
        "team_member_profiles",
        "team_permissions",
        "team_invitations",
    ] {
        assert_eq!(count(&server, &of(table)).await, 0, "{table}");
    }
}

#[tokio::test]
async fn invitations_are_there_until_they_are_used_or_taken_back() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let owner = server.sign_up(&unique_email()).await;
    let team = server.create_team(&owner).await;
    let invite = async |email: &str| {
        let body = json!({"team_id": team, "email": email, "callback_url": CALLBACK});
        let call = server.server("POST", "/team-invitations/send-code");
        text(&call.body(body).expect(200).await["id"]).to_owned()
    };
    let (kept, used) = (unique_email(), unique_email());
    let revoked = invite(&unique_email()).await;
    let id = invite(&kept).await;
    invite(&used).await;
    assert_eq!(count(&server, "team_invitations").await, 3);
    let path = format!("/team-invitations/{revoked}?team_id={team}");
    server.server("DELETE", &path).expect(200).await;
    let guest = server.sign_up(&used).await;
    let code = server.mail.first(&used).await.code();
    server
        .client("POST", "/team-invitations/accept")
        .user(&guest)
        .body(json!({"code": code}))
        .expect(200)
        .await;
    let open = "SELECT toString(id) AS id, recipient_email, expires_at_millis > 0 AS expires
                FROM team_invitations";
    assert_eq!(
        rows(&server, open).await,
        [json!({"id": id, "recipient_email": kept, "expires": 1})]
    );
    // Codes of other kinds are no invitations.
    server.sign_in_code(&unique_email()).await;
    assert_eq!(count(&server, "team_invitations").await, 1);
}

#[tokio::test]
async fn direct_grants_are_followed() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    for scope in ["project", "team"] {
        let path = format!("/{scope}-permission-definitions");
        let definition = json!({"id": format!("{scope}_read")});
        server
            .admin("POST", &path)
            .body(definition)
            .expect(201)
            .await;
    }
    let of_project = format!("/project-permissions/{}/project_read", user.user_id);
    let of_team = format!("/team-permissions/{team}/{}/team_read", user.user_id);
    for path in [&of_project, &of_team] {
        // The second time says it again, and changes nothing.
        for _ in 0..2 {
            server
                .server("POST", path)
                .body(json!({}))
                .expect(201)
                .await;
        }
    }
    let grants =
        "SELECT * FROM (SELECT id, toString(user_id) AS user, '' AS team FROM project_permissions
                  UNION ALL SELECT id, toString(user_id), toString(team_id) FROM team_permissions)
                  ORDER BY id";
    let grant = |id: &str, team: &str| json!({"id": id, "user": user.user_id, "team": team});
    let admin = |team: &str| grant("team_admin", team);
    let seen = async || {
        let mut seen = rows(&server, grants).await;
        seen.retain(|row| row["team"] == "" || row["team"] == json!(team));
        seen
    };
    assert_eq!(
        seen().await,
        [
            grant("project_read", ""),
            admin(&team),
            grant("team_read", &team)
        ]
    );
    for scope in ["project", "team"] {
        let path = format!("/{scope}-permission-definitions/{scope}_read");
        let renamed = json!({"id": format!("{scope}_see")});
        server.admin("PATCH", &path).body(renamed).expect(200).await;
    }
    assert_eq!(
        seen().await,
        [
            grant("project_see", ""),
            admin(&team),
            grant("team_see", &team)
        ]
    );
    let granted = "SELECT created_at > now() - INTERVAL 1 DAY AS recent FROM project_permissions";
    assert_eq!(rows(&server, granted).await, [json!({"recent": 1})]);
    for path in [of_project, of_team] {
        let path = path.replace("_read", "_see");
        server.server("DELETE", &path).expect(200).await;
    }
    assert_eq!(seen().await, [admin(&team)]);
}

#[tokio::test]
async fn preferences_sessions_letters_and_accounts_are_followed() {
    let server = TestServer::start().await;
    let config = json!({"oauth_providers": [{"id": "github", "type": "shared"}]});
    server.configure(config).await;
    let email = unique_email();
    let body = json!({
        "primary_email": email, "primary_email_verified": true,
        "primary_email_auth_enabled": true, "password": PASSWORD,
        "oauth_providers": [{"id": "github", "account_id": "octocat", "email": email}],
    });
    let user = server.server("POST", "/users").body(body).expect(201).await;
    let id = text(&user["id"]);
    let accounts =
        "SELECT toString(user_id) AS u, provider, provider_account_id AS a FROM connected_accounts";
    assert_eq!(
        rows(&server, accounts).await,
        [json!({"u": id, "provider": "github", "a": "octocat"})]
    );
    let path = format!("/emails/notification-preference/{id}/{MARKETING}");
    for enabled in [false, true, false] {
        let call = server.server("PATCH", &path);
        call.body(json!({"enabled": enabled})).expect(200).await;
        let all = "SELECT notification_category_id AS c, enabled FROM notification_preferences";
        assert_eq!(
            rows(&server, all).await,
            [json!({"c": MARKETING, "enabled": u8::from(enabled)})]
        );
    }
    let mut sessions: Vec<Tokens> = Vec::new();
    for _ in 0..3 {
        let call = server.client("POST", "/auth/password/sign-in");
        let body = call.body(json!({"email": email, "password": PASSWORD}));
        sessions.push(Tokens::of(&body.expect(200).await));
    }
    let session = json!({"user_id": id, "expires_in_millis": 60_000, "is_impersonation": true});
    let call = server.server("POST", "/auth/sessions").body(session);
    call.expect(200).await;
    assert_eq!(
        count(&server, "refresh_tokens WHERE is_impersonation = 0").await,
        3
    );
    let impersonation = "refresh_tokens WHERE is_impersonation = 1
        AND dateDiff('millisecond', created_at, expires_at) = 60000 AND last_used_at >= created_at";
    assert_eq!(count(&server, impersonation).await, 1);
    let sign_out = server.client("DELETE", "/auth/sessions/current");
    sign_out
        .user(&sessions[0])
        .header("x-stack-refresh-token", &sessions[0].refresh)
        .expect(200)
        .await;
    assert_eq!(count(&server, "refresh_tokens").await, 3);
    server.offer_everything().await;
    server.sign_in_code(&email).await;
    eventually("the letter is on record as sent", || async {
        let sent = "email_outboxes WHERE status = 'sent' AND simple_status = 'ok'
            AND created_with = 'programmatic-call' AND is_paused = 0 AND started_sending_at IS NOT NULL";
        count(&server, sent).await == 1
    })
    .await;
    server
        .server("DELETE", &format!("/users/{id}"))
        .expect(200)
        .await;
    for table in [
        "connected_accounts",
        "notification_preferences",
        "refresh_tokens",
        "users",
    ] {
        assert_eq!(count(&server, table).await, 0, "{table}");
    }
    assert_eq!(count(&server, "email_outboxes").await, 1);
}

#[tokio::test]
async fn projects_do_not_see_each_other() {
    let server = TestServer::start().await;
    let other = server.new_project(json!({})).await;
    let mine = server.sign_up(&unique_email()).await;
    let theirs = server.sign_up_to(&other, &unique_email()).await;
    synchronized(&server).await;
    let ids = "SELECT toString(id) AS id FROM users";
    let of = async |project: &Project| answer(&server, project, ids).await;
    assert_eq!(of(&server.project).await, [json!({"id": mine.user_id})]);
    assert_eq!(of(&other).await, [json!({"id": theirs.user_id})]);
    let path = format!("/users/{}", mine.user_id);
    server.server("DELETE", &path).expect(200).await;
    synchronized(&server).await;
    assert_eq!(of(&server.project).await, Vec::<Value>::new());
    assert_eq!(of(&other).await, [json!({"id": theirs.user_id})]);
}

#[tokio::test]
async fn sessions_are_known_to_be_used() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let unused = "refresh_tokens WHERE last_used_at < created_at + INTERVAL 1 HOUR";
    assert_eq!(count(&server, unused).await, 1);
    server.clock.advance(60 * 60 * 1000);
    server
        .client("POST", "/auth/sessions/current/refresh")
        .header("x-stack-refresh-token", &user.refresh)
        .expect(200)
        .await;
    server.flush_activity().await;
    eventually("the use has reached the store", || async {
        count(&server, unused).await == 0
    })
    .await;
    assert_eq!(count(&server, "refresh_tokens").await, 1);
}
