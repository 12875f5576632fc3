//! Transactions across their sources.

use serde_json::{Value, json};

use crate::payments_products::{grant, start};
use crate::payments_test_mode::{code, try_out};
use crate::shop::Shop;

#[tokio::test]
async fn transactions_are_paged_across_their_sources() {
    let server = start().await;
    // All at one time, by the clock of the test.
    grant(&server, "base").expect(200).await;
    try_out(&server, &code(&server, "pack").await, "once")
        .expect(200)
        .await;
    for delta in [5, -2] {
        let path = "/payments/items/custom/acme/seats/update-quantity?allow_negative=true";
        let call = server.server("POST", path).body(json!({"delta": delta}));
        call.expect(200).await;
    }
    let read =
        |query: String| server.admin("GET", &format!("/internal/payments/transactions{query}"));
    let all = read(String::new()).expect(200).await;
    assert_eq!(all["next_cursor"], Value::Null);
    let all = all["transactions"].as_array().unwrap().clone();
    let types: Vec<&Value> = all.iter().map(|transaction| &transaction["type"]).collect();
    assert_eq!(
        types,
        [
            "purchase",
            "purchase",
            "manual-item-quantity-change",
            "manual-item-quantity-change"
        ]
    );
    let pack = &all[1];
    assert_eq!(pack["test_mode"], true);
    assert_eq!(pack["entries"][0]["type"], "product_grant");
    assert_eq!(pack["entries"][0]["price_id"], "once");
    assert_eq!(pack["entries"][1]["type"], "item_quantity_change");
    assert_eq!(pack["entries"][1]["quantity"], 2);
    assert_eq!(pack["adjusted_by"], json!([]));
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = read(format!("?limit=1&cursor={cursor}")).expect(200).await;
        paged.extend(page["transactions"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(paged, all);
    let purchases = read("?type=purchase".to_owned()).expect(200).await;
    assert_eq!(purchases["transactions"].as_array().unwrap().len(), 2);
    let none = read("?customer_type=user".to_owned()).expect(200).await;
    assert_eq!(none["transactions"], json!([]));
    read("?type=gift".to_owned())
        .refused(400, "SCHEMA_ERROR")
        .await;
    read("?cursor=x!".to_owned()).refused_in_words(400).await;
    let refund = |kind: &str, id: &Value| {
        let entries = json!([{"entry_index": 0, "quantity": 1, "amount_usd": "1"}]);
        let body = json!({"type": kind, "id": id, "refund_entries": entries});
        server
            .admin("POST", "/internal/payments/transactions/refund")
            .body(body)
    };
    let details = refund("subscription", &all[0]["id"])
        .refused(404, "SUBSCRIPTION_INVOICE_NOT_FOUND")
        .await;
    assert_eq!(details, json!({"subscription_invoice_id": all[0]["id"]}));
    refund("one-time-purchase", &pack["id"])
        .refused(400, "TEST_MODE_PURCHASE_NON_REFUNDABLE")
        .await;
    refund("one-time-purchase", &all[0]["id"])
        .refused(404, "ONE_TIME_PURCHASE_NOT_FOUND")
        .await;
}

#[tokio::test]
async fn transactions_of_one_instant_are_paged_across_their_sources() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    // The clock stands still: everything happens at once.
    shop.buy(ada, "gold", "monthly", 2).await;
    shop.buy(ada, "pack", "once", 1).await;
    shop.buy(["custom", "acme"], "thing", "once", 1).await;
    let subscription = shop.subscription();
    for _ in 0..2 {
        let renewed = shop.stripe.renew(&subscription);
        shop.hear(&renewed).await;
    }
    for _ in 0..3 {
        shop.change_item(ada, "credits", json!({"delta": 1})).await;
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
