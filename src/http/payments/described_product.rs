//! Products that a request describes, instead of naming one of the settings.

use std::collections::BTreeMap;

use muniment_domain::customer::products::money::is_amount;
use muniment_domain::customer::{
    Bases, Currency, CustomerType, DayInterval, Expiry, IncludedItem, Price, Prices, Product,
    Quantity, Repeat,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::schemas;
use crate::http::request::shape::{Shape, scalar};

/// The longest id of a price or an item.
const MAX_ID: usize = 63;
/// What such an id looks like.
const ID_PATTERN: &str = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    display_name: String,
    customer_type: CustomerType,
    free_trial: Option<DayInterval>,
    #[serde(default = "yes")]
    server_only: bool,
    /// Taken and ignored: such products are owned once.
    #[serde(default, rename = "stackable")]
    _stackable: bool,
    prices: BTreeMap<String, DescribedPrice>,
    included_items: BTreeMap<String, DescribedItem>,
    client_metadata: Option<Value>,
    client_read_only_metadata: Option<Value>,
    server_metadata: Option<Value>,
}

#[derive(Deserialize)]
struct DescribedPrice {
    #[serde(flatten)]
    amounts: BTreeMap<Currency, String>,
    interval: Option<DayInterval>,
    free_trial: Option<DayInterval>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedItem {
    #[serde(default)]
    quantity: Quantity,
    #[serde(default)]
    repeat: Repeat,
    #[serde(default = "never")]
    expires: Expiry,
}

fn yes() -> bool {
    true
}

fn never() -> Expiry {
    Expiry::Never
}

/// A product that is described. An empty text is none.
pub(super) fn described_product() -> impl Shape<Value = Option<Box<Product>>> {
    let read = |value: &Value| match value.as_str() {
        Some("") => Ok(None),
        _ => read(value).map(|product| Some(Box::new(product))),
    };
    scalar(
        read,
        || json!({"anyOf": [product_schema(), {"type": "string", "enum": [""]}]}),
    )
}

fn product_schema() -> Value {
    let or_null = |schema: Value| json!({"anyOf": [schema, {"type": "null"}]});
    json!({
        "type": "object",
        "required": ["display_name", "customer_type", "prices", "included_items"],
        "additionalProperties": false,
        "properties": {
            "display_name": {"type": "string", "description": "The name for people."},
            "customer_type": schemas::customer_type(),
            "free_trial": or_null(schemas::interval()),
            "server_only": {
                "type": "boolean",
                "default": true,
                "description": "Whether clients neither see nor buy it.",
            },
            "stackable": {
                "type": "boolean",
                "default": false,
                "description": "Accepted without effect: such products are owned once.",
            },
            "prices": {
                "type": "object",
                "description": "The prices to choose from, by id.",
                "propertyNames": {"pattern": ID_PATTERN},
                "additionalProperties": price_schema(),
            },
            "included_items": {
                "type": "object",
                "description": "The items that come with it, by id.",
                "propertyNames": {"pattern": ID_PATTERN},
                "additionalProperties": item_schema(),
            },
            "client_metadata": {"description": "Any JSON, for the buyer."},
            "client_read_only_metadata": {"description": "Any JSON, for the buyer, who cannot change it."},
            "server_metadata": {"description": "Any JSON, for the seller."},
        },
    })
}

fn price_schema() -> Value {
    let or_null = |schema: Value| json!({"anyOf": [schema, {"type": "null"}]});
    let mut properties = schemas::amounts();
    let in_a_currency: Vec<Value> = properties
        .keys()
        .map(|code| json!({"required": [code]}))
        .collect();
    properties.insert("interval".to_owned(), or_null(schemas::interval()));
    properties.insert("free_trial".to_owned(), or_null(schemas::interval()));
    json!({
        "type": "object",
        "description": "Amounts by currency. It is paid again after every `interval`; without one, once.",
        "additionalProperties": false,
        "properties": properties,
        "anyOf": in_a_currency,
    })
}

fn item_schema() -> Value {
    let mut repeat = schemas::repeat();
    repeat["description"] = json!("How often it is granted again.");
    repeat["default"] = json!("never");
    let mut expires = schemas::expiry();
    expires["description"] = json!("When it is lost.");
    expires["default"] = json!("never");
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "quantity": {"type": "number", "default": 0, "description": "How many for each product."},
            "repeat": repeat,
            "expires": expires,
        },
    })
}

fn read(value: &Value) -> Result<Product, String> {
    let described: Described = serde_json::from_value(value.clone())
        .map_err(|error| format!("must describe a product: {error}"))?;
    let ids = described
        .prices
        .keys()
        .chain(described.included_items.keys());
    if let Some(bad) = ids.into_iter().find(|id| !is_id(id)) {
        return Err(format!("has an id that is not allowed: {bad}"));
    }
    let prices = described.prices.into_iter().map(|(id, price)| {
        check_amounts(&price.amounts).map_err(|problem| format!("prices.{id} {problem}"))?;
        let price = Price {
            amounts: price.amounts,
            interval: price.interval,
            free_trial: price.free_trial,
            server_only: true,
        };
        Ok((id, price))
    });
    let prices = prices.collect::<Result<_, String>>()?;
    let items = described.included_items.into_iter().map(|(id, item)| {
        let item = IncludedItem {
            quantity: item.quantity,
            repeat: item.repeat,
            expires: item.expires,
        };
        (id, item)
    });
    Ok(Product {
        display_name: Some(described.display_name),
        customer_type: described.customer_type,
        product_line_id: None,
        is_add_on_to: Bases::StandsAlone,
        stackable: false,
        server_only: described.server_only,
        free_trial: described.free_trial,
        prices: Prices::Listed(prices),
        included_items: items.collect(),
        client_metadata: described.client_metadata,
        client_read_only_metadata: described.client_read_only_metadata,
        server_metadata: described.server_metadata,
    })
}

fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=MAX_ID).contains(&id.len()) && !id.starts_with('-') && id.chars().all(plain)
}

fn check_amounts(amounts: &BTreeMap<Currency, String>) -> Result<(), String> {
    if amounts.is_empty() {
        return Err("must have an amount in at least one currency".to_owned());
    }
    let bad = amounts
        .iter()
        .find(|(currency, amount)| !is_amount(amount, **currency));
    match bad {
        Some((_, amount)) => Err(format!("has an amount that is no money: {amount}")),
        None => Ok(()),
    }
}
