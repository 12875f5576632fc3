//! Requests that cannot be read.

use serde_json::json;

use super::KnownError;

impl KnownError {
    /// The body is no JSON, too large, or of a type that is not accepted.
    #[must_use]
    pub fn body_parsing_error(why: &str) -> Self {
        Self::bad_request(
            "BODY_PARSING_ERROR",
            format!("The request body could not be read: {why}"),
        )
    }

    /// Fields are missing, wrong or unknown.
    #[must_use]
    pub fn schema_error(message: String) -> Self {
        let details = json!({"message": message});
        Self::bad_request("SCHEMA_ERROR", message).with(details)
    }
}
