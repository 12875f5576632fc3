//! A Stripe of the test's own: HTTP, with memory, as far as payments use it.
//!
//! It follows Stripe's public API reference (<https://docs.stripe.com/api>): error objects, replayed
//! idempotency keys, pages, a search index that lags behind if told so, and trouble on demand. What
//! happens at a real Stripe by itself (somebody pays, a month passes) happens here when a test says
//! so; the events that Stripe would send come back, to be delivered, doubled or swapped.

mod accounts;
mod answers;
mod billing;
mod calls;
mod customers;
mod values;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::http::Method;
use hmac::{Hmac, KeyInit, Mac};
use muniment::clients::stripe::StripeAccess;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use calls::serve;
use values::merge;
use world::World;

/// The platform's key.
pub(crate) const KEY: &str = "sk_test_of_the_platform";
/// What signs webhooks.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_of_the_tests";
/// The token of a card that is declined.
pub(crate) const DECLINED_CARD: &str = "tok_chargeDeclined";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub method: Method,
    pub path: String,
    pub params: Value,
    pub account: Option<String>,
    pub key: Option<String>,
}

/// Trouble with one request.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// It is answered with that status and nothing is done.
    Status(u16),
    /// It is done, but the answer is lost on the way.
    LostAnswer,
    /// It is answered with something that is no JSON.
    Garbage,
    /// It is answered with that object, and nothing is done.
    Answer(Value),
    /// Nothing is done, and nothing is ever answered.
    Deaf,
    /// It is done, but nothing is ever answered.
    Mute,
}

/// The server. Gone when dropped.
pub(crate) struct StripeServer {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    serving: JoinHandle<()>,
}

impl Drop for StripeServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl StripeServer {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(Mutex::new(World {
            now: 1_800_000_000,
            ..World::default()
        }));
        Self {
            serving: serve(listener, Arc::clone(&world)),
            address,
            world,
        }
    }

    /// What a server of ours needs to reach this one. It repeats calls without long pauses.
    pub(crate) fn access(&self) -> StripeAccess {
        StripeAccess {
            webhook_secret: Some(WEBHOOK_SECRET.to_owned()),
            api_base: Some(format!("http://{}", self.address)),
            first_pause: std::time::Duration::from_millis(1),
            ..StripeAccess::with_key(KEY)
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Sets the server's time, in seconds since 1970.
    pub(crate) fn set_now(&self, seconds: i64) {
        self.world().now = seconds;
    }

    /// Stops listening: connections are refused.
    pub(crate) async fn break_down(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// Listens again.
    pub(crate) async fn recover(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = serve(listener, Arc::clone(&self.world));
    }

    /// A day passes: what was answered under idempotency keys is forgotten.
    pub(crate) fn forget_keys(&self) {
        self.world().replays.clear();
    }

    /// Befalls the next requests to paths that start so, one each: `/v1/refunds`, or with a method,
    /// `POST /v1/refunds`.
    pub(crate) fn trouble(&self, path: &str, trouble: &[Trouble]) {
        let trouble = trouble.iter().map(|it| (path.to_owned(), it.clone()));
        self.world().trouble.extend(trouble);
    }

    /// Whether some trouble is still to come.
    pub(crate) fn is_troubled(&self) -> bool {
        !self.world().trouble.is_empty()
    }

    /// From now on the search does not find customers that are made.
    pub(crate) fn let_search_lag(&self) {
        self.world().search_lags = true;
    }

    /// The search catches up.
    pub(crate) fn index(&self) {
        let mut world = self.world();
        world.search_lags = false;
        world.unindexed.clear();
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.world().asked.clone()
    }

    /// The requests of that method to paths that start so.
    pub(crate) fn asked_for(&self, method: &str, path: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|it| it.method.as_str() == method && it.path.starts_with(path));
        asked
    }

    /// An object as it is now.
    pub(crate) fn object(&self, id: &str) -> Value {
        let world = self.world();
        let stored = world.objects.get(id);
        stored.unwrap_or_else(|| panic!("no {id}")).value.clone()
    }

    /// All objects of a kind, as `customer`, oldest first.
    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        self.world().all(kind, None)
    }

    /// Changes fields of an object behind everybody's back.
    pub(crate) fn change(&self, id: &str, fields: Value) {
        let mut world = self.world();
        let stored = world.objects.get_mut(id).unwrap();
        merge(&mut stored.value, &fields);
    }

    /// Puts an object there that nobody asked for, in a connected account.
    pub(crate) fn put(&self, account: &str, value: Value) {
        self.world().store(account, value);
    }

    /// The intent whose client secret that is: of a payment, or of saving a card.
    pub(crate) fn by_secret(&self, client_secret: &str) -> Value {
        let world = self.world();
        let mut objects = world.objects.values();
        let found = objects.find(|it| it.value["client_secret"] == client_secret);
        found
            .unwrap_or_else(|| panic!("no {client_secret}"))
            .value
            .clone()
    }

    /// Lets the owner of an account tell Stripe what it has to know, so that it can charge.
    pub(crate) fn onboard(&self, account: &str) {
        self.change(
            account,
            json!({"charges_enabled": true, "details_submitted": true, "payouts_enabled": true}),
        );
    }

    /// Somebody pays, by the secret that the purchase session gave: a payment by itself, or the
    /// invoice behind it. Yields Stripe's events.
    pub(crate) fn pay(&self, client_secret: &str) -> Vec<Value> {
        let intent = self.by_secret(client_secret);
        let id = intent["id"].as_str().unwrap();
        match intent["invoice"].as_str() {
            Some(invoice) => self.world().pay_invoice(invoice),
            None => self.world().pay(id),
        }
    }

    /// Somebody's card is declined, by the secret that the purchase session gave.
    pub(crate) fn decline(&self, client_secret: &str) -> Vec<Value> {
        let intent = self.by_secret(client_secret);
        let id = intent["id"].as_str().unwrap();
        let error = json!({
            "type": "card_error",
            "code": "card_declined",
            "message": "Your card was declined.",
        });
        self.change(
            id,
            json!({"status": "requires_payment_method", "last_payment_error": error}),
        );
        self.world().event("payment_intent.payment_failed", id)
    }

    /// Somebody saves a card, by the secret of a setup intent. Yields the card's id.
    pub(crate) fn save_card(&self, client_secret: &str) -> String {
        let intent = self.by_secret(client_secret);
        let id = intent["id"].as_str().unwrap();
        let mut world = self.world();
        let account = world.objects[id].account.clone();
        let card = world.card(&account, "tok_visa", &intent["customer"]);
        let stored = world.objects.get_mut(id).unwrap();
        merge(
            &mut stored.value,
            &json!({"status": "succeeded", "payment_method": card["id"]}),
        );
        card["id"].as_str().unwrap().to_owned()
    }

    /// A period of a subscription passes, and the next one is invoiced and paid.
    pub(crate) fn renew(&self, subscription: &str) -> Vec<Value> {
        let mut world = self.world();
        let invoice = world.next_period(subscription);
        world.pay_invoice(&invoice)
    }

    /// A period of a subscription passes, and the card is declined. The invoice stays with that
    /// status: `open` if Stripe will try again, `uncollectible` if it gave up.
    pub(crate) fn fail_renewal(&self, subscription: &str, invoice_status: &str) -> Vec<Value> {
        let mut world = self.world();
        let invoice = world.next_period(subscription);
        let unpaid = json!({"status": invoice_status});
        merge(&mut world.objects.get_mut(&invoice).unwrap().value, &unpaid);
        let late = json!({"status": "past_due"});
        merge(
            &mut world.objects.get_mut(subscription).unwrap().value,
            &late,
        );
        let mut events = world.event("invoice.payment_failed", &invoice);
        events.extend(world.event("customer.subscription.updated", subscription));
        events
    }

    /// The owner of the account ends a subscription in the dashboard.
    pub(crate) fn cancel(&self, subscription: &str) -> Vec<Value> {
        self.world()
            .cancel(subscription)
            .unwrap_or_else(|_| panic!("{subscription} has ended"));
        self.world()
            .event("customer.subscription.deleted", subscription)
    }

    /// An event about an object, as Stripe would send it.
    pub(crate) fn event(&self, kind: &str, id: &str) -> Value {
        self.world().event(kind, id).remove(0)
    }
}

/// What signs a webhook's body at that time, in seconds since 1970: the `stripe-signature` header.
pub(crate) fn signature(secret: &str, body: &str, at: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    let bytes = mac.finalize().into_bytes();
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    format!("t={at},v1={hex}")
}
