//! Purchases in test mode, and purchases that are blocked.

use serde_json::{Value, json};

use crate::payments_products::{grant, seats, start};
use crate::support::{Call, TestServer};

const DAY: i64 = 86_400_000;

fn sell(server: &TestServer, product: &str) -> Call {
    let body = json!({"customer_type": "custom", "customer_id": "acme", "product_id": product});
    server
        .server("POST", "/payments/purchases/create-purchase-url")
        .body(body)
}

pub(crate) async fn code(server: &TestServer, product: &str) -> String {
    let answer = sell(server, product).expect(200).await;
    let url = answer["url"].as_str().unwrap();
    url.rsplit_once('/').unwrap().1.to_owned()
}

pub(crate) fn try_out(server: &TestServer, code: &str, price: &str) -> Call {
    let path = "/internal/payments/test-mode-purchase-session";
    server
        .call("POST", path)
        .body(json!({"full_code": code, "price_id": price}))
}

#[tokio::test]
async fn a_purchase_in_test_mode() {
    let server = start().await;
    let bought = code(&server, "premium").await;
    let (project, secret) = bought.split_once('_').unwrap();
    assert_eq!((project, secret.len()), (server.project.id.as_str(), 45));
    let look = |code: &str| {
        let call = server.call("POST", "/payments/purchases/validate-code");
        call.body(json!({"full_code": code}))
    };
    let shown = look(&bought).expect(200).await;
    assert_eq!(shown["product"]["display_name"], "Premium");
    assert_eq!(shown["project_id"], server.project.id);
    assert_eq!(shown["test_mode"], true);
    assert_eq!(shown["already_bought_non_stackable"], false);
    assert_eq!(shown["conflicting_products"], json!([]));
    grant(&server, "base").expect(200).await;
    let conflicts = look(&bought).expect(200).await["conflicting_products"].clone();
    assert_eq!(
        conflicts,
        json!([{"product_id": "base", "display_name": "base"}])
    );
    try_out(&server, &bought, "yearly")
        .refused_in_words(400)
        .await;
    try_out(&server, &bought, "monthly").expect(200).await;
    try_out(&server, &bought, "monthly")
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    look(&bought)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    assert_eq!(seats(&server).await, 3);
    sell(&server, "premium")
        .refused(400, "PRODUCT_ALREADY_GRANTED")
        .await;
    for bad in ["", "x", "nowhere_x", &format!("{project}_x")] {
        look(bad).refused(404, "VERIFICATION_CODE_NOT_FOUND").await;
    }
    let valid = |code: &str| {
        server.call(
            "GET",
            &format!("/payments/purchases/validate-code?full_code={code}"),
        )
    };
    assert_eq!(
        valid(&format!("{project}_x")).expect(200).await,
        json!({"valid": true})
    );
    valid("nowhere_x")
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let late = code(&server, "pack").await;
    server.clock.advance(DAY);
    look(&late)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn a_purchase_in_test_mode_is_checked_as_any_other() {
    let server = start().await;
    let sold = code(&server, "premium").await;
    let path = "/internal/payments/test-mode-purchase-session";
    let ask = |body: Value| server.call("POST", path).body(body);
    for bad in [
        json!({"full_code": sold}),
        json!({"full_code": sold, "price_id": "monthly", "quantity": 0}),
    ] {
        ask(bad).refused(400, "SCHEMA_ERROR").await;
    }
    let twice = json!({"full_code": sold, "price_id": "monthly", "quantity": 2});
    ask(twice).refused_in_words(400).await;
    let boost = code(&server, "boost").await;
    try_out(&server, &boost, "once").refused_in_words(400).await;
    grant(&server, "premium").expect(200).await;
    let details = try_out(&server, &sold, "monthly")
        .refused(400, "PRODUCT_ALREADY_GRANTED")
        .await;
    let expected = json!({"product_id": "premium", "customer_id": "acme"});
    assert_eq!(details, expected);
    // What was bought for good stands in the way of a plan.
    let base = code(&server, "base").await;
    grant(&server, "forever").expect(200).await;
    try_out(&server, &base, "monthly")
        .refused_in_words(400)
        .await;
    // After all that, the code is still good.
    let pack = code(&server, "pack").await;
    let several = json!({"full_code": pack, "price_id": "once", "quantity": 3});
    ask(several).expect(200).await;
    assert_eq!(seats(&server).await, 6);
}

#[tokio::test]
async fn purchases_can_be_blocked_and_test_mode_left() {
    let server = start().await;
    let sold = code(&server, "pack").await;
    server
        .override_settings(json!({"payments.blockNewPurchases": true}))
        .await;
    sell(&server, "pack")
        .refused(403, "NEW_PURCHASES_BLOCKED")
        .await;
    try_out(&server, &sold, "once")
        .refused(403, "NEW_PURCHASES_BLOCKED")
        .await;
    grant(&server, "pack").expect(200).await;
    let off = json!({"payments.blockNewPurchases": false, "payments.testMode": false});
    server.override_settings(off).await;
    try_out(&server, &sold, "once").refused_in_words(403).await;
    let url = json!({
        "customer_type": "custom", "customer_id": "acme", "offer_id": "pack",
        "return_url": "https://evil.example",
    });
    let call = server.server("POST", "/payments/purchases/create-purchase-url");
    call.body(url)
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
}
