//! The shapes of single values. Scalars are coerced as the API's clients expect it: a number or a
//! boolean is taken for a text, a text that spells a number or a boolean for one.

use std::ops::RangeInclusive;

use muniment_domain::{EmailAddress, PermissionId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::fields::Checked;
use super::super::values;
use super::{Place, Shape, scalar};
use crate::app::auth::codes;

/// A text. Numbers and booleans are taken as their text.
pub(crate) fn text() -> impl Shape<Value = String> {
    scalar(values::text, || json!({"type": "string"}))
}

/// A text of at most `max` UTF-16 code units.
pub(crate) fn text_max(max: usize) -> impl Shape<Value = String> {
    scalar(
        values::text_max(max),
        move || json!({"type": "string", "maxLength": max}),
    )
}

/// A text of at least one character.
pub(crate) fn non_empty_text() -> impl Shape<Value = String> {
    scalar(
        values::non_empty_text,
        || json!({"type": "string", "minLength": 1}),
    )
}

/// A boolean, also as `"true"`, `"false"`, `"1"` or `"0"`.
pub(crate) fn boolean() -> impl Shape<Value = bool> {
    scalar(values::boolean, || json!({"type": "boolean"}))
}

/// A boolean of a query: exactly `true` or `false`.
pub(crate) fn query_boolean() -> impl Shape<Value = bool> {
    scalar(values::query_boolean, || json!({"type": "boolean"}))
}

/// Only `true`.
pub(crate) fn only_true() -> impl Shape<Value = bool> {
    scalar(
        values::only_true,
        || json!({"type": "boolean", "enum": [true]}),
    )
}

/// Only `false`; `why` says that nothing else may be.
pub(crate) fn only_false(why: &'static str) -> impl Shape<Value = bool> {
    boolean()
        .refine(move |value| {
            if value {
                Err(why.to_owned())
            } else {
                Ok(false)
            }
        })
        .described(|| json!({"enum": [false]}))
}

/// A whole number in a range, also as text.
pub(crate) fn integer(range: RangeInclusive<i64>) -> impl Shape<Value = i64> {
    let described = range.clone();
    scalar(values::integer(range), move || integer_schema(&described))
}

fn integer_schema(range: &RangeInclusive<i64>) -> Value {
    let mut schema = json!({"type": "integer"});
    if *range.start() != i64::MIN {
        schema["minimum"] = json!(range.start());
    }
    if *range.end() != i64::MAX {
        schema["maximum"] = json!(range.end());
    }
    schema
}

/// How many of a page there should be at most: at least one.
pub(crate) fn page_limit() -> impl Shape<Value = i64> {
    integer(1..=i64::MAX)
}

/// A time in milliseconds since the Unix epoch.
pub(crate) fn millis() -> impl Shape<Value = i64> {
    integer(0..=i64::MAX)
}

/// A UUID in canonical form: versions 1 to 5 of the RFC's variant, or nil.
pub(crate) fn uuid() -> impl Shape<Value = Uuid> {
    scalar(values::uuid, || json!({"type": "string", "format": "uuid"}))
}

/// A user's id, or `me` for the signed-in user's.
pub(crate) fn user_id_or_me() -> impl Shape<Value = UserId> {
    UserIdOrMe
}

struct UserIdOrMe;

impl Shape for UserIdOrMe {
    type Value = UserId;

    fn read(&self, value: &Value, place: &mut Place<'_>) -> Checked<UserId> {
        if value != "me" {
            return uuid().read(value, place).map(UserId);
        }
        let user = place.findings.current_user;
        place.findings.own_user_missing |= user.is_none();
        user
    }

    fn schema(&self) -> Value {
        json!({
            "description": "A user's id, or `me` for the signed-in user's.",
            "anyOf": [{"type": "string", "format": "uuid"}, {"type": "string", "enum": ["me"]}],
        })
    }
}

/// A verification code: 45 characters, read in lower case.
pub(crate) fn verification_code() -> impl Shape<Value = String> {
    scalar(
        values::verification_code,
        || json!({"type": "string", "minLength": codes::LENGTH, "maxLength": codes::LENGTH}),
    )
}

/// An object, whatever is in it.
pub(crate) fn json_object() -> impl Shape<Value = Value> {
    scalar(values::json_object, || json!({"type": "object"}))
}

/// Any JSON.
pub(crate) fn json_value() -> impl Shape<Value = Value> {
    scalar(values::json_value, || json!({}))
}

/// One of a few texts.
pub(crate) fn one_of(choices: &'static [&'static str]) -> impl Shape<Value = &'static str> {
    scalar(
        values::one_of(choices),
        move || json!({"type": "string", "enum": choices}),
    )
}

/// One of a few texts, and what each means.
pub(crate) fn choice<T: Copy + 'static>(
    choices: &'static [(&'static str, T)],
) -> impl Shape<Value = T> {
    let names = || choices.iter().map(|(name, _)| *name);
    scalar(
        move |value| {
            let text = values::text(value)?;
            let found = choices.iter().find(|(name, _)| *name == text);
            found.map(|(_, meaning)| *meaning).ok_or_else(|| {
                let names: Vec<&str> = names().collect();
                format!("must be one of: {}", names.join(", "))
            })
        },
        move || json!({"type": "string", "enum": names().collect::<Vec<_>>()}),
    )
}

/// The id by which a permission is spoken of: a definable one, or one of the system's own.
pub(crate) fn permission_id() -> impl Shape<Value = PermissionId> {
    scalar(
        values::permission_id,
        || json!({"type": "string", "pattern": r"^\$?[a-z0-9_:]+$"}),
    )
}

/// The id of a permission that is to be defined.
pub(crate) fn definable_permission_id() -> impl Shape<Value = PermissionId> {
    scalar(
        values::definable_permission_id,
        || json!({"type": "string", "pattern": "^[a-z0-9_:]+$"}),
    )
}

/// An email address by the rules of sign-up.
pub(crate) fn strict_email() -> impl Shape<Value = EmailAddress> {
    scalar(values::strict_email, email_schema)
}

/// An email address by the rules of sign-in and of servers.
pub(crate) fn lenient_email() -> impl Shape<Value = EmailAddress> {
    scalar(values::lenient_email, email_schema)
}

fn email_schema() -> Value {
    json!({"type": "string", "format": "email"})
}

/// An absolute URL without spaces, kept as it was written.
pub(crate) fn url_text() -> impl Shape<Value = String> {
    scalar(
        values::url_text,
        || json!({"type": "string", "format": "uri"}),
    )
}

/// A country's code, in capitals (ISO 3166-1 alpha-2). Whether there is such a country is not asked.
pub(crate) fn country() -> impl Shape<Value = String> {
    scalar(
        values::country,
        || json!({"type": "string", "pattern": "^[A-Za-z]{2}$"}),
    )
}

/// Bytes in base64 (RFC 4648 §4).
pub(crate) fn base64() -> impl Shape<Value = Vec<u8>> {
    scalar(
        values::base64,
        || json!({"type": "string", "contentEncoding": "base64"}),
    )
}
