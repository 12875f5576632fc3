//! What a request checked still holds when it takes effect: pairs of requests that are both decided
//! before either commits. Whichever of them wins, the end is what one after the other would have led to.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::commit_gate::TwoNodes;
use crate::shop::Shop;
use crate::support::{Answer, PASSWORD, TestServer, Tokens, eventually, unique_email};

/// Status and error code.
fn told(answer: &Answer) -> (u16, Option<String>) {
    let code = answer.known_error().map(str::to_owned);
    (answer.status.as_u16(), code)
}

fn refusal(status: u16, code: &str) -> (u16, Option<String>) {
    (status, Some(code.to_owned()))
}

/// One of them is told of success, and the other that it came too late; either may be the one.
fn assert_one_of_each(answers: &[Answer; 2], success: u16, refused: (u16, Option<String>)) {
    let told: BTreeSet<_> = answers.iter().map(told).collect();
    assert_eq!(told, BTreeSet::from([(success, None), refused]));
}

async fn count(server: &TestServer, sql: &str, id: &str) -> i64 {
    let query = sqlx::query_scalar(sql).bind(uuid::Uuid::parse_str(id).unwrap());
    query.fetch_one(server.pool()).await.unwrap()
}

async fn team_of_two(server: &TestServer) -> (String, Tokens, Tokens) {
    let (ada, bob) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let team = server.create_team(&ada).await;
    server.add_member(&team, &bob).await;
    (team, ada, bob)
}

async fn grant(server: &TestServer, team: &str, user: &Tokens, permission: &str) {
    let path = format!("/team-permissions/{team}/{}/{permission}", user.user_id);
    server
        .server("POST", &path)
        .body(json!({}))
        .expect(201)
        .await;
}

#[tokio::test]
async fn of_two_admins_who_remove_each_other_one_stays() {
    let nodes = TwoNodes::start().await;
    let (team, ada, bob) = team_of_two(&nodes.one).await;
    grant(&nodes.one, &team, &bob, "$remove_members").await;
    let remove = |server: &TestServer, by: &Tokens, whom: &Tokens| {
        let path = format!("/team-memberships/{team}/{}", whom.user_id);
        server.client("DELETE", &path).user(by)
    };
    let (first, second) = (
        remove(&nodes.one, &ada, &bob),
        remove(&nodes.other, &bob, &ada),
    );
    let answers = nodes.at_once(first, second).await;
    assert_one_of_each(&answers, 200, refusal(404, "TEAM_MEMBERSHIP_NOT_FOUND"));
    let members = "SELECT count(*) FROM team_memberships WHERE team_id = $1";
    assert_eq!(count(&nodes.one, members, &team).await, 1);
    nodes.one.assert_verified().await;
}

#[tokio::test]
async fn a_permission_that_is_revoked_meanwhile_allows_nothing() {
    let nodes = TwoNodes::start().await;
    let (team, ada, bob) = team_of_two(&nodes.one).await;
    grant(&nodes.one, &team, &bob, "$update_team").await;
    let revoke = format!("/team-permissions/{team}/{}/$update_team", bob.user_id);
    let rename = nodes.other.client("PATCH", &format!("/teams/{team}"));
    let [revoked, renamed] = nodes
        .at_once(
            nodes.one.server("DELETE", &revoke),
            rename.user(&bob).body(json!({"display_name": "Bob's"})),
        )
        .await;
    assert_eq!(told(&revoked), (200, None));
    // Bob may have been faster.
    let lacking = refusal(401, "TEAM_PERMISSION_REQUIRED");
    assert!([(200, None), lacking].contains(&told(&renamed)));
    let shown = nodes.one.client("GET", &format!("/teams/{team}"));
    let shown = shown.user(&ada).expect(200).await;
    let name = if renamed.status == 200 {
        "Bob's"
    } else {
        "Team"
    };
    assert_eq!(shown["display_name"], name);
}

#[tokio::test]
async fn of_two_who_sign_up_with_one_anonymous_account_both_get_one() {
    let nodes = TwoNodes::start().await;
    let anonymous = nodes.one.anonymous().await;
    let sign_up = |server: &TestServer| {
        let body = json!({"email": unique_email(), "password": PASSWORD});
        let call = server
            .client("POST", "/auth/password/sign-up")
            .user(&anonymous);
        call.header("x-stack-allow-anonymous-user", "true")
            .body(body)
    };
    let answers = nodes
        .at_once(sign_up(&nodes.one), sign_up(&nodes.other))
        .await;
    let mut users = BTreeSet::new();
    for answer in &answers {
        assert_eq!(told(answer), (200, None));
        let tokens = Tokens::of(&answer.json());
        let refresh = nodes.one.client("POST", "/auth/sessions/current/refresh");
        let refresh = refresh.header("x-stack-refresh-token", &tokens.refresh);
        refresh.expect(200).await;
        users.insert(tokens.user_id);
    }
    assert_eq!(users.len(), 2);
    assert!(users.contains(&anonymous.user_id));
    nodes.one.assert_verified().await;
}

#[tokio::test]
async fn no_session_outlives_the_password_it_was_opened_with() {
    let nodes = TwoNodes::start().await;
    for node in 0..2 {
        let email = unique_email();
        let user = nodes.one.sign_up(&email).await;
        let body = json!({"email": email, "password": PASSWORD});
        let sign_in = nodes
            .one
            .client("POST", "/auth/password/sign-in")
            .body(body);
        let path = format!("/users/{}", user.user_id);
        let change = nodes.other.server("PATCH", &path);
        let change = change.body(json!({"password": "another horse, another battery"}));
        // Either of them stands first before the gate.
        let [signed_in, changed] = if node == 0 {
            nodes.at_once(sign_in, change).await
        } else {
            let [changed, signed_in] = nodes.at_once(change, sign_in).await;
            [signed_in, changed]
        };
        assert_eq!(changed.status, 200);
        if signed_in.status == 200 {
            let tokens = Tokens::of(&signed_in.json());
            let refresh = nodes.one.client("POST", "/auth/sessions/current/refresh");
            let refresh = refresh.header("x-stack-refresh-token", &tokens.refresh);
            refresh
                .refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
                .await;
        } else {
            assert_eq!(told(&signed_in), refusal(400, "EMAIL_PASSWORD_MISMATCH"));
        }
        let open = "SELECT count(*) FROM sessions WHERE user_id = $1";
        assert_eq!(count(&nodes.one, open, &user.user_id).await, 0);
    }
    nodes.one.assert_verified().await;
}

#[tokio::test]
async fn a_grant_follows_a_definition_that_is_renamed_or_removed_meanwhile() {
    let nodes = TwoNodes::start().await;
    let (team, _ada, bob) = team_of_two(&nodes.one).await;
    for change in ["rename", "remove"] {
        let define = nodes.one.admin("POST", "/team-permission-definitions");
        define.body(json!({"id": "editor"})).expect(201).await;
        let path = format!("/team-permissions/{team}/{}/editor", bob.user_id);
        let grant = nodes.one.server("POST", &path).body(json!({}));
        let definition = "/team-permission-definitions/editor";
        let change = if change == "rename" {
            let call = nodes.other.admin("PATCH", definition);
            call.body(json!({"id": "writer"}))
        } else {
            nodes.other.admin("DELETE", definition)
        };
        let [granted, changed] = nodes.at_once(grant, change).await;
        assert_eq!(changed.status, 200);
        let unknown = refusal(404, "PERMISSION_NOT_FOUND");
        assert!([(201, None), unknown].contains(&told(&granted)));
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT unnest(permission_ids) FROM team_memberships WHERE team_id = $1::uuid AND user_id = $2::uuid",
        )
        .bind(&team)
        .bind(&bob.user_id)
        .fetch_all(nodes.one.pool())
        .await
        .unwrap();
        assert!(!ids.contains(&"editor".to_owned()), "{ids:?}");
    }
    nodes.one.assert_verified().await;
}

fn items() -> Value {
    json!({
        "payments.items.credits": {"customerType": "user"},
        "payments.items.seats": {"customerType": "team"},
    })
}

async fn configure_items(server: &TestServer) {
    let call = server.admin("PATCH", "/internal/config/override/branch");
    let body = json!({"config_override_string": items().to_string()});
    call.body(body).expect(200).await;
}

#[tokio::test]
async fn nothing_is_written_of_a_customer_who_is_deleted_meanwhile() {
    let nodes = TwoNodes::start().await;
    configure_items(&nodes.one).await;
    let user = nodes.one.sign_up(&unique_email()).await.user_id;
    let owner = nodes.one.sign_up(&unique_email()).await;
    let team = nodes.one.create_team(&owner).await;
    let cases = [
        (
            "user",
            user.as_str(),
            "credits",
            format!("/users/{user}"),
            "USER_NOT_FOUND",
        ),
        (
            "team",
            &team,
            "seats",
            format!("/teams/{team}"),
            "TEAM_NOT_FOUND",
        ),
    ];
    for (kind, id, item, path, code) in cases {
        let change =
            format!("/payments/items/{kind}/{id}/{item}/update-quantity?allow_negative=true");
        let change = nodes.one.server("POST", &change);
        let change = change.body(json!({"delta": 1, "description": "because of her illness"}));
        let delete = nodes.other.server("DELETE", &path);
        let [changed, deleted] = nodes.at_once(change, delete).await;
        assert_eq!(told(&deleted), (200, None));
        assert!(
            [(200, None), refusal(404, code)].contains(&told(&changed)),
            "{:?}",
            told(&changed)
        );
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM item_quantity_changes")
        .fetch_one(nodes.one.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0);
    nodes.one.assert_verified().await;
}

#[tokio::test]
async fn a_change_under_one_idempotency_key_is_made_once_on_two_nodes() {
    let nodes = TwoNodes::start().await;
    configure_items(&nodes.one).await;
    let user = nodes.one.sign_up(&unique_email()).await.user_id;
    let path = format!("/payments/items/user/{user}/credits/update-quantity?allow_negative=true");
    let spend = |server: &TestServer| {
        let call = server
            .server("POST", &path)
            .header("Idempotency-Key", "order-1");
        call.body(json!({"delta": -10}))
    };
    let answers = nodes.at_once(spend(&nodes.one), spend(&nodes.other)).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let shown = nodes
        .one
        .server("GET", &format!("/payments/items/user/{user}/credits"));
    assert_eq!(shown.expect(200).await["quantity"], -10);
    nodes.one.assert_verified().await;
}

#[tokio::test]
async fn a_team_that_owns_projects_is_not_dissolved() {
    let nodes = TwoNodes::start().await;
    let internal = nodes.one.internal();
    let owner = nodes.one.sign_up_to(&internal, &unique_email()).await;
    let me = nodes.one.client_of(&internal, "GET", "/users/me");
    let team = me.user(&owner).expect(200).await["selected_team_id"].clone();
    let path = format!("/teams/{}", team.as_str().unwrap());
    let found = nodes.one.client_of(&internal, "POST", "/internal/projects");
    let body = json!({"display_name": "Mine", "owner_team_id": team});
    let delete = nodes.other.server_of(&internal, "DELETE", &path);
    let [founded, deleted] = nodes.at_once(found.user(&owner).body(body), delete).await;
    // Either the project is there and keeps the team, or the team is gone and gets none.
    let outcome = (founded.status.as_u16(), deleted.status.as_u16());
    assert!([(201, 400), (404, 200)].contains(&outcome), "{outcome:?}");
    let owned: i64 =
        sqlx::query_scalar("SELECT count(*) FROM projects WHERE owner_team_id::text = $1")
            .bind(team.as_str().unwrap())
            .fetch_one(nodes.one.pool())
            .await
            .unwrap();
    assert_eq!(owned == 1, founded.status == 201);
    nodes.one.assert_verified().await;
}

#[tokio::test]
async fn a_team_that_is_gone_is_selected_by_nobody() {
    let nodes = TwoNodes::start().await;
    let (team, _ada, bob) = team_of_two(&nodes.one).await;
    let select = nodes.one.client("PATCH", "/users/me").user(&bob);
    let select = select.body(json!({"selected_team_id": team}));
    let delete = nodes.other.server("DELETE", &format!("/teams/{team}"));
    let [selected, deleted] = nodes.at_once(select, delete).await;
    assert_eq!(deleted.status, 200);
    let gone = refusal(404, "TEAM_MEMBERSHIP_NOT_FOUND");
    assert!(
        [(200, None), gone].contains(&told(&selected)),
        "{:?}",
        told(&selected)
    );
    let selecting = "SELECT count(*) FROM users WHERE selected_team_id = $1";
    assert_eq!(count(&nodes.one, selecting, &team).await, 0);
    nodes.one.assert_verified().await;
}

#[tokio::test]
async fn nobody_who_is_deleted_gets_a_membership_a_session_or_a_key() {
    let nodes = TwoNodes::start().await;
    let enabled = json!({"allow_user_api_keys": true});
    nodes.one.configure(enabled).await;
    let (team, _ada, _bob) = team_of_two(&nodes.one).await;
    for what in ["membership", "session", "key"] {
        let user = nodes.one.sign_up(&unique_email()).await.user_id;
        let give = match what {
            "membership" => {
                let path = format!("/team-memberships/{team}/{user}");
                nodes.one.server("POST", &path).body(json!({}))
            }
            "session" => {
                let call = nodes.one.server("POST", "/auth/sessions");
                call.body(json!({"user_id": user}))
            }
            _ => {
                let body = json!({"user_id": user, "description": "for the robot", "expires_at_millis": null});
                nodes.one.server("POST", "/user-api-keys").body(body)
            }
        };
        let delete = nodes.other.server("DELETE", &format!("/users/{user}"));
        let [given, deleted] = nodes.at_once(give, delete).await;
        assert_eq!(deleted.status, 200);
        let (status, code) = told(&given);
        let gone = ["USER_NOT_FOUND", "USER_ID_DOES_NOT_EXIST"];
        let is_refused = code.as_deref().is_some_and(|code| gone.contains(&code));
        assert!(status < 300 || is_refused, "{what}: {status} {code:?}");
        for table in ["team_memberships", "sessions", "api_keys"] {
            let rows = format!("SELECT count(*) FROM {table} WHERE user_id = $1");
            assert_eq!(count(&nodes.one, &rows, &user).await, 0, "{what}: {table}");
        }
    }
    nodes.one.assert_verified().await;
}

#[tokio::test]
async fn what_stripe_says_of_a_deleted_customer_is_not_written_and_their_subscription_ends() {
    let shop = Shop::open().await;
    shop.buy(shop.customer(), "gold", "monthly", 1).await;
    let subscription = shop.subscription();
    let invoice = shop.stripe.renew(&subscription);
    let user = shop.ada.user_id.clone();
    shop.server
        .server("DELETE", &format!("/users/{user}"))
        .expect(200)
        .await;
    eventually("the key is destroyed", || async {
        let destroyed =
            "SELECT count(destroyed_at) FROM subject_keys WHERE subject = $1::uuid::text";
        count(&shop.server, destroyed, &user).await == 1
    })
    .await;
    eventually("the subscription is cancelled at Stripe", || async {
        shop.stripe.object(&subscription)["status"] == "canceled"
    })
    .await;
    // All that Stripe had to say comes only now.
    shop.hear(&invoice).await;
    let destroyed = "SELECT count(destroyed_at) FROM subject_keys WHERE subject = $1::uuid::text";
    assert_eq!(count(&shop.server, destroyed, &user).await, 1);
    let written: i64 =
        sqlx::query_scalar("SELECT count(*) FROM customer_subscriptions WHERE customer_id = $1")
            .bind(&user)
            .fetch_one(shop.server.pool())
            .await
            .unwrap();
    assert_eq!(written, 0);
    shop.server.assert_verified().await;
}
