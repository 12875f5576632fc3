//! Subscriptions at Stripe that are switched, replaced and cancelled, and
//! the invoices of a customer (§10).

use serde_json::{Value, json};

use crate::shop::Shop;
use crate::support::{Call, PASSWORD, TestServer, Tokens, unique_email};

const DAY: i64 = 86_400_000;
const NOBODY: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";

fn path(shop: &Shop) -> String {
    format!("/payments/products/user/{}", shop.ada.user_id)
}

fn switch(shop: &Shop, from: &str, to: &str) -> Call {
    switch_with(shop, json!({"from_product_id": from, "to_product_id": to}))
}

fn switch_with(shop: &Shop, body: Value) -> Call {
    let path = format!("{}/switch", path(shop));
    shop.server.client("POST", &path).user(&shop.ada).body(body)
}

#[tokio::test]
async fn a_plan_is_switched_at_once() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "silver", "monthly", 1).await;
    let subscription = shop.subscription();
    let details = switch(&shop, "silver", "gold")
        .refused(400, "DEFAULT_PAYMENT_METHOD_REQUIRED")
        .await;
    assert_eq!(
        details,
        json!({"customer_type": "user", "customer_id": ada[1]})
    );
    shop.save_card("user", ada[1]).await;
    shop.change_item(ada, "credits", json!({"delta": -4})).await;
    let done = switch(&shop, "silver", "gold").expect(200).await;
    assert_eq!(done, json!({"success": true}));
    // Without any webhook: the row is another one, since it was made.
    assert_eq!(
        shop.products(ada).await,
        json!([["gold", 1, "subscription"]])
    );
    assert_eq!(shop.item(ada, "credits").await, 21);
    assert_eq!(shop.subscription(), subscription);
    let asked = shop
        .stripe
        .asked_for("POST", "/v1/subscriptions/")
        .pop()
        .unwrap();
    let params = &asked.params;
    assert_eq!(params["payment_behavior"], "error_if_incomplete");
    assert_eq!(
        params["payment_settings"]["save_default_payment_method"],
        "on_subscription"
    );
    assert_eq!(
        params["default_payment_method"],
        shop.stripe.all("payment_method")[0]["id"]
    );
    let item = &params["items"]["0"];
    assert_eq!(item["quantity"], "1");
    assert_eq!(item["price_data"]["unit_amount"], "2000");
    assert_eq!(
        item["price_data"]["recurring"],
        json!({"interval": "month", "interval_count": "1"})
    );
    assert_eq!(params["metadata"]["productId"], "gold");
    assert_eq!(params["metadata"]["priceId"], "monthly");
    // What Stripe says of it is the same.
    shop.hear_of("customer.subscription.updated", &subscription)
        .await;
    assert_eq!(
        shop.products(ada).await,
        json!([["gold", 1, "subscription"]])
    );
    assert_eq!(shop.item(ada, "credits").await, 21);
    let purchase = shop
        .transactions()
        .await
        .into_iter()
        .find(|it| it["type"] == "purchase");
    assert_eq!(purchase.unwrap()["entries"][0]["product_id"], "gold");
    shop.server.assert_verified().await;
    let body = json!({"from_product_id": "gold", "to_product_id": "silver", "quantity": 1});
    let call = shop.server.server(
        "POST",
        &format!("/payments/products/user/{}/switch", ada[1]),
    );
    call.body(body).expect(200).await;
    assert_eq!(
        shop.products(ada).await,
        json!([["silver", 1, "subscription"]])
    );
}

#[tokio::test]
async fn what_is_included_is_switched_by_a_new_subscription() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.save_card("user", ada[1]).await;
    let body = json!({"from_product_id": "free", "to_product_id": "gold", "price_id": "yearly", "quantity": 2});
    switch_with(&shop, body.clone()).expect(200).await;
    assert_eq!(
        shop.products(ada).await,
        json!([["gold", 2, "subscription"]])
    );
    assert_eq!(shop.item(ada, "credits").await, 50);
    let transactions = shop.transactions().await;
    assert_eq!(
        transactions[0]["entries"][1]["charged_amount"],
        json!({"USD": "400"})
    );
    assert_eq!(transactions[0]["test_mode"], false);
    // Nobody pays for two plans of a line.
    switch_with(&shop, body).refused_in_words(400).await;
    assert_eq!(shop.stripe.all("subscription").len(), 1);
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn what_cannot_be_switched() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    let server = &shop.server;
    let to = |from: &str, to: &str| json!({"from_product_id": from, "to_product_id": to});
    let custom = server.server("POST", "/payments/products/custom/acme/switch");
    custom
        .body(to("silver", "gold"))
        .refused(400, "SCHEMA_ERROR")
        .await;
    let body = json!({"from_product_id": "silver", "to_product_id": "gold", "quantity": 0});
    switch_with(&shop, body).refused(400, "SCHEMA_ERROR").await;
    let stranger = server.sign_up(&unique_email()).await;
    let call = server.client("POST", &format!("{}/switch", path(&shop)));
    call.user(&stranger)
        .body(to("silver", "gold"))
        .refused_in_words(403)
        .await;
    for (from, target) in [
        ("none", "gold"),
        ("silver", "none"),
        ("silver", "seats"),
        ("pack", "gold"),
        ("other-line", "gold"),
        ("silver", "silver"),
        ("gold", "extra"),
        ("silver", "free"),
        ("lasting", "gold"),
        // Not owned.
        ("silver", "gold"),
    ] {
        switch(&shop, from, target).refused_in_words(400).await;
    }
    let call = server.server("POST", &format!("/payments/products/user/{NOBODY}/switch"));
    call.body(to("silver", "gold"))
        .refused(404, "USER_NOT_FOUND")
        .await;
    // Granted, and so unknown to Stripe.
    let grant = server.server("POST", &path(&shop));
    grant
        .body(json!({"product_id": "silver"}))
        .expect(200)
        .await;
    switch(&shop, "silver", "gold").refused_in_words(400).await;
    shop.buy(ada, "gold", "monthly", 1).await;
    shop.hear(&[]).await;
    for body in [
        json!({"from_product_id": "gold", "to_product_id": "silver", "price_id": "none"}),
        json!({"from_product_id": "gold", "to_product_id": "silver", "quantity": 2}),
    ] {
        switch_with(&shop, body).refused_in_words(400).await;
    }
    server.override_settings(json!({"payments.products.silver.prices.monthly": {"EUR": "8", "interval": [1, "month"]}})).await;
    switch(&shop, "gold", "silver").refused_in_words(400).await;
    server
        .override_settings(json!({"payments.blockNewPurchases": true}))
        .await;
    // Before anybody asks who is calling.
    let call = server.client("POST", &format!("{}/switch", path(&shop)));
    call.body(to("silver", "gold"))
        .refused(403, "NEW_PURCHASES_BLOCKED")
        .await;
    assert!(
        shop.stripe
            .asked_for("POST", "/v1/subscriptions/")
            .is_empty()
    );
}

#[tokio::test]
async fn without_an_account_at_stripe_nothing_is_switched() {
    let server = TestServer::start().await;
    let ada = server.sign_up(&unique_email()).await;
    let line = json!({
        "payments.products.free": {"customerType": "user", "productLineId": "plans", "prices": "include-by-default"},
        "payments.products.gold": {"customerType": "user", "productLineId": "plans", "prices": {"a": {"USD": "1", "interval": [1, "month"]}}},
    });
    server.override_settings(line).await;
    let path = format!("/payments/products/user/{}/switch", ada.user_id);
    let body = json!({"from_product_id": "free", "to_product_id": "gold"});
    let call = server.client("POST", &path).user(&ada).body(body);
    call.refused_in_words(400).await;
}

#[tokio::test]
async fn a_declined_card_changes_nothing() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "silver", "monthly", 1).await;
    shop.save_card("user", ada[1]).await;
    let card = shop.stripe.all("payment_method")[0]["id"].clone();
    let declined = json!({"token": crate::stripe_server::DECLINED_CARD});
    shop.stripe.change(card.as_str().unwrap(), declined);
    switch(&shop, "silver", "gold").refused_in_words(400).await;
    assert_eq!(
        shop.products(ada).await,
        json!([["silver", 1, "subscription"]])
    );
    assert_eq!(shop.item(ada, "credits").await, 10);
}

#[tokio::test]
async fn a_grant_replaces_a_subscription_at_stripe() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "silver", "monthly", 1).await;
    let subscription = shop.subscription();
    let grant = |product: &str| {
        shop.server
            .server("POST", &path(&shop))
            .body(json!({"product_id": product}))
    };
    grant("gold").expect(200).await;
    assert_eq!(shop.stripe.object(&subscription)["status"], "canceled");
    shop.hear_of("customer.subscription.deleted", &subscription)
        .await;
    let products = shop.products(ada).await;
    assert_eq!(
        products,
        json!([["gold", 1, "subscription"], ["silver", 1, "one_time"]])
    );
    shop.advance(31 * DAY);
    assert_eq!(
        shop.products(ada).await,
        json!([["gold", 1, "subscription"]])
    );
    // Stripe being away, nothing is granted in its place.
    shop.buy(ada, "gold", "monthly", 1).await;
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn a_subscription_at_stripe_is_cancelled_there() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "silver", "monthly", 1).await;
    let subscription = shop.subscription();
    let stranger = shop.server.sign_up(&unique_email()).await;
    let cancel = || {
        shop.server
            .client("DELETE", &format!("{}/silver", path(&shop)))
    };
    cancel().user(&stranger).refused_in_words(403).await;
    cancel().user(&shop.ada).expect(200).await;
    assert_eq!(shop.stripe.object(&subscription)["status"], "canceled");
    // Until Stripe says so, it is as it was; asked again, it is ended already.
    assert_eq!(
        shop.products(ada).await,
        json!([["silver", 1, "subscription"]])
    );
    cancel().user(&shop.ada).expect(200).await;
    shop.hear_of("customer.subscription.deleted", &subscription)
        .await;
    assert_eq!(shop.products(ada).await, json!([["silver", 1, "one_time"]]));
    cancel().user(&shop.ada).refused_in_words(400).await;
    // By its id, whatever the product is called.
    shop.buy(ada, "pack", "once", 1).await;
    let by_id = format!("{}/-?subscription_id={NOBODY}", path(&shop));
    shop.server
        .server("DELETE", &by_id)
        .refused_in_words(400)
        .await;
}

#[tokio::test]
async fn invoices_are_paged_newest_first() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    let path = format!("/payments/invoices/user/{}", ada[1]);
    let list = |query: &str| shop.server.server("GET", &format!("{path}{query}"));
    let none = json!({"items": [], "is_paginated": true, "pagination": {"next_cursor": null}});
    assert_eq!(list("").expect(200).await, none);
    shop.buy(ada, "silver", "monthly", 1).await;
    let subscription = shop.subscription();
    for _ in 0..3 {
        shop.advance(30 * DAY);
        let renewed = shop.stripe.renew(&subscription);
        shop.hear(&renewed).await;
    }
    let all = list("").expect(200).await;
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 4);
    assert!(items.is_sorted_by_key(|it| -it["created_at_millis"].as_i64().unwrap()));
    for item in items {
        assert_eq!(item["status"], "paid");
        assert_eq!(item["amount_total"], 999);
        assert!(
            item["hosted_invoice_url"]
                .as_str()
                .unwrap()
                .starts_with("https://invoice.stripe.com/")
        );
    }
    assert_eq!(all["pagination"]["next_cursor"], Value::Null);
    let first = list("?limit=2").expect(200).await;
    let cursor = first["pagination"]["next_cursor"].as_str().unwrap();
    let second = list(&format!("?limit=2&cursor={cursor}")).expect(200).await;
    let paged = [
        first["items"].as_array().unwrap().as_slice(),
        second["items"].as_array().unwrap(),
    ]
    .concat();
    assert_eq!(&paged, items);
    // A full page has a next one, even if that is empty.
    let cursor = second["pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(
        list(&format!("?limit=2&cursor={cursor}")).expect(200).await,
        none
    );
    for cursor in ["x", NOBODY] {
        list(&format!("?cursor={cursor}"))
            .refused_in_words(400)
            .await;
    }
    list("?limit=0").refused(400, "SCHEMA_ERROR").await;
    let custom = shop.server.server("GET", "/payments/invoices/custom/acme");
    custom.refused(400, "SCHEMA_ERROR").await;
    let again = json!({"email": shop.email, "password": PASSWORD});
    let call = shop.server.client("POST", "/auth/password/sign-in");
    let again = Tokens::of(&call.body(again).expect(200).await);
    let mine = shop
        .server
        .client("GET", &path)
        .user(&again)
        .expect(200)
        .await;
    assert_eq!(mine, all);
    let stranger = shop.server.sign_up(&unique_email()).await;
    shop.server
        .client("GET", &path)
        .user(&stranger)
        .refused_in_words(403)
        .await;
    let cursor = all["pagination"]["next_cursor"].clone();
    assert_eq!(cursor, Value::Null);
    // Another's invoice is no place in this list.
    let other = format!(
        "/payments/invoices/user/{}?cursor={}",
        stranger.user_id,
        first["pagination"]["next_cursor"].as_str().unwrap()
    );
    shop.server
        .server("GET", &other)
        .refused_in_words(400)
        .await;
    // What was shown is gone with the account.
    let delete = shop.server.server("DELETE", &format!("/users/{}", ada[1]));
    delete.expect(200).await;
    assert_eq!(list("").expect(200).await, none);
    shop.server.assert_verified().await;
}
