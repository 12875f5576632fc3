//! Products as they go over the wire.

use std::collections::BTreeMap;

use muniment_domain::customer::products::money::is_amount;
use muniment_domain::customer::{
    Bases, Currency, CustomerType, DayInterval, Expiry, IncludedItem, Price, Prices, Product,
    Quantity, Repeat,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The longest id of a price or an item.
const MAX_ID: usize = 63;

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

/// Reads a product that is described instead of named. An empty text is none.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(value: &Value) -> Result<Option<Product>, String> {
    if value == "" {
        return Ok(None);
    }
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
    Ok(Some(Product {
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
    }))
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

/// A product as it is shown.
pub(super) fn view(product: &Product) -> Value {
    view_with(product, product.prices.listed().iter())
}

/// A product as it is shown with some of its prices.
pub(super) fn view_with<'p>(
    product: &'p Product,
    prices: impl Iterator<Item = (&'p String, &'p Price)>,
) -> Value {
    let prices: Map<String, Value> = prices.map(|(id, it)| (id.clone(), price(it))).collect();
    let items = product.included_items.iter().map(|(id, item)| {
        let shown =
            json!({"quantity": item.quantity, "repeat": item.repeat, "expires": item.expires});
        (id.clone(), shown)
    });
    json!({
        "display_name": product.name(),
        "customer_type": product.customer_type,
        "server_only": product.server_only,
        "stackable": product.stackable,
        "prices": prices,
        "included_items": items.collect::<Map<_, _>>(),
        "client_metadata": product.client_metadata,
        "client_read_only_metadata": product.client_read_only_metadata,
        "server_metadata": product.server_metadata,
    })
}

fn price(price: &Price) -> Value {
    let mut shown = json!(price.amounts);
    if let Some(interval) = price.interval {
        shown["interval"] = json!(interval);
    }
    if let Some(trial) = price.free_trial {
        shown["free_trial"] = json!(trial);
    }
    shown
}
