//! Payments, subscriptions, invoices and refunds.

use serde_json::{Value, json};

use super::DECLINED_CARD;
use super::answers::{Done, invalid, missing, refuse};
use super::values::{number, object, page, text};
use super::world::{MONTH, World};

/// The least that can be charged, in cents.
const LEAST_AMOUNT: i64 = 50;

pub(super) fn new_payment_intent(world: &mut World, account: &str, params: &Value) -> Done {
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

pub(super) fn new_product(world: &mut World, account: &str, params: &Value) -> Done {
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

pub(super) fn new_subscription(world: &mut World, account: &str, params: &Value) -> Done {
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

pub(super) fn update_subscription(
    world: &mut World,
    account: &str,
    id: &str,
    params: &Value,
) -> Done {
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

pub(super) fn subscriptions(world: &World, account: &str, params: &Value) -> Value {
    let mut all = world.all("subscription", Some(account));
    all.retain(|it| it["customer"] == params["customer"]);
    // Those that ended are shown to whoever asks for them only.
    if params["status"] != "all" {
        all.retain(|it| it["status"] != "canceled");
    }
    page(all, params)
}

pub(super) fn invoice(world: &World, account: &str, id: &str, params: &Value) -> Done {
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

pub(super) fn refunds(world: &World, account: &str, params: &Value) -> Value {
    let mut all = world.all("refund", Some(account));
    all.retain(|it| it["payment_intent"] == params["payment_intent"]);
    page(all, params)
}

pub(super) fn new_refund(world: &mut World, account: &str, params: &Value) -> Done {
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
