//! Customers and their cards.

use serde_json::{Value, json};

use super::answers::{Done, invalid};
use super::values::{object, page, text};
use super::world::World;

pub(super) fn new_customer(world: &mut World, account: &str, params: &Value) -> Value {
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

pub(super) fn living(mut customers: Vec<Value>) -> Vec<Value> {
    customers.retain(|customer| customer["deleted"] != true);
    customers
}

/// Newest first, a page after the object of that id.
pub(super) fn customers(world: &World, account: &str, params: &Value) -> Value {
    page(living(world.all("customer", Some(account))), params)
}

/// Understands `metadata['customerId']:'…'`.
pub(super) fn search(world: &World, account: &str, params: &Value) -> Done {
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

pub(super) fn update_customer(world: &mut World, account: &str, id: &str, params: &Value) -> Done {
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

pub(super) fn cards(world: &World, account: &str, id: &str, params: &Value) -> Done {
    world.find(account, "customer", id)?;
    let mut cards = world.all("payment_method", Some(account));
    cards.retain(|card| card["customer"] == id && card["type"] == params["type"]);
    Ok(page(cards, params))
}

pub(super) fn new_card(world: &mut World, account: &str, params: &Value) -> Done {
    let token = text(&params["card"]["token"]).to_owned();
    if params["type"] != "card" || token.is_empty() {
        return invalid("Missing required param: card.", "card");
    }
    Ok(world.card(account, &token, &Value::Null))
}

pub(super) fn attach_card(world: &mut World, account: &str, id: &str, params: &Value) -> Done {
    let customer = world.living_customer(account, &params["customer"])?;
    world.find(account, "payment_method", id)?;
    Ok(world.change(id, &json!({"customer": customer})))
}

pub(super) fn new_setup_intent(world: &mut World, account: &str, params: &Value) -> Done {
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
