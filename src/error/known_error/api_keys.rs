//! API keys of users, teams and projects.

use serde_json::json;

use super::KnownError;

impl KnownError {
    /// A key that was revoked.
    #[must_use]
    pub fn api_key_revoked() -> Self {
        Self::unauthorized("API_KEY_REVOKED", "The API key was revoked.")
    }

    /// A key past its end.
    #[must_use]
    pub fn api_key_expired() -> Self {
        Self::unauthorized("API_KEY_EXPIRED", "The API key has expired.")
    }

    /// A user's key where a team's is wanted, or the other way round.
    #[must_use]
    pub fn wrong_api_key_type(expected: &str, actual: &str) -> Self {
        Self::bad_request(
            "WRONG_API_KEY_TYPE",
            format!("This is a {actual}'s API key; a {expected}'s is needed."),
        )
        .with(json!({"expected_type": expected, "actual_type": actual}))
    }

    /// A scanner reported a key that everybody may see.
    #[must_use]
    pub fn public_api_key_cannot_be_revoked() -> Self {
        Self::bad_request(
            "PUBLIC_API_KEY_CANNOT_BE_REVOKED",
            "The API key is a public one: it may be seen, so being found is no reason to revoke it.",
        )
    }

    /// No key of that id.
    #[must_use]
    pub fn api_key_not_found() -> Self {
        Self::not_found("API_KEY_NOT_FOUND", "There is no such API key.")
    }
}
