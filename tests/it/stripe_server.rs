//! A Stripe of the test's own: HTTP, with memory, as far as payments use it.
//!
//! It follows Stripe's public API reference (<https://docs.stripe.com/api>): error objects, replayed
//! idempotency keys, pages, a search index that lags behind if told so, and trouble on demand. What
//! happens at a real Stripe by itself (somebody pays, a month passes) happens here when a test says
//! so; the events that Stripe would send come back, to be delivered, doubled or swapped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use muniment::stripe::StripeAccess;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The platform's key.
pub const KEY: &str = "sk_test_of_the_platform";
/// What signs webhooks.
pub const WEBHOOK_SECRET: &str = "whsec_of_the_tests";
/// A card of the tests that is declined.
pub const DECLINED_CARD: &str = "pm_card_chargeDeclined";
/// The version of the API that this server speaks.
const VERSION: &str = "2025-08-27.basil";
/// The least that can be charged, in cents.
const LEAST_AMOUNT: i64 = 50;
/// A month of this server's calendar, in seconds.
const MONTH: i64 = 30 * 86_400;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub params: Value,
    pub account: Option<String>,
    pub key: Option<String>,
}

/// Trouble with one request.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// It is answered with that status and nothing is done.
    Status(u16),
    /// It is done, but the answer is lost on the way.
    LostAnswer,
    /// It is answered with something that is no JSON.
    Garbage,
}

#[derive(Default)]
struct World {
    /// Objects by id, with the connected account they belong to.
    objects: BTreeMap<String, Stored>,
    /// Answers by account and idempotency key, with the parameters they were given for.
    replays: BTreeMap<(String, String), (String, u16, Value)>,
    asked: Vec<Asked>,
    /// Trouble by the path it befalls.
    trouble: VecDeque<(String, Trouble)>,
    /// Customers that the search does not find yet.
    unindexed: BTreeSet<String>,
    search_lags: bool,
    made: u64,
    /// Seconds since 1970.
    now: i64,
}

#[derive(Clone, Debug)]
struct Stored {
    account: String,
    nth: u64,
    value: Value,
}

/// The server. Gone when dropped.
pub struct StripeServer {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    serving: JoinHandle<()>,
}

impl Drop for StripeServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A refusal, as Stripe words it.
struct Refused(u16, Value);

type Done = Result<Value, Refused>;

fn refuse<T>(
    status: u16,
    kind: &str,
    code: &str,
    message: &str,
    param: &str,
) -> Result<T, Refused> {
    let mut error = json!({"type": kind, "message": message});
    for (name, value) in [("code", code), ("param", param)] {
        if !value.is_empty() {
            error[name] = json!(value);
        }
    }
    Err(Refused(status, json!({"error": error})))
}

fn invalid<T>(message: &str, param: &str) -> Result<T, Refused> {
    refuse(400, "invalid_request_error", "", message, param)
}

fn missing<T>(kind: &str, id: &str) -> Result<T, Refused> {
    let message = format!("No such {kind}: '{id}'");
    refuse(
        404,
        "invalid_request_error",
        "resource_missing",
        &message,
        "id",
    )
}

impl StripeServer {
    pub async fn open() -> Self {
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
    pub fn access(&self) -> StripeAccess {
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
    pub fn set_now(&self, seconds: i64) {
        self.world().now = seconds;
    }

    /// Stops listening: connections are refused.
    pub async fn break_down(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// Listens again.
    pub async fn recover(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = serve(listener, Arc::clone(&self.world));
    }

    /// Befalls the next requests to paths that start so, one each.
    pub fn trouble(&self, path: &str, trouble: &[Trouble]) {
        let trouble = trouble.iter().map(|it| (path.to_owned(), it.clone()));
        self.world().trouble.extend(trouble);
    }

    /// From now on the search does not find customers that are made.
    pub fn let_search_lag(&self) {
        self.world().search_lags = true;
    }

    /// The search catches up.
    pub fn index(&self) {
        let mut world = self.world();
        world.search_lags = false;
        world.unindexed.clear();
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.world().asked.clone()
    }

    /// The requests of that method to paths that start so.
    pub fn asked_for(&self, method: &str, path: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|it| it.method.as_str() == method && it.path.starts_with(path));
        asked
    }

    /// An object as it is now.
    pub fn object(&self, id: &str) -> Value {
        let world = self.world();
        let stored = world.objects.get(id);
        stored.unwrap_or_else(|| panic!("no {id}")).value.clone()
    }

    /// All objects of a kind, as `customer`, oldest first.
    pub fn all(&self, kind: &str) -> Vec<Value> {
        self.world().all(kind, None)
    }

    /// Changes fields of an object behind everybody's back.
    pub fn change(&self, id: &str, fields: Value) {
        let mut world = self.world();
        let stored = world.objects.get_mut(id).unwrap();
        merge(&mut stored.value, &fields);
    }

    /// Puts an object there that nobody asked for, in a connected account.
    pub fn put(&self, account: &str, value: Value) {
        self.world().store(account, value);
    }

    /// The intent whose client secret that is: of a payment, or of saving a card.
    pub fn by_secret(&self, client_secret: &str) -> Value {
        let world = self.world();
        let mut objects = world.objects.values();
        let found = objects.find(|it| it.value["client_secret"] == client_secret);
        found
            .unwrap_or_else(|| panic!("no {client_secret}"))
            .value
            .clone()
    }

    /// Lets the owner of an account tell Stripe what it has to know, so that it can charge.
    pub fn onboard(&self, account: &str) {
        self.change(
            account,
            json!({"charges_enabled": true, "details_submitted": true, "payouts_enabled": true}),
        );
    }

    /// Somebody pays, by the secret that the purchase session gave: a payment by itself, or the
    /// invoice behind it. Yields Stripe's events.
    pub fn pay(&self, client_secret: &str) -> Vec<Value> {
        let intent = self.by_secret(client_secret);
        let id = intent["id"].as_str().unwrap();
        match intent["invoice"].as_str() {
            Some(invoice) => self.world().pay_invoice(invoice),
            None => self.world().pay(id),
        }
    }

    /// Somebody's card is declined, by the secret that the purchase session gave.
    pub fn decline(&self, client_secret: &str) -> Vec<Value> {
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
    pub fn save_card(&self, client_secret: &str) -> String {
        let intent = self.by_secret(client_secret);
        let id = intent["id"].as_str().unwrap();
        let mut world = self.world();
        let account = world.objects[id].account.clone();
        let card = world.card(&account, "pm_card_visa", &intent["customer"]);
        let stored = world.objects.get_mut(id).unwrap();
        merge(
            &mut stored.value,
            &json!({"status": "succeeded", "payment_method": card["id"]}),
        );
        card["id"].as_str().unwrap().to_owned()
    }

    /// A period of a subscription passes, and the next one is invoiced and paid.
    pub fn renew(&self, subscription: &str) -> Vec<Value> {
        let mut world = self.world();
        let invoice = world.next_period(subscription);
        world.pay_invoice(&invoice)
    }

    /// A period of a subscription passes, and the card is declined. The invoice stays with that
    /// status: `open` if Stripe will try again, `uncollectible` if it gave up.
    pub fn fail_renewal(&self, subscription: &str, invoice_status: &str) -> Vec<Value> {
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
    pub fn cancel(&self, subscription: &str) -> Vec<Value> {
        self.world()
            .cancel(subscription)
            .unwrap_or_else(|_| panic!("{subscription} has ended"));
        self.world()
            .event("customer.subscription.deleted", subscription)
    }

    /// An event about an object, as Stripe would send it.
    pub fn event(&self, kind: &str, id: &str) -> Value {
        self.world().event(kind, id).remove(0)
    }
}

/// What signs a webhook's body at that time, in seconds since 1970: the `stripe-signature` header.
pub fn signature(secret: &str, body: &str, at: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    let bytes = mac.finalize().into_bytes();
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    format!("t={at},v1={hex}")
}

impl World {
    fn all(&self, kind: &str, account: Option<&str>) -> Vec<Value> {
        let mut found: Vec<&Stored> = self
            .objects
            .values()
            .filter(|it| it.value["object"] == kind)
            .filter(|it| account.is_none_or(|account| it.account == account))
            .collect();
        found.sort_by_key(|it| it.nth);
        found.into_iter().map(|it| it.value.clone()).collect()
    }

    fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_{:04}", self.made)
    }

    fn store(&mut self, account: &str, mut value: Value) -> Value {
        self.made += 1;
        if value["created"].is_null() {
            value["created"] = json!(self.now);
        }
        let stored = Stored {
            account: account.to_owned(),
            nth: self.made,
            value: value.clone(),
        };
        let id = value["id"].as_str().unwrap().to_owned();
        self.objects.insert(id, stored);
        value
    }

    fn find(&self, account: &str, kind: &str, id: &str) -> Done {
        let stored = self.objects.get(id);
        let stored = stored.filter(|it| it.account == account && it.value["object"] == kind);
        match stored {
            Some(stored) => Ok(stored.value.clone()),
            None => missing(&kind.replace('_', ""), id),
        }
    }

    fn living_customer(&self, account: &str, id: &Value) -> Result<String, Refused> {
        let id = text(id);
        let customer = self.find(account, "customer", id)?;
        if customer["deleted"] == true {
            return missing("customer", id);
        }
        Ok(id.to_owned())
    }

    fn change(&mut self, id: &str, fields: &Value) -> Value {
        let stored = self.objects.get_mut(id).unwrap();
        merge(&mut stored.value, fields);
        stored.value.clone()
    }

    fn event(&mut self, kind: &str, id: &str) -> Vec<Value> {
        let event = self.id("evt");
        let stored = &self.objects[id];
        vec![json!({
            "id": event,
            "object": "event",
            "type": kind,
            "created": self.now,
            "account": stored.account,
            "data": {"object": stored.value},
        })]
    }

    fn pay(&mut self, intent: &str) -> Vec<Value> {
        let amount = self.objects[intent].value["amount"].clone();
        let charge = json!({"receipt_url": format!("https://pay.stripe.com/receipts/{intent}")});
        let paid = json!({
            "status": "succeeded",
            "amount_received": amount,
            "charges": {"data": [charge]},
        });
        self.change(intent, &paid);
        self.event("payment_intent.succeeded", intent)
    }

    /// Pays an invoice, and sets its subscription going.
    fn pay_invoice(&mut self, invoice: &str) -> Vec<Value> {
        let value = self.objects[invoice].value.clone();
        let payment = &value["payments"]["data"][0]["payment"]["payment_intent"];
        let mut events = self.pay(text(payment));
        let total = value["total"].clone();
        let mut payments = value["payments"].clone();
        payments["data"][0]["status"] = json!("paid");
        let paid = json!({"status": "paid", "amount_paid": total, "payments": payments});
        self.change(invoice, &paid);
        let subscription = text(&value["subscription"]).to_owned();
        self.change(&subscription, &json!({"status": "active"}));
        events.extend(self.event("invoice.payment_succeeded", invoice));
        events.extend(self.event("invoice.paid", invoice));
        events.extend(self.event("customer.subscription.updated", &subscription));
        events
    }

    /// Moves a subscription to its next period, and yields the invoice for it.
    fn next_period(&mut self, subscription: &str) -> String {
        let stored = self.objects[subscription].clone();
        let mut items = stored.value["items"].clone();
        let start = number(&items["data"][0]["current_period_end"]);
        items["data"][0]["current_period_start"] = json!(start);
        items["data"][0]["current_period_end"] = json!(start + MONTH);
        self.now = self.now.max(start);
        self.change(subscription, &json!({"items": items}));
        let invoice = self.invoice(&stored.account, subscription, "subscription_cycle");
        text(&invoice["id"]).to_owned()
    }

    /// An invoice for the present period of a subscription, open, and the newest.
    fn invoice(&mut self, account: &str, subscription: &str, reason: &str) -> Value {
        let value = self.objects[subscription].value.clone();
        let item = &value["items"]["data"][0];
        let total = number(&item["price"]["unit_amount"]) * number(&item["quantity"]);
        let (id, intent) = (self.id("in"), self.id("pi"));
        let secret = format!("{intent}_secret_x");
        self.store(
            account,
            json!({
                "id": intent,
                "object": "payment_intent",
                "amount": total,
                "currency": "usd",
                "customer": value["customer"],
                "status": "requires_payment_method",
                "client_secret": secret,
                "metadata": {},
                "invoice": id,
            }),
        );
        let invoice = json!({
            "id": id,
            "object": "invoice",
            "status": "open",
            "total": total,
            "amount_due": total,
            "amount_paid": 0,
            "currency": "usd",
            "billing_reason": reason,
            "customer": value["customer"],
            "subscription": subscription,
            "hosted_invoice_url": format!("https://invoice.stripe.com/i/{id}"),
            "invoice_pdf": format!("https://pay.stripe.com/invoice/{id}/pdf"),
            "confirmation_secret": {"type": "payment_intent", "client_secret": secret},
            "payments": {"object": "list", "data": [{
                "id": format!("inpay_{id}"),
                "status": "open",
                "payment": {"type": "payment_intent", "payment_intent": intent},
            }]},
            "lines": {"object": "list", "data": [{
                "description": value["description"],
                "quantity": item["quantity"],
                "parent": {
                    "type": "subscription_item_details",
                    "subscription_item_details": {"subscription": subscription},
                },
            }]},
        });
        let invoice = self.store(account, invoice);
        self.change(subscription, &json!({"latest_invoice": id}));
        invoice
    }

    fn cancel(&mut self, id: &str) -> Done {
        if self.objects[id].value["status"] == "canceled" {
            return missing("subscription", id);
        }
        let now = self.now;
        let ended = json!({"status": "canceled", "canceled_at": now, "ended_at": now});
        Ok(self.change(id, &ended))
    }

    fn card(&mut self, account: &str, token: &str, customer: &Value) -> Value {
        let id = self.id("pm");
        self.store(
            account,
            json!({
                "id": id,
                "object": "payment_method",
                "type": "card",
                "customer": customer,
                "token": token,
                "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2040},
            }),
        )
    }
}

fn serve(listener: TcpListener, world: Arc<Mutex<World>>) -> JoinHandle<()> {
    let routes = Router::new().fallback(take).with_state(world);
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() })
}

async fn take(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let header = |name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
    let encoded = if method == Method::POST {
        assert_eq!(
            header("content-type").as_deref(),
            Some("application/x-www-form-urlencoded")
        );
        String::from_utf8(bytes.to_vec()).unwrap()
    } else {
        uri.query().unwrap_or_default().to_owned()
    };
    let asked = Asked {
        method,
        path: uri.path().to_owned(),
        params: decode(&encoded),
        account: header("stripe-account"),
        key: header("idempotency-key"),
    };
    let mut world = world.lock().unwrap();
    world.asked.push(asked.clone());
    if header("authorization") != Some(format!("Bearer {KEY}")) {
        let message = "Invalid API Key provided: sk_test_*****************form";
        let refused: Done = refuse(401, "invalid_request_error", "", message, "");
        return answer(refused);
    }
    assert_eq!(header("stripe-version").as_deref(), Some(VERSION));
    let due = world
        .trouble
        .iter()
        .position(|(path, _)| asked.path.starts_with(path));
    let trouble = due.and_then(|due| world.trouble.remove(due));
    match trouble.map(|(_, trouble)| trouble) {
        Some(Trouble::Status(status)) => {
            let kind = if status == 429 {
                "rate_limit_error"
            } else {
                "api_error"
            };
            let refused: Done = refuse(status, kind, "", "Trouble, as ordered.", "");
            answer(refused)
        }
        Some(Trouble::LostAnswer) => {
            once(&mut world, &asked, &encoded);
            let refused: Done = refuse(503, "api_error", "", "The answer was lost.", "");
            answer(refused)
        }
        Some(Trouble::Garbage) => (StatusCode::OK, "<html>").into_response(),
        None => once(&mut world, &asked, &encoded),
    }
}

/// Does what is asked, or says what was said before under the same idempotency key.
fn once(world: &mut World, asked: &Asked, encoded: &str) -> Response {
    let account = asked.account.clone().unwrap_or_default();
    let Some(key) = asked.key.clone().filter(|_| asked.method == Method::POST) else {
        return answer(perform(world, asked));
    };
    let fingerprint = format!("{} {encoded}", asked.path);
    if let Some((before, status, body)) = world.replays.get(&(account.clone(), key.clone())) {
        if *before != fingerprint {
            let message = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
            let refused: Done = refuse(400, "idempotency_error", "", message, "");
            return answer(refused);
        }
        let body = body.to_string();
        let status = StatusCode::from_u16(*status).unwrap();
        return (status, [("idempotent-replayed", "true")], body).into_response();
    }
    let done = perform(world, asked);
    let kept = match &done {
        Ok(body) => Some((fingerprint, 200, body.clone())),
        // Requests that fail validation are not remembered.
        Err(Refused(402, body)) => Some((fingerprint, 402, body.clone())),
        Err(_) => None,
    };
    if let Some(kept) = kept {
        world.replays.insert((account, key), kept);
    }
    answer(done)
}

fn answer(done: Done) -> Response {
    let (status, body) = match done {
        Ok(body) => (200, body),
        Err(Refused(status, body)) => (status, body),
    };
    let status = StatusCode::from_u16(status).unwrap();
    let json = [("content-type", "application/json")];
    (status, json, body.to_string()).into_response()
}

fn perform(world: &mut World, asked: &Asked) -> Done {
    let account = asked.account.clone().unwrap_or_default();
    if !account.is_empty() && world.find("", "account", &account).is_err() {
        let message = format!(
            "The provided key 'sk_test_*****form' does not have access to account '{account}' (or that account does not exist)."
        );
        return refuse(
            403,
            "invalid_request_error",
            "account_invalid",
            &message,
            "",
        );
    }
    let path = asked.path.strip_prefix("/v1/").unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let params = &asked.params;
    match (asked.method.as_str(), segments.as_slice()) {
        ("POST", ["accounts"]) => new_account(world, params),
        ("GET", ["accounts", id]) => world.find("", "account", id),
        ("POST", ["account_links"]) => account_link(world, params),
        ("POST", ["account_sessions"]) => account_session(world, params),
        ("GET", ["payment_method_configurations"]) => Ok(list(
            world.all("payment_method_configuration", Some(&account)),
        )),
        ("POST", ["payment_method_configurations", id]) => {
            switch_methods(world, &account, id, params)
        }
        ("POST", ["customers"]) => Ok(new_customer(world, &account, params)),
        ("GET", ["customers"]) => Ok(customers(world, &account, params)),
        ("GET", ["customers", "search"]) => search(world, &account, params),
        ("GET", ["customers", id]) => world.find(&account, "customer", id),
        ("POST", ["customers", id]) => update_customer(world, &account, id, params),
        ("GET", ["customers", id, "payment_methods"]) => cards(world, &account, id, params),
        ("POST", ["payment_methods", token, "attach"]) => {
            let customer = json!(world.living_customer(&account, &params["customer"])?);
            Ok(world.card(&account, token, &customer))
        }
        ("POST", ["setup_intents"]) => new_setup_intent(world, &account, params),
        ("GET", ["setup_intents", id]) => world.find(&account, "setup_intent", id),
        ("POST", ["payment_intents"]) => new_payment_intent(world, &account, params),
        ("POST", ["products"]) => new_product(world, &account, params),
        ("POST", ["subscriptions"]) => new_subscription(world, &account, params),
        ("GET", ["subscriptions"]) => subscriptions(world, &account, params),
        ("GET", ["subscriptions", id]) => world.find(&account, "subscription", id),
        ("POST", ["subscriptions", id]) => update_subscription(world, &account, id, params),
        ("DELETE", ["subscriptions", id]) => {
            world.find(&account, "subscription", id)?;
            world.cancel(id)
        }
        ("GET", ["invoices", id]) => invoice(world, &account, id, params),
        ("POST", ["refunds"]) => new_refund(world, &account, params),
        (method, _) => {
            let message = format!("Unrecognized request URL ({method}: {}).", asked.path);
            refuse(404, "invalid_request_error", "", &message, "")
        }
    }
}

fn new_account(world: &mut World, params: &Value) -> Done {
    if text(&params["country"]).len() != 2 {
        return invalid("Country is invalid", "country");
    }
    let id = world.id("acct");
    let account = world.store(
        "",
        json!({
            "id": id,
            "object": "account",
            "country": params["country"],
            "controller": params["controller"],
            "charges_enabled": false,
            "details_submitted": false,
            "payouts_enabled": false,
            "metadata": params["metadata"],
        }),
    );
    for (prefix, extra) in [("pmc_default", json!({"is_default": true}))] {
        let method = |value: &str, available: bool| {
            let preference = json!({"overridable": null, "preference": value, "value": value});
            json!({"available": available, "display_preference": preference})
        };
        let mut configuration = json!({
            "id": format!("{prefix}_{id}"),
            "object": "payment_method_configuration",
            "active": true,
            "application": null,
            "parent": null,
            "is_default": false,
            "livemode": false,
            "name": "Default",
            "card": method("on", true),
            "link": method("off", true),
            "klarna": method("on", false),
            "not_known_yet": method("on", true),
        });
        merge(&mut configuration, &extra);
        world.store(&id, configuration);
    }
    Ok(account)
}

fn account_link(world: &mut World, params: &Value) -> Done {
    let account = text(&params["account"]);
    world.find("", "account", account)?;
    for name in ["refresh_url", "return_url"] {
        if !text(&params[name]).starts_with("http") {
            return invalid("Not a valid URL", name);
        }
    }
    if params["type"] != "account_onboarding" {
        return invalid("Invalid type", "type");
    }
    let url = format!("https://connect.stripe.com/setup/c/{account}");
    Ok(json!({"object": "account_link", "created": world.now, "url": url}))
}

fn account_session(world: &mut World, params: &Value) -> Done {
    let account = text(&params["account"]).to_owned();
    world.find("", "account", &account)?;
    let components = params["components"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    if components.is_empty() {
        return invalid("Missing required param: components.", "components");
    }
    let secret = world.id("accs_secret_");
    Ok(json!({"object": "account_session", "account": account, "client_secret": secret}))
}

fn switch_methods(world: &mut World, account: &str, id: &str, params: &Value) -> Done {
    let mut configuration = world.find(account, "payment_method_configuration", id)?;
    for (method, wanted) in params.as_object().into_iter().flatten() {
        let preference = &wanted["display_preference"]["preference"];
        if !configuration[method].is_object() {
            configuration[method] = json!({"available": false, "display_preference": {}});
        }
        configuration[method]["display_preference"]["preference"] = preference.clone();
        configuration[method]["display_preference"]["value"] = preference.clone();
    }
    Ok(world.change(id, &configuration))
}

fn new_customer(world: &mut World, account: &str, params: &Value) -> Value {
    let id = world.id("cus");
    if world.search_lags {
        world.unindexed.insert(id.clone());
    }
    let metadata = object(&params["metadata"]);
    world.store(
        account,
        json!({
            "id": id,
            "object": "customer",
            "metadata": metadata,
            "invoice_settings": {"default_payment_method": null},
        }),
    )
}

fn living(mut customers: Vec<Value>) -> Vec<Value> {
    customers.retain(|customer| customer["deleted"] != true);
    customers
}

/// Newest first, a page after the object of that id.
fn customers(world: &World, account: &str, params: &Value) -> Value {
    page(living(world.all("customer", Some(account))), params)
}

fn page(mut all: Vec<Value>, params: &Value) -> Value {
    all.reverse();
    let limit = match text(&params["limit"]) {
        "" => 10,
        limit => limit.parse().unwrap(),
    };
    assert!(
        (1..=100).contains(&limit),
        "Stripe's pages have 1 to 100 objects"
    );
    if let Some(after) = params["starting_after"].as_str() {
        let at = all.iter().position(|it| it["id"] == after).unwrap();
        all.drain(..=at);
    }
    let has_more = all.len() > limit;
    all.truncate(limit);
    json!({"object": "list", "has_more": has_more, "data": all})
}

/// Understands `metadata['customerId']:'…'`.
fn search(world: &World, account: &str, params: &Value) -> Done {
    let query = text(&params["query"]);
    let quoted = query
        .strip_prefix("metadata['customerId']:'")
        .and_then(|rest| rest.strip_suffix('\''));
    let Some(quoted) = quoted else {
        return invalid("We were unable to parse your search query.", "query");
    };
    let mut wanted = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => wanted.extend(characters.next()),
            '\'' => return invalid("We were unable to parse your search query.", "query"),
            other => wanted.push(other),
        }
    }
    let mut found = living(world.all("customer", Some(account)));
    found.retain(|customer| {
        let id = text(&customer["id"]);
        customer["metadata"]["customerId"] == wanted.as_str() && !world.unindexed.contains(id)
    });
    Ok(json!({"object": "search_result", "has_more": false, "data": found}))
}

fn update_customer(world: &mut World, account: &str, id: &str, params: &Value) -> Done {
    let mut customer = world.find(account, "customer", id)?;
    world.living_customer(account, &json!(id))?;
    for (name, value) in object(&params["metadata"]) {
        customer["metadata"][name] = value;
    }
    if let Some(card) = params["invoice_settings"]["default_payment_method"].as_str() {
        let card_object = world.find(account, "payment_method", card)?;
        if card_object["customer"] != id {
            return invalid(
                "The customer does not have a payment method with that ID.",
                "invoice_settings[default_payment_method]",
            );
        }
        customer["invoice_settings"]["default_payment_method"] = json!(card);
    }
    Ok(world.change(id, &customer))
}

fn cards(world: &World, account: &str, id: &str, params: &Value) -> Done {
    world.find(account, "customer", id)?;
    let mut cards = world.all("payment_method", Some(account));
    cards.retain(|card| card["customer"] == id && card["type"] == params["type"]);
    Ok(page(cards, params))
}

fn new_setup_intent(world: &mut World, account: &str, params: &Value) -> Done {
    let customer = world.living_customer(account, &params["customer"])?;
    let id = world.id("seti");
    Ok(world.store(
        account,
        json!({
            "id": id,
            "object": "setup_intent",
            "customer": customer,
            "usage": params["usage"],
            "payment_method_types": params["payment_method_types"],
            "status": "requires_payment_method",
            "payment_method": null,
            "client_secret": format!("{id}_secret_x"),
        }),
    ))
}

fn new_payment_intent(world: &mut World, account: &str, params: &Value) -> Done {
    let customer = world.living_customer(account, &params["customer"])?;
    let amount = number(&params["amount"]);
    if amount < LEAST_AMOUNT {
        let message = "Amount must be at least $0.50 usd";
        return refuse(
            400,
            "invalid_request_error",
            "amount_too_small",
            message,
            "amount",
        );
    }
    if params["currency"] != "usd" {
        return invalid("Invalid currency", "currency");
    }
    let id = world.id("pi");
    Ok(world.store(
        account,
        json!({
            "id": id,
            "object": "payment_intent",
            "amount": amount,
            "currency": "usd",
            "customer": customer,
            "automatic_payment_methods": params["automatic_payment_methods"],
            "metadata": object(&params["metadata"]),
            "status": "requires_payment_method",
            "client_secret": format!("{id}_secret_x"),
        }),
    ))
}

fn new_product(world: &mut World, account: &str, params: &Value) -> Done {
    if text(&params["name"]).is_empty() {
        return invalid("Missing required param: name.", "name");
    }
    let id = world.id("prod");
    Ok(world.store(
        account,
        json!({"id": id, "object": "product", "name": params["name"]}),
    ))
}

/// The item that parameters ask for.
fn item(world: &World, account: &str, params: &Value, id: &str, was: &Value) -> Done {
    let wanted = &params["items"]["0"];
    let mut item = was.clone();
    item["id"] = json!(id);
    if let Some(price) = wanted["price_data"].as_object() {
        world.find(account, "product", text(&price["product"]))?;
        if price["currency"] != "usd" {
            return invalid("Invalid currency", "items[0][price_data][currency]");
        }
        let recurring = &price["recurring"];
        let count = number(&recurring["interval_count"]);
        if !["day", "week", "month", "year"].contains(&text(&recurring["interval"])) || count < 1 {
            return invalid("Invalid interval", "items[0][price_data][recurring]");
        }
        item["price"] = json!({
            "unit_amount": number(&price["unit_amount"]),
            "product": price["product"],
            "recurring": {"interval": recurring["interval"], "interval_count": count},
        });
    }
    if !wanted["quantity"].is_null() {
        item["quantity"] = json!(number(&wanted["quantity"]));
    }
    Ok(item)
}

/// Whether a charge would go through at once.
fn can_charge(world: &World, account: &str, customer: &str, card: &Value) -> bool {
    let mut cards = world.all("payment_method", Some(account));
    cards.retain(|it| it["customer"] == customer && it["id"] == *card);
    cards
        .first()
        .is_some_and(|card| card["token"] != DECLINED_CARD)
}

fn declined() -> Done {
    let message = "Your card was declined.";
    refuse(402, "card_error", "card_declined", message, "")
}

fn new_subscription(world: &mut World, account: &str, params: &Value) -> Done {
    let customer = world.living_customer(account, &params["customer"])?;
    let item_id = world.id("si");
    let mut item = item(world, account, params, &item_id, &json!({"quantity": 1}))?;
    item["current_period_start"] = json!(world.now);
    item["current_period_end"] = json!(world.now + MONTH);
    let card = &params["default_payment_method"];
    let paid_at_once = can_charge(world, account, &customer, card);
    if params["payment_behavior"] == "error_if_incomplete" && !paid_at_once {
        return declined();
    }
    let id = world.id("sub");
    world.store(
        account,
        json!({
            "id": id,
            "object": "subscription",
            "customer": customer,
            "status": "incomplete",
            "items": {"object": "list", "data": [item]},
            "metadata": object(&params["metadata"]),
            "cancel_at_period_end": false,
            "canceled_at": null,
            "ended_at": null,
            "default_payment_method": card,
            "payment_settings": params["payment_settings"],
        }),
    );
    let invoice = world.invoice(account, &id, "subscription_create");
    if paid_at_once {
        world.pay_invoice(text(&invoice["id"]));
    }
    Ok(expanded(world, &id, params))
}

fn update_subscription(world: &mut World, account: &str, id: &str, params: &Value) -> Done {
    let before = world.find(account, "subscription", id)?;
    if before["status"] == "canceled" {
        let message =
            "A canceled subscription can only update its cancellation_details and metadata.";
        return invalid(message, "");
    }
    let was = &before["items"]["data"][0];
    let wanted = &params["items"]["0"];
    if !wanted.is_null() && wanted["id"] != was["id"] {
        return missing("subscription_item", text(&wanted["id"]));
    }
    let changes_price = !wanted["price_data"].is_null();
    let card = &params["default_payment_method"];
    let paid_at_once = can_charge(world, account, text(&before["customer"]), card);
    if params["payment_behavior"] == "error_if_incomplete" && !paid_at_once {
        return declined();
    }
    let item = item(world, account, params, text(&was["id"]), was)?;
    let mut changes = json!({"items": {"object": "list", "data": [item]}});
    if !params["cancel_at_period_end"].is_null() {
        changes["cancel_at_period_end"] = json!(params["cancel_at_period_end"] == "true");
    }
    let mut metadata = before["metadata"].clone();
    for (name, value) in object(&params["metadata"]) {
        metadata[name] = value;
    }
    changes["metadata"] = metadata;
    world.change(id, &changes);
    if changes_price {
        let invoice = world.invoice(account, id, "subscription_update");
        if paid_at_once {
            world.pay_invoice(text(&invoice["id"]));
        }
    }
    Ok(expanded(world, id, params))
}

/// A subscription, with the newest invoice if that was asked for.
fn expanded(world: &World, id: &str, params: &Value) -> Value {
    let mut subscription = world.objects[id].value.clone();
    let expands = object(&params["expand"]);
    if expands
        .values()
        .any(|path| text(path).starts_with("latest_invoice"))
    {
        let invoice = text(&subscription["latest_invoice"]).to_owned();
        subscription["latest_invoice"] = world.objects[&invoice].value.clone();
    }
    subscription
}

fn subscriptions(world: &World, account: &str, params: &Value) -> Done {
    let mut all = world.all("subscription", Some(account));
    all.retain(|it| it["customer"] == params["customer"]);
    // Those that ended are shown to whoever asks for them only.
    if params["status"] != "all" {
        all.retain(|it| it["status"] != "canceled");
    }
    Ok(page(all, params))
}

fn invoice(world: &World, account: &str, id: &str, params: &Value) -> Done {
    let mut invoice = world.find(account, "invoice", id)?;
    if !object(&params["expand"])
        .values()
        .any(|it| it == "payments")
        && let Some(fields) = invoice.as_object_mut()
    {
        fields.remove("payments");
    }
    Ok(invoice)
}

fn new_refund(world: &mut World, account: &str, params: &Value) -> Done {
    let intent_id = text(&params["payment_intent"]).to_owned();
    let intent = world.find(account, "payment_intent", &intent_id)?;
    if intent["status"] != "succeeded" {
        return invalid(
            "This PaymentIntent does not have a successful charge to refund.",
            "",
        );
    }
    let amount = number(&params["amount"]);
    let refunded = number(&intent["amount_refunded"]);
    let left = number(&intent["amount"]) - refunded;
    if left == 0 {
        let message = "The payment has already been refunded.";
        return refuse(
            400,
            "invalid_request_error",
            "charge_already_refunded",
            message,
            "",
        );
    }
    if amount < 1 || amount > left {
        let message = "Refund amount is greater than unrefunded amount on charge";
        return invalid(message, "amount");
    }
    world.change(&intent_id, &json!({"amount_refunded": refunded + amount}));
    let id = world.id("re");
    Ok(world.store(
        account,
        json!({
            "id": id,
            "object": "refund",
            "status": "succeeded",
            "amount": amount,
            "payment_intent": intent_id,
            "metadata": object(&params["metadata"]),
        }),
    ))
}

fn list(data: Vec<Value>) -> Value {
    json!({"object": "list", "has_more": false, "data": data})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A number, also one that came in a form.
fn number(value: &Value) -> i64 {
    match value {
        Value::String(digits) => digits.parse().unwrap(),
        other => other.as_i64().unwrap_or_default(),
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Puts fields over those of an object.
fn merge(value: &mut Value, fields: &Value) {
    for (name, field) in object(fields) {
        value[name] = field;
    }
}

/// Reads `items[0][quantity]=2` as `{"items": {"0": {"quantity": "2"}}}`.
fn decode(encoded: &str) -> Value {
    let mut decoded = json!({});
    for (name, value) in url::form_urlencoded::parse(encoded.as_bytes()) {
        let (first, rest) = name.split_once('[').unwrap_or((&name, ""));
        let mut place = &mut decoded[first];
        for key in rest.split('[').filter(|key| !key.is_empty()) {
            place = &mut place[key.trim_end_matches(']')];
        }
        *place = json!(value);
    }
    decoded
}
