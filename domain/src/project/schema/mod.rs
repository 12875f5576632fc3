//! What an override document may hold, and at which level (contract 04 §4.2 and §5).
//!
//! A type of the configuration says by [`Setting`] what it looks like in a document; the macro
//! [`settings!`] derives that from the same lines that make the type. From the resulting
//! [`Shape`] follow the checks of this file, the defaults, the rendering, and the JSON Schema.
//!
//! Types, names and levels are checked. Ranges are not, by the contract: a number that makes no
//! sense is kept, and does nothing.

mod lay_over;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Number, Value, json};
use uuid::Uuid;

use super::config::ProjectConfig;
use super::overrides::Level;
use crate::PermissionId;
use crate::sign_up_rules::Condition;

pub(super) use lay_over::lay_over;

/// A type of the configuration.
pub trait Setting {
    /// What it looks like in a document.
    const SHAPE: Shape;
}

/// What stands at a path of the configuration.
#[derive(Debug)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// Exactly this.
    Only(bool),
    /// A number.
    Number,
    /// A string.
    Text,
    /// A UUID, as a string.
    Uuid,
    /// One of a few strings.
    OneOf(&'static [&'static str]),
    /// The condition of a sign-up rule.
    Condition,
    /// `[3, "day"]`
    Interval,
    /// One of several shapes.
    Either(&'static [Shape]),
    /// Known fields.
    Object {
        /// Which.
        fields: &'static [Field],
        /// What is there if nothing is said.
        default: fn() -> Value,
    },
    /// Entries of one shape under ids that operators choose.
    Record {
        /// The ids that a dotted key may name.
        key: RecordKey,
        /// The entries.
        entry: &'static Shape,
        /// What is there if nothing is said.
        default: fn() -> Value,
    },
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    /// Its name in documents.
    pub name: &'static str,
    /// The lowest level at which it can be written.
    pub level: Level,
    /// What stands there.
    pub shape: &'static Shape,
}

/// Which ids the entries of a record may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKey {
    /// Up to 63 letters, digits, `_` and `-`.
    Name,
    /// A permission that a project defines.
    CustomPermission,
    /// A permission, or anything named like one.
    Permission,
    /// A UUID.
    Uuid,
}

/// The longest id of a record's entry.
const MAX_ID: usize = 63;
/// The units of an interval.
pub(super) const UNITS: [&str; 4] = ["day", "week", "month", "year"];

impl RecordKey {
    fn accepts(self, id: &str) -> bool {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
        let permission = |id: &str| !id.is_empty() && id.chars().all(plain);
        match self {
            Self::Name => id.len() <= MAX_ID && !id.contains([':', '$']),
            Self::CustomPermission => permission(id),
            Self::Permission => permission(id.strip_prefix('$').unwrap_or(id)),
            Self::Uuid => is_uuid(id),
        }
    }

    fn pattern(self) -> &'static str {
        match self {
            Self::Name => "^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$",
            Self::CustomPermission => "^[a-z0-9_:]+$",
            Self::Permission => r"^\$?[a-z0-9_:]+$",
            Self::Uuid => "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
        }
    }
}

impl Field {
    /// Settings of the whole project are written at its own level only, and no others there.
    fn is_open_at(&self, level: Level) -> bool {
        match self.level {
            Level::Project => level == Level::Project,
            lowest => level >= lowest,
        }
    }
}

impl Shape {
    /// What lies one segment of a path below.
    pub(super) fn step(&self, segment: &str) -> Option<&'static Shape> {
        self.step_if(segment, &|_| true, &|_| true)
    }

    /// The same, as far as a dotted key at that level reaches.
    fn step_at(&self, level: Level, segment: &str) -> Option<&'static Shape> {
        let key = |key: RecordKey| key.accepts(segment);
        self.step_if(segment, &|field| field.is_open_at(level), &key)
    }

    fn step_if(
        &self,
        segment: &str,
        open: &impl Fn(&Field) -> bool,
        accepts: &impl Fn(RecordKey) -> bool,
    ) -> Option<&'static Shape> {
        match self {
            Self::Object { fields, .. } => {
                let mut fields = fields.iter();
                let field = fields.find(|field| field.name == segment && open(field))?;
                Some(field.shape)
            }
            Self::Record { key, entry, .. } if accepts(*key) => Some(entry),
            Self::Either(shapes) => shapes
                .iter()
                .find_map(|shape| shape.step_if(segment, open, accepts)),
            _ => None,
        }
    }

    /// What is there if nothing is said; for a plain value its owner knows.
    pub(super) fn default_value(&self) -> Option<Value> {
        match self {
            Self::Object { default, .. } | Self::Record { default, .. } => Some(default()),
            _ => None,
        }
    }

    /// The shape as a JSON Schema.
    #[must_use]
    pub fn json_schema(&self) -> Value {
        match self {
            Self::Boolean => json!({"type": "boolean"}),
            Self::Only(value) => json!({"type": "boolean", "enum": [value]}),
            Self::Number => json!({"type": "number"}),
            Self::Text => json!({"type": "string"}),
            Self::Condition => json!({"type": "string", "description": "CEL"}),
            Self::Uuid => json!({"type": "string", "format": "uuid"}),
            Self::OneOf(choices) => json!({"type": "string", "enum": choices}),
            Self::Interval => json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {
                "oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "enum": UNITS}],
            }}),
            Self::Either(shapes) => {
                let schemas: Vec<Value> = shapes.iter().map(Self::json_schema).collect();
                json!({"oneOf": schemas})
            }
            Self::Object { fields, default } => {
                let properties: Map<String, Value> = fields
                    .iter()
                    .map(|field| (field.name.to_owned(), field.schema(&default())))
                    .collect();
                json!({"type": "object", "properties": properties, "additionalProperties": false})
            }
            Self::Record { key, entry, .. } => json!({
                "type": "object",
                "description": format!("Keys match {}", key.pattern()),
                "additionalProperties": entry.json_schema(),
            }),
        }
    }

    fn is_plain(&self) -> bool {
        !matches!(self, Self::Object { .. } | Self::Record { .. })
    }
}

impl Field {
    fn schema(&self, defaults: &Value) -> Value {
        let mut schema = self.shape.json_schema();
        if self.shape.is_plain()
            && let Some(default) = defaults.get(self.name)
        {
            schema["default"] = default.clone();
        }
        schema
    }
}

/// The default of a type, as it stands in a document.
#[must_use]
pub fn default_of<T: Default + Serialize>() -> Value {
    json!(T::default())
}

/// No entries.
#[must_use]
pub fn no_entries() -> Value {
    Value::Object(Map::new())
}

/// Declares types of the configuration together with their [`Shape`]. A line is: the lowest level
/// at which the setting can be written, its name in documents, its name and type in Rust, its
/// default, and, where the type does not say it, its shape. Settings without a default follow
/// after `+ optional`.
macro_rules! settings {
    (@shape $type:ty) => { <$type as $crate::project::schema::Setting>::SHAPE };
    (@shape $type:ty, $shape:expr) => { $shape };
    ($(
        $(#[$meta:meta])*
        $name:ident {$(
            $(#[$field_meta:meta])*
            $level:ident $wire:literal $field:ident: $type:ty = $default:expr $(, $shape:expr)?;
        )*}
        $(+ optional {$(
            $(#[$optional_meta:meta])*
            $optional_level:ident $optional_wire:literal $optional:ident: $optional_type:ty
                $(, $optional_shape:expr)?;
        )*})?
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(rename = $wire)]
                pub $field: $type,
            )*
            $($(
                $(#[$optional_meta])*
                #[serde(rename = $optional_wire, skip_serializing_if = "Option::is_none")]
                pub $optional: Option<$optional_type>,
            )*)?
        }

        #[allow(clippy::derivable_impls, reason = "the defaults stand in the table")]
        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    $($($optional: None,)*)?
                }
            }
        }

        impl $crate::project::schema::Setting for $name {
            const SHAPE: $crate::project::schema::Shape = $crate::project::schema::Shape::Object {
                fields: &[
                    $($crate::project::schema::Field {
                        name: $wire,
                        level: $crate::project::Level::$level,
                        shape: &settings!(@shape $type $(, $shape)?),
                    },)*
                    $($($crate::project::schema::Field {
                        name: $optional_wire,
                        level: $crate::project::Level::$optional_level,
                        shape: &settings!(@shape $optional_type $(, $optional_shape)?),
                    },)*)?
                ],
                default: $crate::project::schema::default_of::<Self>,
            };
        }
    )*};
}
pub(super) use settings;

impl Setting for bool {
    const SHAPE: Shape = Shape::Boolean;
}
impl Setting for Number {
    const SHAPE: Shape = Shape::Number;
}
impl Setting for String {
    const SHAPE: Shape = Shape::Text;
}
impl<V: Setting> Setting for BTreeMap<String, V> {
    const SHAPE: Shape = Shape::Record {
        key: RecordKey::Name,
        entry: &V::SHAPE,
        default: no_entries,
    };
}
impl Setting for BTreeMap<PermissionId, bool> {
    const SHAPE: Shape = Shape::Record {
        key: RecordKey::Permission,
        entry: &Shape::Only(true),
        default: no_entries,
    };
}

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
    /// What a value of the wrong type is told.
    fn demand(&self) -> String {
        match self {
            Self::Boolean => "must be true or false".to_owned(),
            Self::Only(value) => format!("must be {value}"),
            Self::Number => "must be a number".to_owned(),
            Self::Text | Self::Condition => "must be a string".to_owned(),
            Self::Uuid => "must be a UUID".to_owned(),
            Self::OneOf(choices) => format!("must be one of: {}", choices.join(", ")),
            Self::Interval => {
                let units = UNITS.join(", ");
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

/// Of several shapes, an object is told what is wrong with it as an object.
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

/// Within a nested object only ids that are of a type, a UUID, are checked.
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

fn is_uuid(text: &str) -> bool {
    const HYPHENATED: usize = 36;
    text.len() == HYPHENATED && Uuid::try_parse(text).is_ok()
}

fn is_interval(parts: &[Value]) -> bool {
    match parts {
        [Value::Number(_), Value::String(unit)] => UNITS.contains(&unit.as_str()),
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
