//! A process dies between what Stripe did and what was to be noted of it. Whoever asks again has what one request comes to, and nobody pays or is paid twice.

use serde_json::{Value, json};

use crate::crash::Binary;
use crate::shop::{REFUND, Shop};
use crate::stripe_server::Trouble;
use crate::support::{database, eventually, unique_email};

const DAY: i64 = 86_400_000;

/// A shop, beside whose server others run that die.
struct Site {
    url: String,
    shop: Shop,
}

impl Site {
    async fn open() -> Self {
        let url = database().await;
        let shop = Shop::open_on(&url).await;
        Self { url, shop }
    }

    /// Sends a request to a server that is killed as soon as Stripe was asked for that: before it
    /// did anything ([`Trouble::Deaf`]), or when it has done it ([`Trouble::Mute`]).
    async fn die(&self, path: &str, body: &Value, at: &str, trouble: Trouble) {
        let access = self.shop.stripe.access();
        let settings = [
            ("STRIPE_SECRET_KEY", access.secret_key.as_str()),
            ("STRIPE_API_BASE", access.api_base.as_deref().unwrap()),
        ];
        let mut doomed = Binary::serve_with(&self.url, &settings).await;
        self.shop.stripe.trouble(at, &[trouble]);
        let project = &self.shop.server.project;
        let request = reqwest::Client::new()
            .post(format!("{}/api/v1{path}", doomed.base))
            .header("x-stack-access-type", "admin")
            .header("x-stack-project-id", &project.id)
            .header("x-stack-super-secret-admin-key", &project.admin)
            .json(body);
        let asking = tokio::spawn(request.send());
        let stripe = &self.shop.stripe;
        eventually("Stripe is asked", || async { !stripe.is_troubled() }).await;
        doomed.kill();
        assert!(asking.await.unwrap().is_err());
    }

    /// A user who has three of a plan: who, the purchase and the subscription.
    async fn buyer(&self) -> (String, String, String) {
        let shop = &self.shop;
        let user = shop.server.sign_up(&unique_email()).await.user_id;
        shop.advance(1);
        shop.buy(["user", &user], "gold", "monthly", 3).await;
        let purchase = shop.newest_purchase().await;
        (user, purchase, shop.subscription())
    }
}

/// Takes two of three back, and half of the money for one.
fn two_of_three(kind: &str, id: &str) -> Value {
    let entry = json!({"entry_index": 0, "quantity": 2, "amount_usd": "10"});
    json!({"type": kind, "id": id, "refund_entries": [entry]})
}

/// What happens before somebody asks again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// Stripe says how the subscription stands.
    News,
    /// So much time passes that Stripe has forgotten its idempotency keys.
    Days,
}

#[tokio::test]
async fn a_refund_that_is_interrupted_anywhere_is_made_once() {
    let site = Site::open().await;
    let shop = &site.shop;
    let (money, seats) = ("POST /v1/refunds", "POST /v1/subscriptions/");
    for (at, trouble, meanwhile) in [
        (money, Trouble::Deaf, Meanwhile::Nothing),
        (money, Trouble::Mute, Meanwhile::Nothing),
        (money, Trouble::Mute, Meanwhile::Days),
        (seats, Trouble::Deaf, Meanwhile::Days),
        (seats, Trouble::Mute, Meanwhile::Nothing),
        (seats, Trouble::Mute, Meanwhile::News),
        (seats, Trouble::Mute, Meanwhile::Days),
    ] {
        let (user, purchase, subscription) = site.buyer().await;
        let customer = ["user", user.as_str()];
        let paid_back = shop.stripe.all("refund").len();
        let body = two_of_three("subscription", &purchase);
        site.die(REFUND, &body, at, trouble).await;
        match meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::News => {
                shop.hear_of("customer.subscription.updated", &subscription)
                    .await;
            }
            Meanwhile::Days => {
                shop.advance(2 * DAY);
                shop.stripe.forget_keys();
            }
        }
        let again = || shop.server.admin("POST", REFUND).body(body.clone());
        again().expect(200).await;
        again().refused(400, "SUBSCRIPTION_ALREADY_REFUNDED").await;
        shop.hear_of("customer.subscription.updated", &subscription)
            .await;
        let refunds = shop.stripe.all("refund").split_off(paid_back);
        let amounts: Vec<&Value> = refunds.iter().map(|it| &it["amount"]).collect();
        assert_eq!(amounts, [1000]);
        let at_stripe = shop.stripe.object(&subscription);
        assert_eq!(at_stripe["items"]["data"][0]["quantity"], 1);
        assert_eq!(
            shop.products(customer).await,
            json!([["gold", 1, "subscription"]])
        );
        assert_eq!(shop.item(customer, "credits").await, 75);
        let transactions = shop.transactions().await;
        let bought = transactions.iter().find(|it| it["id"] == *purchase);
        let adjusted = &bought.unwrap()["adjusted_by"];
        assert_eq!(
            *adjusted,
            json!([{"transaction_id": format!("{purchase}:refund"), "entry_index": 0}])
        );
    }
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn the_refund_that_was_begun_is_the_one_that_is_made() {
    let site = Site::open().await;
    let shop = &site.shop;
    let customer = ["custom", "acme"];
    shop.buy(customer, "thing", "once", 9).await;
    let purchase = shop.newest_purchase().await;
    let body = two_of_three("one-time-purchase", &purchase);
    site.die(REFUND, &body, "POST /v1/refunds", Trouble::Mute)
        .await;
    assert_eq!(
        shop.products(customer).await,
        json!([["thing", 9, "one_time"]])
    );
    // Somebody has changed their mind, too late.
    let mut other = body.clone();
    other["refund_entries"][0]["amount_usd"] = json!("27");
    other["refund_entries"][0]["quantity"] = json!(9);
    let call = shop.server.admin("POST", REFUND).body(other);
    call.refused(400, "ONE_TIME_PURCHASE_ALREADY_REFUNDED")
        .await;
    let refunds = shop.stripe.all("refund");
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["amount"], 1000);
    assert_eq!(
        shop.products(customer).await,
        json!([["thing", 7, "one_time"]])
    );
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn a_switch_that_is_interrupted_is_paid_once() {
    let site = Site::open().await;
    let shop = &site.shop;
    let ada = shop.ada.user_id.as_str();
    let switch = async |user: &str, from: &str, to: &str, at: &str| {
        let path = format!("/payments/products/user/{user}/switch");
        let body = json!({"from_product_id": from, "to_product_id": to});
        let paid = shop.stripe.all("invoice").len();
        site.die(&path, &body, at, Trouble::Mute).await;
        shop.stripe.forget_keys();
        let again = shop.server.server("POST", &path).body(body);
        again.expect(200).await;
        assert_eq!(shop.stripe.all("invoice").len(), paid + 1);
        assert_eq!(
            shop.products(["user", user]).await,
            json!([[to, 1, "subscription"]])
        );
    };
    shop.save_card("user", ada).await;
    shop.buy(["user", ada], "silver", "monthly", 1).await;
    // There and back, and there again: what was once done is no excuse.
    switch(ada, "silver", "gold", "POST /v1/subscriptions/").await;
    switch(ada, "gold", "silver", "POST /v1/subscriptions/").await;
    switch(ada, "silver", "gold", "POST /v1/subscriptions/").await;
    assert_eq!(shop.item(["user", ada], "credits").await, 25);
    assert_eq!(shop.stripe.all("subscription").len(), 1);
    // What begins with it is begun once, too.
    let bob = shop.server.sign_up(&unique_email()).await.user_id;
    shop.save_card("user", &bob).await;
    switch(&bob, "free", "gold", "POST /v1/subscriptions").await;
    assert_eq!(shop.stripe.all("subscription").len(), 2);
    shop.server.assert_verified().await;
}

#[tokio::test]
async fn a_grant_that_is_interrupted_is_made_when_it_is_asked_for_again() {
    let site = Site::open().await;
    let shop = &site.shop;
    let [_, user] = shop.customer();
    shop.buy(shop.customer(), "silver", "monthly", 1).await;
    let path = format!("/payments/products/user/{user}");
    let body = json!({"product_id": "gold"});
    site.die(&path, &body, "DELETE /v1/subscriptions/", Trouble::Mute)
        .await;
    let again = shop.server.server("POST", &path).body(body);
    again.expect(200).await;
    let subscription = shop.subscription();
    shop.hear_of("customer.subscription.deleted", &subscription)
        .await;
    shop.advance(31 * DAY);
    assert_eq!(
        shop.products(["user", user]).await,
        json!([["gold", 1, "subscription"]])
    );
    shop.server.assert_verified().await;
}
