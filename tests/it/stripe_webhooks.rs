//! What Stripe tells, and what becomes of it, told by a Stripe of the tests'
//! own: twice, late and in the wrong order.

use futures_util::future::join_all;
use muniment::clients::stripe::{MOCK_KEY, StripeAccess};
use muniment::server::Follow;
use muniment_projections::maintenance::replay::replay;
use serde_json::{Value, json};
use sqlx::Row;

use crate::shop::{Shop, WEBHOOKS, deliver};
use crate::stripe_server::{StripeServer, Trouble, WEBHOOK_SECRET, signature};
use crate::support::{TestServer, database, unique_email};

const DAY: i64 = 86_400_000;

/// Letters that were asked for, by template.
async fn letters(server: &TestServer, template: &str) -> i64 {
    let count = sqlx::query("SELECT count(*) AS count FROM outgoing_emails WHERE template = $1");
    let row = count.bind(template).fetch_one(server.pool()).await.unwrap();
    row.get("count")
}

/// An event about an object that Stripe made up.
fn event(kind: &str, account: &str, object: Value) -> Value {
    json!({"id": "evt_1", "object": "event", "type": kind, "account": account, "data": {"object": object}})
}

#[tokio::test]
async fn only_stripe_is_heard() {
    let shop = Shop::open().await;
    let body = event("account.updated", &shop.account(), json!({})).to_string();
    let now = shop.server.clock.now().0 / 1000;
    let send = |signed: &str, body: &str| {
        let call = shop.server.call("POST", WEBHOOKS);
        call.header("stripe-signature", signed)
            .raw("application/json", body.to_owned())
    };
    let right = signature(WEBHOOK_SECRET, &body, now);
    send(&right, &body).expect(200).await;
    let unsigned = shop.server.call("POST", WEBHOOKS);
    let unsigned = unsigned.raw("application/json", body.clone());
    unsigned.refused(400, "SCHEMA_ERROR").await;
    for (signed, body) in [
        (signature("whsec_wrong", &body, now), body.as_str()),
        (signature(WEBHOOK_SECRET, &body, now - 301), &body),
        (signature(WEBHOOK_SECRET, &body, now + 301), &body),
        (right.clone(), "{}"),
        ("t=1,v1=00".to_owned(), &body),
        (String::new(), &body),
    ] {
        send(&signed, body).refused_in_words(400).await;
    }
    for at in [now - 300, now + 300] {
        send(&signature(WEBHOOK_SECRET, &body, at), &body)
            .expect(200)
            .await;
    }
    // A server that knows no Stripe knows no signature.
    let server = TestServer::start().await;
    let call = server.call("POST", WEBHOOKS);
    let call = call.header("stripe-signature", &right);
    call.raw("application/json", body)
        .refused_in_words(400)
        .await;
}

#[tokio::test]
async fn events_are_handled_ignored_or_sent_again() {
    let shop = Shop::open().await;
    let account = shop.account();
    for ignored in [
        "account.updated",
        "account.application.authorized",
        "capability.updated",
        "charge.failed",
        "balance.available",
        "customer.updated",
        "charge.dispute.created",
    ] {
        let told = event(ignored, &account, json!({}));
        shop.hear(&[told]).await;
    }
    let nobody = json!({"id": "cus_x", "object": "customer", "metadata": {}});
    shop.stripe.put(&account, nobody);
    let odd = json!({"id": "cus_y", "object": "customer", "metadata": {"customerId": "a", "customerType": "ROBOT"}});
    shop.stripe.put(&account, odd);
    let one_time =
        |metadata: Value| json!({"id": "pi_1", "customer": "cus_x", "metadata": metadata});
    let mut whole = json!({
        "purchaseKind": "ONE_TIME", "customerId": "acme", "customerType": "custom",
        "product": json!({"customerType": "custom"}).to_string(),
    });
    let mut lacking = Vec::new();
    for name in ["customerId", "customerType", "product"] {
        let mut metadata = whole.clone();
        metadata.as_object_mut().unwrap().remove(name);
        lacking.push(one_time(metadata));
    }
    for (kind, account, object) in [
        ("price.created", account.as_str(), json!({})),
        (
            "customer.subscription.created",
            &account,
            json!({"customer": null}),
        ),
        (
            "customer.subscription.created",
            &account,
            json!({"customer": "cus_none"}),
        ),
        (
            "customer.subscription.created",
            &account,
            json!({"customer": "cus_x"}),
        ),
        (
            "customer.subscription.created",
            &account,
            json!({"customer": "cus_y"}),
        ),
        (
            "customer.subscription.created",
            "acct_none",
            json!({"customer": "cus_x"}),
        ),
        ("payment_intent.succeeded", &account, lacking[0].clone()),
        ("payment_intent.succeeded", &account, lacking[1].clone()),
        ("payment_intent.succeeded", &account, lacking[2].clone()),
        (
            "payment_intent.payment_failed",
            &account,
            lacking[1].clone(),
        ),
    ] {
        let told = event(kind, account, object);
        let answer = shop.tell(&told).send().await;
        assert_eq!(answer.status.as_u16(), 500, "{told} {}", answer.text);
    }
    let mut without_account = event(
        "payment_intent.succeeded",
        &account,
        one_time(whole.clone()),
    );
    without_account.as_object_mut().unwrap().remove("account");
    shop.tell(&without_account).expect_status(500).await;
    assert_eq!(shop.transactions().await, [] as [Value; 0]);
    // Whole, it is heard; a customer that was deleted there is nobody's concern.
    whole["purchaseQuantity"] = json!("0");
    shop.hear(&[event("payment_intent.succeeded", &account, one_time(whole))])
        .await;
    assert_eq!(
        shop.products(["custom", "acme"]).await,
        json!([[null, 1, "one_time"]])
    );
    shop.stripe.change("cus_x", json!({"deleted": true}));
    let told = event(
        "customer.subscription.deleted",
        &account,
        json!({"customer": "cus_x"}),
    );
    shop.hear(&[told]).await;
}

#[tokio::test]
async fn whatever_is_told_of_a_customer_makes_stripe_be_asked() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    let kinds = [
        "checkout.session.completed",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.pending_update_applied",
        "customer.subscription.pending_update_expired",
        "customer.subscription.trial_will_end",
        "invoice.created",
        "invoice.finalized",
        "invoice.updated",
        "invoice.voided",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice.payment_action_required",
        "invoice.upcoming",
        "invoice.marked_uncollectible",
        "invoice.payment_succeeded",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
    ];
    shop.buy(ada, "gold", "monthly", 1).await;
    let (account, subscription) = (shop.account(), shop.subscription());
    let payer = shop.stripe.object(&subscription)["customer"].clone();
    for (nth, kind) in kinds.into_iter().enumerate() {
        let quantity = nth + 2;
        let mut items = shop.stripe.object(&subscription)["items"].clone();
        items["data"][0]["quantity"] = json!(quantity);
        shop.stripe.change(&subscription, json!({"items": items}));
        shop.hear(&[event(kind, &account, json!({"customer": payer}))])
            .await;
        assert_eq!(
            shop.products(ada).await,
            json!([["gold", quantity, "subscription"]]),
            "{kind}"
        );
    }
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn an_invoice_says_what_is_known_of_it() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "silver", "monthly", 1).await;
    shop.advance(DAY);
    let subscription = shop.subscription();
    let payer = shop.stripe.object(&subscription)["customer"].clone();
    let parent = json!({"subscription_item_details": {"subscription": subscription}});
    let told = json!({
        "id": "in_odd", "customer": payer, "status": "pondered",
        "lines": {"data": [{"parent": parent}]},
    });
    shop.hear(&[event("invoice.updated", &shop.account(), told)])
        .await;
    let path = format!("/payments/invoices/user/{}?limit=1", ada[1]);
    let listed = shop.server.server("GET", &path).expect(200).await;
    let expected = json!({
        "created_at_millis": shop.server.clock.now().0, "status": null, "amount_total": 0,
        "hosted_invoice_url": null,
    });
    assert_eq!(listed["items"], json!([expected]));
}

#[tokio::test]
async fn a_one_time_payment_counts_once_however_often_it_is_told() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    let secret = shop.begin(ada, "pack", "once", 3).await;
    assert_eq!(shop.products(ada).await, json!([]));
    // First the card is declined.
    shop.hear(&shop.stripe.decline(&secret)).await;
    let failed = shop.server.mail.nth(&shop.email, 1).await;
    assert!(failed.subject.contains("failed"), "{}", failed.subject);
    assert!(failed.text.contains("USD 4.50") && failed.text.contains("Your card was declined."));
    assert_eq!(shop.products(ada).await, json!([]));
    let paid = shop.stripe.pay(&secret);
    for _ in 0..3 {
        shop.hear(&paid).await;
    }
    // At the same time, too.
    let again = (0..4).map(|_| shop.hear(&paid));
    join_all(again).await;
    assert_eq!(shop.products(ada).await, json!([["pack", 3, "one_time"]]));
    assert_eq!(shop.item(ada, "credits").await, 6);
    let receipt = shop.server.mail.nth(&shop.email, 2).await;
    assert!(
        receipt.text.contains("USD 4.50 to Test: Pack, 3 times."),
        "{}",
        receipt.text
    );
    assert!(
        receipt
            .link()
            .starts_with("https://pay.stripe.com/receipts/")
    );
    assert_eq!(letters(&shop.server, "payment_receipt").await, 1);
    let transactions = shop.transactions().await;
    assert_eq!(transactions.len(), 1);
    let money = &transactions[0]["entries"][1];
    assert_eq!(
        money["charged_amount"],
        json!({"USD": "4.50", "EUR": "4.20"})
    );
    assert_eq!(money["net_amount"], json!({"USD": "4.50"}));
    assert_eq!(transactions[0]["entries"][0]["price_id"], "once");
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn a_subscription_lives_whatever_order_its_news_arrive_in() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    let secret = shop.begin(ada, "silver", "monthly", 1).await;
    let id = shop.subscription();
    let begun = shop.stripe.event("customer.subscription.created", &id);
    shop.hear(std::slice::from_ref(&begun)).await;
    // It waits for the first payment.
    assert_eq!(shop.products(ada).await, json!([]));
    assert_eq!(shop.item(ada, "credits").await, 0);
    let mut paid = shop.stripe.pay(&secret);
    paid.reverse();
    shop.hear(&paid).await;
    shop.hear(&[begun]).await;
    let at_once = paid.iter().map(|event| shop.tell(event).expect(200));
    join_all(at_once).await;
    assert_eq!(
        shop.products(ada).await,
        json!([["silver", 1, "subscription"]])
    );
    assert_eq!(shop.item(ada, "credits").await, 10);
    let receipt = shop.server.mail.first(&shop.email).await;
    assert!(receipt.text.contains("USD 9.99"), "{}", receipt.text);
    // Some is used, then it is renewed, and cancelled in the account's dashboard.
    shop.change_item(ada, "credits", json!({"delta": -4})).await;
    shop.advance(30 * DAY);
    let renewed = shop.stripe.renew(&id);
    shop.hear(&renewed).await;
    shop.hear(&renewed).await;
    assert_eq!(shop.item(ada, "credits").await, 6);
    assert_eq!(letters(&shop.server, "payment_receipt").await, 2);
    let kinds = |transactions: &[Value]| -> Vec<Value> {
        transactions.iter().map(|it| it["type"].clone()).collect()
    };
    let transactions = shop.transactions().await;
    assert_eq!(
        kinds(&transactions),
        [
            "subscription-renewal",
            "purchase",
            "manual-item-quantity-change"
        ]
    );
    let renewal = &transactions[0];
    assert_eq!(renewal["entries"].as_array().unwrap().len(), 1);
    assert_eq!(renewal["entries"][0]["type"], "money_transfer");
    assert_eq!(
        renewal["entries"][0]["charged_amount"],
        json!({"USD": "9.99"})
    );
    assert_eq!(renewal["test_mode"], false);
    shop.advance(DAY);
    shop.stripe.cancel(&id);
    let ended = shop.stripe.event("customer.subscription.deleted", &id);
    shop.hear(&[ended.clone(), ended]).await;
    // What is paid is paid.
    assert_eq!(shop.products(ada).await, json!([["silver", 1, "one_time"]]));
    shop.advance(29 * DAY);
    assert_eq!(shop.products(ada).await, json!([]));
    assert_eq!(shop.item(ada, "credits").await, 0);
    shop.server.assert_verified().await;
    replay(shop.server.log(), &[], |_| ()).await.unwrap();
    shop.server.assert_verified().await;
    assert_eq!(kinds(&shop.transactions().await), kinds(&transactions));
}

#[tokio::test]
async fn a_subscription_that_ended_before_anybody_heard_of_it_is_not_owned() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "silver", "monthly", 1).await;
    let id = shop.subscription();
    shop.advance(45 * DAY);
    shop.stripe.cancel(&id);
    shop.hear_of("customer.subscription.deleted", &id).await;
    assert_eq!(shop.products(ada).await, json!([]));
    assert_eq!(shop.item(ada, "credits").await, 0);
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn a_failed_renewal_is_told_once_stripe_gives_up() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "silver", "monthly", 1).await;
    let id = shop.subscription();
    shop.advance(30 * DAY);
    shop.hear(&shop.stripe.fail_renewal(&id, "open")).await;
    assert_eq!(letters(&shop.server, "payment_failed").await, 0);
    // It runs on, but is not active.
    assert_eq!(shop.products(ada).await, json!([["silver", 1, "one_time"]]));
    shop.advance(30 * DAY);
    let failed = shop.stripe.fail_renewal(&id, "uncollectible");
    shop.hear(&failed).await;
    shop.hear(&failed).await;
    let letter = shop.server.mail.nth(&shop.email, 2).await;
    assert!(letter.subject.contains("failed") && letter.text.contains("USD 9.99"));
    assert!(letter.link().starts_with("https://invoice.stripe.com/i/"));
    assert_eq!(letters(&shop.server, "payment_failed").await, 1);
    shop.stripe.change(&id, json!({"status": "unpaid"}));
    shop.hear_of("customer.subscription.updated", &id).await;
    assert_eq!(shop.products(ada).await, json!([]));
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn a_team_is_told_through_those_who_administrate_it() {
    let shop = Shop::open().await;
    let server = &shop.server;
    let team = server.create_team(&shop.ada).await;
    let (member, deputy) = (unique_email(), unique_email());
    let (bob, cleo) = (server.sign_up(&member).await, server.sign_up(&deputy).await);
    for user in [&bob, &cleo] {
        server.add_member(&team, user).await;
    }
    // Whoever holds a permission that contains the other holds the other.
    let chief = json!({"id": "chief", "contained_permission_ids": ["team_admin"]});
    let call = server.admin("POST", "/team-permission-definitions");
    call.body(chief).expect(201).await;
    let path = format!("/team-permissions/{team}/{}/chief", cleo.user_id);
    server
        .server("POST", &path)
        .body(json!({}))
        .expect(201)
        .await;
    shop.buy(["team", &team], "seats", "monthly", 2).await;
    assert_eq!(
        shop.products(["team", &team]).await,
        json!([["seats", 2, "subscription"]])
    );
    assert_eq!(shop.item(["team", &team], "seats").await, 2);
    for address in [&shop.email, &deputy] {
        let letter = server.mail.first(address).await;
        assert!(letter.text.contains("USD 10.00"), "{}", letter.text);
    }
    assert_eq!(letters(server, "payment_receipt").await, 2);
    // Nobody reads the mail of custom customers.
    shop.buy(["custom", "acme"], "thing", "once", 1).await;
    assert_eq!(
        shop.products(["custom", "acme"]).await,
        json!([["thing", 1, "one_time"]])
    );
    assert_eq!(letters(server, "payment_receipt").await, 2);
    assert!(server.mail.to(&member).is_empty());
}

#[tokio::test]
async fn what_could_not_be_taken_in_is_taken_in_when_it_comes_again() {
    let mut shop = Shop::open().await;
    let id = shop.ada.user_id.clone();
    let secret = shop.begin(["user", &id], "silver", "monthly", 1).await;
    let paid = shop.stripe.pay(&secret);
    shop.stripe
        .trouble("/v1/subscriptions", &[Trouble::Garbage]);
    shop.tell(&paid[1]).expect_status(500).await;
    shop.stripe.break_down().await;
    shop.tell(&paid[1]).expect_status(500).await;
    assert_eq!(letters(&shop.server, "payment_receipt").await, 0);
    shop.stripe.recover().await;
    shop.hear(&paid).await;
    assert_eq!(
        shop.products(["user", &id]).await,
        json!([["silver", 1, "subscription"]])
    );
    assert_eq!(letters(&shop.server, "payment_receipt").await, 1);
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn two_servers_hear_the_same_at_once() {
    let url = database().await;
    let shop = Shop::open_on(&url).await;
    let access = shop.stripe.access();
    let other = TestServer::start_charging_on(&url, Follow::Nothing, access).await;
    let ada = shop.customer();
    let pack = shop.begin(ada, "pack", "once", 1).await;
    let plan = shop.begin(ada, "silver", "monthly", 1).await;
    let paid = [shop.stripe.pay(&pack), shop.stripe.pay(&plan)].concat();
    // What one of them could not take in, because the other did, comes again.
    let hear = async |server: &TestServer, event: &Value| {
        while deliver(server, event).send().await.status != 200 {}
    };
    let (shop_hears, hear) = (&shop.server, &hear);
    let deliveries = paid.iter().flat_map(|event| {
        [shop_hears, &other, shop_hears, &other].map(|server| hear(server, event))
    });
    join_all(deliveries).await;
    let products = shop.products(ada).await;
    assert_eq!(
        products,
        json!([["pack", 1, "one_time"], ["silver", 1, "subscription"]])
    );
    assert_eq!(shop.item(ada, "credits").await, 12);
    assert_eq!(shop.transactions().await.len(), 2);
    assert_eq!(letters(&shop.server, "payment_receipt").await, 2);
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn an_invoice_of_several_subscriptions_or_of_none() {
    let shop = Shop::open().await;
    let ada = shop.customer();
    shop.buy(ada, "silver", "monthly", 1).await;
    let customer = shop.stripe.all("customer")[0]["id"].clone();
    let line = |id: &str| json!({"parent": {"subscription_item_details": {"subscription": id}}});
    let invoice = |id: Value, lines: Vec<Value>| {
        let object =
            json!({"id": id, "customer": customer, "lines": {"data": lines}, "status": "open"});
        event("invoice.finalized", &shop.account(), object)
    };
    let known = shop.subscription();
    let two = invoice(json!("in_x"), vec![line(&known), line("sub_other")]);
    shop.tell(&two).expect_status(500).await;
    let unknown = invoice(json!("in_x"), vec![line("sub_other")]);
    shop.tell(&unknown).expect_status(500).await;
    let none = invoice(json!("in_x"), vec![json!({"description": "Setup"})]);
    let upcoming = invoice(Value::Null, vec![line(&known)]);
    let doubled = invoice(json!("in_y"), vec![line(&known), line(&known)]);
    let before = shop.transactions().await.len();
    shop.hear(&[none, upcoming]).await;
    assert_eq!(shop.transactions().await.len(), before);
    shop.hear(&[doubled]).await;
    assert_eq!(shop.transactions().await.len(), before + 1);
}

#[tokio::test]
async fn tests_prescribe_answers_in_mock_mode_only() {
    let shop = Shop::open().await;
    let product = json!({
        "displayName": "Gold", "customerType": "user", "prices": {"monthly": {"USD": "20", "interval": [1, "month"]}},
        "includedItems": {"credits": {"quantity": 5}},
    });
    let now = shop.server.clock.now().0 / 1000;
    let told = |project: &str, user: &str, status: &str, start: i64| {
        let item = json!({"quantity": 2, "current_period_start": start, "current_period_end": start + 86_400});
        let subscription = json!({
            "id": "sub_mock", "status": status, "items": {"data": [item]}, "cancel_at_period_end": false,
            "metadata": {"productId": null, "offerId": "gold", "offer": product.to_string(), "priceId": "monthly"},
        });
        let mock = json!({
            "accounts.retrieve": {"metadata": {"tenancyId": project}},
            "customers.retrieve": {"metadata": {"customerId": user, "customerType": "USER"}},
            "subscriptions.list": {"data": [subscription]},
        });
        let object = json!({"customer": "cus_mock", "stack_stripe_mock_data": mock});
        event("customer.subscription.updated", "acct_any", object)
    };
    let (project, user) = (&shop.server.project.id, &shop.ada.user_id);
    shop.tell(&told(project, user, "active", now))
        .refused_in_words(400)
        .await;

    let access = StripeAccess {
        webhook_secret: Some(WEBHOOK_SECRET.to_owned()),
        ..StripeAccess::with_key(MOCK_KEY)
    };
    let server = TestServer::start_charging(access).await;
    let item = json!({"config_override_string": json!({"payments.items.credits": {"customerType": "user"}}).to_string()});
    server
        .admin("PATCH", "/internal/config/override/branch")
        .body(item)
        .expect(200)
        .await;
    let email = unique_email();
    let ada = server.sign_up(&email).await;
    let shop = Shop {
        stripe: StripeServer::open().await,
        server,
        ada,
        email,
    };
    let (project, user) = (shop.server.project.id.clone(), shop.ada.user_id.clone());
    let ada = ["user", user.as_str()];
    shop.hear(&[told(&project, &user, "active", now)]).await;
    assert_eq!(
        shop.products(ada).await,
        json!([["gold", 2, "subscription"]])
    );
    assert_eq!(shop.item(ada, "credits").await, 10);
    // The period is over when that is heard.
    shop.hear(&[told(&project, &user, "canceled", now - 90_000)])
        .await;
    assert_eq!(shop.products(ada).await, json!([]));
    assert_eq!(shop.item(ada, "credits").await, 0);
    shop.tell(&told("nobody", &user, "active", now))
        .expect_status(500)
        .await;
    // The prescription is gone with the event.
    let plain = event(
        "customer.subscription.updated",
        "acct_any",
        json!({"customer": "cus_mock"}),
    );
    shop.tell(&plain).expect_status(500).await;
    shop.server.assert_verified().await;
}
