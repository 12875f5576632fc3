//! What happens in a shop, to be recorded; and what a later version must read of it.

use muniment_domain::customer::{CustomerRef, Quantity, owned};
use muniment_domain::{Millis, ProjectId};
use muniment_projections::read_models::customers;
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::stripe_server::Trouble;
use crate::support::{Project, TestServer, Tokens};

const ACME: [&str; 2] = ["custom", "acme"];
/// Stripe's times have seconds only.
const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// What can have happened to customers.
const EVENTS: [&str; 10] = [
    "CustomerClosed",
    "InvoiceRecorded",
    "ItemQuantityChanged",
    "ProductPurchased",
    "ProductVersionRecorded",
    "PurchaseChanged",
    "PurchaseRefunded",
    "RefundBegun",
    "RefundDropped",
    "SubscriptionEnded",
];

/// Weeks of a shop, with a user and a team of theirs. Yields by what it is found again.
pub(crate) async fn trade(shop: &Shop, team: &str) -> Value {
    let ada = shop.customer();
    let team = ["team", team];
    let start = shop.server.clock.now();
    let on_day = |day: i64| shop.advance(start.0 + day * DAY - shop.server.clock.now().0);

    let secret = shop.begin(ada, "silver", "monthly", 1).await;
    let silver = shop.subscription();
    shop.hear_of("customer.subscription.created", &silver).await;
    shop.hear(&shop.stripe.pay(&secret)).await;
    let inline = json!({
        "display_name": "Rations", "customer_type": "custom",
        "prices": {"monthly": {"USD": "3", "interval": [1, "month"]}},
        "included_items": {"rations": {"quantity": 50, "repeat": [7, "day"], "expires": "when-repeated"}},
    });
    let rations = post(
        shop,
        "/payments/products/custom/acme",
        json!({"product_inline": inline}),
    );
    let rations = rations.await["subscription_id"].clone();

    on_day(1);
    shop.change_item(
        ada,
        "credits",
        json!({"delta": -4, "description": "Ada's lunch"}),
    )
    .await;
    on_day(2);
    let until = muniment::timestamp::format(start.plus(10 * DAY));
    shop.change_item(ada, "credits", json!({"delta": 20, "expires_at": until}))
        .await;
    on_day(3);
    shop.change_item(ada, "credits", json!({"delta": -5})).await;
    shop.change_item(ACME, "rations", json!({"delta": -20}))
        .await;
    let cancel = format!(
        "/payments/products/custom/acme/-?subscription_id={}",
        rations.as_str().unwrap()
    );
    shop.server.server("DELETE", &cancel).expect(200).await;

    on_day(5);
    shop.save_card("user", ada[1]).await;
    let body = json!({"from_product_id": "silver", "to_product_id": "gold"});
    post(
        shop,
        &format!("/payments/products/user/{}/switch", ada[1]),
        body,
    )
    .await;

    on_day(6);
    shop.buy(ada, "pack", "once", 3).await;
    let pack = shop.newest_purchase().await;
    shop.advance(HOUR);
    shop.buy(team, "seats", "monthly", 3).await;
    let (seats, seats_at_stripe) = (shop.newest_purchase().await, shop.subscription());
    shop.advance(HOUR);
    shop.buy(ACME, "thing", "once", 2).await;
    let thing = shop.newest_purchase().await;
    shop.try_out(ACME, "thing", "once").await;

    on_day(7);
    shop.refund("one-time-purchase", &pack, &entry(2, "1.5"))
        .expect(200)
        .await;
    let refused = [Trouble::Status(400)];
    shop.stripe.trouble("POST /v1/refunds", &refused);
    shop.refund("subscription", &seats, &entry(1, "5"))
        .expect_status(400)
        .await;
    shop.refund("subscription", &seats, &entry(1, "5"))
        .expect(200)
        .await;
    // Nobody ever heard whether this one was made.
    let lost = vec![Trouble::Status(500); 4];
    shop.stripe.trouble("POST /v1/refunds", &lost);
    shop.refund("one-time-purchase", &thing, &entry(1, "3"))
        .expect_status(503)
        .await;

    on_day(8);
    let guest = shop.server.sign_up("guest@example.com").await;
    let guest = ["user", guest.user_id.as_str()];
    shop.buy(guest, "pack", "once", 1).await;
    shop.change_item(
        guest,
        "credits",
        json!({"delta": 1, "description": "Welcome"}),
    )
    .await;
    let gone = format!("/users/{}", guest[1]);
    shop.server.server("DELETE", &gone).expect(200).await;

    on_day(30);
    shop.hear(&shop.stripe.renew(&silver)).await;
    on_day(35);
    shop.hear(&shop.stripe.cancel(&silver)).await;
    on_day(36);
    shop.hear(&shop.stripe.fail_renewal(&seats_at_stripe, "open"))
        .await;
    json!({"start": start.0, "team": team[1], "pack": pack, "seats": seats})
}

async fn post(shop: &Shop, path: &str, body: Value) -> Value {
    shop.server
        .server("POST", path)
        .body(body)
        .expect(200)
        .await
}

fn entry(quantity: i64, amount: &str) -> Value {
    json!([{"entry_index": 0, "quantity": quantity, "amount_usd": amount}])
}

/// The shop as a server reads it from a recorded log.
struct Ledger<'l> {
    server: &'l TestServer,
    project: &'l Project,
    start: Millis,
}

impl Ledger<'_> {
    fn after(&self, millis: i64) -> Millis {
        self.start.plus(millis)
    }

    /// How much of an item there is, so long after the start.
    async fn quantity(&self, whose: &CustomerRef, item: &str, after: i64) -> Quantity {
        let project = ProjectId::from_caller(&self.project.id);
        let (pool, stream) = (self.server.pool(), whose.stream(&project));
        let read = customers::quantity(pool, stream, item, self.after(after));
        read.await.unwrap()
    }

    /// What is owned so long after the start: ids and quantities.
    async fn owned(&self, whose: &CustomerRef, after: i64) -> Value {
        let project = ProjectId::from_caller(&self.project.id);
        let purchases = customers::purchases_of(self.server.pool(), whose.stream(&project));
        let purchases = purchases.await.unwrap();
        let owned = owned(&purchases, self.after(after));
        let owned = owned.iter();
        owned
            .map(|(id, owned)| json!([id, owned.quantity]))
            .collect()
    }

    /// Status, amount and day of a customer's invoices, newest first.
    async fn invoices(&self, kind: &str, id: &str) -> Value {
        let path = format!("/payments/invoices/{kind}/{id}");
        let listed = self.server.server_of(self.project, "GET", &path);
        let listed = listed.expect(200).await["items"].clone();
        let shown = listed.as_array().unwrap().iter().map(|it| {
            let page = it["hosted_invoice_url"].as_str().unwrap();
            assert!(page.starts_with("https://invoice.stripe.com/i/"), "{page}");
            let day = (it["created_at_millis"].as_i64().unwrap() - self.start.0) / DAY;
            json!([it["status"], it["amount_total"], day])
        });
        shown.collect()
    }
}

/// Reads what [`trade`] left.
pub(crate) async fn read_trade(
    server: &TestServer,
    project: &Project,
    user: &Tokens,
    keys: &Value,
) {
    let team = keys["team"].as_str().unwrap();
    let ledger = Ledger {
        server,
        project,
        start: Millis(keys["start"].as_i64().unwrap()),
    };
    let whose = |kind: &str, id: &str| {
        let key = format!("{kind}_id");
        serde_json::from_value(json!({"customer_type": kind, key: id})).unwrap()
    };
    let ada: CustomerRef = whose("user", &user.user_id);
    let acme: CustomerRef = whose("custom", "acme");
    let owners: CustomerRef = whose("team", team);
    let sql = "SELECT DISTINCT event_type FROM events WHERE aggregate_type = 'customer' ORDER BY 1";
    let types: Vec<String> = sqlx::query_scalar(sql)
        .fetch_all(server.pool())
        .await
        .unwrap();
    assert_eq!(types, EVENTS);

    // The plan was another one from the first day, for it was switched; what was promised for ten
    // days was used first.
    for (after, credits, products) in [
        (36 * DAY, 27, json!([["gold", 1], ["pack", 1]])),
        (60 * DAY - SECOND, 27, json!([["gold", 1], ["pack", 1]])),
        (60 * DAY, 6, json!([["pack", 1]])),
    ] {
        let credits = Quantity::whole(credits);
        assert_eq!(ledger.quantity(&ada, "credits", after).await, credits);
        assert_eq!(ledger.owned(&ada, after).await, products);
    }
    for (after, rations) in [(4 * DAY, 30), (7 * DAY, 50), (27 * DAY, 50), (32 * DAY, 0)] {
        let rations = Quantity::whole(rations);
        assert_eq!(ledger.quantity(&acme, "rations", after).await, rations);
    }
    let of_acme = ledger.owned(&acme, 27 * DAY).await;
    assert_eq!(of_acme, json!([[null, 1], ["thing", 3]]));
    assert_eq!(ledger.owned(&acme, 32 * DAY).await, json!([["thing", 3]]));
    assert_eq!(ledger.owned(&owners, 36 * DAY).await, json!([["seats", 2]]));
    let seats = ledger.quantity(&owners, "seats", 36 * DAY).await;
    assert_eq!(seats, Quantity::whole(3));

    let of_ada = ledger.invoices("user", &user.user_id).await;
    assert_eq!(of_ada, json!([["paid", 2000, 30], ["paid", 999, 0]]));
    let of_owners = ledger.invoices("team", team).await;
    assert_eq!(of_owners, json!([["open", 1000, 36], ["paid", 1500, 6]]));
    read_transactions(server, project, keys).await;
    read_tables(server).await;
}

async fn read_transactions(server: &TestServer, project: &Project, keys: &Value) {
    let list = server.admin_of(project, "GET", "/internal/payments/transactions");
    let list = list.expect(200).await["transactions"].clone();
    let list = list.as_array().unwrap();
    let count = |kind: &str| list.iter().filter(|it| it["type"] == kind).count();
    assert_eq!(count("purchase"), 6);
    assert_eq!(count("subscription-renewal"), 2);
    assert_eq!(count("manual-item-quantity-change"), 4);
    assert_eq!(list.iter().filter(|it| it["test_mode"] == true).count(), 1);
    let refunded: Vec<_> = list
        .iter()
        .filter(|it| it["adjusted_by"] != json!([]))
        .collect();
    assert_eq!(refunded.len(), 2);
    for (purchase, name) in refunded.into_iter().zip(["seats", "pack"]) {
        assert_eq!(purchase["id"], keys[name]);
        let refund = format!("{}:refund", keys[name].as_str().unwrap());
        let adjusted = json!([{"transaction_id": refund, "entry_index": 0}]);
        assert_eq!(purchase["adjusted_by"], adjusted);
    }
}

async fn read_tables(server: &TestServer) {
    let pool = server.pool();
    let refunds = "SELECT source, revocations -> 0 ->> 'quantity', amount FROM refunds ORDER BY 1";
    let refunds: Vec<(String, String, i64)> =
        sqlx::query_as(refunds).fetch_all(pool).await.unwrap();
    let expected = [("one-time-purchase", "2", 150), ("subscription", "1", 500)];
    let expected = expected.map(|(source, count, amount)| (source.into(), count.into(), amount));
    assert_eq!(refunds, expected);
    let reasons = "SELECT description FROM item_quantity_changes WHERE description <> ''";
    let reasons: Vec<String> = sqlx::query_scalar(reasons).fetch_all(pool).await.unwrap();
    assert_eq!(reasons, ["Ada's lunch"]);
    let versions =
        "SELECT product_id FROM product_versions WHERE product_id IS NOT NULL ORDER BY 1";
    let versions: Vec<String> = sqlx::query_scalar(versions).fetch_all(pool).await.unwrap();
    assert_eq!(versions, ["gold", "pack", "seats", "silver", "thing"]);
    // What was begun at Stripe is still to be brought to its end.
    let pending = "SELECT purchase -> 'pending_refund' ->> 'quantity' FROM one_time_purchases
                   WHERE purchase ? 'pending_refund'";
    let pending: Vec<String> = sqlx::query_scalar(pending).fetch_all(pool).await.unwrap();
    assert_eq!(pending, ["2"]);
}
