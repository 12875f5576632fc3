//! What an override document may hold, and at which level (contract 04 §4.2 and §5).
//!
//! A first piece: it knows the settings of sign-up rules. A setting is a line in [`SETTINGS`], its
//! type a [`Shape`]; what is not there cannot be overridden yet and is refused by name.
//!
//! Types, names and levels are checked. Ranges are not, by the contract: a number that makes no
//! sense is kept, and does nothing.

mod payments;

use std::fmt;

use serde_json::{Map, Value};

use super::Level;
use crate::sign_up_rules::Condition;

/// What stands at a path of the configuration.
enum Shape {
    Boolean,
    Number,
    Text,
    /// One of a few texts.
    OneOf(&'static [&'static str]),
    /// The condition of a sign-up rule.
    Condition,
    /// Known fields.
    Object(&'static [(&'static str, Shape)]),
    /// Entries of one shape under ids that operators choose.
    Record(&'static Shape),
    /// Such a record, or something else that it is asked about.
    RecordOr(&'static Shape, fn(&Value) -> bool),
    /// What it is asked about, and what to say otherwise.
    That(fn(&Value) -> bool, &'static str),
    /// Something that only the environment level may hold.
    AtEnvironment(&'static Shape),
}

/// The settings that can be overridden at the branch level and above.
const SETTINGS: Shape = Shape::Object(&[
    (
        "auth",
        Shape::Object(&[
            ("signUpRules", Shape::Record(&SIGN_UP_RULE)),
            (
                "signUpRulesDefaultAction",
                Shape::OneOf(&["allow", "reject"]),
            ),
        ]),
    ),
    ("payments", payments::PAYMENTS),
]);
const SIGN_UP_RULE: Shape = Shape::Object(&[
    ("enabled", Shape::Boolean),
    ("displayName", Shape::Text),
    ("priority", Shape::Number),
    ("condition", Shape::Condition),
    (
        "action",
        Shape::Object(&[
            (
                "type",
                Shape::OneOf(&["allow", "reject", "restrict", "log"]),
            ),
            ("message", Shape::Text),
        ]),
    ),
]);
/// The longest id of a record's entry.
const MAX_ID: usize = 63;

/// Why a document is refused. The text is for the operator who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Violation {
    /// Where, in dots.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

/// Checks a document before it is merged into the one of `level`.
///
/// # Errors
/// The first violation.
pub fn check(level: Level, document: &Map<String, Value>) -> Result<(), Violation> {
    for (key, value) in document {
        check_entry(level, key, value)?;
    }
    Ok(())
}

fn check_entry(level: Level, key: &str, value: &Value) -> Result<(), Violation> {
    if !key.split('.').all(is_segment) {
        return Err(violation(
            key,
            "is not a key of letters, digits, _, :, $ and -",
        ));
    }
    let mut shape = &SETTINGS;
    let mut path = String::new();
    for segment in key.split('.') {
        extend(&mut path, segment);
        shape = match shape {
            Shape::Object(fields) if level != Level::Project => field(fields, segment),
            Shape::Record(entry) | Shape::RecordOr(entry, _) if is_id(segment) => Some(*entry),
            _ => None,
        }
        .ok_or_else(|| unknown(key, &path, level))?;
    }
    check_value(level, shape, &path, value)
}

fn unknown(key: &str, prefix: &str, level: Level) -> Violation {
    let level = match level {
        Level::Project => "project",
        Level::Branch => "branch",
        Level::Environment => "environment",
    };
    let problem = format!("cannot be overridden at the level {level}: there is no {prefix} there");
    violation(key, problem)
}

fn field(fields: &'static [(&'static str, Shape)], name: &str) -> Option<&'static Shape> {
    let found = fields.iter().find(|(known, _)| *known == name);
    found.map(|(_, shape)| shape)
}

fn check_value(level: Level, shape: &Shape, path: &str, value: &Value) -> Result<(), Violation> {
    match (shape, value) {
        (Shape::AtEnvironment(_), _) if level != Level::Environment => {
            Err(violation(path, "can only be set at the level environment"))
        }
        (Shape::AtEnvironment(shape), value) => check_value(level, shape, path, value),
        (_, Value::Null)
        | (Shape::Boolean, Value::Bool(_))
        | (Shape::Number, Value::Number(_))
        | (Shape::Text, Value::String(_)) => Ok(()),
        (Shape::OneOf(choices), Value::String(text)) if choices.contains(&text.as_str()) => Ok(()),
        (Shape::OneOf(choices), _) => Err(violation(
            path,
            format!("must be one of: {}", choices.join(", ")),
        )),
        (Shape::Condition, Value::String(text)) => check_condition(path, text),
        (Shape::Object(fields), Value::Object(object)) => {
            check_object(level, path, object, |name| field(fields, name))
        }
        (Shape::Record(entry) | Shape::RecordOr(entry, _), Value::Object(object)) => {
            check_object(level, path, object, |_| Some(*entry))
        }
        (Shape::RecordOr(_, accepts) | Shape::That(accepts, _), value) if accepts(value) => Ok(()),
        (Shape::That(_, problem), _) => Err(violation(path, problem)),
        (Shape::Boolean, _) => Err(violation(path, "must be true or false")),
        (Shape::Number, _) => Err(violation(path, "must be a number")),
        (Shape::Text | Shape::Condition, _) => Err(violation(path, "must be a string")),
        (Shape::Object(_) | Shape::Record(_) | Shape::RecordOr(..), _) => {
            Err(violation(path, "must be an object"))
        }
    }
}

fn check_object(
    level: Level,
    path: &str,
    object: &Map<String, Value>,
    shape_of: impl Fn(&str) -> Option<&'static Shape>,
) -> Result<(), Violation> {
    for (name, value) in object {
        let mut path = path.to_owned();
        extend(&mut path, name);
        if name.contains('.') {
            return Err(violation(path, "has a dot in a key that is not at the top"));
        }
        if !is_segment(name) {
            return Err(violation(
                path,
                "is not a key of letters, digits, _, :, $ and -",
            ));
        }
        let shape = shape_of(name).ok_or_else(|| violation(path.clone(), "is not known"))?;
        check_value(level, shape, &path, value)?;
    }
    Ok(())
}

/// A condition that does not compile would silently let everybody through, so the operator learns
/// of it at once. An empty one is no condition.
fn check_condition(path: &str, text: &str) -> Result<(), Violation> {
    if text.trim().is_empty() {
        return Ok(());
    }
    match Condition::compile(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(violation(path, error)),
    }
}

fn violation(path: impl Into<String>, problem: impl fmt::Display) -> Violation {
    Violation {
        path: path.into(),
        problem: problem.to_string(),
    }
}

fn extend(path: &mut String, segment: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(segment);
}

/// Part of a key between dots.
fn is_segment(segment: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$' | '-');
    !segment.is_empty() && !segment.starts_with('-') && segment.chars().all(plain)
}

/// The id of a record's entry.
fn is_id(segment: &str) -> bool {
    segment.len() <= MAX_ID && !segment.contains([':', '$'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(level: Level, document: &Value) -> Result<(), Violation> {
        check(level, document.as_object().unwrap())
    }

    #[test]
    fn rules_are_accepted_in_every_way_of_writing_them() {
        let rule = json!({
            "enabled": true, "displayName": "x", "priority": -1.5, "condition": "true",
            "action": {"type": "log", "message": null},
        });
        for document in [
            json!({"auth.signUpRules.a": rule}),
            json!({"auth.signUpRules": {"a": rule, "b": null}}),
            json!({"auth": {"signUpRules": {"a": rule}, "signUpRulesDefaultAction": "reject"}}),
            json!({"auth.signUpRules.a.enabled": false, "auth.signUpRules.a.action.type": "allow"}),
            json!({"auth.signUpRules.a.condition": ""}),
            json!({"auth.signUpRules.a": null, "auth": null}),
            json!({}),
        ] {
            for level in [Level::Branch, Level::Environment] {
                assert_eq!(checked(level, &document), Ok(()), "{document}");
            }
        }
    }

    #[test]
    fn payments_are_checked_by_type_only() {
        let product = json!({
            "customerType": "team", "isAddOnTo": {"base": true}, "freeTrial": [7, "day"],
            "prices": {"monthly": {"USD": "not money", "interval": [1, "month"]}},
            "includedItems": {"seats": {"quantity": 1.5, "repeat": "never", "expires": "never"}},
        });
        for document in [
            json!({"payments.products.pro": product}),
            json!({"payments": {"products": {"pro": product}, "items": {"seats": {}}}}),
            json!({"payments.products.pro.prices": "include-by-default"}),
            json!({"payments.products.pro.prices.monthly.USD": "5", "payments.products.a.isAddOnTo": false}),
        ] {
            for level in [Level::Branch, Level::Environment] {
                assert_eq!(checked(level, &document), Ok(()), "{document}");
            }
        }
        for document in [
            json!({"payments.products.pro.prices": "free"}),
            json!({"payments.products.pro.prices.monthly.CHF": "5"}),
            json!({"payments.products.pro.customerType": "everyone"}),
            json!({"payments.products.pro.isAddOnTo": true}),
            json!({"payments.products.pro.freeTrial": [1.5, "day"]}),
            json!({"payments.products.pro.freeTrial": [1, "hour"]}),
            json!({"payments.products.pro.includedItems.seats.quantity": "1"}),
            json!({"payments.items.seats.price": 1}),
            json!({"payments.items.-seats": {}}),
        ] {
            assert!(checked(Level::Branch, &document).is_err(), "{document}");
        }
        let test_mode = json!({"payments.testMode": false});
        assert_eq!(checked(Level::Environment, &test_mode), Ok(()));
        assert!(checked(Level::Branch, &test_mode).is_err());
    }

    #[test]
    fn violations_name_the_place() {
        let cases = [
            (
                json!({"auth.signUpRules.a.enabled": "true"}),
                "auth.signUpRules.a.enabled",
            ),
            (
                json!({"auth": {"signUpRules": {"a": {"priority": "1"}}}}),
                "auth.signUpRules.a.priority",
            ),
            (
                json!({"auth.signUpRules.a.action.type": "ban"}),
                "auth.signUpRules.a.action.type",
            ),
            (
                json!({"auth.signUpRules.a.condition": "email =="}),
                "auth.signUpRules.a.condition",
            ),
            (
                json!({"auth.signUpRules.a": {"condition": "email.matches('(')"}}),
                "auth.signUpRules.a.condition",
            ),
            (
                json!({"auth.signUpRules": {"a": {"extra": 1}}}),
                "auth.signUpRules.a.extra",
            ),
            (
                json!({"auth.signUpRules": {"a.b": {}}}),
                "auth.signUpRules.a.b",
            ),
            (json!({"auth.signUpRules": []}), "auth.signUpRules"),
            (
                json!({"auth.signUpRules.a:b.enabled": true}),
                "auth.signUpRules.a:b.enabled",
            ),
            (json!({"auth.nothing": 1}), "auth.nothing"),
            (json!({"auth..x": 1}), "auth..x"),
            (json!({"": 1}), ""),
        ];
        for (document, path) in cases {
            let violation = checked(Level::Environment, &document).unwrap_err();
            assert_eq!(violation.path, path, "{violation}");
        }
        assert!(checked(Level::Project, &json!({"auth.signUpRules": {}})).is_err());
    }
}
