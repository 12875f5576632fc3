//! Contract 06 §5: what a customer owns, grants without payment, and cancelling.

use muniment::clients::stripe::{MOCK_KEY, StripeAccess};
use muniment_projections::maintenance::replay::replay;
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::support::{Call, TestServer, unique_email};

const DAY: i64 = 86_400_000;

pub(crate) async fn start() -> TestServer {
    let server = TestServer::start_charging(StripeAccess::with_key(MOCK_KEY)).await;
    server.set_up_payments().await;
    let monthly = json!({"monthly": {"USD": "9.99", "interval": [1, "month"]}});
    let seats = |quantity: i64| json!({"seats": {"quantity": quantity, "expires": "when-purchase-expires"}});
    let settings = json!({
        "payments.items.seats": {"customerType": "custom"},
        "payments.productLines.plans": {"displayName": "Plans"},
        "payments.products.base": {
            "customerType": "custom", "productLineId": "plans", "prices": monthly, "includedItems": seats(2),
        },
        "payments.products.premium": {
            "displayName": "Premium", "customerType": "custom", "productLineId": "plans",
            "prices": monthly, "includedItems": seats(3),
        },
        "payments.products.forever": {
            "customerType": "custom", "productLineId": "plans", "prices": {"once": {"USD": "99"}},
        },
        "payments.products.boost": {
            "customerType": "custom", "isAddOnTo": {"base": true}, "prices": {"once": {"USD": "5"}},
        },
        "payments.products.pack": {
            "customerType": "custom", "stackable": true, "prices": {"once": {"USD": "1.50", "EUR": "1.40"}},
            "includedItems": {"seats": {"quantity": 2, "expires": "never"}},
        },
        "payments.products.secret": {"customerType": "user", "serverOnly": true, "prices": {"once": {"USD": "1"}}},
        "payments.products.mine": {"customerType": "user", "prices": monthly},
        "payments.products.free": {"customerType": "custom", "prices": "include-by-default"},
    });
    let call = server.admin("PATCH", "/internal/config/override/branch");
    let body = json!({"config_override_string": settings.to_string()});
    call.body(body).expect(200).await;
    server
}

const ACME: &str = "/payments/products/custom/acme";

pub(crate) fn grant(server: &TestServer, product: &str) -> Call {
    let body = json!({"product_id": product});
    server.server("POST", ACME).body(body)
}

pub(crate) async fn list(server: &TestServer) -> Value {
    server.server("GET", ACME).expect(200).await
}

pub(crate) async fn seats(server: &TestServer) -> Value {
    let call = server.server("GET", "/payments/items/custom/acme/seats");
    call.expect(200).await["quantity"].clone()
}

#[tokio::test]
async fn a_subscription_is_granted_listed_and_cancelled() {
    let server = start().await;
    let granted = grant(&server, "base").expect(200).await;
    let id = granted["subscription_id"].as_str().unwrap();
    assert_eq!(granted["success"], true);
    assert_eq!(seats(&server).await, 2);
    let listed = list(&server).await;
    assert_eq!(listed["pagination"], json!({"next_cursor": null}));
    let shown = &listed["items"][0];
    assert_eq!(shown["id"], "base");
    assert_eq!(shown["quantity"], 1);
    assert_eq!(shown["type"], "subscription");
    assert_eq!(shown["subscription"]["subscription_id"], id);
    assert_eq!(shown["subscription"]["is_cancelable"], true);
    let product = &shown["product"];
    assert_eq!(product["display_name"], "base");
    assert_eq!(
        product["prices"],
        json!({"monthly": {"USD": "9.99", "interval": [1, "month"]}})
    );
    assert_eq!(
        product["included_items"],
        json!({"seats": {"quantity": 2, "repeat": "never", "expires": "when-purchase-expires"}})
    );
    let options = shown["switch_options"].as_array().unwrap();
    let options: Vec<&Value> = options.iter().map(|option| &option["product_id"]).collect();
    assert_eq!(options, ["premium"]);
    let details = grant(&server, "base")
        .refused(400, "PRODUCT_ALREADY_GRANTED")
        .await;
    assert_eq!(
        details,
        json!({"product_id": "base", "customer_id": "acme"})
    );
    let cancel = || server.server("DELETE", &format!("{ACME}/base"));
    cancel().expect(200).await;
    // It is paid until the end of the period.
    let shown = &list(&server).await["items"][0];
    assert_eq!(
        (&shown["type"], &shown["subscription"]),
        (&json!("one_time"), &Value::Null)
    );
    assert_eq!(seats(&server).await, 2);
    cancel().refused_in_words(400).await;
    server.clock.advance(31 * DAY);
    assert_eq!(list(&server).await["items"], json!([]));
    assert_eq!(seats(&server).await, 0);
    cancel().refused_in_words(400).await;
    server.assert_verified().await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
}

#[tokio::test]
async fn products_of_a_line_replace_each_other() {
    let server = start().await;
    grant(&server, "base").expect(200).await;
    grant(&server, "premium").expect(200).await;
    let listed = list(&server).await;
    let ids: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert_eq!(ids, ["premium"]);
    assert_eq!(seats(&server).await, 3);
    grant(&server, "forever").expect(200).await;
    // What was bought for good stands in the way.
    grant(&server, "base").refused_in_words(400).await;
    server.assert_verified().await;
}

#[tokio::test]
async fn add_ons_stacks_and_free_products() {
    let server = start().await;
    grant(&server, "boost").refused_in_words(400).await;
    grant(&server, "base").expect(200).await;
    let granted = grant(&server, "boost").expect(200).await;
    assert_eq!(granted, json!({"success": true}));
    let call = |product: &str, quantity: i64| {
        let body = json!({"product_id": product, "quantity": quantity});
        server.server("POST", ACME).body(body)
    };
    call("pack", 3).expect(200).await;
    call("pack", 1).expect(200).await;
    assert_eq!(seats(&server).await, 2 + 8);
    call("premium", 2).refused_in_words(400).await;
    call("pack", 0).refused(400, "SCHEMA_ERROR").await;
    // It has no price, so nothing is stored.
    call("free", 1).expect(200).await;
    let listed = list(&server).await;
    let owned = listed["items"].as_array().unwrap().iter();
    let owned: Vec<(&Value, &Value)> = owned.map(|it| (&it["id"], &it["quantity"])).collect();
    let expected = [("base", 1), ("boost", 1), ("pack", 4)].map(|(id, n)| (json!(id), json!(n)));
    let expected: Vec<(&Value, &Value)> = expected.iter().map(|(id, n)| (id, n)).collect();
    assert_eq!(owned, expected);
    let page = server
        .server("GET", &format!("{ACME}?limit=2"))
        .expect(200)
        .await;
    assert_eq!(page["pagination"]["next_cursor"], "pack");
    let rest = server
        .server("GET", &format!("{ACME}?limit=2&cursor=pack"))
        .expect(200)
        .await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    server
        .server("GET", &format!("{ACME}?cursor=x"))
        .refused_in_words(400)
        .await;
    for limit in ["0", "101", "x"] {
        let call = server.server("GET", &format!("{ACME}?limit={limit}"));
        call.refused(400, "SCHEMA_ERROR").await;
    }
}

#[tokio::test]
async fn products_are_named_or_described() {
    let server = start().await;
    let post = |body: Value| server.server("POST", ACME).body(body);
    let inline = json!({
        "display_name": "Deal", "customer_type": "custom", "stackable": true,
        "prices": {"once": {"USD": "3"}}, "included_items": {"seats": {"quantity": 0.5}},
        "server_metadata": {"deal": 7},
    });
    post(json!({})).refused_in_words(400).await;
    post(json!({"product_id": ""})).refused_in_words(400).await;
    post(json!({"product_id": "base", "product_inline": inline}))
        .refused_in_words(400)
        .await;
    let details = post(json!({"product_id": "nothing"}))
        .refused(400, "PRODUCT_DOES_NOT_EXIST")
        .await;
    assert_eq!(details, json!({"product_id": "nothing", "context": null}));
    let details = post(json!({"product_id": "seats"}))
        .refused(400, "PRODUCT_DOES_NOT_EXIST")
        .await;
    assert_eq!(details["context"], "item_exists");
    let details = post(json!({"product_id": "mine"}))
        .refused(400, "PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH")
        .await;
    let expected = json!({
        "product_id": "mine", "customer_id": "acme",
        "product_customer_type": "user", "actual_customer_type": "custom",
    });
    assert_eq!(details, expected);
    for bad in [
        json!({"product_inline": {"display_name": "x"}}),
        json!({"product_inline": {"display_name": "x", "customer_type": "custom", "prices": {"a": {}}, "included_items": {}}}),
        json!({"product_inline": {"display_name": "x", "customer_type": "custom", "prices": {"a": {"USD": "01"}}, "included_items": {}}}),
        json!({"product_inline": {"display_name": "x", "customer_type": "custom", "prices": {"a": {"CHF": "1"}}, "included_items": {}}}),
        json!({"product_inline": {"display_name": "x", "customer_type": "custom", "prices": {}, "included_items": {}, "more": 1}}),
    ] {
        post(bad).refused(400, "SCHEMA_ERROR").await;
    }
    post(json!({"product_inline": inline})).expect(200).await;
    post(json!({"product_inline": inline})).expect(200).await;
    // All of them count as one product, and are never stackable.
    let shown = list(&server).await["items"][0].clone();
    assert_eq!(shown["id"], Value::Null);
    assert_eq!(shown["quantity"], 2);
    assert_eq!(shown["product"]["stackable"], false);
    assert_eq!(shown["product"]["server_metadata"], json!({"deal": 7}));
    assert_eq!(
        shown["product"]["included_items"]["seats"]["expires"],
        "never"
    );
    assert_eq!(seats(&server).await, 1);
}

#[tokio::test]
async fn what_cannot_be_granted_or_cancelled() {
    let server = start().await;
    let inline = json!({
        "display_name": "Deal", "customer_type": "user",
        "prices": {"once": {"USD": "3"}}, "included_items": {},
    });
    let call = server.server("POST", ACME);
    let details = call
        .body(json!({"product_inline": inline}))
        .refused(400, "PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH")
        .await;
    assert_eq!(details["product_id"], Value::Null);
    let cancel = |product: &str| server.server("DELETE", &format!("{ACME}/{product}"));
    for (product, context) in [("nothing", Value::Null), ("seats", json!("item_exists"))] {
        let details = cancel(product).refused(400, "PRODUCT_DOES_NOT_EXIST").await;
        assert_eq!(details, json!({"product_id": product, "context": context}));
    }
    cancel("mine")
        .refused(400, "PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH")
        .await;
    // Not owned, and owned for good.
    cancel("base").refused_in_words(400).await;
    grant(&server, "pack").expect(200).await;
    cancel("pack").refused_in_words(400).await;
    let by_id = |id: &str| cancel(&format!("-?subscription_id={id}"));
    by_id("x").refused_in_words(400).await;
    // That of somebody else, and one that was cancelled already.
    let granted = server.server("POST", "/payments/products/custom/zenith");
    let granted = granted
        .body(json!({"product_id": "base"}))
        .expect(200)
        .await;
    let id = granted["subscription_id"].as_str().unwrap();
    by_id(id).refused_in_words(400).await;
    let own = |id: &str| {
        let path = format!("/payments/products/custom/zenith/-?subscription_id={id}");
        server.server("DELETE", &path)
    };
    own(id).expect(200).await;
    own(id).refused_in_words(400).await;
}

#[tokio::test]
async fn all_subscriptions_of_a_product_are_cancelled_together() {
    let server = start().await;
    let stacked = json!({"payments.products.stacked": {
        "customerType": "custom", "stackable": true,
        "prices": {"monthly": {"USD": "2", "interval": [1, "month"]}},
    }});
    server.override_settings(stacked).await;
    for _ in 0..3 {
        grant(&server, "stacked").expect(200).await;
    }
    let shown = &list(&server).await["items"][0];
    assert_eq!(
        (&shown["quantity"], &shown["type"]),
        (&json!(3), &json!("subscription"))
    );
    // Without a product line there is nothing to switch to, not even an empty list.
    assert_eq!(shown.get("switch_options"), None);
    let cancel = server.server("DELETE", &format!("{ACME}/stacked"));
    cancel.expect(200).await;
    let shown = &list(&server).await["items"][0];
    assert_eq!(
        (&shown["quantity"], &shown["type"]),
        (&json!(3), &json!("one_time"))
    );
    server.clock.advance(31 * DAY);
    assert_eq!(list(&server).await["items"], json!([]));
}

#[tokio::test]
async fn what_is_switched_to_comes_round() {
    let shop = Shop::open().await;
    let hidden = json!({"payments.products.hidden": {
        "customerType": "user", "productLineId": "plans", "serverOnly": true,
        "prices": {"monthly": {"USD": "2", "interval": [1, "month"]}},
    }});
    shop.server.override_settings(hidden).await;
    let path = format!("/payments/products/user/{}", shop.ada.user_id);
    let grant = shop.server.server("POST", &path);
    grant
        .body(json!({"product_id": "silver"}))
        .expect(200)
        .await;
    let client = shop.server.client("GET", &path).user(&shop.ada);
    let server = shop.server.server("GET", &path);
    for (call, expected) in [(client, vec!["gold"]), (server, vec!["gold", "hidden"])] {
        let listed = call.expect(200).await;
        let options = listed["items"][0]["switch_options"].as_array().unwrap();
        let ids: Vec<&Value> = options.iter().map(|it| &it["product_id"]).collect();
        assert_eq!(ids, expected);
        // What is paid once is no price of a plan.
        let prices = options[0]["product"]["prices"].as_object().unwrap();
        let prices: Vec<&String> = prices.keys().collect();
        assert_eq!(prices, ["monthly", "monthly-euros", "yearly"]);
    }
}

#[tokio::test]
async fn products_are_listed_as_people_sort_them() {
    let server = start().await;
    let pack = json!({"customerType": "custom", "prices": {"once": {"USD": "1"}}});
    let names = ["b", "_a", "B", "a-1", "A2", "a"];
    let products: Value = names
        .iter()
        .map(|name| (format!("payments.products.{name}"), pack.clone()))
        .collect();
    server.override_settings(products).await;
    for name in names {
        grant(&server, name).expect(200).await;
    }
    let inline = json!({
        "display_name": "Deal", "customer_type": "custom",
        "prices": {"once": {"USD": "3"}}, "included_items": {},
    });
    let call = server.server("POST", ACME);
    call.body(json!({"product_inline": inline}))
        .expect(200)
        .await;
    let listed = list(&server).await;
    let ids = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"]);
    // Capitals are compared, and of two that are the same then, the small one comes first.
    let expected = json!(["a", "a-1", "A2", "b", "B", "_a", null]);
    assert_eq!(
        ids.collect::<Vec<_>>(),
        expected.as_array().unwrap().iter().collect::<Vec<_>>()
    );
    let from = server.server("GET", &format!("{ACME}?cursor=__null__"));
    assert_eq!(from.expect(200).await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn clients_see_and_cancel_their_own() {
    let server = start().await;
    let user = server.sign_up(&unique_email()).await;
    let other = server.sign_up(&unique_email()).await;
    let path = format!("/payments/products/user/{}", user.user_id);
    for product in ["secret", "mine"] {
        let call = server
            .server("POST", &path)
            .body(json!({"product_id": product}));
        call.expect(200).await;
    }
    let mine = server.client("GET", &path).user(&user).expect(200).await;
    assert_eq!(mine["items"].as_array().unwrap().len(), 1);
    server
        .client("GET", &path)
        .user(&other)
        .refused_in_words(403)
        .await;
    server
        .client("POST", &path)
        .user(&user)
        .refused(401, "INSUFFICIENT_ACCESS_TYPE")
        .await;
    let cancel = |product: &str| {
        server
            .client("DELETE", &format!("{path}/{product}"))
            .user(&user)
    };
    let details = cancel("secret")
        .refused(400, "PRODUCT_DOES_NOT_EXIST")
        .await;
    assert_eq!(details["context"], "server_only");
    let id = mine["items"][0]["subscription"]["subscription_id"]
        .as_str()
        .unwrap();
    cancel(&format!("any?subscription_id={user}", user = user.user_id))
        .refused_in_words(400)
        .await;
    cancel(&format!("any?subscription_id={id}"))
        .expect(200)
        .await;
    cancel("mine").refused_in_words(400).await;
    let switch = json!({"from_product_id": "mine", "to_product_id": "mine"});
    let call = server.client("POST", &format!("{path}/switch")).user(&user);
    call.body(switch).refused_in_words(400).await;
}
