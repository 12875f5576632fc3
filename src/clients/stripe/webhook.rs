//! Stripe's webhooks: who sent one, and what it says
//! (<https://docs.stripe.com/webhooks#verify-manually>).

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use muniment_domain::Millis;
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

/// The header that a webhook is signed in.
pub const SIGNATURE: &str = "stripe-signature";
/// How far a webhook's time and ours may be apart. Whoever records one cannot send it again later.
const TOLERANCE_SECONDS: i64 = 300;

/// What happened at Stripe.
#[derive(Clone, Debug, Deserialize)]
pub struct StripeEvent {
    /// `evt_…`
    #[serde(default)]
    pub id: String,
    /// `invoice.paid`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// On which connected account.
    #[serde(default)]
    pub account: Option<String>,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub created: Option<i64>,
    /// To what.
    pub data: EventData,
}

/// See [`StripeEvent::data`].
#[derive(Clone, Debug, Deserialize)]
pub struct EventData {
    /// The object as it was then.
    pub object: Value,
}

/// Whether a webhook's body was signed with the secret, a short time ago. Several signatures may be
/// given while a secret is being replaced; one is enough.
#[must_use]
pub fn is_signed(header: &str, body: &[u8], secret: &str, now: Millis) -> bool {
    let fields = || {
        header
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
    };
    let time = fields()
        .find(|(name, _)| *name == "t")
        .map(|(_, time)| time);
    let Some(seconds) = time.and_then(|time| time.parse::<i64>().ok()) else {
        return false;
    };
    let seconds_now = now.0.div_euclid(1000);
    if seconds_now.saturating_sub(seconds).saturating_abs() > TOLERANCE_SECONDS {
        return false;
    }
    let Ok(mut expected) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    expected.update(time.unwrap_or_default().as_bytes());
    expected.update(b".");
    expected.update(body);
    fields()
        .filter(|(name, _)| *name == "v1")
        .filter_map(|(_, signature)| HEXLOWER_PERMISSIVE.decode(signature.as_bytes()).ok())
        .any(|signature| expected.clone().verify_slice(&signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by `openssl dgst -sha256 -hmac whsec_test` over `1700000000.{"a":1}`.
    const SIGNED: &str = "38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789";
    const NOW: Millis = Millis(1_700_000_000_999);

    fn check(header: &str, body: &str, secret: &str, now: Millis) -> bool {
        is_signed(header, body.as_bytes(), secret, now)
    }

    #[test]
    fn a_signature_is_of_the_body_the_time_and_the_secret() {
        let header = format!("t=1700000000,v0=00,v1={SIGNED}");
        assert!(check(&header, r#"{"a":1}"#, "whsec_test", NOW));
        assert!(!check(&header, r#"{"a":2}"#, "whsec_test", NOW));
        assert!(!check(&header, r#"{"a":1}"#, "whsec_other", NOW));
        let other_time = header.replace("1700000000", "1700000001");
        assert!(!check(&other_time, r#"{"a":1}"#, "whsec_test", NOW));
        // One of several is enough.
        let several = format!("t=1700000000,v1={},v1={SIGNED}", "ab".repeat(32));
        assert!(check(&several, r#"{"a":1}"#, "whsec_test", NOW));
    }

    #[test]
    fn a_signature_does_not_last() {
        let header = format!("t=1700000000,v1={SIGNED}");
        for (seconds, lasts) in [(300, true), (301, false), (-300, true), (-301, false)] {
            let now = Millis((1_700_000_000 + seconds) * 1000);
            assert_eq!(
                check(&header, r#"{"a":1}"#, "whsec_test", now),
                lasts,
                "{seconds}"
            );
        }
    }

    #[test]
    fn nonsense_is_no_signature() {
        for header in [
            "",
            "t=,v1=",
            "v1=00",
            "t=1700000000",
            "t=x,v1=00",
            "t=9223372036854775807,v1=00",
        ] {
            assert!(!check(header, r#"{"a":1}"#, "whsec_test", NOW), "{header}");
        }
        let other_scheme = format!("t=1700000000,v0={SIGNED}");
        assert!(!check(&other_scheme, r#"{"a":1}"#, "whsec_test", NOW));
    }
}
