//! Refunds.

use serde_json::{Value, json};

use crate::shop::{REFUND, Shop};
use crate::stripe_server::Trouble;

const DAY: i64 = 86_400_000;

fn entry(index: i64, quantity: i64, amount: &str) -> Value {
    json!({"entry_index": index, "quantity": quantity, "amount_usd": amount})
}

#[tokio::test]
async fn a_one_time_purchase_is_paid_back_once() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "pack", "once", 3).await;
    let id = shop.newest_purchase().await;
    let half = json!([entry(0, 2, "1.5")]);
    let done = shop
        .refund("one-time-purchase", &id, &half)
        .expect(200)
        .await;
    assert_eq!(done, json!({"success": true}));
    let asked = shop.stripe.asked_for("POST", "/v1/refunds").pop().unwrap();
    assert_eq!(asked.account.as_deref(), Some(shop.account().as_str()));
    assert_eq!(asked.params["amount"], "150");
    assert_eq!(
        asked.params["payment_intent"],
        shop.stripe.all("payment_intent")[0]["id"]
    );
    assert_eq!(
        asked.params["metadata"],
        json!({"tenancyId": shop.server.project.id, "purchaseId": id})
    );
    // Products go, items stay.
    assert_eq!(shop.products(ada).await, json!([["pack", 1, "one_time"]]));
    assert_eq!(shop.item(ada, "credits").await, 6);
    let adjusted = &shop.transactions().await[0]["adjusted_by"];
    assert_eq!(
        *adjusted,
        json!([{"transaction_id": format!("{id}:refund"), "entry_index": 0}])
    );
    let again = shop.refund("one-time-purchase", &id, &half);
    let details = again
        .refused(400, "ONE_TIME_PURCHASE_ALREADY_REFUNDED")
        .await;
    assert_eq!(details, json!({"one_time_purchase_id": id}));
    // Told again that it was paid, nothing comes back.
    let intent = shop.stripe.all("payment_intent")[0]["id"].clone();
    let paid = shop
        .stripe
        .event("payment_intent.succeeded", intent.as_str().unwrap());
    shop.hear(&[paid]).await;
    assert_eq!(shop.products(ada).await, json!([["pack", 1, "one_time"]]));
    assert_eq!(shop.stripe.all("refund").len(), 1);
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn a_subscription_is_paid_back_and_ends_with_its_period() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "gold", "monthly", 3).await;
    let (id, subscription) = (shop.newest_purchase().await, shop.subscription());
    assert_eq!(shop.item(ada, "credits").await, 75);
    let all = json!([entry(0, 3, "10.5")]);
    shop.refund("subscription", &id, &all).expect(200).await;
    let asked = shop.stripe.asked_for("POST", "/v1/refunds").pop().unwrap();
    assert_eq!(asked.params["amount"], "1050");
    let at_stripe = shop.stripe.object(&subscription);
    assert_eq!(at_stripe["items"]["data"][0]["quantity"], 0);
    assert_eq!(at_stripe["cancel_at_period_end"], true);
    for _ in 0..2 {
        assert_eq!(shop.products(ada).await, json!([]));
        assert_eq!(shop.item(ada, "credits").await, 75);
        // What Stripe says of it then is no news.
        shop.hear_of("customer.subscription.updated", &subscription)
            .await;
    }
    // What is not owned is not cancelled.
    let path = format!("/payments/products/user/{}/gold", ada[1]);
    let cancel = shop.server.server("DELETE", &path);
    cancel.refused_in_words(400).await;
    let again = shop.refund("subscription", &id, &all);
    let details = again.refused(400, "SUBSCRIPTION_ALREADY_REFUNDED").await;
    assert_eq!(details, json!({"subscription_id": id}));
    shop.advance(31 * DAY);
    shop.stripe.cancel(&subscription);
    shop.hear_of("customer.subscription.deleted", &subscription)
        .await;
    assert_eq!(shop.item(ada, "credits").await, 0);
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn some_seats_are_paid_back_and_the_rest_stay() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "gold", "monthly", 3).await;
    let (id, subscription) = (shop.newest_purchase().await, shop.subscription());
    // Money alone takes nothing back, and may be nothing.
    let one = json!([entry(0, 1, "0")]);
    shop.refund("subscription", &id, &one).expect(200).await;
    assert!(shop.stripe.asked_for("POST", "/v1/refunds").is_empty());
    let at_stripe = shop.stripe.object(&subscription);
    assert_eq!(at_stripe["items"]["data"][0]["quantity"], 2);
    assert_eq!(at_stripe["cancel_at_period_end"], false);
    assert_eq!(
        shop.products(ada).await,
        json!([["gold", 2, "subscription"]])
    );
    shop.hear_of("customer.subscription.updated", &subscription)
        .await;
    assert_eq!(
        shop.products(ada).await,
        json!([["gold", 2, "subscription"]])
    );
    assert_eq!(shop.item(ada, "credits").await, 75);
}

#[tokio::test]
async fn what_cannot_be_refunded_moves_no_money() {
    let shop = Shop::open().await;
    let server = &shop.server;
    let ada = shop.customer();
    let none = json!([]);
    let nobody = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
    for body in [
        json!({}),
        json!({"type": "gift", "id": nobody, "refund_entries": []}),
        json!({"type": "subscription", "id": nobody}),
        json!({"type": "subscription", "id": nobody, "refund_entries": [entry(0, 1, "-1")]}),
        json!({"type": "subscription", "id": nobody, "refund_entries": [entry(0, 1, "1.234")]}),
        json!({"type": "subscription", "id": nobody, "refund_entries": [{"entry_index": 0.5, "quantity": 1, "amount_usd": "1"}]}),
    ] {
        let call = server.admin("POST", REFUND).body(body);
        call.refused(400, "SCHEMA_ERROR").await;
    }
    for id in [nobody, "x"] {
        let details = shop
            .refund("subscription", id, &none)
            .refused(404, "SUBSCRIPTION_INVOICE_NOT_FOUND")
            .await;
        assert_eq!(details, json!({"subscription_invoice_id": id}));
        let details = shop
            .refund("one-time-purchase", id, &none)
            .refused(404, "ONE_TIME_PURCHASE_NOT_FOUND")
            .await;
        assert_eq!(details, json!({"one_time_purchase_id": id}));
    }
    // Granted: nothing was paid.
    let path = format!("/payments/products/user/{}", ada[1]);
    for product in ["pack", "silver"] {
        let body = json!({"product_id": product});
        server.server("POST", &path).body(body).expect(200).await;
    }
    for granted in shop.transactions().await {
        let id = granted["id"].as_str().unwrap();
        match granted["entries"][0]["product_id"].as_str() {
            Some("pack") => {
                shop.refund("one-time-purchase", id, &none)
                    .refused(404, "ONE_TIME_PURCHASE_NOT_FOUND")
                    .await
            }
            _ => {
                shop.refund("subscription", id, &none)
                    .refused(404, "SUBSCRIPTION_INVOICE_NOT_FOUND")
                    .await
            }
        };
    }
    shop.advance(1);
    shop.buy(["custom", "acme"], "thing", "once", 2).await;
    let id = shop.newest_purchase().await;
    for entries in [
        json!([entry(0, -1, "1")]),
        json!([entry(0, 1, "1"), entry(0, 1, "1")]),
        json!([entry(7, 1, "1")]),
        json!([entry(-1, 1, "1")]),
        json!([entry(1, 0, "1")]),
        json!([entry(0, 3, "1")]),
        json!([entry(0, 1, "6.01")]),
    ] {
        let call = shop.refund("one-time-purchase", &id, &entries);
        call.refused(400, "SCHEMA_ERROR").await;
    }
    // A subscription is no one-time purchase, nor the other way round.
    shop.refund("subscription", &id, &none)
        .refused(404, "SUBSCRIPTION_INVOICE_NOT_FOUND")
        .await;
    assert!(shop.stripe.asked_for("POST", "/v1/refunds").is_empty());
    // Stripe is away, then it refuses: nothing is noted, and it can be tried again.
    let all = json!([entry(0, 2, "6")]);
    shop.stripe.trouble("/v1/refunds", &[Trouble::Status(400)]);
    shop.refund("one-time-purchase", &id, &all)
        .refused_in_words(400)
        .await;
    // The answer is lost, the call is repeated, and the money goes back once.
    shop.stripe.trouble("/v1/refunds", &[Trouble::LostAnswer]);
    shop.refund("one-time-purchase", &id, &all)
        .expect(200)
        .await;
    assert_eq!(shop.stripe.all("refund").len(), 1);
    let other = server.new_project(json!({})).await;
    let body = json!({"type": "one-time-purchase", "id": id, "refund_entries": []});
    server
        .admin_of(&other, "POST", REFUND)
        .body(body)
        .refused(404, "ONE_TIME_PURCHASE_NOT_FOUND")
        .await;
}

#[tokio::test]
async fn what_was_not_paid_through_stripe_is_not_paid_back() {
    let shop = Shop::open().await;
    let all = json!([entry(0, 1, "1")]);
    // A project without an account at Stripe says so before anything about the payment.
    let other = shop.server.new_project(json!({})).await;
    let inline = json!({
        "display_name": "Gift", "customer_type": "custom",
        "prices": {"once": {"USD": "1"}}, "included_items": {},
    });
    let grant = shop
        .server
        .server_of(&other, "POST", "/payments/products/custom/acme");
    let grant = grant.body(json!({"product_inline": inline}));
    grant.expect(200).await;
    let list = shop
        .server
        .admin_of(&other, "GET", "/internal/payments/transactions");
    let id = list.expect(200).await["transactions"][0]["id"].clone();
    let body = json!({"type": "one-time-purchase", "id": id, "refund_entries": all});
    let call = shop.server.admin_of(&other, "POST", REFUND).body(body);
    call.refused_in_words(400).await;
    // A price in euros, told by Stripe alone.
    let product = json!({"customerType": "custom", "prices": {"once": {"EUR": "3"}}});
    let paid = json!({
        "id": "pi_euros", "object": "payment_intent",
        "metadata": {
            "purchaseKind": "ONE_TIME", "customerId": "acme", "customerType": "custom",
            "product": product.to_string(), "priceId": "once",
        },
    });
    shop.stripe.put(&shop.account(), paid);
    shop.hear_of("payment_intent.succeeded", "pi_euros").await;
    let id = shop.newest_purchase().await;
    shop.refund("one-time-purchase", &id, &all)
        .refused(400, "SCHEMA_ERROR")
        .await;
    assert!(shop.stripe.all("refund").is_empty());
}

#[tokio::test]
async fn what_does_not_fit_at_stripe_moves_no_money() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "gold", "monthly", 2).await;
    let (id, subscription) = (shop.newest_purchase().await, shop.subscription());
    let all = json!([entry(0, 2, "40")]);
    let at_stripe = shop.stripe.object(&subscription);
    let mut items = at_stripe["items"].clone();
    items["data"][0]["quantity"] = json!(1);
    shop.stripe.change(&subscription, json!({"items": items}));
    shop.refund("subscription", &id, &all)
        .refused_in_words(500)
        .await;
    let whole = json!({"items": at_stripe["items"]});
    shop.stripe.change(&subscription, whole);
    let invoice = shop.stripe.all("invoice")[0].clone();
    let none = json!({"payments": {"object": "list", "data": []}});
    let name = invoice["id"].as_str().unwrap();
    shop.stripe.change(name, none);
    shop.refund("subscription", &id, &all)
        .refused_in_words(500)
        .await;
    assert!(shop.stripe.all("refund").is_empty());
    // Mended, it is made.
    shop.stripe
        .change(name, json!({"payments": invoice["payments"]}));
    shop.refund("subscription", &id, &all).expect(200).await;
    assert_eq!(shop.stripe.all("refund").len(), 1);
}

#[tokio::test]
async fn what_stripe_refuses_may_be_asked_for_otherwise() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "gold", "monthly", 2).await;
    let (id, subscription) = (shop.newest_purchase().await, shop.subscription());
    shop.stripe
        .trouble("POST /v1/refunds", &[Trouble::Status(400)]);
    let all = json!([entry(0, 2, "40")]);
    shop.refund("subscription", &id, &all)
        .refused_in_words(400)
        .await;
    let at_stripe = shop.stripe.object(&subscription);
    assert_eq!(at_stripe["items"]["data"][0]["quantity"], 2);
    let half = json!([entry(0, 1, "20")]);
    shop.refund("subscription", &id, &half).expect(200).await;
    let refunds = shop.stripe.all("refund");
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["amount"], 2000);
    assert_eq!(
        shop.products(ada).await,
        json!([["gold", 1, "subscription"]])
    );
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn a_cancelled_subscription_is_paid_back() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "gold", "monthly", 2).await;
    let (id, subscription) = (shop.newest_purchase().await, shop.subscription());
    shop.stripe.cancel(&subscription);
    shop.hear_of("customer.subscription.deleted", &subscription)
        .await;
    assert_eq!(shop.products(ada).await, json!([["gold", 2, "one_time"]]));
    let all = json!([entry(0, 2, "40")]);
    shop.refund("subscription", &id, &all).expect(200).await;
    assert_eq!(shop.products(ada).await, json!([]));
    assert_eq!(shop.stripe.all("refund").len(), 1);
    let changes = shop.stripe.asked_for("POST", "/v1/subscriptions/");
    assert!(changes.is_empty());
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn refunds_at_the_same_time_are_one() {
    let shop = Shop::open().await;
    shop.buy(["custom", "acme"], "thing", "once", 2).await;
    let id = shop.newest_purchase().await;
    let calls = (1..6).map(|amount| {
        let entries = json!([entry(0, 1, &amount.to_string())]);
        shop.refund("one-time-purchase", &id, &entries).send()
    });
    let answers = futures_util::future::join_all(calls).await;
    let done = answers.iter().filter(|it| it.status == 200).count();
    assert_eq!(done, 1);
    assert_eq!(shop.stripe.all("refund").len(), 1);
}
