//! What the endpoints have in common to which browsers send what they observe.

use serde_json::{Value, json};

use super::caller::{Auth, CurrentSession};
use super::shape::scalars::millis;
use super::shape::{Shape, scalar};
use super::values::text;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// The session that observations belong to, if the project takes any. An access token of ours always
/// names its session.
///
/// # Errors
/// `ANALYTICS_NOT_ENABLED`, `USER_AUTHENTICATION_REQUIRED`, in this order.
pub(crate) fn observed_session(auth: &Auth) -> Result<&CurrentSession, ApiError> {
    if !auth.project.config.apps.installed.analytics.enabled {
        return Err(KnownError::analytics_not_enabled().into());
    }
    let session = auth.user.as_ref();
    session.ok_or_else(|| KnownError::user_authentication_required().into())
}

/// A UUID as browsers draw them: of any version from 1 to 8, kept as it was written.
pub(crate) fn browser_id() -> impl Shape<Value = String> {
    scalar(
        read_browser_id,
        || json!({"type": "string", "format": "uuid"}),
    )
}

fn read_browser_id(value: &Value) -> Result<String, String> {
    let id = text(value)?;
    let is_uuid = id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => matches!(byte, b'1'..=b'8'),
            19 => matches!(byte.to_ascii_lowercase(), b'0' | b'8' | b'9' | b'a' | b'b'),
            _ => byte.is_ascii_hexdigit(),
        });
    is_uuid
        .then_some(id)
        .ok_or_else(|| "must be a UUID".to_owned())
}

/// A time by the browser's clock, in milliseconds since the Unix epoch.
pub(crate) fn browser_millis() -> impl Shape<Value = i64> {
    millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_browsers() {
        for good in [
            "6fb53bb8-4f2f-7b1c-9d27-1d4a61d1f0de",
            "6FB53BB8-4F2F-4B1C-AD27-1D4A61D1F0DE",
            "6fb53bb8-4f2f-8b1c-0d27-1d4a61d1f0de",
        ] {
            assert_eq!(read_browser_id(&json!(good)), Ok(good.to_owned()));
        }
        for bad in [
            "00000000-0000-0000-0000-000000000000",
            "6fb53bb8-4f2f-9b1c-9d27-1d4a61d1f0de",
            "6fb53bb8-4f2f-4b1c-cd27-1d4a61d1f0de",
            "6fb53bb84f2f4b1c9d271d4a61d1f0de",
            "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0dé",
            "",
        ] {
            assert!(read_browser_id(&json!(bad)).is_err(), "{bad}");
        }
    }
}
