//! A project that sells through a Stripe of the test's own.

use muniment::server::Follow;
use serde_json::{Value, json};

use crate::stripe_server::{StripeServer, WEBHOOK_SECRET, signature};
use crate::support::{Call, TestServer, Tokens, database, unique_email};

/// Where Stripe tells what happened.
pub(crate) const WEBHOOKS: &str = "/integrations/stripe/webhooks";
pub(crate) const REFUND: &str = "/internal/payments/transactions/refund";

pub(crate) struct Shop {
    pub stripe: StripeServer,
    pub server: TestServer,
    /// A customer.
    pub ada: Tokens,
    pub email: String,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_on(&database().await).await
    }

    pub(crate) async fn open_on(url: &str) -> Self {
        let stripe = StripeServer::open().await;
        let follow = Follow::Everything;
        let server = TestServer::start_charging_on(url, follow, stripe.access()).await;
        let email = unique_email();
        let ada = server.sign_up(&email).await;
        let shop = Self {
            stripe,
            server,
            ada,
            email,
        };
        shop.stock().await;
        shop
    }

    /// Puts the goods on the shelves, and gives the project its account at Stripe.
    pub(crate) async fn stock(&self) {
        self.advance(0);
        let body = json!({"config_override_string": goods().to_string()});
        let call = self
            .server
            .admin("PATCH", "/internal/config/override/branch");
        call.body(body).expect(200).await;
        self.server.set_up_payments().await;
    }

    /// Ada, as a customer.
    pub(crate) fn customer(&self) -> [&str; 2] {
        ["user", &self.ada.user_id]
    }

    /// The connected account.
    pub(crate) fn account(&self) -> String {
        let account = &self.stripe.all("account")[0];
        account["id"].as_str().unwrap().to_owned()
    }

    /// Time passes, here and at Stripe.
    pub(crate) fn advance(&self, millis: i64) {
        self.server.clock.advance(millis);
        self.stripe.set_now(self.server.clock.now().0 / 1000);
    }

    /// The first half of a purchase: the secret with which its page can pay.
    pub(crate) async fn begin(
        &self,
        customer: [&str; 2],
        product: &str,
        price: &str,
        count: i64,
    ) -> String {
        let code = self.code(customer, product).await;
        let wanted = json!({"full_code": code, "price_id": price, "quantity": count});
        let path = "/payments/purchases/purchase-session";
        let session = self.server.call("POST", path).body(wanted);
        session.expect(200).await["client_secret"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The code of a link at which a product can be bought.
    async fn code(&self, [kind, id]: [&str; 2], product: &str) -> String {
        let wanted = json!({"customer_type": kind, "customer_id": id, "product_id": product});
        let path = "/payments/purchases/create-purchase-url";
        let link = self.server.server("POST", path).body(wanted);
        let link = link.expect(200).await["url"].as_str().unwrap().to_owned();
        link.rsplit_once('/').unwrap().1.to_owned()
    }

    /// A purchase in test mode.
    pub(crate) async fn try_out(&self, customer: [&str; 2], product: &str, price: &str) {
        let code = self.code(customer, product).await;
        let wanted = json!({"full_code": code, "price_id": price});
        let path = "/internal/payments/test-mode-purchase-session";
        self.server
            .call("POST", path)
            .body(wanted)
            .expect(200)
            .await;
    }

    /// A whole purchase.
    pub(crate) async fn buy(&self, customer: [&str; 2], product: &str, price: &str, count: i64) {
        let secret = self.begin(customer, product, price, count).await;
        self.hear(&self.stripe.pay(&secret)).await;
    }

    /// Somebody saves a card.
    pub(crate) async fn save_card(&self, kind: &str, id: &str) {
        let path = format!("/payments/payment-method/{kind}/{id}/setup-intent");
        let begun = self.server.server("POST", &path).body(json!({}));
        let begun = begun.expect(200).await;
        self.stripe
            .save_card(begun["client_secret"].as_str().unwrap());
    }

    /// An event on its way, rightly signed.
    pub(crate) fn tell(&self, event: &Value) -> Call {
        deliver(&self.server, event)
    }

    /// Events arrive.
    pub(crate) async fn hear(&self, events: &[Value]) {
        for event in events {
            let answer = self.tell(event).expect(200).await;
            assert_eq!(answer, json!({"received": true}));
        }
    }

    /// News of an object arrives.
    pub(crate) async fn hear_of(&self, kind: &str, id: &str) {
        self.hear(&[self.stripe.event(kind, id)]).await;
    }

    /// Changes how much of an item a customer has.
    pub(crate) async fn change_item(&self, [kind, id]: [&str; 2], item: &str, change: Value) {
        let path = format!("/payments/items/{kind}/{id}/{item}/update-quantity");
        let path = format!("{path}?allow_negative=true");
        let call = self.server.server("POST", &path).body(change);
        call.expect(200).await;
    }

    /// Asks for a refund of a purchase of that kind.
    pub(crate) fn refund(&self, kind: &str, id: &str, entries: &Value) -> Call {
        let body = json!({"type": kind, "id": id, "refund_entries": entries});
        self.server.admin("POST", REFUND).body(body)
    }

    /// The user's products: id, quantity and type.
    pub(crate) async fn products(&self, customer: [&str; 2]) -> Value {
        let [kind, id] = customer;
        let path = format!("/payments/products/{kind}/{id}");
        let listed = self.server.server("GET", &path).expect(200).await;
        let items = listed["items"].as_array().unwrap().iter();
        items
            .map(|it| json!([it["id"], it["quantity"], it["type"]]))
            .collect()
    }

    pub(crate) async fn item(&self, customer: [&str; 2], item: &str) -> Value {
        let [kind, id] = customer;
        let path = format!("/payments/items/{kind}/{id}/{item}");
        self.server.server("GET", &path).expect(200).await["quantity"].clone()
    }

    /// All transactions, newest first.
    pub(crate) async fn transactions(&self) -> Vec<Value> {
        let path = "/internal/payments/transactions";
        let page = self.server.admin("GET", path).expect(200).await;
        page["transactions"].as_array().unwrap().clone()
    }

    /// The id of the newest purchase.
    pub(crate) async fn newest_purchase(&self) -> String {
        let transactions = self.transactions().await;
        let mut purchases = transactions.iter().filter(|it| it["type"] == "purchase");
        purchases.next().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// The subscription that Stripe knows of since the last one.
    pub(crate) fn subscription(&self) -> String {
        let all = self.stripe.all("subscription");
        all.last().unwrap()["id"].as_str().unwrap().to_owned()
    }
}

/// An event on its way to a server, rightly signed.
pub(crate) fn deliver(server: &TestServer, event: &Value) -> Call {
    let body = event.to_string();
    let signed = signature(WEBHOOK_SECRET, &body, server.clock.now().0 / 1000);
    let call = server.call("POST", WEBHOOKS);
    call.header("stripe-signature", &signed)
        .raw("application/json", body)
}

fn goods() -> Value {
    let monthly = |usd: &str| json!({"monthly": {"USD": usd, "interval": [1, "month"]}});
    let credits = |quantity: i64| json!({"credits": {"quantity": quantity, "expires": "when-purchase-expires"}});
    json!({
        "payments.items.credits": {"customerType": "user"},
        "payments.items.seats": {"customerType": "team"},
        "payments.items.rations": {"customerType": "custom"},
        "payments.productLines.plans": {"displayName": "Plans"},
        "payments.products.silver": {
            "displayName": "Silver", "customerType": "user", "productLineId": "plans",
            "prices": monthly("9.99"), "includedItems": credits(10),
        },
        "payments.products.gold": {
            "displayName": "Gold", "customerType": "user", "productLineId": "plans", "stackable": true,
            "prices": {
                "monthly": {"USD": "20", "interval": [1, "month"]},
                "yearly": {"USD": "200", "interval": [1, "year"]},
                "monthly-euros": {"EUR": "18", "interval": [1, "month"]},
                "once": {"USD": "499"},
            },
            "includedItems": credits(25),
        },
        "payments.products.free": {"customerType": "user", "productLineId": "plans", "prices": "include-by-default"},
        "payments.products.lasting": {"customerType": "user", "productLineId": "plans", "prices": {"once": {"USD": "300"}}},
        "payments.products.extra": {
            "customerType": "user", "productLineId": "plans", "isAddOnTo": {"gold": true}, "prices": monthly("1"),
        },
        "payments.products.other-line": {"customerType": "user", "productLineId": "others", "prices": monthly("1")},
        "payments.products.pack": {
            "displayName": "Pack", "customerType": "user", "stackable": true,
            "prices": {"once": {"USD": "1.50", "EUR": "1.40"}},
            "includedItems": {"credits": {"quantity": 2, "expires": "never"}},
        },
        "payments.products.seats": {
            "displayName": "Seats", "customerType": "team", "productLineId": "plans", "stackable": true,
            "prices": monthly("5"), "includedItems": {"seats": {"quantity": 1, "expires": "when-purchase-expires"}},
        },
        "payments.products.thing": {
            "customerType": "custom", "stackable": true, "prices": {"once": {"USD": "3"}},
        },
    })
}
