//! What customers own, what it cost, and purchases that are refused.

use muniment::clients::stripe::{MOCK_KEY, StripeAccess};
use muniment::server::Follow;
use serde_json::json;

use super::Scene;
use crate::support::{TestServer, database};

const ACME: &str = "/payments/products/custom/acme";

/// A project that sells to the customer `acme`, who has some of it.
async fn shop() -> Scene {
    let stripe = StripeAccess::with_key(MOCK_KEY);
    let url = database().await;
    let server = TestServer::start_charging_on(&url, Follow::Nothing, stripe).await;
    let scene = Scene::on(server);
    let server = &scene.server;
    server.set_up_payments().await;
    let goods = json!({
        "payments.items.seats": {"customerType": "custom", "displayName": "Seats"},
        "payments.productLines.plans": {"displayName": "Plans"},
        "payments.products.base": {
            "displayName": "Base", "customerType": "custom", "productLineId": "plans",
            "prices": {"monthly": {"USD": "9.99", "interval": [1, "month"]}},
            "includedItems": {"seats": {"quantity": 2, "expires": "when-purchase-expires"}},
        },
        "payments.products.pack": {
            "customerType": "custom", "stackable": true,
            "prices": {"once": {"USD": "1.50", "EUR": "1.40"}},
        },
    });
    let stock = server.admin("PATCH", "/internal/config/override/branch");
    let goods = json!({"config_override_string": goods.to_string()});
    stock.body(goods).expect(200).await;
    scene
}

#[tokio::test]
async fn what_customers_own() {
    let scene = shop().await;
    let server = &scene.server;
    let grant = server.server("POST", ACME);
    let grant = grant.body(json!({"product_id": "base"}));
    scene.shows("product_granted", grant).await;
    server.clock.advance(1000);
    let change = "/payments/items/custom/acme/seats/update-quantity?allow_negative=true";
    let change = server.server("POST", change).body(json!({
        "delta": -1, "description": "one broke", "expires_at": "2050-01-01T00:00:00Z",
    }));
    scene.shows("item_changed", change).await;
    let item = |name: &str| server.server("GET", &format!("/payments/items/custom/acme/{name}"));
    scene.shows("item", item("seats")).await;
    scene.shows("item_not_found", item("chairs")).await;
    scene.shows("products", server.server("GET", ACME)).await;
    let all = server.admin("GET", "/internal/payments/transactions");
    scene.shows("transactions", all).await;
}

#[tokio::test]
async fn purchases_that_are_refused() {
    let scene = shop().await;
    let server = &scene.server;
    let buy = |product: &str, kind: &str| {
        let call = server.server("POST", "/payments/purchases/create-purchase-url");
        call.body(json!({"customer_type": kind, "customer_id": "acme", "product_id": product}))
    };
    scene.shows("purchase_link", buy("base", "custom")).await;
    let nothing = buy("nothing", "custom");
    scene.shows("purchase_of_nothing", nothing).await;
    let wrong = buy("base", "team");
    scene.shows("purchase_by_the_wrong_customer", wrong).await;
    let code = json!({"full_code": "0_0"});
    let code = server
        .call("POST", "/payments/purchases/validate-code")
        .body(code);
    scene.shows("purchase_code_unknown", code).await;
}
