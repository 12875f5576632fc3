//! Checks of an override document before it is merged into the one of its level.
//!
//! Types, names and levels are checked. Ranges are not: a number that makes no sense is kept, and
//! does nothing.

use std::fmt;

use serde_json::{Map, Value};

use super::config::ProjectConfig;
use super::level::Level;
use super::schema::{Field, INTERVAL_UNITS, RecordKey, Setting, Shape, is_uuid};
use crate::sign_up_rules::Condition;

/// Why a document is refused. The text is for the operator who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Violation {
    /// The place in the document, as a dotted path.
    pub path: String,
    /// The problem there, as a sentence without a subject.
    pub problem: String,
}

/// Checks a document before it is merged into the one of `level`.
///
/// # Errors
/// The first [`Violation`].
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
    let mut shape = &ProjectConfig::SHAPE;
    let mut path = String::new();
    for segment in key.split('.') {
        extend(&mut path, segment);
        shape = shape
            .step_at(level, segment)
            .ok_or_else(|| unknown(key, &path, level))?;
    }
    check_value(level, shape, &path, value)
}

fn unknown(key: &str, prefix: &str, level: Level) -> Violation {
    let level = level.as_str();
    let problem = format!("cannot be overridden at the level {level}: there is no {prefix} there");
    violation(key, problem)
}

fn check_value(level: Level, shape: &Shape, path: &str, value: &Value) -> Result<(), Violation> {
    match (shape, value) {
        (_, Value::Null)
        | (Shape::Boolean, Value::Bool(_))
        | (Shape::Number, Value::Number(_))
        | (Shape::Text, Value::String(_)) => Ok(()),
        (Shape::Only(wanted), Value::Bool(given)) if wanted == given => Ok(()),
        (Shape::Uuid, Value::String(text)) if is_uuid(text) => Ok(()),
        (Shape::OneOf(choices), Value::String(text)) if choices.contains(&text.as_str()) => Ok(()),
        (Shape::Interval, Value::Array(parts)) if is_interval(parts) => Ok(()),
        (Shape::Condition, Value::String(text)) => check_condition(path, text),
        (Shape::Either(shapes), _) => check_either(level, shapes, path, value),
        (Shape::Object { .. } | Shape::Record { .. }, Value::Object(object)) => {
            check_object(level, shape, path, object)
        }
        _ => Err(violation(path, shape.demand())),
    }
}

impl Shape {
    /// The demand that a value of the wrong type is answered with.
    fn demand(&self) -> String {
        match self {
            Self::Boolean => "must be true or false".to_owned(),
            Self::Only(value) => format!("must be {value}"),
            Self::Number => "must be a number".to_owned(),
            Self::Text | Self::Condition => "must be a string".to_owned(),
            Self::Uuid => "must be a UUID".to_owned(),
            Self::OneOf(choices) => format!("must be one of: {}", choices.join(", ")),
            Self::Interval => {
                let units = INTERVAL_UNITS.join(", ");
                format!("must be an interval: a number, and one of {units}")
            }
            Self::Either(shapes) => {
                let demands: Vec<String> = shapes.iter().map(Self::demand).collect();
                demands.join(", or ")
            }
            Self::Object { .. } | Self::Record { .. } => "must be an object".to_owned(),
        }
    }
}

/// Checks a value that may have several shapes. If it is an object, the answer says what is wrong
/// with it as an object.
fn check_either(
    level: Level,
    shapes: &[Shape],
    path: &str,
    value: &Value,
) -> Result<(), Violation> {
    if let (Value::Object(object), Some(shape)) =
        (value, shapes.iter().find(|shape| !shape.is_plain()))
    {
        return check_object(level, shape, path, object);
    }
    let fits = |shape| check_value(level, shape, path, value).is_ok();
    if shapes.iter().any(fits) {
        return Ok(());
    }
    let demands: Vec<String> = shapes.iter().map(Shape::demand).collect();
    Err(violation(path, demands.join(", or ")))
}

/// Checks the fields of an object. Within a nested object, only ids that are of a type, a UUID, are
/// checked.
fn check_object(
    level: Level,
    shape: &Shape,
    path: &str,
    object: &Map<String, Value>,
) -> Result<(), Violation> {
    let open = |field: &Field| field.is_open_at(level);
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
        let accepts = |key: RecordKey| key != RecordKey::Uuid || key.accepts(name);
        let inner = shape
            .step_if(name, &open, &accepts)
            .ok_or_else(|| violation(path.clone(), "is not known"))?;
        check_value(level, inner, &path, value)?;
    }
    Ok(())
}

/// Checks that a condition compiles: one that does not would silently let everybody through. An
/// empty text is no condition.
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

/// Whether a text can be the part of a key between dots.
fn is_segment(segment: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$' | '-');
    !segment.is_empty() && !segment.starts_with('-') && segment.chars().all(plain)
}

fn is_interval(parts: &[Value]) -> bool {
    match parts {
        [Value::Number(_), Value::String(unit)] => INTERVAL_UNITS.contains(&unit.as_str()),
        _ => false,
    }
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
    fn every_documented_setting_is_accepted_where_it_belongs() {
        let uuid = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
        let branch = json!({
            "rbac": {"permissions": {"a:b": {"scope": "team", "containedPermissionIds": {"$read_members": true}}}},
            "rbac.defaultPermissions.signUp": {"a": true},
            "rbac.defaultPermissions.teamCreator.$update_team": true,
            "apiKeys.enabled.team": true,
            "apps.installed.data-vault.enabled": true,
            "auth.oauth.providers.github": {"type": "github", "allowSignIn": true},
            "auth.oauth.accountMergeStrategy": "raise_error",
            "emails.themes": {uuid: {"displayName": "x"}},
            (format!("emails.templates.{uuid}")): {"themeId": false},
            (format!("emails.templates.{uuid}.themeId")): uuid,
            "payments.products.p": {
                "customerType": "team", "isAddOnTo": {"q": true}, "freeTrial": [1, "week"],
                "prices": {"m": {"USD": "10", "interval": [1, "month"]}},
                "includedItems": {"i": {"quantity": -1, "repeat": "never", "expires": "never"}},
            },
            "payments.products.p.prices": "include-by-default",
            "payments.products.p.includedItems.i.repeat": [2, "day"],
            "payments.autoPay.interval": [1, "month"],
            "dbSync.externalDatabases.d": {"type": "postgres"},
            "dataVault.stores.s.displayName": "S",
            "support.sla": {"enabled": true, "firstResponseMinutes": 10},
        });
        let environment = json!({
            "domains.trustedDomains": {"a": {"baseUrl": "x", "handlerPath": "y"}},
            "auth.oauth.providers.github.clientSecret": "s",
            "auth.oauth.providers.apple.appleBundles.b.bundleId": "b",
            "emails.server": {"isShared": false, "provider": "managed", "port": 99_999_999},
            "payments.testMode": false,
            "analytics.queryFolders.f": {"sortOrder": 1, "queries": {"q": {"sqlQuery": "SELECT 1"}}},
            (format!("customDashboards.{uuid}.tsxSource")): "x",
        });
        let project = json!({
            "project.requirePublishableClientKey": true,
            "sourceOfTruth": {"type": "neon", "connectionStrings": {"main": "x"}},
        });
        assert_eq!(checked(Level::Branch, &branch), Ok(()));
        assert_eq!(checked(Level::Environment, &branch), Ok(()));
        assert_eq!(checked(Level::Environment, &environment), Ok(()));
        assert_eq!(checked(Level::Project, &project), Ok(()));
        let lone = |(key, value): (&String, &Value)| json!({key: value});
        for entry in environment.as_object().unwrap().iter().map(lone) {
            assert!(checked(Level::Branch, &entry).is_err(), "{entry}");
            assert!(checked(Level::Project, &entry).is_err(), "{entry}");
        }
        for entry in project.as_object().unwrap().iter().map(lone) {
            assert!(checked(Level::Environment, &entry).is_err(), "{entry}");
        }
    }

    #[test]
    fn the_wrong_type_is_refused_by_name() {
        for (document, path) in [
            (
                json!({"apps.installed.nothing.enabled": true}),
                "apps.installed.nothing.enabled",
            ),
            (
                json!({"apps": {"installed": {"nothing": {}}}}),
                "apps.installed.nothing",
            ),
            (
                json!({"emails.themes.x.displayName": "x"}),
                "emails.themes.x.displayName",
            ),
            (json!({"emails": {"themes": {"x": {}}}}), "emails.themes.x"),
            (
                json!({"rbac.permissions.A.scope": "team"}),
                "rbac.permissions.A.scope",
            ),
            (
                json!({"rbac.defaultPermissions.signUp.a": false}),
                "rbac.defaultPermissions.signUp.a",
            ),
            (
                json!({"auth.oauth.providers.github.type": "myspace"}),
                "auth.oauth.providers.github.type",
            ),
            (
                json!({"payments.products.p.freeTrial": [null, "day"]}),
                "payments.products.p.freeTrial",
            ),
            (
                json!({"payments.products.p.freeTrial": [1, "hour"]}),
                "payments.products.p.freeTrial",
            ),
            (
                json!({"payments.products.p.prices": "free"}),
                "payments.products.p.prices",
            ),
            (
                json!({"payments.products.p.prices": {"m": {"XXX": "1"}}}),
                "payments.products.p.prices.m.XXX",
            ),
            (
                json!({"payments.products.p.isAddOnTo": true}),
                "payments.products.p.isAddOnTo",
            ),
            (
                json!({"sourceOfTruth.type": "hosted"}),
                "sourceOfTruth.type",
            ),
        ] {
            let violation = checked(Level::Environment, &document).unwrap_err();
            assert_eq!(violation.path, path, "{violation}");
        }
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
