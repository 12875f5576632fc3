//! Refunds (contract 06 §11.2), and transactions across their sources (§11.1).

use serde_json::{Value, json};

use crate::shop::Shop;
use crate::stripe_server::Trouble;
use crate::support::Call;

const REFUND: &str = "/internal/payments/transactions/refund";
const DAY: i64 = 86_400_000;

fn refund(shop: &Shop, kind: &str, id: &str, entries: &Value) -> Call {
    let body = json!({"type": kind, "id": id, "refund_entries": entries});
    shop.server.admin("POST", REFUND).body(body)
}

fn entry(index: i64, quantity: i64, amount: &str) -> Value {
    json!({"entry_index": index, "quantity": quantity, "amount_usd": amount})
}

/// The id of the newest purchase.
async fn bought(shop: &Shop) -> String {
    let transactions = shop.transactions().await;
    let mut purchases = transactions.iter().filter(|it| it["type"] == "purchase");
    let newest = purchases.next().unwrap();
    newest["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_one_time_purchase_is_paid_back_once() {
    let shop = Shop::open().await;
    let ada = ["user", shop.ada.user_id.as_str()];
    shop.buy(ada, "pack", "once", 3).await;
    let id = bought(&shop).await;
    let half = json!([entry(0, 2, "1.5")]);
    let done = refund(&shop, "one-time-purchase", &id, &half)
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
    let again = refund(&shop, "one-time-purchase", &id, &half);
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
    let ada = ["user", shop.ada.user_id.as_str()];
    shop.buy(ada, "gold", "monthly", 3).await;
    let (id, subscription) = (bought(&shop).await, shop.subscription());
    assert_eq!(shop.item(ada, "credits").await, 75);
    let all = json!([entry(0, 3, "10.5")]);
    refund(&shop, "subscription", &id, &all).expect(200).await;
    let asked = shop.stripe.asked_for("POST", "/v1/refunds").pop().unwrap();
    assert_eq!(asked.params["amount"], "1050");
    let at_stripe = shop.stripe.object(&subscription);
    assert_eq!(at_stripe["items"]["data"][0]["quantity"], 0);
    assert_eq!(at_stripe["cancel_at_period_end"], true);
    for _ in 0..2 {
        assert_eq!(shop.products(ada).await, json!([]));
        assert_eq!(shop.item(ada, "credits").await, 75);
        // What Stripe says of it then is no news.
        shop.hear(&[shop
            .stripe
            .event("customer.subscription.updated", &subscription)])
            .await;
    }
    // What is not owned is not cancelled.
    let path = format!("/payments/products/user/{}/gold", ada[1]);
    let cancel = shop.server.server("DELETE", &path);
    cancel.refused_in_words(400).await;
    let again = refund(&shop, "subscription", &id, &all);
    let details = again.refused(400, "SUBSCRIPTION_ALREADY_REFUNDED").await;
    assert_eq!(details, json!({"subscription_id": id}));
    shop.advance(31 * DAY);
    shop.stripe.cancel(&subscription);
    shop.hear(&[shop
        .stripe
        .event("customer.subscription.deleted", &subscription)])
        .await;
    assert_eq!(shop.item(ada, "credits").await, 0);
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn some_seats_are_paid_back_and_the_rest_stay() {
    let shop = Shop::open().await;
    let ada = ["user", shop.ada.user_id.as_str()];
    shop.buy(ada, "gold", "monthly", 3).await;
    let (id, subscription) = (bought(&shop).await, shop.subscription());
    // Money alone takes nothing back, and may be nothing.
    let one = json!([entry(0, 1, "0")]);
    refund(&shop, "subscription", &id, &one).expect(200).await;
    assert!(shop.stripe.asked_for("POST", "/v1/refunds").is_empty());
    let at_stripe = shop.stripe.object(&subscription);
    assert_eq!(at_stripe["items"]["data"][0]["quantity"], 2);
    assert_eq!(at_stripe["cancel_at_period_end"], false);
    assert_eq!(
        shop.products(ada).await,
        json!([["gold", 2, "subscription"]])
    );
    shop.hear(&[shop
        .stripe
        .event("customer.subscription.updated", &subscription)])
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
    let ada = ["user", shop.ada.user_id.as_str()];
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
        let details = refund(&shop, "subscription", id, &none)
            .refused(404, "SUBSCRIPTION_INVOICE_NOT_FOUND")
            .await;
        assert_eq!(details, json!({"subscription_invoice_id": id}));
        let details = refund(&shop, "one-time-purchase", id, &none)
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
                refund(&shop, "one-time-purchase", id, &none)
                    .refused(404, "ONE_TIME_PURCHASE_NOT_FOUND")
                    .await
            }
            _ => {
                refund(&shop, "subscription", id, &none)
                    .refused(404, "SUBSCRIPTION_INVOICE_NOT_FOUND")
                    .await
            }
        };
    }
    shop.advance(1);
    shop.buy(["custom", "acme"], "thing", "once", 2).await;
    let id = bought(&shop).await;
    for entries in [
        json!([entry(0, -1, "1")]),
        json!([entry(0, 1, "1"), entry(0, 1, "1")]),
        json!([entry(7, 1, "1")]),
        json!([entry(-1, 1, "1")]),
        json!([entry(1, 0, "1")]),
        json!([entry(0, 3, "1")]),
        json!([entry(0, 1, "6.01")]),
    ] {
        let call = refund(&shop, "one-time-purchase", &id, &entries);
        call.refused(400, "SCHEMA_ERROR").await;
    }
    // A subscription is no one-time purchase, nor the other way round.
    refund(&shop, "subscription", &id, &none)
        .refused(404, "SUBSCRIPTION_INVOICE_NOT_FOUND")
        .await;
    assert!(shop.stripe.asked_for("POST", "/v1/refunds").is_empty());
    // Stripe is away, then it refuses: nothing is noted, and it can be tried again.
    let all = json!([entry(0, 2, "6")]);
    shop.stripe.trouble("/v1/refunds", &[Trouble::Status(400)]);
    refund(&shop, "one-time-purchase", &id, &all)
        .refused_in_words(400)
        .await;
    // The answer is lost, the call is repeated, and the money goes back once.
    shop.stripe.trouble("/v1/refunds", &[Trouble::LostAnswer]);
    refund(&shop, "one-time-purchase", &id, &all)
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
    let paid = shop.stripe.event("payment_intent.succeeded", "pi_euros");
    shop.hear(&[paid]).await;
    let id = bought(&shop).await;
    refund(&shop, "one-time-purchase", &id, &all)
        .refused(400, "SCHEMA_ERROR")
        .await;
    assert!(shop.stripe.all("refund").is_empty());
}

#[tokio::test]
async fn what_does_not_fit_at_stripe_moves_no_money() {
    let shop = Shop::open().await;
    let ada = ["user", shop.ada.user_id.as_str()];
    shop.buy(ada, "gold", "monthly", 2).await;
    let (id, subscription) = (bought(&shop).await, shop.subscription());
    let all = json!([entry(0, 2, "40")]);
    let at_stripe = shop.stripe.object(&subscription);
    let mut items = at_stripe["items"].clone();
    items["data"][0]["quantity"] = json!(1);
    shop.stripe.change(&subscription, json!({"items": items}));
    refund(&shop, "subscription", &id, &all)
        .refused_in_words(500)
        .await;
    let whole = json!({"items": at_stripe["items"]});
    shop.stripe.change(&subscription, whole);
    let invoice = shop.stripe.all("invoice")[0].clone();
    let none = json!({"payments": {"object": "list", "data": []}});
    let name = invoice["id"].as_str().unwrap();
    shop.stripe.change(name, none);
    refund(&shop, "subscription", &id, &all)
        .refused_in_words(500)
        .await;
    assert!(shop.stripe.all("refund").is_empty());
    // Mended, it is made.
    shop.stripe
        .change(name, json!({"payments": invoice["payments"]}));
    refund(&shop, "subscription", &id, &all).expect(200).await;
    assert_eq!(shop.stripe.all("refund").len(), 1);
}

#[tokio::test]
async fn what_stripe_refuses_may_be_asked_for_otherwise() {
    let shop = Shop::open().await;
    let ada = ["user", shop.ada.user_id.as_str()];
    shop.buy(ada, "gold", "monthly", 2).await;
    let (id, subscription) = (bought(&shop).await, shop.subscription());
    shop.stripe
        .trouble("POST /v1/refunds", &[Trouble::Status(400)]);
    let all = json!([entry(0, 2, "40")]);
    refund(&shop, "subscription", &id, &all)
        .refused_in_words(400)
        .await;
    let at_stripe = shop.stripe.object(&subscription);
    assert_eq!(at_stripe["items"]["data"][0]["quantity"], 2);
    let half = json!([entry(0, 1, "20")]);
    refund(&shop, "subscription", &id, &half).expect(200).await;
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
    let ada = ["user", shop.ada.user_id.as_str()];
    shop.buy(ada, "gold", "monthly", 2).await;
    let (id, subscription) = (bought(&shop).await, shop.subscription());
    shop.stripe.cancel(&subscription);
    let ended = shop
        .stripe
        .event("customer.subscription.deleted", &subscription);
    shop.hear(&[ended]).await;
    assert_eq!(shop.products(ada).await, json!([["gold", 2, "one_time"]]));
    let all = json!([entry(0, 2, "40")]);
    refund(&shop, "subscription", &id, &all).expect(200).await;
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
    let id = bought(&shop).await;
    let calls = (1..6).map(|amount| {
        let entries = json!([entry(0, 1, &amount.to_string())]);
        refund(&shop, "one-time-purchase", &id, &entries).send()
    });
    let answers = futures_util::future::join_all(calls).await;
    let done = answers.iter().filter(|it| it.status == 200).count();
    assert_eq!(done, 1);
    assert_eq!(shop.stripe.all("refund").len(), 1);
}

#[tokio::test]
async fn transactions_of_one_instant_are_paged_across_their_sources() {
    let shop = Shop::open().await;
    let ada = ["user", shop.ada.user_id.as_str()];
    // The clock stands still: everything happens at once.
    shop.buy(ada, "gold", "monthly", 2).await;
    shop.buy(ada, "pack", "once", 1).await;
    shop.buy(["custom", "acme"], "thing", "once", 1).await;
    let subscription = shop.subscription();
    for _ in 0..2 {
        let renewed = shop.stripe.renew(&subscription);
        shop.hear(&renewed).await;
    }
    let path = format!(
        "/payments/items/user/{}/credits/update-quantity?allow_negative=true",
        ada[1]
    );
    for _ in 0..3 {
        let call = shop.server.server("POST", &path);
        call.body(json!({"delta": 1})).expect(200).await;
    }
    let path = "/internal/payments/transactions";
    let whole = shop.transactions().await;
    assert_eq!(whole.len(), 8);
    let times: Vec<_> = whole.iter().map(|it| &it["created_at_millis"]).collect();
    assert!(times.iter().all(|time| *time == times[0]));
    // Within an instant: by kind, then by id, downwards.
    let prefix = |it: &Value| match (it["type"].as_str(), &it["entries"][0]["subscription_id"]) {
        (Some("subscription-renewal"), _) => "sub-renewal:",
        (Some("manual-item-quantity-change"), _) => "miqc:",
        (_, Value::Null) => "otp:",
        _ => "sub-start:",
    };
    let key = |it: &Value| format!("{}{}", prefix(it), it["id"].as_str().unwrap());
    let mut sorted: Vec<String> = whole.iter().map(key).collect();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(whole.iter().map(key).collect::<Vec<_>>(), sorted);
    for size in [1, 2, 3, 7] {
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = format!("{path}?limit={size}{cursor}");
            let page = shop.server.admin("GET", &page).expect(200).await;
            let rows = page["transactions"].as_array().unwrap();
            assert!(rows.len() <= size);
            paged.extend(rows.clone());
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            assert_eq!(rows.len(), size);
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, whole, "{size} a page");
    }
    // What is no number is none, and too much or too little is as much as there may be.
    for (limit, count) in [("x", 8), ("0", 1), ("-3", 1), ("500", 8)] {
        let page = format!("{path}?limit={limit}");
        let page = shop.server.admin("GET", &page).expect(200).await;
        assert_eq!(page["transactions"].as_array().unwrap().len(), count);
    }
    let of_type = |name: &'static str| {
        let shop = &shop;
        async move {
            let page = format!("{path}?type={name}");
            let page = shop.server.admin("GET", &page).expect(200).await;
            page["transactions"].as_array().unwrap().clone()
        }
    };
    // The first invoice is no renewal.
    let renewals = of_type("subscription-renewal").await;
    assert_eq!(renewals.len(), 2);
    assert_eq!(
        renewals[0]["entries"][0]["charged_amount"],
        json!({"USD": "40"})
    );
    assert_eq!(of_type("purchase").await.len(), 3);
    for none in ["subscription-cancellation", "chargeback", "product-change"] {
        assert!(of_type(none).await.is_empty());
    }
    let customs = format!("{path}?customer_type=custom");
    let customs = shop.server.admin("GET", &customs).expect(200).await;
    assert_eq!(customs["transactions"].as_array().unwrap().len(), 1);
}
