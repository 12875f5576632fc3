//! Contract 04 §3.1 and 06 §12: how the project `internal` is seeded, and the plans of its teams.

use muniment::server::Follow;
use serde_json::{Value, json};

use crate::support::{CALLBACK, DASHBOARD_URL, TestServer, Tokens, database, unique_email};

/// The team that a user of `internal` got at sign-up.
async fn team_of(server: &TestServer, user: &Tokens) -> String {
    let me = server.client_of(&server.internal(), "GET", "/users/me");
    let me = me.user(user).expect(200).await;
    me["selected_team_id"].as_str().unwrap().to_owned()
}

async fn quantity(server: &TestServer, team: &str, item: &str) -> Value {
    let path = format!("/payments/items/team/{team}/{item}");
    let read = server.server_of(&server.internal(), "GET", &path);
    read.expect(200).await["quantity"].clone()
}

/// How many events the project `internal` itself has.
async fn events(server: &TestServer) -> i64 {
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM events WHERE aggregate_type = 'project' AND aggregate_id = 'internal'",
    );
    count.fetch_one(server.pool()).await.unwrap()
}

#[tokio::test]
async fn the_project_internal_is_seeded() {
    let url = database().await;
    let server = TestServer::start_on(&url, Follow::Nothing).await;
    let internal = server.internal();
    let rendered = server.admin_of(&internal, "GET", "/internal/config");
    let rendered = rendered.expect(200).await["config_string"].clone();
    let config: Value = serde_json::from_str(rendered.as_str().unwrap()).unwrap();
    let apps = config["apps"]["installed"].as_object().unwrap();
    assert_eq!(apps.len(), 18);
    assert!(apps.values().all(|app| app["enabled"] == true));
    assert!(config["dataVault"]["stores"]["neon-connection-strings"].is_object());
    assert_eq!(config["onboarding"]["requireEmailVerification"], false);
    let payments = &config["payments"];
    assert_eq!(payments["productLines"]["plans"]["customerType"], "team");
    let items = payments["items"].as_object().unwrap();
    assert_eq!(items.len(), 5);
    assert!(items.values().all(|item| item["customerType"] == "team"));
    let unlimited = 1_000_000_000;
    for (product, price, dollars, amounts) in [
        ("free", "free-monthly", "0", [1, 10_000, 1_000, 10, 100_000]),
        ("team", "monthly", "49", [4, 50_000, 25_000, 60, 500_000]),
        (
            "growth",
            "monthly",
            "299",
            [unlimited, unlimited, 25_000, 300, 1_000_000],
        ),
    ] {
        let plan = &payments["products"][product];
        assert_eq!(plan["prices"][price]["USD"], dollars);
        assert_eq!(plan["prices"][price]["interval"], json!([1, "month"]));
        assert_eq!(plan["productLineId"], "plans");
        assert_eq!(plan["isAddOnTo"], false);
        let names = [
            "dashboard_admins",
            "auth_users",
            "emails_per_month",
            "analytics_timeout_seconds",
            "analytics_events",
        ];
        for (item, amount) in names.into_iter().zip(amounts) {
            assert_eq!(
                plan["includedItems"][item],
                json!({"quantity": amount, "repeat": "never", "expires": "when-purchase-expires"})
            );
        }
    }
    let seats = &payments["products"]["extra-seats"];
    assert_eq!(seats["stackable"], true);
    assert_eq!(seats["isAddOnTo"], json!({"growth": true, "team": true}));
    assert_eq!(seats["prices"]["monthly"]["USD"], "29");
    assert_eq!(seats["includedItems"]["dashboard_admins"]["quantity"], 1);
    let contained = |id: &str| config["rbac"]["permissions"][id]["containedPermissionIds"].clone();
    assert_eq!(contained("team_member"), json!({"$read_members": true}));
    assert_eq!(
        contained("team_admin"),
        json!({"$read_members": true, "$remove_members": true, "$update_team": true})
    );
    let project = server.client_of(&internal, "GET", "/projects/current");
    assert_eq!(
        project.expect(200).await["config"]["domains"],
        json!([{"domain": DASHBOARD_URL, "handler_path": "/handler"}])
    );
    let team = "a23e1b7f-ab18-41fc-9ee6-7a9ca9fa543c";
    assert_eq!(quantity(&server, team, "dashboard_admins").await, 1);

    // What an owner adds stays, and another start says nothing that was said before.
    let path = "/internal/config/override/branch";
    let added = json!({"payments.items.coffee": {"customerType": "team"}});
    let call = server.admin_of(&internal, "PATCH", path);
    call.body(json!({"config_override_string": added.to_string()}))
        .expect(200)
        .await;
    let trusted = json!({"domains.trustedDomains.mine": {"baseUrl": "https://mine.example.com"}});
    let call = server.admin_of(&internal, "PATCH", "/internal/config/override/environment");
    call.body(json!({"config_override_string": trusted.to_string()}))
        .expect(200)
        .await;
    let before = events(&server).await;
    server.stop().await;
    let again = TestServer::start_on(&url, Follow::Nothing).await;
    assert_eq!(events(&again).await, before);
    let domains = again.client_of(&internal, "GET", "/projects/current");
    let domains = domains.expect(200).await["config"]["domains"].clone();
    assert_eq!(domains.as_array().unwrap().len(), 2);
    assert_eq!(quantity(&again, team, "coffee").await, 0);
    again.assert_verified().await;
}

#[tokio::test]
async fn every_team_that_may_own_projects_begins_with_the_free_plan() {
    let server = TestServer::start().await;
    let internal = server.internal();
    let user = server.sign_up_to(&internal, &unique_email()).await;
    let personal = team_of(&server, &user).await;
    let create = |call: crate::support::Call| call.body(json!({"display_name": "Owners"}));
    let by_client = server.client_of(&internal, "POST", "/teams").user(&user);
    let by_client = create(by_client).expect(201).await["id"].clone();
    let by_server = server.server_of(&internal, "POST", "/teams");
    let by_server = create(by_server).expect(201).await["id"].clone();
    for team in [
        &personal,
        by_client.as_str().unwrap(),
        by_server.as_str().unwrap(),
    ] {
        assert_eq!(quantity(&server, team, "dashboard_admins").await, 1);
        assert_eq!(quantity(&server, team, "analytics_events").await, 100_000);
        let path = format!("/payments/products/team/{team}");
        let owned = server.server_of(&internal, "GET", &path).expect(200).await;
        let owned = owned["items"].as_array().unwrap();
        assert_eq!(owned.len(), 1);
        assert_eq!(owned[0]["id"], "free");
        assert_eq!(owned[0]["type"], "subscription");
        assert!(owned[0]["subscription"]["current_period_end"].is_string());
    }
    let path = "/internal/payments/transactions?type=purchase&limit=1";
    let bought = server.admin_of(&internal, "GET", path).expect(200).await;
    let bought = &bought["transactions"][0];
    assert_eq!(bought["test_mode"], true);
    assert_eq!(bought["entries"][0]["price_id"], "free-monthly");
    // Teams of other projects own nothing and have no plan.
    let user = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    let path = format!("/payments/products/team/{team}");
    let owned = server.server("GET", &path).expect(200).await;
    assert_eq!(owned["items"], json!([]));
    // What a team has goes with it.
    let path = format!("/teams/{personal}");
    server
        .server_of(&internal, "DELETE", &path)
        .expect(200)
        .await;
    server.assert_verified().await;
}

/// Invites from the server and waits for the mail. Yields the invitation's id and its code.
async fn invite(server: &TestServer, team: &str, email: &str) -> (String, String) {
    let nth = server.mail.to(email).len() + 1;
    let sent = server.server_of(&server.internal(), "POST", "/team-invitations/send-code");
    let sent = sent.body(json!({"team_id": team, "email": email, "callback_url": CALLBACK}));
    let id = sent.expect(200).await["id"].as_str().unwrap().to_owned();
    (id, server.mail.nth(email, nth).await.code())
}

#[tokio::test]
async fn a_team_has_as_many_members_as_its_plan_has_seats() {
    let server = TestServer::start().await;
    let internal = server.internal();
    let owner = server.sign_up_to(&internal, &unique_email()).await;
    let team = team_of(&server, &owner).await;
    let email = unique_email();
    let guest = server.sign_up_to(&internal, &email).await;
    let verified = server.server_of(&internal, "PATCH", &format!("/users/{}", guest.user_id));
    verified
        .body(json!({"primary_email_verified": true}))
        .expect(200)
        .await;
    let accept = |code: &str| {
        let call = server.client_of(&internal, "POST", "/team-invitations/accept");
        call.user(&guest).body(json!({"code": code}))
    };
    let accept_by_id = |id: &str| {
        let path = format!("/team-invitations/{id}/accept?user_id=me");
        server.client_of(&internal, "POST", &path).user(&guest)
    };
    let (id, _) = invite(&server, &team, &email).await;
    let (_, code) = invite(&server, &team, &email).await;
    let refusal = json!({"item_id": "dashboard_admins", "customer_id": team, "quantity": -1});
    let no_seat = "ITEM_QUANTITY_INSUFFICIENT_AMOUNT";
    assert_eq!(accept(&code).refused(400, no_seat).await, refusal);
    assert_eq!(accept_by_id(&id).refused(400, no_seat).await, refusal);
    // The seats were looked at, not used up.
    assert_eq!(quantity(&server, &team, "dashboard_admins").await, 1);

    let grant = server.server_of(
        &internal,
        "POST",
        &format!("/payments/products/team/{team}"),
    );
    grant.body(json!({"product_id": "team"})).expect(200).await;
    assert_eq!(quantity(&server, &team, "dashboard_admins").await, 4);
    // An invitation named by its id was not used up by the refusal.
    accept_by_id(&id).expect(200).await;
    // Who is a member already takes no other seat.
    let (_, code) = invite(&server, &team, &email).await;
    accept(&code).expect(200).await;
    server.assert_verified().await;
}

#[tokio::test]
async fn without_seats_among_the_items_nobody_joins() {
    let server = TestServer::start().await;
    let internal = server.internal();
    let owner = server.sign_up_to(&internal, &unique_email()).await;
    let team = team_of(&server, &owner).await;
    let email = unique_email();
    let guest = server.sign_up_to(&internal, &email).await;
    let reset = "/internal/config/override/branch/reset-keys";
    let reset = server.admin_of(&internal, "POST", reset);
    reset.body(json!({"keys": ["payments"]})).expect(200).await;
    let (_, code) = invite(&server, &team, &email).await;
    let call = server.client_of(&internal, "POST", "/team-invitations/accept");
    let details = call
        .user(&guest)
        .body(json!({"code": code}))
        .refused(404, "ITEM_NOT_FOUND")
        .await;
    assert_eq!(details, json!({"item_id": "dashboard_admins"}));
    // Without the product, new teams simply have no plan.
    let path = "/internal/payments/transactions?type=purchase";
    let count = async || {
        let list = server.admin_of(&internal, "GET", path).expect(200).await;
        list["transactions"].as_array().unwrap().len()
    };
    let before = count().await;
    server.sign_up_to(&internal, &unique_email()).await;
    assert_eq!(count().await, before);
}
