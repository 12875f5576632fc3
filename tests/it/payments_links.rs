//! Checkout links, and the codes in them.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::payments_checkout::{
    CREATE, VALIDATE, account, code, configured, look, pay, sell, start,
};
use crate::stripe_server::StripeServer;
use crate::support::{TestServer, unique_email};

const TEST_SESSION: &str = "/internal/payments/test-mode-purchase-session";

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
async fn a_link_shows_what_its_buyer_has() {
    let (_stripe, server) = start().await;
    let logo = json!({"logo_url": "https://a.example.com/logo.png"});
    let patch = server.admin("PATCH", "/internal/projects/current");
    patch.body(logo.clone()).expect(200).await;
    let sold = code(&server, "premium").await;
    let boost = code(&server, "boost").await;
    let grant = async |product: &str| {
        let call = server.server("POST", "/payments/products/custom/acme");
        call.body(json!({"product_id": product})).expect(200).await;
    };
    grant("base").await;
    let shown = look(&server, &sold).expect(200).await;
    assert_eq!(shown["project_logo_url"], logo["logo_url"]);
    assert_eq!(shown["project_id"], server.project.id);
    assert_eq!(shown["already_bought_non_stackable"], false);
    let base = json!([{"product_id": "base", "display_name": "base"}]);
    assert_eq!(shown["conflicting_products"], base);
    // An add-on is no conflict with what it adds to.
    let shown = look(&server, &boost).expect(200).await;
    assert_eq!(shown["conflicting_products"], json!([]));
    grant("premium").await;
    let shown = look(&server, &sold).expect(200).await;
    assert_eq!(shown["already_bought_non_stackable"], true);
    // A line that is no more excludes nothing.
    let reset = server.admin("POST", "/internal/config/override/branch/reset-keys");
    let lines = json!({"keys": ["payments.productLines"]});
    reset.body(lines).expect(200).await;
    let shown = look(&server, &sold).expect(200).await;
    assert_eq!(shown["conflicting_products"], json!([]));
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
