//! Who reaches whose items, products, cards and invoices: the same rules on every
//! route that names a customer.

use serde_json::{Value, json};

use crate::shop::Shop;
use crate::support::{Call, TestServer, unique_email};

const NOBODY: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";

/// A route that names a customer.
struct Route {
    method: &'static str,
    /// With `{type}` and `{id}`; none if the body names the customer.
    path: &'static str,
    body: Option<fn() -> Value>,
    /// Whether there are custom customers.
    has_custom: bool,
    /// Whether it is found out whether the customer exists.
    is_checked: bool,
}

impl Route {
    fn call(&self, server: &TestServer, access: Access, kind: &str, id: &str) -> Call {
        let path = self.path.replace("{type}", kind).replace("{id}", id);
        let call = match access {
            Access::Client => server.client(self.method, &path),
            Access::Server => server.server(self.method, &path),
        };
        let Some(body) = self.body else {
            return call;
        };
        let mut body = body();
        if !self.path.contains("{id}") {
            body["customer_type"] = json!(kind);
            body["customer_id"] = json!(id);
        }
        call.body(body)
    }
}

#[derive(Clone, Copy)]
enum Access {
    Client,
    Server,
}

fn route(method: &'static str, path: &'static str) -> Route {
    Route {
        method,
        path,
        body: None,
        has_custom: true,
        is_checked: true,
    }
}

/// The routes that clients may call.
fn routes() -> Vec<Route> {
    let of_payers = |method, path, body| Route {
        body,
        has_custom: false,
        ..route(method, path)
    };
    vec![
        route("GET", "/payments/items/{type}/{id}/item-of-{type}"),
        route("GET", "/payments/products/{type}/{id}"),
        route("DELETE", "/payments/products/{type}/{id}/product"),
        of_payers(
            "POST",
            "/payments/products/{type}/{id}/switch",
            Some(|| json!({"from_product_id": "silver", "to_product_id": "gold"})),
        ),
        Route {
            body: Some(|| json!({"product_id": "product"})),
            is_checked: false,
            ..route("POST", "/payments/purchases/create-purchase-url")
        },
        of_payers("GET", "/payments/billing/{type}/{id}", None),
        of_payers(
            "POST",
            "/payments/payment-method/{type}/{id}/setup-intent",
            None,
        ),
        of_payers(
            "POST",
            "/payments/payment-method/{type}/{id}/set-default",
            Some(|| json!({"setup_intent_id": "seti_none"})),
        ),
        Route {
            is_checked: false,
            ..of_payers("GET", "/payments/invoices/{type}/{id}", None)
        },
    ]
}

/// A shop with an item for each type of customer.
async fn open() -> Shop {
    let shop = Shop::open().await;
    let items = ["user", "team", "custom"].map(|kind| {
        let id = format!("payments.items.item-of-{kind}");
        (id, json!({"customerType": kind}))
    });
    let items: Value = items.into_iter().collect();
    shop.server.override_settings(items).await;
    shop
}

#[tokio::test]
async fn clients_reach_themselves_and_the_teams_they_administrate() {
    let shop = open().await;
    let server = &shop.server;
    let (ada, bob) = (&shop.ada, server.sign_up(&unique_email()).await);
    let (team, other) = (
        server.create_team(ada).await,
        server.create_team(&bob).await,
    );
    server.add_member(&team, &bob).await;
    for route in routes() {
        let call = |kind: &str, id: &str| route.call(server, Access::Client, kind, id);
        for (kind, id) in [("user", ada.user_id.as_str()), ("team", &team)] {
            call(kind, id)
                .refused(401, "USER_AUTHENTICATION_REQUIRED")
                .await;
        }
        call("user", &bob.user_id)
            .user(ada)
            .refused_in_words(403)
            .await;
        if route.has_custom {
            call("custom", "acme").user(ada).refused_in_words(403).await;
        } else {
            call("custom", "acme")
                .user(ada)
                .refused(400, "SCHEMA_ERROR")
                .await;
        }
        let details = call("team", &other)
            .user(ada)
            .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
            .await;
        assert_eq!(details, json!({"team_id": other, "user_id": ada.user_id}));
        let details = call("team", &team)
            .user(&bob)
            .refused(401, "TEAM_PERMISSION_REQUIRED")
            .await;
        let expected =
            json!({"team_id": team, "user_id": bob.user_id, "permission_id": "team_admin"});
        assert_eq!(details, expected);
        // One's own, whatever else may be said about it.
        for (kind, id) in [("user", ada.user_id.as_str()), ("team", &team)] {
            let answer = call(kind, id).user(ada).send().await;
            assert!(
                matches!(answer.status.as_u16(), 200 | 400 | 404),
                "{} {}: {}",
                route.path,
                answer.status,
                answer.text
            );
            assert!(
                !matches!(
                    answer.known_error(),
                    Some("TEAM_MEMBERSHIP_NOT_FOUND" | "TEAM_NOT_FOUND" | "USER_NOT_FOUND")
                ),
                "{}: {}",
                route.path,
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn whoever_contains_the_administrators_permission_has_it() {
    let shop = open().await;
    let server = &shop.server;
    let bob = server.sign_up(&unique_email()).await;
    let team = server.create_team(&shop.ada).await;
    server.add_member(&team, &bob).await;
    let chief = json!({"id": "chief", "contained_permission_ids": ["team_admin"]});
    let define = server.admin("POST", "/team-permission-definitions");
    define.body(chief).expect(201).await;
    let grant = format!("/team-permissions/{team}/{}/chief", bob.user_id);
    let grant = server.server("POST", &grant).body(json!({}));
    grant.expect(201).await;
    for path in [
        format!("/payments/items/team/{team}/seats"),
        format!("/payments/products/team/{team}"),
        format!("/payments/billing/team/{team}"),
        format!("/payments/invoices/team/{team}"),
    ] {
        server.client("GET", &path).user(&bob).expect(200).await;
    }
}

#[tokio::test]
async fn customers_exist_and_are_of_a_known_type() {
    let shop = open().await;
    let mut all = routes();
    // Those that only servers may call.
    all.push(Route {
        body: Some(|| json!({"delta": 1})),
        ..route(
            "POST",
            "/payments/items/{type}/{id}/item-of-{type}/update-quantity?allow_negative=true",
        )
    });
    all.push(Route {
        body: Some(|| json!({"product_id": "gold"})),
        ..route("POST", "/payments/products/{type}/{id}")
    });
    // A switch looks at the products first.
    let lines = json!({
        "payments.products.low": {"customerType": "team", "productLineId": "plans", "prices": {"a": {"USD": "1", "interval": [1, "month"]}}},
        "payments.products.high": {"customerType": "team", "productLineId": "plans", "prices": {"a": {"USD": "2", "interval": [1, "month"]}}},
    });
    shop.server.override_settings(lines).await;
    for route in &all {
        let call = |kind: &str, id: &str| route.call(&shop.server, Access::Server, kind, id);
        call("robot", "r2").refused(400, "SCHEMA_ERROR").await;
        if !route.is_checked {
            continue;
        }
        for id in [NOBODY, "nobody"] {
            // Stripe knows no such intent, which comes first.
            if route.path.ends_with("set-default") {
                call("user", id).refused_in_words(400).await;
                continue;
            }
            call("user", id).refused(404, "USER_NOT_FOUND").await;
            if route.path.ends_with("switch") {
                continue;
            }
            let details = call("team", id).refused(404, "TEAM_NOT_FOUND").await;
            assert_eq!(details, json!({"team_id": id}));
        }
    }
    let path = format!("/payments/products/team/{NOBODY}/switch");
    let body = json!({"from_product_id": "low", "to_product_id": "high"});
    let switch = shop.server.server("POST", &path).body(body);
    switch.refused(404, "TEAM_NOT_FOUND").await;
}
