//! What the value of a field may be: each function takes JSON and yields what it means, or what it
//! must be instead.

use std::ops::RangeInclusive;

use muniment_domain::permission;
use muniment_domain::{EmailAddress, PermissionId};
use serde_json::Value;
use uuid::Uuid;

use crate::app::auth::codes;
use crate::app::auth::sign_up_gate::country_code;

/// The longest URL that is taken, which may be an image, in characters.
const MAX_URL: usize = 1_000_000;

/// A text. Numbers and booleans are taken as their text.
///
/// # Errors
/// For lists and objects.
pub(crate) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err("must be a string".to_owned()),
    }
}

/// A text of at most `max` UTF-16 code units.
pub(crate) fn text_max(max: usize) -> impl Fn(&Value) -> Result<String, String> + Copy {
    move |value| {
        let text = text(value)?;
        if text.encode_utf16().count() > max {
            return Err(format!("must have at most {max} characters"));
        }
        Ok(text)
    }
}

/// A text of at least one character.
///
/// # Errors
/// For anything else.
pub(crate) fn non_empty_text(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text)
    }
}

/// A boolean, also as `"true"`, `"false"`, `"1"` or `"0"`.
///
/// # Errors
/// For anything else.
pub(crate) fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" || text == "1" => Ok(true),
        Value::String(text) if text == "false" || text == "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A boolean of a query: exactly `true` or `false`.
///
/// # Errors
/// For anything else.
pub(crate) fn query_boolean(value: &Value) -> Result<bool, String> {
    match value.as_str() {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Only `true`.
///
/// # Errors
/// For anything else.
pub(crate) fn only_true(value: &Value) -> Result<bool, String> {
    if boolean(value)? {
        Ok(true)
    } else {
        Err("may only be true".to_owned())
    }
}

/// A whole number in a range, also as text.
pub(crate) fn integer(range: RangeInclusive<i64>) -> impl Fn(&Value) -> Result<i64, String> {
    move |value| {
        let (min, max) = (range.start(), range.end());
        let number = whole_number(value).ok_or("must be a whole number")?;
        if range.contains(&number) {
            return Ok(number);
        }
        if *max == i64::MAX {
            return Err(format!("must be at least {min}"));
        }
        Err(format!("must be between {min} and {max}"))
    }
}

fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| exact(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| exact(text.parse().ok()?))
        }
        _ => None,
    }
}

/// A float that is a whole number, such as `1e3`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "checked to be whole and in range"
)]
fn exact(number: f64) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= LARGEST).then_some(number as i64)
}

/// A UUID in canonical form: versions 1 to 5 of the RFC's variant, or nil.
///
/// # Errors
/// For anything else.
pub(crate) fn uuid(value: &Value) -> Result<Uuid, String> {
    let text = text(value)?;
    let parsed = Some(&text).filter(|text| text.len() == 36);
    let parsed = parsed.and_then(|text| Uuid::try_parse(text).ok());
    parsed
        .filter(is_accepted)
        .ok_or_else(|| "must be a UUID".to_owned())
}

fn is_accepted(id: &Uuid) -> bool {
    let is_rfc = id.get_variant() == uuid::Variant::RFC4122;
    id.is_nil() || (is_rfc && (1..=5).contains(&id.get_version_num()))
}

/// A verification code: 45 characters, read in lower case.
///
/// # Errors
/// For anything else.
pub(crate) fn verification_code(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.chars().count() == codes::LENGTH {
        return Ok(text.to_lowercase());
    }
    Err(format!("must have exactly {} characters", codes::LENGTH))
}

/// An object, whatever is in it.
///
/// # Errors
/// For anything else.
pub(crate) fn json_object(value: &Value) -> Result<Value, String> {
    if value.is_object() {
        Ok(value.clone())
    } else {
        Err("must be an object".to_owned())
    }
}

/// One of a few texts.
pub(crate) fn one_of(
    choices: &'static [&'static str],
) -> impl Fn(&Value) -> Result<&'static str, String> {
    move |value| {
        let text = text(value)?;
        let found = choices.iter().copied().find(|choice| *choice == text);
        found.ok_or_else(|| format!("must be one of: {}", choices.join(", ")))
    }
}

/// The id by which a permission is spoken of: a definable one, or one of the system's own.
///
/// # Errors
/// For anything else.
pub(crate) fn permission_id(value: &Value) -> Result<PermissionId, String> {
    let id = text(value)?;
    if permission::is_permission_id(&id) {
        return Ok(PermissionId::new(id));
    }
    Err("must be a permission's id: lower-case letters, digits, _ and :".to_owned())
}

/// The id of a permission that is to be defined.
///
/// # Errors
/// For anything else.
pub(crate) fn definable_permission_id(value: &Value) -> Result<PermissionId, String> {
    let id = text(value)?;
    if permission::is_definable(&id) {
        return Ok(PermissionId::new(id));
    }
    Err("must have lower-case letters, digits, _ and : only, and at least one".to_owned())
}

/// Any JSON.
///
/// # Errors
/// Never: any value will do.
#[allow(clippy::unnecessary_wraps, reason = "it is a parser like the others")]
pub(crate) fn json_value(value: &Value) -> Result<Value, String> {
    Ok(value.clone())
}

/// An email address by the rules of sign-up.
///
/// # Errors
/// For anything else.
pub(crate) fn strict_email(value: &Value) -> Result<EmailAddress, String> {
    EmailAddress::strict(&text(value)?).ok_or_else(|| "must be an email address".to_owned())
}

/// An email address by the rules of sign-in and of servers.
///
/// # Errors
/// For anything else.
pub(crate) fn lenient_email(value: &Value) -> Result<EmailAddress, String> {
    EmailAddress::lenient(&text(value)?).ok_or_else(|| "must be an email address".to_owned())
}

/// An absolute URL without spaces, kept as it was written.
///
/// # Errors
/// For anything else.
pub(crate) fn url_text(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let is_url = !text.contains(' ') && url::Url::parse(&text).is_ok();
    if !is_url {
        return Err("must be a URL".to_owned());
    }
    if text.len() > MAX_URL {
        return Err(format!("must have at most {MAX_URL} characters"));
    }
    Ok(text)
}

/// A country's code, in capitals (ISO 3166-1 alpha-2). Whether there is such a country is not asked.
///
/// # Errors
/// For anything else.
pub(crate) fn country(value: &Value) -> Result<String, String> {
    country_code(&text(value)?).ok_or_else(|| "must be a country code of two letters".to_owned())
}

/// Bytes in base64 (RFC 4648 §4).
///
/// # Errors
/// For anything else.
pub(crate) fn base64(value: &Value) -> Result<Vec<u8>, String> {
    let text = text(value)?;
    data_encoding::BASE64
        .decode(text.as_bytes())
        .map_err(|_| "must be base64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_are_coerced() {
        assert_eq!(integer(0..=99)(&json!("42")), Ok(42));
        assert_eq!(integer(0..=99)(&json!(4.0)), Ok(4));
        assert!(integer(0..=99)(&json!(4.5)).is_err());
        assert_eq!(boolean(&json!("1")), Ok(true));
        assert!(query_boolean(&json!("1")).is_err());
        assert_eq!(text(&json!(true)), Ok("true".to_owned()));
        assert!(text(&json!({})).is_err());
    }

    #[test]
    fn uuids_are_canonical() {
        for good in [
            "00000000-0000-0000-0000-000000000000",
            "6FB53BB8-4f2f-4b1c-9d27-1d4a61d1f0de",
        ] {
            assert!(uuid(&json!(good)).is_ok(), "{good}");
        }
        for bad in [
            "6fb53bb84f2f4b1c9d271d4a61d1f0de",
            "{6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de}",
            "6fb53bb8-4f2f-7b1c-9d27-1d4a61d1f0de",
            "6fb53bb8-4f2f-4b1c-cd27-1d4a61d1f0de",
            "me",
        ] {
            assert!(uuid(&json!(bad)).is_err(), "{bad}");
        }
    }
}
