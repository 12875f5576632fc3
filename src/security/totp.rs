//! The second factor: time-based one-time passwords (RFC 6238) of six digits, thirty seconds and
//! HMAC-SHA-1, as authenticator apps make them.

use data_encoding::BASE64;
use muniment_domain::Millis;
use totp_rs::{Algorithm, Builder};

/// The length of a step, in seconds.
const STEP_SECONDS: u64 = 30;

/// The step that `code` belongs to, if it is the present one's code under the secret (base64).
/// There is no tolerance for clocks that are off: a code is good for its own thirty seconds.
#[must_use]
pub fn matching_step(secret: Option<&str>, code: &str, now: Millis) -> Option<u64> {
    let secret = BASE64.decode(secret?.as_bytes()).ok()?;
    let seconds = u64::try_from(now.seconds()).ok()?;
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(0)
        .with_step_duration(STEP_SECONDS)
        .with_secret(secret)
        .build_noncompliant();
    totp.check(code, seconds)?;
    Some(seconds / STEP_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, cut to six digits.
    #[test]
    fn the_rfcs_examples_hold() {
        let secret = BASE64.encode(b"12345678901234567890");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let now = Millis(seconds * 1000);
            let step = matching_step(Some(&secret), code, now);
            assert_eq!(step, u64::try_from(seconds / 30).ok());
            assert_eq!(matching_step(Some(&secret), code, now.plus(30_000)), None);
            assert_eq!(matching_step(Some(&secret), code, now.plus(-30_000)), None);
        }
    }

    #[test]
    fn nonsense_does_not_match() {
        let secret = BASE64.encode(b"12345678901234567890");
        for (secret, code) in [
            (None, "287082"),
            (Some("not base64!"), "287082"),
            (Some(secret.as_str()), ""),
            (Some(secret.as_str()), "28708"),
            (Some(secret.as_str()), "2870822"),
        ] {
            assert_eq!(matching_step(secret, code, Millis(59_000)), None);
        }
    }
}
