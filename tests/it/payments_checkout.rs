//! From a purchase code to the secret that pays, and what it becomes.

use muniment::clients::stripe::{MOCK_KEY, StripeAccess};
use serde_json::{Value, json};

use crate::stripe_server::{StripeServer, Trouble, WEBHOOK_SECRET, signature};
use crate::support::{Call, DASHBOARD_URL, TestServer};

pub(crate) const CREATE: &str = "/payments/purchases/create-purchase-url";
pub(crate) const VALIDATE: &str = "/payments/purchases/validate-code";
pub(crate) const SESSION: &str = "/payments/purchases/purchase-session";
const ACME: &str = "/payments/products/custom/acme";

fn catalogue() -> Value {
    let monthly = |usd: &str| json!({"monthly": {"USD": usd, "interval": [1, "month"]}});
    json!({
        "payments.items.seats": {"customerType": "custom"},
        "payments.productLines.plans": {"displayName": "Plans"},
        "payments.products.base": {"customerType": "custom", "productLineId": "plans", "prices": monthly("9.99")},
        "payments.products.premium": {
            "displayName": "Premium", "customerType": "custom", "productLineId": "plans",
            "prices": {
                "monthly": {"USD": "19.9", "interval": [1, "month"]},
                "lifetime": {"USD": "499"},
                "euros": {"EUR": "18", "interval": [1, "month"]},
            },
        },
        "payments.products.boost": {
            "customerType": "custom", "isAddOnTo": {"base": true}, "prices": {"once": {"USD": "5"}},
        },
        "payments.products.pack": {
            "customerType": "custom", "stackable": true,
            "prices": {"once": {"USD": "1.05", "EUR": "1"}, "huge": {"USD": "99999999999999.99"}, "free": {"USD": "0"}},
            "includedItems": {"seats": {"quantity": 2, "expires": "never"}},
        },
        "payments.products.secret": {"customerType": "user", "serverOnly": true, "prices": {"once": {"USD": "1"}}},
        "payments.products.mine": {"customerType": "user", "prices": monthly("3")},
    })
}

pub(crate) async fn configured(server: &TestServer) {
    let body = json!({"config_override_string": catalogue().to_string()});
    let call = server.admin("PATCH", "/internal/config/override/branch");
    call.body(body).expect(200).await;
}

pub(crate) async fn start() -> (StripeServer, TestServer) {
    let stripe = StripeServer::open().await;
    let server = TestServer::start_charging(stripe.access()).await;
    stripe.set_now(server.clock.now().0 / 1000);
    configured(&server).await;
    server.set_up_payments().await;
    (stripe, server)
}

pub(crate) fn sell(server: &TestServer, product: &str) -> Call {
    let body = json!({"customer_type": "custom", "customer_id": "acme", "product_id": product});
    server.server("POST", CREATE).body(body)
}

pub(crate) async fn code(server: &TestServer, product: &str) -> String {
    let answer = sell(server, product).expect(200).await;
    let url = answer["url"].as_str().unwrap();
    url.strip_prefix(&format!("{DASHBOARD_URL}/purchase/"))
        .unwrap()
        .to_owned()
}

pub(crate) fn look(server: &TestServer, code: &str) -> Call {
    server
        .call("POST", VALIDATE)
        .body(json!({"full_code": code}))
}

pub(crate) fn pay(server: &TestServer, code: &str, price: &str) -> Call {
    let body = json!({"full_code": code, "price_id": price});
    server.call("POST", SESSION).body(body)
}

pub(crate) fn account(stripe: &StripeServer) -> String {
    stripe.all("account")[0]["id"].as_str().unwrap().to_owned()
}

/// Delivers what Stripe would tell of an object.
async fn tell(stripe: &StripeServer, server: &TestServer, kind: &str, id: &str) {
    let body = stripe.event(kind, id).to_string();
    let signed = signature(WEBHOOK_SECRET, &body, server.clock.now().0 / 1000);
    let call = server.call("POST", "/integrations/stripe/webhooks");
    let call = call.header("stripe-signature", &signed);
    call.raw("application/json", body).expect(200).await;
}

/// Buys a subscription that runs at Stripe. Yields its id there.
async fn subscribe(stripe: &StripeServer, server: &TestServer, product: &str) -> String {
    let sold = code(server, product).await;
    let answer = pay(server, &sold, "monthly").expect(200).await;
    stripe.pay(answer["client_secret"].as_str().unwrap());
    let bought = stripe.all("subscription").pop().unwrap();
    let id = bought["id"].as_str().unwrap();
    tell(stripe, server, "customer.subscription.updated", id).await;
    id.to_owned()
}

async fn owned(server: &TestServer) -> Vec<Value> {
    let list = server.server("GET", ACME).expect(200).await;
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].clone()).collect()
}

#[tokio::test]
async fn a_price_without_interval_is_paid_once() {
    let (stripe, server) = start().await;
    let sold = code(&server, "pack").await;
    let body = json!({"full_code": sold, "price_id": "once", "quantity": 3});
    let answer = server.call("POST", SESSION).body(body).expect(200).await;
    let intent = stripe.by_secret(answer["client_secret"].as_str().unwrap());
    assert_eq!(answer.as_object().unwrap().len(), 1);
    assert_eq!(
        (&intent["amount"], &intent["currency"]),
        (&json!(315), &json!("usd"))
    );
    assert_eq!(intent["customer"], stripe.all("customer")[0]["id"]);
    assert_eq!(
        intent["automatic_payment_methods"],
        json!({"enabled": "true"})
    );
    let version = intent["metadata"]["productVersionId"].as_str().unwrap();
    assert_eq!(version.len(), 44);
    let metadata = json!({
        "productId": "pack",
        "productVersionId": version,
        "customerId": "acme",
        "customerType": "custom",
        "purchaseQuantity": "3",
        "purchaseKind": "ONE_TIME",
        "tenancyId": server.project.id,
        "priceId": "once",
    });
    assert_eq!(intent["metadata"], metadata);
    assert!(
        owned(&server).await.is_empty(),
        "nothing is owned before it is paid"
    );
    server.assert_verified().await;
}

#[tokio::test]
async fn an_inline_product_is_sold_as_it_was_described() {
    let (stripe, server) = start().await;
    let body = json!({
        "customer_type": "custom", "customer_id": "acme",
        "product_inline": {
            "display_name": "Made up", "customer_type": "custom",
            "prices": {"once": {"USD": "7"}, "weekly": {"USD": "2", "interval": [2, "week"]}},
            "included_items": {},
        },
    });
    let fresh = || async {
        let call = server.server("POST", CREATE).body(body.clone());
        let url = call.expect(200).await["url"].as_str().unwrap().to_owned();
        url.rsplit_once('/').unwrap().1.to_owned()
    };
    let answer = pay(&server, &fresh().await, "once").expect(200).await;
    let intent = stripe.by_secret(answer["client_secret"].as_str().unwrap());
    assert_eq!(intent["metadata"]["productId"], "");
    pay(&server, &fresh().await, "weekly").expect(200).await;
    let subscription = &stripe.all("subscription")[0];
    assert_eq!(subscription["metadata"].get("productId"), None);
    assert_eq!(
        subscription["metadata"]["productVersionId"],
        intent["metadata"]["productVersionId"]
    );
    let price = &subscription["items"]["data"][0]["price"];
    assert_eq!(
        price["recurring"],
        json!({"interval": "week", "interval_count": 2})
    );
    assert_eq!(stripe.all("product")[0]["name"], "Made up");
}

#[tokio::test]
async fn a_price_with_interval_is_subscribed_to() {
    let (stripe, server) = start().await;
    let sold = code(&server, "premium").await;
    let answer = pay(&server, &sold, "monthly").expect(200).await;
    let subscription = &stripe.all("subscription")[0];
    let invoice = &stripe.all("invoice")[0];
    assert_eq!(
        answer["client_secret"],
        invoice["confirmation_secret"]["client_secret"]
    );
    assert_eq!(invoice["total"], 1990);
    assert_eq!(subscription["status"], "incomplete");
    let settings = json!({"save_default_payment_method": "on_subscription"});
    assert_eq!(subscription["payment_settings"], settings);
    assert_eq!(stripe.all("product")[0]["name"], "Premium");
    let metadata = &subscription["metadata"];
    assert_eq!(metadata["productId"], "premium");
    assert_eq!(metadata["priceId"], "monthly");
    assert_eq!(metadata.as_object().unwrap().len(), 3);
    let asked = stripe.asked_for("POST", "/v1/subscriptions").pop().unwrap();
    assert_eq!(asked.params["payment_behavior"], "default_incomplete");
    assert_eq!(asked.account, Some(account(&stripe)));
    assert!(owned(&server).await.is_empty());
    let id = subscription["id"].as_str().unwrap();
    tell(&stripe, &server, "customer.subscription.created", id).await;
    assert!(owned(&server).await.is_empty(), "it is not paid yet");
}

#[tokio::test]
async fn a_running_subscription_at_stripe_becomes_the_other_one() {
    let (stripe, server) = start().await;
    let running = subscribe(&stripe, &server, "base").await;
    assert_eq!(owned(&server).await, ["base"]);
    let item = stripe.object(&running)["items"]["data"][0]["id"].clone();
    let answer = pay(&server, &code(&server, "premium").await, "monthly")
        .expect(200)
        .await;
    assert_eq!(stripe.all("subscription").len(), 1);
    let subscription = stripe.object(&running);
    assert_eq!(subscription["items"]["data"][0]["id"], item);
    assert_eq!(
        subscription["items"]["data"][0]["price"]["unit_amount"],
        1990
    );
    assert_eq!(subscription["metadata"]["productId"], "premium");
    let newest = stripe.object(subscription["latest_invoice"].as_str().unwrap());
    assert_eq!(
        answer["client_secret"],
        newest["confirmation_secret"]["client_secret"]
    );
    let asked = stripe
        .asked_for("POST", &format!("/v1/subscriptions/{running}"))
        .pop()
        .unwrap();
    assert_eq!(asked.params["payment_behavior"], "default_incomplete");
    assert_eq!(
        asked.params["payment_settings"]["save_default_payment_method"],
        "on_subscription"
    );
    tell(&stripe, &server, "customer.subscription.updated", &running).await;
    assert_eq!(owned(&server).await, ["premium"]);
    server.assert_verified().await;
}

#[tokio::test]
async fn a_subscription_that_ended_at_stripe_alone_is_not_revived() {
    let (stripe, server) = start().await;
    let running = subscribe(&stripe, &server, "base").await;
    // Ended at Stripe, and no webhook has come yet.
    stripe.cancel(&running);
    pay(&server, &code(&server, "premium").await, "monthly")
        .expect(200)
        .await;
    let all = stripe.all("subscription");
    assert_eq!(all.len(), 2);
    assert_eq!(all[1]["metadata"]["productId"], "premium");
    pay(&server, &code(&server, "premium").await, "lifetime")
        .expect(200)
        .await;
    stripe.change(&running, json!({"object": "lost"}));
    pay(&server, &code(&server, "premium").await, "monthly")
        .expect(200)
        .await;
    pay(&server, &code(&server, "premium").await, "lifetime")
        .expect(200)
        .await;
}

#[tokio::test]
async fn a_one_time_price_ends_the_subscription_at_stripe() {
    let (stripe, server) = start().await;
    let running = subscribe(&stripe, &server, "base").await;
    let sold = code(&server, "premium").await;
    // Without a payment, nothing gives way.
    stripe.trouble("/v1/payment_intents", &vec![Trouble::Status(500); 4]);
    pay(&server, &sold, "lifetime").refused_in_words(503).await;
    assert_eq!(stripe.object(&running)["status"], "active");
    let answer = pay(&server, &sold, "lifetime").expect(200).await;
    let intent = stripe.by_secret(answer["client_secret"].as_str().unwrap());
    assert_eq!(intent["amount"], 49_900);
    assert_eq!(stripe.object(&running)["status"], "canceled");
}

#[tokio::test]
async fn a_local_subscription_ends_when_stripe_has_agreed() {
    let (stripe, server) = start().await;
    let granted = server
        .server("POST", ACME)
        .body(json!({"product_id": "base"}));
    granted.expect(200).await;
    let sold = code(&server, "premium").await;
    stripe.trouble("/v1/subscriptions", &vec![Trouble::Status(500); 4]);
    pay(&server, &sold, "monthly").refused_in_words(503).await;
    assert_eq!(owned(&server).await, ["base"]);
    pay(&server, &sold, "monthly").expect(200).await;
    assert!(owned(&server).await.is_empty());
    assert_eq!(stripe.all("subscription").len(), 1);
    // Also for a price that is paid once.
    server
        .server("POST", ACME)
        .body(json!({"product_id": "base"}))
        .expect(200)
        .await;
    pay(&server, &code(&server, "premium").await, "lifetime")
        .expect(200)
        .await;
    assert!(owned(&server).await.is_empty());
    server.assert_verified().await;
}

#[tokio::test]
async fn a_session_is_refused_in_the_contracts_order() {
    let (stripe, server) = start().await;
    let sold = code(&server, "premium").await;
    let before = stripe.asked().len();
    let ask = |body: Value| server.call("POST", SESSION).body(body);
    for bad in [
        json!({"full_code": sold}),
        json!({"price_id": "monthly"}),
        json!({"full_code": sold, "price_id": "monthly", "quantity": 0}),
        json!({"full_code": sold, "price_id": "monthly", "quantity": 1.5}),
    ] {
        ask(bad).refused(400, "SCHEMA_ERROR").await;
    }
    server
        .override_settings(json!({"payments.blockNewPurchases": true}))
        .await;
    pay(&server, "x", "monthly")
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    pay(&server, &sold, "nothing")
        .refused(403, "NEW_PURCHASES_BLOCKED")
        .await;
    server
        .override_settings(json!({"payments.blockNewPurchases": false}))
        .await;
    pay(&server, &sold, "nothing").refused_in_words(400).await;
    let twice = json!({"full_code": sold, "price_id": "monthly", "quantity": 2});
    ask(twice).refused_in_words(400).await;
    pay(&server, &sold, "euros").refused_in_words(400).await;
    let pack = code(&server, "pack").await;
    let many = json!({"full_code": pack, "price_id": "huge", "quantity": 2_000_000_000});
    ask(many).refused_in_words(400).await;
    let boost = code(&server, "boost").await;
    pay(&server, &boost, "once").refused_in_words(400).await;
    server
        .server("POST", ACME)
        .body(json!({"product_id": "premium"}))
        .expect(200)
        .await;
    let details = pay(&server, &sold, "monthly")
        .refused(400, "PRODUCT_ALREADY_GRANTED")
        .await;
    assert_eq!(
        details,
        json!({"product_id": "premium", "customer_id": "acme"})
    );
    // Stripe was asked for nothing but the links.
    let asked = &stripe.asked()[before..];
    let is_read = |path: &str| path.starts_with("/v1/accounts/") || path == "/v1/customers/search";
    assert!(asked.iter().all(|it| is_read(&it.path)), "{asked:?}");
    // What Stripe itself refuses is told, and the code is still good.
    let answer = pay(&server, &pack, "free").send().await;
    assert_eq!(answer.status.as_u16(), 400);
    assert!(
        answer.text.contains("Amount must be at least"),
        "{}",
        answer.text
    );
    look(&server, &pack).expect(200).await;
    pay(&server, &pack, "once").expect(200).await;
}

#[tokio::test]
async fn a_session_whose_answer_was_lost_is_one_payment() {
    let (mut stripe, server) = start().await;
    let sold = code(&server, "pack").await;
    stripe.trouble("/v1/payment_intents", &vec![Trouble::LostAnswer; 4]);
    pay(&server, &sold, "once").refused_in_words(503).await;
    stripe.break_down().await;
    pay(&server, &sold, "once").refused_in_words(503).await;
    stripe.recover().await;
    let answer = pay(&server, &sold, "once").expect(200).await;
    let intents = stripe.all("payment_intent");
    assert_eq!(intents.len(), 1);
    assert_eq!(answer["client_secret"], intents[0]["client_secret"]);
    // A link that Stripe did not help to make is none.
    stripe.break_down().await;
    sell(&server, "pack").refused_in_words(503).await;
}

#[tokio::test]
async fn without_a_secret_nobody_can_pay() {
    let (stripe, server) = start().await;
    let sold = code(&server, "premium").await;
    let item = json!({"id": "si_1", "quantity": 1});
    let bare = json!({
        "id": "sub_1", "status": "incomplete", "latest_invoice": "in_1",
        "items": {"data": [item]},
    });
    let mut older = bare.clone();
    older["latest_invoice"] =
        json!({"id": "in_1", "payment_intent": {"id": "pi_1", "client_secret": ""}});
    for (path, price, object) in [
        ("/v1/payment_intents", "lifetime", json!({"id": "pi_1"})),
        ("/v1/subscriptions", "monthly", bare),
    ] {
        stripe.trouble(path, &[Trouble::Answer(object)]);
        pay(&server, &sold, price).refused_in_words(500).await;
    }
    // An empty one is one, and older versions of Stripe keep it with the payment.
    stripe.trouble("/v1/subscriptions", &[Trouble::Answer(older)]);
    let answer = pay(&server, &sold, "monthly").expect(200).await;
    assert_eq!(answer, json!({"client_secret": ""}));
}

#[tokio::test]
async fn in_mock_mode_everything_can_be_tried() {
    let server = TestServer::start_charging(StripeAccess::with_key(MOCK_KEY)).await;
    configured(&server).await;
    sell(&server, "pack").refused_in_words(400).await;
    server.set_up_payments().await;
    let sold = code(&server, "pack").await;
    let shown = look(&server, &sold).expect(200).await;
    assert_eq!(shown["charges_enabled"], true);
    let answer = pay(&server, &sold, "once").expect(200).await;
    assert!(
        answer["client_secret"]
            .as_str()
            .unwrap()
            .contains("_secret_")
    );
    let answer = pay(&server, &code(&server, "premium").await, "monthly")
        .expect(200)
        .await;
    assert!(
        answer["client_secret"]
            .as_str()
            .unwrap()
            .contains("_secret_")
    );
}
