//! Requests that cannot be read.

use super::code::{Code, KnownError, codes};

codes! {
    /// The body is no JSON, too large, or of a type that is not accepted.
    BodyParsingError: BAD_REQUEST "BODY_PARSING_ERROR";

    /// Fields are missing, wrong or unknown.
    SchemaError: BAD_REQUEST "SCHEMA_ERROR" {
        /// The text for people.
        message: String,
    };
}

impl KnownError {
    /// The body is no JSON, too large, or of a type that is not accepted.
    #[must_use]
    pub fn body_parsing_error(why: &str) -> Self {
        BodyParsingError.says(format!("The request body could not be read: {why}"))
    }

    /// Fields are missing, wrong or unknown.
    #[must_use]
    pub fn schema_error(message: String) -> Self {
        SchemaError {
            message: message.clone(),
        }
        .says(message)
    }
}
