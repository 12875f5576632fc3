//! From a checkout link to the secret that pays (contract 06 §6.1–§6.4, §8.3).

use futures_util::future::join_all;
use muniment::stripe::{MOCK_KEY, StripeAccess};
use serde_json::{Value, json};

use crate::stripe_server::{StripeServer, Trouble, WEBHOOK_SECRET, signature};
use crate::support::{Call, DASHBOARD_URL, TestServer, unique_email};

const CREATE: &str = "/payments/purchases/create-purchase-url";
const VALIDATE: &str = "/payments/purchases/validate-code";
const SESSION: &str = "/payments/purchases/purchase-session";
const TEST_SESSION: &str = "/internal/payments/test-mode-purchase-session";
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

async fn configured(server: &TestServer) {
    let body = json!({"config_override_string": catalogue().to_string()});
    let call = server.admin("PATCH", "/internal/config/override/branch");
    call.body(body).expect(200).await;
}

async fn start() -> (StripeServer, TestServer) {
    let stripe = StripeServer::open().await;
    let server = TestServer::start_charging(stripe.access()).await;
    stripe.set_now(server.clock.now().0 / 1000);
    configured(&server).await;
    server.set_up_payments().await;
    (stripe, server)
}

fn sell(server: &TestServer, product: &str) -> Call {
    let body = json!({"customer_type": "custom", "customer_id": "acme", "product_id": product});
    server.server("POST", CREATE).body(body)
}

async fn code(server: &TestServer, product: &str) -> String {
    let answer = sell(server, product).expect(200).await;
    let url = answer["url"].as_str().unwrap();
    url.strip_prefix(&format!("{DASHBOARD_URL}/purchase/"))
        .unwrap()
        .to_owned()
}

fn look(server: &TestServer, code: &str) -> Call {
    server
        .call("POST", VALIDATE)
        .body(json!({"full_code": code}))
}

fn pay(server: &TestServer, code: &str, price: &str) -> Call {
    let body = json!({"full_code": code, "price_id": price});
    server.call("POST", SESSION).body(body)
}

fn account(stripe: &StripeServer) -> String {
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
async fn a_link_knows_the_buyer_and_the_account() {
    let (stripe, server) = start().await;
    let sold = code(&server, "premium").await;
    let (project, secret) = sold.split_once('_').unwrap();
    assert_eq!((project, secret.len()), (server.project.id.as_str(), 45));
    let customers = stripe.all("customer");
    assert_eq!(customers.len(), 1);
    let metadata = json!({"customerId": "acme", "customerType": "CUSTOM"});
    assert_eq!(customers[0]["metadata"], metadata);
    let shown = look(&server, &sold).expect(200).await;
    assert_eq!(shown["stripe_account_id"], account(&stripe));
    assert_eq!(shown["charges_enabled"], false);
    assert_eq!(shown["test_mode"], true);
    // A later link finds the same buyer, and an account that has come to charge.
    stripe.onboard(&account(&stripe));
    let later = code(&server, "premium").await;
    assert_eq!(stripe.all("customer").len(), 1);
    assert_eq!(
        look(&server, &later).expect(200).await["charges_enabled"],
        true
    );
    assert_eq!(
        look(&server, &sold).expect(200).await["charges_enabled"],
        false
    );
    let call = server.server("POST", CREATE).body(json!({
        "customer_type": "user", "customer_id": server.sign_up(&unique_email()).await.user_id,
        "product_id": "mine", "return_url": "http://localhost:3000/a?b=c",
    }));
    server.configure(json!({"allow_localhost": true})).await;
    let url = call.expect(200).await["url"].as_str().unwrap().to_owned();
    let (_, query) = url.split_once('?').unwrap();
    assert_eq!(
        query,
        "return_url=http%3A%2F%2Flocalhost%3A3000%2Fa%3Fb%3Dc"
    );
    assert_eq!(
        stripe.all("customer")[1]["metadata"]["customerType"],
        "USER"
    );
}

#[tokio::test]
async fn links_at_the_same_time_have_one_buyer() {
    let (stripe, server) = start().await;
    stripe.let_search_lag();
    join_all((0..6).map(|_| sell(&server, "pack").expect(200))).await;
    assert_eq!(stripe.all("customer").len(), 1);
}

#[tokio::test]
async fn a_buyer_of_unknown_type_is_named() {
    let (stripe, server) = start().await;
    let metadata = json!({"customerId": "acme"});
    stripe.put(
        &account(&stripe),
        json!({"id": "cus_old", "object": "customer", "metadata": metadata}),
    );
    code(&server, "pack").await;
    let expected = json!({"customerId": "acme", "customerType": "CUSTOM"});
    assert_eq!(stripe.object("cus_old")["metadata"], expected);
    assert_eq!(stripe.all("customer").len(), 1);
}

#[tokio::test]
async fn a_link_is_refused_in_the_contracts_order() {
    let stripe = StripeServer::open().await;
    let server = TestServer::start_charging(stripe.access()).await;
    configured(&server).await;
    let ada = server.sign_up(&unique_email()).await;
    // Everything is wrong; what comes first is mended one by one.
    let mut body = json!({
        "customer_type": "custom", "customer_id": "acme", "product_id": "nothing",
        "return_url": "https://evil.example",
    });
    let ask = |body: &Value| server.client("POST", CREATE).body(body.clone());
    let served = |body: &Value| server.server("POST", CREATE).body(body.clone());
    let block =
        |blocked: bool| server.override_settings(json!({"payments.blockNewPurchases": blocked}));
    block(true).await;
    ask(&body).refused(403, "NEW_PURCHASES_BLOCKED").await;
    block(false).await;
    ask(&body)
        .refused(401, "USER_AUTHENTICATION_REQUIRED")
        .await;
    ask(&body).user(&ada).refused_in_words(403).await;
    body["customer_type"] = json!("user");
    ask(&body).user(&ada).refused_in_words(403).await;
    body["customer_id"] = json!(ada.user_id);
    // No account, even before the product.
    ask(&body).user(&ada).refused_in_words(400).await;
    server.set_up_payments().await;
    let details = ask(&body)
        .user(&ada)
        .refused(400, "PRODUCT_DOES_NOT_EXIST")
        .await;
    assert_eq!(details, json!({"product_id": "nothing", "context": null}));
    body["product_id"] = json!("seats");
    let details = ask(&body)
        .user(&ada)
        .refused(400, "PRODUCT_DOES_NOT_EXIST")
        .await;
    assert_eq!(details["context"], "item_exists");
    body["product_id"] = json!("secret");
    let details = ask(&body)
        .user(&ada)
        .refused(400, "PRODUCT_DOES_NOT_EXIST")
        .await;
    assert_eq!(details["context"], "server_only");
    served(&body)
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
    body["product_id"] = json!("pack");
    let details = ask(&body)
        .user(&ada)
        .refused(400, "PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH")
        .await;
    assert_eq!(details["actual_customer_type"], "user");
    body["product_id"] = json!("mine");
    let grant = format!("/payments/products/user/{}", ada.user_id);
    let granted = server
        .server("POST", &grant)
        .body(json!({"product_id": "mine"}));
    granted.expect(200).await;
    ask(&body)
        .user(&ada)
        .refused(400, "PRODUCT_ALREADY_GRANTED")
        .await;
    let cancel = server.server("DELETE", &format!("{grant}/mine"));
    cancel.expect(200).await;
    server.clock.advance(40 * 86_400_000);
    let ada = server.sign_up(&unique_email()).await;
    body["customer_id"] = json!(ada.user_id);
    ask(&body)
        .user(&ada)
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
    // All of that before Stripe was asked for anything but the account.
    assert!(stripe.all("customer").is_empty());
    body["return_url"] = Value::Null;
    ask(&body).user(&ada).refused(400, "SCHEMA_ERROR").await;
    body.as_object_mut().unwrap().remove("return_url");
    ask(&body).user(&ada).expect(200).await;

    let inline = json!({
        "display_name": "Made up", "customer_type": "user", "server_only": false,
        "prices": {"once": {"USD": "7"}}, "included_items": {},
    });
    let both = json!({"customer_type": "user", "customer_id": ada.user_id, "product_id": "mine", "product_inline": inline});
    served(&both).refused_in_words(400).await;
    let mut only = both.clone();
    only["product_id"] = json!("");
    ask(&only).user(&ada).refused_in_words(400).await;
    served(&only).expect(200).await;
    let none = json!({"customer_type": "user", "customer_id": ada.user_id});
    served(&none).refused_in_words(400).await;
    for bad in [
        json!({"customer_type": "nobody", "customer_id": "x", "product_id": "mine"}),
        json!({"customer_id": "x", "product_id": "mine"}),
        json!({"customer_type": "user", "product_id": "mine"}),
        json!({"customer_type": "user", "customer_id": "x", "product_id": "mine", "return_url": "nowhere"}),
    ] {
        served(&bad).refused(400, "SCHEMA_ERROR").await;
    }
}

#[tokio::test]
async fn the_names_of_old_still_work() {
    let (_stripe, server) = start().await;
    let ask = |body: Value| {
        let mut body = body;
        body["customer_type"] = json!("custom");
        body["customer_id"] = json!("acme");
        server.server("POST", CREATE).body(body)
    };
    let inline = json!({
        "display_name": "Made up", "customer_type": "custom",
        "prices": {"once": {"USD": "7"}}, "included_items": {},
    });
    ask(json!({"offer_id": "pack"})).expect(200).await;
    ask(json!({"offer_inline": inline})).expect(200).await;
    for (version, works) in [("v2beta4", true), ("v2beta5", false), ("latest", false)] {
        let call = server.page("POST", &format!("/api/{version}{CREATE}"));
        let call = call
            .header("x-stack-access-type", "server")
            .header("x-stack-project-id", &server.project.id)
            .header("x-stack-secret-server-key", &server.project.server)
            .body(json!({"customer_type": "custom", "customer_id": "acme", "offer_id": "pack"}));
        if works {
            call.expect(200).await;
        } else {
            call.refused(400, "SCHEMA_ERROR").await;
        }
    }
    // The new names win.
    let details = ask(json!({"offer_id": "pack", "product_id": "nothing"}))
        .refused(400, "PRODUCT_DOES_NOT_EXIST")
        .await;
    assert_eq!(details["product_id"], "nothing");
    let call = ask(json!({"offer_id": "pack", "product_inline": inline}));
    let url = call.expect(200).await["url"].as_str().unwrap().to_owned();
    let shown = look(&server, url.rsplit_once('/').unwrap().1)
        .expect(200)
        .await;
    assert_eq!(shown["product"]["display_name"], "Made up");
}

#[tokio::test]
async fn a_code_works_once_for_a_day_and_for_anybody() {
    let (stripe, server) = start().await;
    let sold = code(&server, "pack").await;
    let with_url = |url: &str| {
        let body = json!({"full_code": sold, "return_url": url});
        server.call("POST", VALIDATE).body(body)
    };
    with_url("https://evil.example")
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
    let query = |code: &str, url: &str| {
        let path = format!("{VALIDATE}?full_code={code}&return_url={url}");
        server.call("GET", &path)
    };
    query(&sold, "https://evil.example")
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
    server.configure(json!({"allow_localhost": true})).await;
    with_url("http://localhost/x").expect(200).await;
    query(&sold, "http://localhost/x").expect(200).await;
    query("nowhere_x", "http://localhost/x")
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    for _ in 0..3 {
        look(&server, &sold).expect(200).await;
    }
    // Parallel sessions of one code: one of them pays.
    let sessions = join_all((0..5).map(|_| pay(&server, &sold, "once").send())).await;
    let statuses: Vec<u16> = sessions.iter().map(|it| it.status.as_u16()).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 404)),
        "{statuses:?}"
    );
    assert_eq!(stripe.all("payment_intent").len(), 1);
    pay(&server, &sold, "once")
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    look(&server, &sold)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let test = |code: &str| {
        let body = json!({"full_code": code, "price_id": "once"});
        server.call("POST", TEST_SESSION).body(body)
    };
    test(&sold)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let fresh = code(&server, "pack").await;
    server
        .override_settings(json!({"payments.testMode": false}))
        .await;
    assert_eq!(look(&server, &fresh).expect(200).await["test_mode"], false);
    test(&fresh).refused_in_words(403).await;
    server
        .override_settings(json!({"payments.testMode": true}))
        .await;
    test(&fresh).expect(200).await;
    let late = code(&server, "pack").await;
    server.clock.advance(24 * 60 * 60 * 1000);
    for call in [look(&server, &late), pay(&server, &late, "once")] {
        call.refused(404, "VERIFICATION_CODE_NOT_FOUND").await;
    }
    for bad in [
        "",
        "x",
        "nowhere_x",
        "a_b_c",
        &format!("{}_x", server.project.id),
    ] {
        pay(&server, bad, "once")
            .refused(404, "VERIFICATION_CODE_NOT_FOUND")
            .await;
    }
}

#[tokio::test]
async fn a_code_that_was_tried_too_often_is_dead() {
    let (_stripe, server) = start().await;
    server.offer_everything().await;
    let sold = code(&server, "pack").await;
    let (_, secret) = sold.split_once('_').unwrap();
    for _ in 0..20 {
        let call = server.client("POST", "/auth/otp/sign-in/check-code");
        let call = call.body(json!({"code": secret}));
        call.refused(404, "VERIFICATION_CODE_NOT_FOUND").await;
    }
    for call in [look(&server, &sold), pay(&server, &sold, "once")] {
        call.refused(400, "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED")
            .await;
    }
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
