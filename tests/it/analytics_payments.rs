//! What customers have and bought, in the analytics store: tables that only the operator sees.

use muniment::clients::stripe::{MOCK_KEY, StripeAccess};
use muniment_projections::analytics::AnalyticsStore;
use muniment_projections::analytics::sync::replay::replay;
use muniment_projections::analytics::sync::verify::verify;
use serde_json::{Value, json};

use crate::analytics_sync::synchronized;
use crate::shop::Shop;
use crate::support::{
    TestServer, Tokens, Variant, analytics, database, eventually, start_engine, unique_email,
};

const DAY: i64 = 86_400_000;
// What is asked of which table; times in milliseconds.
const BALANCES: [&str; 2] = [
    "customer_type, customer_id, item_id, quantity, toUnixTimestamp64Milli(as_of) AS at",
    "item_balances",
];
const SUBSCRIPTIONS: [&str; 2] = [
    "id, customer_type, customer_id, product_id, price_id, quantity, status,
     toUnixTimestamp64Milli(current_period_start) AS period_start,
     toUnixTimestamp64Milli(current_period_end) AS period_end, cancel_at_period_end,
     toUnixTimestamp64Milli(canceled_at) AS canceled, toUnixTimestamp64Milli(ended_at) AS ended,
     creation_source, toUnixTimestamp64Milli(created_at) AS at",
    "subscriptions",
];
const TRANSACTIONS: [&str; 2] = [
    "id, type, customer_type, customer_id, test_mode, amount_usd_cents, product_id, item_id,
     quantity, toUnixTimestamp64Milli(created_at) AS at",
    "transactions",
];

/// The test project's rows of a table, once the store has caught up. The oldest comes first.
async fn rows(server: &TestServer, store: &AnalyticsStore, of: [&str; 2]) -> Vec<Value> {
    synchronized(server).await;
    let [columns, table] = of;
    let sql = format!(
        "SELECT {columns} FROM {table} FINAL
         WHERE sync_is_deleted = 0 AND project_id = ? ORDER BY at, customer_type"
    );
    let query = store.owner().query(&sql).bind(&server.project.id);
    let query = query.with_setting("output_format_json_quote_64bit_integers", "0");
    let mut answer = query.fetch_bytes("JSONEachRow").unwrap();
    let answer = answer.collect().await.unwrap();
    let lines = answer.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// All rows of the three tables.
async fn everything(server: &TestServer, store: &AnalyticsStore) -> [Vec<Value>; 3] {
    [
        rows(server, store, BALANCES).await,
        rows(server, store, SUBSCRIPTIONS).await,
        rows(server, store, TRANSACTIONS).await,
    ]
}

async fn assert_verified(server: &TestServer, store: &AnalyticsStore) {
    let differences = verify(server.log(), store, |_| ())
        .await
        .unwrap()
        .differences;
    assert!(differences.is_empty(), "{differences:#?}");
}

/// A project that sells, and somebody who buys.
async fn start(store: &AnalyticsStore) -> (TestServer, Tokens) {
    let variant = Variant {
        stripe: Some(StripeAccess::with_key(MOCK_KEY)),
        analytics: Some(store.clone()),
        ..Variant::usual().await
    };
    let server = TestServer::start_with(&database().await, variant).await;
    server.set_up_payments().await;
    let settings = json!({
        "payments.items.credits": {"customerType": "user"},
        "payments.items.seats": {"customerType": "team"},
        "payments.items.units": {"customerType": "custom"},
        "payments.products.plan": {
            "customerType": "user", "prices": {"monthly": {"USD": "9.99", "interval": [1, "month"]}},
            "includedItems": {"credits": {"quantity": 2.5, "expires": "when-purchase-expires"}},
        },
        "payments.products.pack": {
            "customerType": "user", "stackable": true, "prices": {"once": {"USD": "1.50"}},
            "includedItems": {"credits": {"quantity": 2, "expires": "never"}},
        },
    });
    let body = json!({"config_override_string": settings.to_string()});
    let call = server.admin("PATCH", "/internal/config/override/branch");
    call.body(body).expect(200).await;
    let user = server.sign_up(&unique_email()).await;
    (server, user)
}

/// Changes by hand how much somebody has.
async fn change(server: &TestServer, item: &str, delta: i64) {
    let path = format!("/payments/items/{item}/update-quantity?allow_negative=true");
    let call = server.server("POST", &path);
    call.body(json!({"delta": delta})).expect(200).await;
}

/// Buys that many of a product in test mode.
async fn try_out(server: &TestServer, user: &Tokens, [product, price]: [&str; 2], count: i64) {
    let wanted =
        json!({"customer_type": "user", "customer_id": user.user_id, "product_id": product});
    let link = server.server("POST", "/payments/purchases/create-purchase-url");
    let link = link.body(wanted).expect(200).await["url"].clone();
    let (_, code) = link.as_str().unwrap().rsplit_once('/').unwrap();
    let path = "/internal/payments/test-mode-purchase-session";
    let session = json!({"full_code": code, "price_id": price, "quantity": count});
    server.call("POST", path).body(session).expect(200).await;
}

#[tokio::test]
async fn what_a_customer_has_and_bought_is_in_the_store() {
    let engine = start_engine().await;
    engine.store().migrate().await.unwrap();
    let store = engine.store();
    let (server, user) = start(store).await;
    let id = user.user_id.as_str();
    let began = server.clock.now().0;
    change(&server, &format!("user/{id}/credits"), 5).await;
    assert_eq!(
        rows(&server, store, BALANCES).await,
        [
            json!({"customer_type": "user", "customer_id": id, "item_id": "credits", "quantity": 5, "at": began})
        ]
    );

    server.clock.advance(DAY);
    let products = format!("/payments/products/user/{id}");
    let grant = server.server("POST", &products);
    let granted = grant.body(json!({"product_id": "plan"})).expect(200).await;
    let [balances, subscriptions, _] = everything(&server, store).await;
    assert_eq!(balances[0]["quantity"], 7.5);
    assert_eq!(balances[0]["at"], began + DAY);
    let mut subscription = json!({
        "id": granted["subscription_id"], "customer_type": "user", "customer_id": id,
        "product_id": "plan", "price_id": null, "quantity": 1, "status": "active",
        "period_start": began + DAY, "period_end": subscriptions[0]["period_end"],
        "cancel_at_period_end": 0, "canceled": null, "ended": null,
        "creation_source": "API_GRANT", "at": began + DAY,
    });
    assert_eq!(subscriptions, [subscription.clone()]);
    assert!(subscription["period_end"].as_i64() > Some(began + 27 * DAY));

    server.clock.advance(DAY);
    try_out(&server, &user, ["pack", "once"], 3).await;
    server.clock.advance(DAY);
    let cancel = server.server("DELETE", &format!("{products}/plan"));
    cancel.expect(200).await;
    subscription["status"] = json!("canceled");
    subscription["cancel_at_period_end"] = json!(1);
    subscription["canceled"] = json!(began + 3 * DAY);
    subscription["ended"] = subscription["period_end"].clone();
    let [balances, subscriptions, transactions] = everything(&server, store).await;
    assert_eq!(balances[0]["quantity"], 13.5);
    assert_eq!(subscriptions, [subscription.clone()]);
    let summary = |row: &Value| {
        json!([
            row["type"],
            row["test_mode"],
            row["amount_usd_cents"],
            row["product_id"],
            row["item_id"],
            row["quantity"],
            row["at"]
        ])
    };
    let expected = json!([
        [
            "manual-item-quantity-change",
            0,
            null,
            null,
            "credits",
            5,
            began
        ],
        ["purchase", 0, null, "plan", null, 1, began + DAY],
        ["purchase", 1, null, "pack", null, 3, began + 2 * DAY],
    ]);
    assert_eq!(
        transactions.iter().map(summary).collect::<Value>(),
        expected
    );
    assert_eq!(transactions[1]["id"], granted["subscription_id"]);

    // What is granted has ended, and nothing has happened: that is no difference.
    server.clock.advance(60 * DAY);
    assert_verified(&server, store).await;
    let before = everything(&server, store).await;
    replay(server.log(), store, |_| ()).await.unwrap();
    assert_eq!(everything(&server, store).await, before);
    assert_verified(&server, store).await;
}

/// The rows, of any version, in which a text is found.
async fn traces(store: &AnalyticsStore, text: &str) -> u64 {
    let mut found = 0;
    for table in ["item_balances", "subscriptions", "transactions"] {
        let sql = format!(
            "SELECT toUInt64(count()) FROM {table} WHERE position(toString(tuple(*)), ?) > 0"
        );
        let query = store.owner().query(&sql).bind(text);
        found += query.fetch_one::<u64>().await.unwrap();
    }
    found
}

#[tokio::test]
async fn of_customers_who_are_deleted_nothing_is_left() {
    let engine = start_engine().await;
    engine.store().migrate().await.unwrap();
    let store = engine.store();
    let (server, user) = start(store).await;
    let team = server.create_team(&user).await;
    try_out(&server, &user, ["plan", "monthly"], 1).await;
    change(&server, &format!("user/{}/credits", user.user_id), 5).await;
    change(&server, &format!("team/{team}/seats"), 3).await;
    change(&server, "custom/acme/units", 1).await;
    let [balances, subscriptions, transactions] = everything(&server, store).await;
    let counts = (balances.len(), subscriptions.len(), transactions.len());
    assert_eq!(counts, (3, 1, 4));
    let dissolve = server.server("DELETE", &format!("/teams/{team}"));
    dissolve.expect(200).await;
    let delete = server.server("DELETE", &format!("/users/{}", user.user_id));
    delete.expect(200).await;
    let [balances, subscriptions, transactions] = everything(&server, store).await;
    assert_eq!(balances.len(), 1);
    assert_eq!(balances[0]["customer_id"], "acme");
    assert_eq!(subscriptions, Vec::<Value>::new());
    assert_eq!(transactions.len(), 1);
    assert_eq!(transactions[0]["customer_id"], "acme");
    for id in [&user.user_id, &team] {
        eventually("the erasure has reached the store", || async {
            traces(store, id).await == 0
        })
        .await;
    }
    assert_verified(&server, store).await;
}

#[tokio::test]
async fn renewals_are_transactions_of_the_price() {
    let shop = Shop::open().await;
    let store = analytics().await;
    let ada = ["user", shop.ada.user_id.as_str()];
    shop.buy(ada, "silver", "monthly", 1).await;
    shop.advance(30 * DAY);
    shop.hear(&shop.stripe.renew(&shop.subscription())).await;
    let mut listed = shop.transactions().await;
    listed.reverse();
    let listed: Vec<Value> = listed
        .iter()
        .map(|it| json!([it["id"], it["type"], it["created_at_millis"], 999]))
        .collect();
    assert_eq!(listed.len(), 2);
    let kept = rows(&shop.server, &store, TRANSACTIONS).await;
    let kept: Vec<Value> = kept
        .iter()
        .map(|it| json!([it["id"], it["type"], it["at"], it["amount_usd_cents"]]))
        .collect();
    assert_eq!(kept, listed);
    let subscriptions = rows(&shop.server, &store, SUBSCRIPTIONS).await;
    assert_eq!(subscriptions[0]["creation_source"], "PURCHASE_PAGE");
    assert_eq!(subscriptions[0]["price_id"], "monthly");
}
