//! The known errors: those that client libraries recognise by their code. One constructor per code,
//! in a file per subject.
//!
//! Codes, statuses and the names of details are Stack Auth's, and stay as its clients expect them.
//! The texts are ours: each says what is wrong and what the caller can do about it.

mod access;
mod accounts;
mod analytics;
mod api_keys;
mod auth;
mod data_vault;
mod payments;
mod permissions;
mod requests;
mod teams;
mod telemetry;
mod tokens;

use axum::http::StatusCode;
use serde_json::{Value, json};

/// An error that client libraries know by its code.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownError {
    /// The status of the answer.
    pub status: StatusCode,
    /// The code.
    pub code: &'static str,
    /// A text for people.
    pub message: String,
    /// What programs may want to know, if anything.
    pub details: Option<Value>,
}

impl KnownError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: None,
        }
    }

    fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    fn with(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// The body as the wire wants it.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({"code": self.code, "error": self.message});
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body
    }
}
