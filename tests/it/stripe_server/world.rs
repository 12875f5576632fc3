//! What the fake Stripe remembers, and what happens in it by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::answers::{Done, Refused, missing};
use super::values::{merge, number, text};
use super::{Asked, Trouble};

/// A month of this server's calendar, in seconds.
pub(super) const MONTH: i64 = 30 * 86_400;

#[derive(Default)]
pub(super) struct World {
    /// Objects by id, with the connected account they belong to.
    pub objects: BTreeMap<String, Stored>,
    /// Answers by account and idempotency key, with the parameters they were given for.
    pub replays: BTreeMap<(String, String), (String, u16, Value)>,
    pub asked: Vec<Asked>,
    /// Trouble by the path it befalls.
    pub trouble: VecDeque<(String, Trouble)>,
    /// Customers that the search does not find yet.
    pub unindexed: BTreeSet<String>,
    pub search_lags: bool,
    pub made: u64,
    /// Seconds since 1970.
    pub now: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub account: String,
    pub nth: u64,
    pub value: Value,
}

impl World {
    pub(super) fn all(&self, kind: &str, account: Option<&str>) -> Vec<Value> {
        let mut found: Vec<&Stored> = self
            .objects
            .values()
            .filter(|it| it.value["object"] == kind)
            .filter(|it| account.is_none_or(|account| it.account == account))
            .collect();
        found.sort_by_key(|it| it.nth);
        found.into_iter().map(|it| it.value.clone()).collect()
    }

    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_{:04}", self.made)
    }

    pub(super) fn store(&mut self, account: &str, mut value: Value) -> Value {
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

    pub(super) fn find(&self, account: &str, kind: &str, id: &str) -> Done {
        let stored = self.objects.get(id);
        let stored = stored.filter(|it| it.account == account && it.value["object"] == kind);
        match stored {
            Some(stored) => Ok(stored.value.clone()),
            None => missing(&kind.replace('_', ""), id),
        }
    }

    pub(super) fn living_customer(&self, account: &str, id: &Value) -> Result<String, Refused> {
        let id = text(id);
        let customer = self.find(account, "customer", id)?;
        if customer["deleted"] == true {
            return missing("customer", id);
        }
        Ok(id.to_owned())
    }

    pub(super) fn change(&mut self, id: &str, fields: &Value) -> Value {
        let stored = self.objects.get_mut(id).unwrap();
        merge(&mut stored.value, fields);
        stored.value.clone()
    }

    pub(super) fn event(&mut self, kind: &str, id: &str) -> Vec<Value> {
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

    pub(super) fn pay(&mut self, intent: &str) -> Vec<Value> {
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
    pub(super) fn pay_invoice(&mut self, invoice: &str) -> Vec<Value> {
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
    pub(super) fn next_period(&mut self, subscription: &str) -> String {
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
    pub(super) fn invoice(&mut self, account: &str, subscription: &str, reason: &str) -> Value {
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

    pub(super) fn cancel(&mut self, id: &str) -> Done {
        if self.objects[id].value["status"] == "canceled" {
            return missing("subscription", id);
        }
        let now = self.now;
        let ended = json!({"status": "canceled", "canceled_at": now, "ended_at": now});
        Ok(self.change(id, &ended))
    }

    pub(super) fn card(&mut self, account: &str, token: &str, customer: &Value) -> Value {
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
