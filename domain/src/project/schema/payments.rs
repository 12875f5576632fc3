//! What `payments.*` may hold. Ids, money and what depends on other settings are not checked: the
//! contract has such settings kept, and everything that reads them puts up with them.

use serde_json::Value;

use super::Shape;
use crate::customer::{CustomerType, Expiry, Unit};

/// `payments`
pub(super) const PAYMENTS: Shape = Shape::Object(&[
    ("blockNewPurchases", Shape::Boolean),
    ("testMode", Shape::AtEnvironment(&Shape::Boolean)),
    ("autoPay", Shape::Object(&[("interval", INTERVAL)])),
    ("productLines", Shape::Record(&PRODUCT_LINE)),
    ("products", Shape::Record(&PRODUCT)),
    ("items", Shape::Record(&ITEM)),
]);
const CUSTOMER_TYPE: Shape = Shape::OneOf(&CustomerType::NAMES);
const INTERVAL: Shape = Shape::That(
    is_interval,
    "must be a whole number and a unit, as [1, \"month\"]",
);
const PRODUCT_LINE: Shape = Shape::Object(&[
    ("displayName", Shape::Text),
    ("customerType", CUSTOMER_TYPE),
]);
const ITEM: Shape = PRODUCT_LINE;
const PRODUCT: Shape = Shape::Object(&[
    ("displayName", Shape::Text),
    ("productLineId", Shape::Text),
    ("customerType", CUSTOMER_TYPE),
    ("freeTrial", INTERVAL),
    ("serverOnly", Shape::Boolean),
    ("stackable", Shape::Boolean),
    ("isAddOnTo", Shape::RecordOr(&BASE, is_false)),
    ("prices", Shape::RecordOr(&PRICE, is_included)),
    ("includedItems", Shape::Record(&INCLUDED_ITEM)),
]);
const BASE: Shape = Shape::That(is_true, "must be true");
const PRICE: Shape = Shape::Object(&[
    ("USD", Shape::Text),
    ("EUR", Shape::Text),
    ("GBP", Shape::Text),
    ("JPY", Shape::Text),
    ("INR", Shape::Text),
    ("AUD", Shape::Text),
    ("CAD", Shape::Text),
    ("interval", INTERVAL),
    ("freeTrial", INTERVAL),
    ("serverOnly", Shape::Boolean),
]);
const INCLUDED_ITEM: Shape = Shape::Object(&[
    ("quantity", Shape::Number),
    (
        "repeat",
        Shape::That(is_repeat, "must be \"never\", or a whole number and a unit"),
    ),
    ("expires", Shape::OneOf(&Expiry::NAMES)),
]);

fn is_interval(value: &Value) -> bool {
    let Some([count, unit]) = value.as_array().map(Vec::as_slice) else {
        return false;
    };
    let counts = count
        .as_u64()
        .is_some_and(|count| u32::try_from(count).is_ok());
    counts
        && unit
            .as_str()
            .is_some_and(|unit| Unit::NAMES.contains(&unit))
}

fn is_repeat(value: &Value) -> bool {
    value == "never" || is_interval(value)
}

fn is_false(value: &Value) -> bool {
    *value == Value::Bool(false)
}

fn is_included(value: &Value) -> bool {
    value == "include-by-default"
}

fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true)
}
