//! What requests to Svix's API fail with, in Svix's own shapes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muniment_event_store::{LedgerError, Reservation};
use serde_json::{Value, json};

use crate::app::webhooks::management::Refusal;
use crate::error::ApiError;
use crate::http::request::fields::Violation;

/// What handlers return.
pub(super) type SvixResult<T = Response> = Result<T, SvixError>;

/// The failure of a request.
#[derive(Debug)]
pub(super) enum SvixError {
    /// `{code, detail}`
    Refused(StatusCode, &'static str, String),
    /// 422 `{detail: [{loc, msg, type}]}`
    Invalid(Vec<Violation>),
    /// Ours.
    Ours(ApiError),
}

impl SvixError {
    /// The token is none, or does not work any more.
    #[must_use]
    pub(super) fn unauthenticated() -> Self {
        let detail = "Send a token of POST /webhooks/svix-token as Authorization: Bearer.";
        Self::Refused(
            StatusCode::UNAUTHORIZED,
            "authentication_failed",
            detail.to_owned(),
        )
    }

    /// There is no such thing for the holder of the token.
    #[must_use]
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::Refused(StatusCode::NOT_FOUND, "not_found", detail.into())
    }

    /// Something of that name is there.
    #[must_use]
    pub(super) fn conflict(detail: &str) -> Self {
        Self::Refused(StatusCode::CONFLICT, "conflict", detail.to_owned())
    }
}

impl From<Vec<Violation>> for SvixError {
    fn from(violations: Vec<Violation>) -> Self {
        Self::Invalid(violations)
    }
}

impl From<LedgerError> for SvixError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Taken(Reservation::WebhookEndpointUid) => {
                Self::conflict("Another endpoint has this uid.")
            }
            LedgerError::Taken(Reservation::WebhookEventId) => {
                Self::conflict("A message with this eventId was sent already.")
            }
            error => Self::Ours(error.into()),
        }
    }
}

impl From<Refusal> for SvixError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Ledger(error) => error.into(),
            Refusal::TooManyEndpoints | Refusal::Disabled => {
                Self::Refused(StatusCode::BAD_REQUEST, "bad_request", refusal.to_string())
            }
        }
    }
}

impl IntoResponse for SvixError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(status, code, detail) => {
                (status, Json(json!({"code": code, "detail": detail}))).into_response()
            }
            Self::Invalid(violations) => {
                let detail: Vec<Value> = violations.iter().map(detail).collect();
                let body = Json(json!({"detail": detail}));
                (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
            }
            Self::Ours(error) => error.into_response(),
        }
    }
}

fn detail(violation: &Violation) -> Value {
    let location: Vec<&str> = violation.path.split('.').collect();
    json!({"loc": location, "msg": violation.problem, "type": "value_error"})
}
