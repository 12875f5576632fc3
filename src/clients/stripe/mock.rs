//! Stripe for those who have no Stripe account: answers calls inside this process, plausibly and
//! without memory, as Stripe's own `stripe-mock` does.
//!
//! Every account may charge, every customer exists and has a card that works, and whatever is made
//! is what was asked for. Payments never arrive by themselves: what a webhook would say is said by
//! whoever tries things out. For tests of real behaviour, name a fake server as the API's base.

use serde_json::{Map, Value, json};

use super::transport::Call;
use crate::security::secrets::Random;

/// The start of the ids of accounts; the id of the project follows.
const ACCOUNT: &str = "acct_mock_";
/// The customer that everybody is.
const CUSTOMER: &str = "cus_mock";
/// The item of every subscription.
const ITEM: &str = "si_mock";
/// How long drawn ids are.
const ID_LENGTH: usize = 14;

/// Answers calls.
pub(super) struct Mock {
    random: Random,
}

impl Mock {
    pub(super) fn new(random: Random) -> Self {
        Self { random }
    }

    /// What Stripe would say if all went well.
    pub(super) fn answer(&self, call: &Call) -> Value {
        let params = &call.params;
        let id = || call.path.rsplit('/').next().unwrap_or_default();
        match call.name {
            "accounts.create" => account(&format!(
                "{ACCOUNT}{}",
                params["metadata"]["tenancyId"].as_str().unwrap_or_default()
            )),
            "accounts.retrieve" => account(id()),
            // There is nothing to fill in, so the way leads straight back.
            "accountLinks.create" => json!({"object": "account_link", "url": params["return_url"]}),
            "accountSessions.create" => {
                json!({"object": "account_session", "client_secret": self.secret("accs_secret")})
            }
            "paymentMethodConfigurations.list" => list(&[payment_methods("pmc_mock")]),
            "paymentMethodConfigurations.update" => payment_methods(id()),
            "customers.search" | "customers.list" => list(&[customer(CUSTOMER, &json!({}))]),
            "customers.create" => customer(CUSTOMER, params),
            "customers.retrieve" | "customers.update" => customer(id(), params),
            "customers.listPaymentMethods" => list(&[card(CUSTOMER)]),
            "paymentMethods.create" | "paymentMethods.attach" => {
                card(params["customer"].as_str().unwrap_or(CUSTOMER))
            }
            "setupIntents.create" => self.setup_intent(&self.id("seti"), &params["customer"]),
            "setupIntents.retrieve" => self.setup_intent(id(), &json!(CUSTOMER)),
            "paymentIntents.create" => {
                let id = self.id("pi");
                let secret = self.secret(&format!("{id}_secret"));
                let made = json!({
                    "id": id,
                    "object": "payment_intent",
                    "status": "requires_payment_method",
                    "client_secret": secret,
                });
                over(made, params)
            }
            "products.create" => over(json!({"id": self.id("prod"), "object": "product"}), params),
            "subscriptions.create" => self.subscription(&self.id("sub"), "incomplete", params),
            "subscriptions.retrieve" | "subscriptions.update" => {
                self.subscription(id(), "active", params)
            }
            "subscriptions.cancel" => self.subscription(id(), "canceled", params),
            "invoices.retrieve" => self.invoice(id()),
            "refunds.create" => over(
                json!({"id": self.id("re"), "object": "refund", "status": "succeeded"}),
                params,
            ),
            // `subscriptions.list`: nobody has any.
            _ => list(&[]),
        }
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}_mock{}", self.random.base62(ID_LENGTH))
    }

    fn secret(&self, prefix: &str) -> String {
        format!("{prefix}_mock{}", self.random.base62(ID_LENGTH))
    }

    fn setup_intent(&self, id: &str, customer: &Value) -> Value {
        json!({
            "id": id,
            "object": "setup_intent",
            "status": "succeeded",
            "client_secret": self.secret(&format!("{id}_secret")),
            "customer": customer,
            "payment_method": "pm_mock",
        })
    }

    fn subscription(&self, id: &str, status: &str, params: &Value) -> Value {
        let quantity = &params["items"][0]["quantity"];
        let item = json!({"id": ITEM, "quantity": quantity.as_i64().unwrap_or(1)});
        json!({
            "id": id,
            "object": "subscription",
            "status": status,
            "customer": CUSTOMER,
            "items": list(&[item]),
            "metadata": object(&params["metadata"]),
            "cancel_at_period_end": params["cancel_at_period_end"] == true,
            "latest_invoice": self.invoice("in_mock"),
        })
    }

    fn invoice(&self, id: &str) -> Value {
        let intent = json!({"type": "payment_intent", "payment_intent": self.id("pi")});
        json!({
            "id": id,
            "object": "invoice",
            "status": "paid",
            "confirmation_secret": {
                "type": "payment_intent",
                "client_secret": self.secret("pi_mock_secret"),
            },
            "payments": list(&[json!({"status": "paid", "payment": intent})]),
        })
    }
}

fn list(data: &[Value]) -> Value {
    json!({"object": "list", "has_more": false, "data": data})
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// An object with the fields it was made with.
fn over(mut made: Value, params: &Value) -> Value {
    if let Value::Object(made) = &mut made {
        made.extend(object(params));
    }
    made
}

fn account(id: &str) -> Value {
    json!({
        "id": id,
        "object": "account",
        "charges_enabled": true,
        "details_submitted": true,
        "payouts_enabled": true,
        "metadata": {"tenancyId": id.strip_prefix(ACCOUNT).unwrap_or_default()},
    })
}

fn customer(id: &str, params: &Value) -> Value {
    json!({"id": id, "object": "customer", "metadata": object(&params["metadata"])})
}

fn card(customer: &str) -> Value {
    json!({
        "id": "pm_mock",
        "object": "payment_method",
        "type": "card",
        "customer": customer,
        "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2040},
    })
}

fn payment_methods(id: &str) -> Value {
    let method = |value: &str| {
        let preference = json!({"overridable": true, "preference": value, "value": value});
        json!({"available": true, "display_preference": preference})
    };
    json!({
        "id": id,
        "object": "payment_method_configuration",
        "is_default": true,
        "card": method("on"),
        "link": method("on"),
        "apple_pay": method("on"),
        "google_pay": method("on"),
        "cashapp": method("off"),
        "us_bank_account": method("off"),
    })
}
