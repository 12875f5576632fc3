//! Values as forms and objects hold them.

use serde_json::{Map, Value, json};

pub(super) fn list(data: Vec<Value>) -> Value {
    json!({"object": "list", "has_more": false, "data": data})
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A number, also one that came in a form.
pub(super) fn number(value: &Value) -> i64 {
    match value {
        Value::String(digits) => digits.parse().unwrap(),
        other => other.as_i64().unwrap_or_default(),
    }
}

pub(super) fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Puts fields over those of an object.
pub(super) fn merge(value: &mut Value, fields: &Value) {
    for (name, field) in object(fields) {
        value[name] = field;
    }
}

/// Reads `items[0][quantity]=2` as `{"items": {"0": {"quantity": "2"}}}`.
pub(super) fn decode(encoded: &str) -> Value {
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

/// A page of objects, newest first, after the object of that id.
pub(super) fn page(mut all: Vec<Value>, params: &Value) -> Value {
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
