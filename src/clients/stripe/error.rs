//! What can go wrong between this server and Stripe.

use std::fmt;

use axum::http::StatusCode;
use serde::Deserialize;

use crate::error::ApiError;

/// Why Stripe did not do what was asked. No variant ever carries the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// Stripe answered with an error.
    #[error("Stripe refused {call}: {refusal}")]
    Refused {
        /// The call, as `customers.create`.
        call: &'static str,
        /// What it said.
        refusal: Refusal,
    },
    /// There was no answer in time, after all retries.
    #[error("Stripe cannot be reached for {call}: {reason}")]
    Unreachable {
        /// The call.
        call: &'static str,
        /// What went wrong on the way.
        reason: String,
    },
    /// The answer is not what Stripe's reference says.
    #[error("Stripe's answer to {call} cannot be read: {reason}")]
    Unreadable {
        /// The call.
        call: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl StripeError {
    /// What Stripe said, if it said no.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::Unreachable { .. } | Self::Unreadable { .. } => None,
        }
    }

    /// Whether the object that was asked for does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.code.as_deref() == Some("resource_missing"))
    }

    /// Whether it was the card that was refused.
    #[must_use]
    pub fn is_card_error(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.kind == "card_error")
    }

    /// Whether Stripe looked at what was asked for and said no: nothing was done, also by an earlier
    /// attempt under the same key, whose answer it would have repeated.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| matches!(refusal.status, 400 | 402 | 404))
    }

    /// Whether Stripe had no time for us, or no sense: the same call may work in a while.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => refusal.status == 429 || refusal.status >= 500,
            Self::Unreachable { .. } => true,
            Self::Unreadable { .. } => false,
        }
    }
}

/// An error object of Stripe (<https://docs.stripe.com/api/errors>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The `type`, as `invalid_request_error`.
    pub kind: String,
    /// The `code`, as `resource_missing`.
    pub code: Option<String>,
    /// The sentence for developers; for card errors it may be shown to the payer.
    pub message: String,
    /// The parameter it is about.
    pub param: Option<String>,
}

/// What Stripe refuses. Its words go on where they are about the request; about the key, the account
/// and Stripe's own troubles the caller learns what to do, and the log the rest.
impl From<StripeError> for ApiError {
    fn from(error: StripeError) -> Self {
        tracing::warn!(%error, "Stripe did not do what was asked");
        if error.is_outage() {
            return Self::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "Stripe cannot be reached at present. Try again in a minute.",
            );
        }
        match error.refusal() {
            Some(refusal) if matches!(refusal.status, 400 | 402 | 404) => Self::text(
                StatusCode::BAD_REQUEST,
                format!("Stripe refused the request: {}", refusal.message),
            ),
            Some(refusal) if matches!(refusal.status, 401 | 403) => Self::text(
                StatusCode::BAD_GATEWAY,
                "Stripe does not let this server act for the project. Whoever runs the server must check STRIPE_SECRET_KEY, and that the project's account belongs to that platform.",
            ),
            _ => Self::text(
                StatusCode::BAD_GATEWAY,
                "Stripe answered in a way that this server does not understand. Try again; if it stays so, tell whoever runs the server.",
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.kind)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[derive(Deserialize)]
struct Body {
    error: ErrorObject,
}

#[derive(Deserialize)]
#[serde(default)]
struct ErrorObject {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    message: String,
    param: Option<String>,
}

impl Default for ErrorObject {
    fn default() -> Self {
        Self {
            kind: "api_error".to_owned(),
            code: None,
            message: "no reason was given".to_owned(),
            param: None,
        }
    }
}

impl Refusal {
    /// Reads an error answer. Proxies on the way answer in other shapes: such a body says nothing.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let error = serde_json::from_slice(body)
            .map_or_else(|_| ErrorObject::default(), |it: Body| it.error);
        Self {
            status,
            kind: error.kind,
            code: error.code,
            message: error.message,
            param: error.param,
        }
    }
}
