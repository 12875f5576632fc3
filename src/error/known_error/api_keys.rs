//! API keys of users, teams and projects.

use super::code::{Code, KnownError, codes};

codes! {
    /// A key that was revoked.
    ApiKeyRevoked: UNAUTHORIZED "API_KEY_REVOKED";

    /// A key past its end.
    ApiKeyExpired: UNAUTHORIZED "API_KEY_EXPIRED";

    /// A user's key where a team's is wanted, or the other way round.
    WrongApiKeyType: BAD_REQUEST "WRONG_API_KEY_TYPE" {
        /// Whose key is needed: a `user`, or a `team`.
        expected_type: String,
        /// Whose key it is.
        actual_type: String,
    };

    /// A scanner reported a key that everybody may see.
    PublicApiKeyCannotBeRevoked: BAD_REQUEST "PUBLIC_API_KEY_CANNOT_BE_REVOKED";

    /// No key of that id.
    ApiKeyNotFound: NOT_FOUND "API_KEY_NOT_FOUND";
}

impl KnownError {
    /// A key that was revoked.
    #[must_use]
    pub fn api_key_revoked() -> Self {
        ApiKeyRevoked.says("The API key was revoked.")
    }

    /// A key past its end.
    #[must_use]
    pub fn api_key_expired() -> Self {
        ApiKeyExpired.says("The API key has expired.")
    }

    /// A user's key where a team's is wanted, or the other way round.
    #[must_use]
    pub fn wrong_api_key_type(expected: &str, actual: &str) -> Self {
        WrongApiKeyType {
            expected_type: expected.to_owned(),
            actual_type: actual.to_owned(),
        }
        .says(format!(
            "This is a {actual}'s API key; a {expected}'s is needed."
        ))
    }

    /// A scanner reported a key that everybody may see.
    #[must_use]
    pub fn public_api_key_cannot_be_revoked() -> Self {
        PublicApiKeyCannotBeRevoked.says(
            "The API key is a public one: it may be seen, so being found is no reason to revoke \
             it.",
        )
    }

    /// No key of that id.
    #[must_use]
    pub fn api_key_not_found() -> Self {
        ApiKeyNotFound.says("There is no such API key.")
    }
}
