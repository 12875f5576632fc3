//! How parts of products look on the wire, in requests and answers alike.

use muniment_domain::customer::{Currency, CustomerType, Expiry, Unit};
use serde_json::{Map, Value, json};

/// What a customer is.
pub(super) fn customer_type() -> Value {
    json!({"type": "string", "enum": CustomerType::NAMES})
}

/// A stretch of time: `[2, "week"]`.
pub(super) fn interval() -> Value {
    json!({
        "description": "How many days, weeks, months or years: `[2, \"week\"]`.",
        "type": "array",
        "prefixItems": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "enum": Unit::NAMES},
        ],
        "items": false,
        "minItems": 2,
        "maxItems": 2,
    })
}

/// An amount of money: `12.34`.
pub(super) fn amount(decimals: usize) -> Value {
    let fraction = match decimals {
        0 => String::new(),
        decimals => format!(r"(\.[0-9]{{1,{decimals}}})?"),
    };
    json!({"type": "string", "pattern": format!("^(0|[1-9][0-9]*){fraction}$")})
}

/// The amounts of a price, by the codes of currencies.
pub(super) fn amounts() -> Map<String, Value> {
    let amounts = Currency::ALL.iter();
    amounts
        .map(|(currency, code)| ((*code).to_owned(), amount(currency.decimals())))
        .collect()
}

/// How often an item is granted again.
pub(super) fn repeat() -> Value {
    json!({"anyOf": [{"type": "string", "enum": ["never"]}, interval()]})
}

/// When an included item is lost.
pub(super) fn expiry() -> Value {
    json!({"type": "string", "enum": Expiry::NAMES})
}
