//! What requests to Svix's API fail with, in Svix's own shapes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muniment_event_store::{LedgerError, Reservation};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::webhooks::management::Refusal;
use crate::error::ApiError;
use crate::http::request::fields::Violation;

/// What handlers return.
pub(super) type SvixResult<T> = Result<T, SvixError>;

/// The failure of a request.
#[derive(Debug)]
pub(super) enum SvixError {
    /// Something that the holder of the token cannot have.
    Refused(SvixErrorCode, String),
    /// 422: what is wrong with the request.
    Invalid(Vec<Violation>),
    /// Ours.
    Ours(ApiError),
}

/// Why a request was refused.
#[derive(Serialize, ToSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum SvixErrorCode {
    /// 401: the token is missing, or does not work any more.
    AuthenticationFailed,
    /// 403: the token is for another application.
    InsufficientPermissions,
    /// 404: there is no such thing.
    NotFound,
    /// 409: something of that name is there already.
    Conflict,
    /// 400: what is asked for cannot be done at present.
    BadRequest,
}

impl SvixErrorCode {
    fn status(self) -> StatusCode {
        match self {
            Self::AuthenticationFailed => StatusCode::UNAUTHORIZED,
            Self::InsufficientPermissions => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::BadRequest => StatusCode::BAD_REQUEST,
        }
    }
}

/// A request that was refused.
#[derive(Serialize, ToSchema)]
pub(super) struct SvixRefusal {
    code: SvixErrorCode,
    /// Why, and what to do about it, for people.
    detail: String,
}

/// A request that is wrong in itself.
#[derive(Serialize, ToSchema)]
pub(super) struct SvixInvalidRequest {
    /// All that is wrong with it.
    detail: Vec<SvixViolation>,
}

/// Something that is wrong with a request.
#[derive(Serialize, ToSchema)]
pub(super) struct SvixViolation {
    /// Where: the names that lead there, beginning with `params`, `query` or `body`.
    loc: Vec<String>,
    /// What.
    msg: String,
    #[serde(rename = "type")]
    kind: SvixViolationKind,
}

/// The sort of what is wrong with a request. There is only one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SvixViolationKind {
    /// A value that is not accepted.
    ValueError,
}

impl From<Violation> for SvixViolation {
    fn from(violation: Violation) -> Self {
        Self {
            loc: violation.path.split('.').map(str::to_owned).collect(),
            msg: violation.problem,
            kind: SvixViolationKind::ValueError,
        }
    }
}

impl SvixError {
    /// The token is none, or does not work any more.
    #[must_use]
    pub(super) fn unauthenticated() -> Self {
        let detail = "Send a token of POST /webhooks/svix-token as Authorization: Bearer.";
        Self::Refused(SvixErrorCode::AuthenticationFailed, detail.to_owned())
    }

    /// There is no such thing for the holder of the token.
    #[must_use]
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::Refused(SvixErrorCode::NotFound, detail.into())
    }

    /// Something of that name is there.
    #[must_use]
    pub(super) fn conflict(detail: &str) -> Self {
        Self::Refused(SvixErrorCode::Conflict, detail.to_owned())
    }
}

impl From<ApiError> for SvixError {
    fn from(error: ApiError) -> Self {
        Self::Ours(error)
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
                Self::Refused(SvixErrorCode::BadRequest, refusal.to_string())
            }
        }
    }
}

impl IntoResponse for SvixError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(code, detail) => {
                (code.status(), Json(SvixRefusal { code, detail })).into_response()
            }
            Self::Invalid(violations) => {
                let detail = violations.into_iter().map(SvixViolation::from).collect();
                let body = Json(SvixInvalidRequest { detail });
                (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
            }
            Self::Ours(error) => error.into_response(),
        }
    }
}
