//! What a handler can fail with, and how that looks on the wire.

mod documented;
pub(crate) mod known_error;

/// The known errors by type, and what shows them in the API's reference.
pub(crate) mod codes {
    pub(crate) use super::documented::*;
    pub(crate) use super::known_error::*;
}

use std::error::Error;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muniment_domain::api_key::ApiKeyError;
use muniment_domain::customer::CustomerError;
use muniment_domain::permission::DefinitionError;
use muniment_domain::project::ProjectError;
use muniment_domain::session::SessionError;
use muniment_domain::team::TeamError;
use muniment_domain::user::UserError;
use muniment_domain::verification_code::VerificationCodeError;
use muniment_event_store::{LedgerError, Reservation};

use crate::error::known_error::KnownError;

/// The header that names a known error's code.
pub const KNOWN_ERROR_HEADER: &str = "x-stack-known-error";

/// The failure of a request.
#[derive(Debug)]
pub enum ApiError {
    /// One that client libraries know by its code.
    Known(Box<KnownError>),
    /// Any other that is the caller's to correct: a status and a sentence.
    Text(StatusCode, String),
    /// The caller, or somebody on the same account, tries too often: a sentence, and the seconds
    /// after which another attempt may succeed.
    TooMany(String, u64),
    /// The server cannot do it for the moment: a sentence, and the seconds after which it may.
    Unavailable(String, u64),
    /// Ours. It is logged; the caller learns only the request's id.
    Internal(Box<dyn Error + Send + Sync>),
}

/// What handlers return.
pub type ApiResult<T = Response> = Result<T, ApiError>;

impl ApiError {
    /// An error without a code.
    #[must_use]
    pub fn text(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Text(status, message.into())
    }

    /// A request that is refused for a reason without a code.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::Text(StatusCode::BAD_REQUEST, message.into())
    }

    /// A request for what there is not, without a code.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::Text(StatusCode::NOT_FOUND, message.into())
    }

    /// A request for what the caller may not have, without a code.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::Text(StatusCode::FORBIDDEN, message.into())
    }

    /// An error that is ours.
    #[must_use]
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }
}

impl From<KnownError> for ApiError {
    fn from(error: KnownError) -> Self {
        Self::Known(Box::new(error))
    }
}

/// What the ledger refuses, where the handler has nothing more exact to say.
impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        let bad_request =
            |error: &dyn Error| Self::text(StatusCode::BAD_REQUEST, error.to_string());
        match &error {
            LedgerError::ProjectDeleted(id) => KnownError::current_project_not_found(id).into(),
            LedgerError::User(UserError::NotFound) => KnownError::user_not_found().into(),
            LedgerError::User(UserError::PermissionNotGranted(permission)) => {
                KnownError::permission_not_found(permission).into()
            }
            LedgerError::User(refusal) => bad_request(refusal),
            LedgerError::Team(TeamError::AlreadyMember) => {
                KnownError::team_membership_already_exists().into()
            }
            LedgerError::Team(TeamError::NotFound) => Self::text(
                StatusCode::NOT_FOUND,
                "The team was deleted in the meantime.",
            ),
            LedgerError::Team(refusal) => bad_request(refusal),
            LedgerError::Session(SessionError::NotFound) => {
                KnownError::refresh_token_not_found_or_expired().into()
            }
            LedgerError::Project(ProjectError::KeySetNotFound) => {
                KnownError::api_key_not_found().into()
            }
            LedgerError::Project(ProjectError::Definition(refusal)) => refused_definition(refusal),
            LedgerError::ApiKey(ApiKeyError::NotFound) => KnownError::api_key_not_found().into(),
            LedgerError::ApiKey(refusal) => bad_request(refusal),
            LedgerError::PermissionDenied(denied) => KnownError::denied(denied).into(),
            LedgerError::Customer(CustomerError::Gone(kind, id)) => {
                KnownError::no_customer(*kind, *id).into()
            }
            LedgerError::Customer(refusal) => bad_request(refusal),
            LedgerError::SupportConversation(refusal) => bad_request(refusal),
            LedgerError::Project(refusal) => bad_request(refusal),
            LedgerError::Taken(Reservation::ChannelValue) => Self::text(
                StatusCode::BAD_REQUEST,
                "The user has this address already.",
            ),
            LedgerError::VerificationCode(refusal) => match refusal {
                VerificationCodeError::Expired => KnownError::verification_code_expired().into(),
                VerificationCodeError::AlreadyUsed => {
                    KnownError::verification_code_already_used().into()
                }
                VerificationCodeError::TooManyAttempts => {
                    KnownError::verification_code_max_attempts_reached().into()
                }
                VerificationCodeError::NotFound => KnownError::verification_code_not_found().into(),
                VerificationCodeError::AlreadyExists => Self::internal(error),
            },
            LedgerError::SubjectErased(_) => {
                Self::not_found("Whom this is about was deleted in the meantime.")
            }
            LedgerError::Conflict => Self::Unavailable(
                "Too many requests change the same account at once. Try again.".to_owned(),
                1,
            ),
            outage if outage.is_outage() => {
                tracing::error!(%error, "the database is away, or read-only");
                let text = "The database takes no changes at the moment. Try again in a while.";
                Self::Unavailable(text.to_owned(), 5)
            }
            LedgerError::UnreadableStream(_) => Self::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "The server cannot read all that is recorded here: it is older than what was \
                 written, or a record is damaged. Its log says which.",
            ),
            _ => Self::internal(error),
        }
    }
}

/// A cycle has no code of its own: the clients know none for it.
fn refused_definition(refusal: &DefinitionError) -> ApiError {
    match refusal {
        DefinitionError::NotFound(id) => KnownError::permission_not_found(id).into(),
        DefinitionError::Taken(id) => KnownError::permission_id_already_exists(id).into(),
        DefinitionError::ContainedNotFound(id) => {
            KnownError::contained_permission_not_found(id).into()
        }
        DefinitionError::Cycle(_) => ApiError::text(StatusCode::BAD_REQUEST, refusal.to_string()),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Known(error) => known(&error),
            Self::Text(status, message) => text(status, message),
            Self::TooMany(message, seconds) => {
                retry_later(StatusCode::TOO_MANY_REQUESTS, message, seconds)
            }
            Self::Unavailable(message, seconds) => {
                retry_later(StatusCode::SERVICE_UNAVAILABLE, message, seconds)
            }
            Self::Internal(error) => {
                tracing::error!(%error, "a request failed for a reason of ours");
                text(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL.to_owned())
            }
        }
    }
}

fn retry_later(status: StatusCode, message: String, retry_after_seconds: u64) -> Response {
    let mut response = text(status, message);
    let seconds = HeaderValue::from(retry_after_seconds);
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

/// The text of an internal error; the envelope appends the request's id.
pub(crate) const INTERNAL: &str = "Something went wrong on the server.";

fn known(error: &KnownError) -> Response {
    let body = serde_json::to_string_pretty(&error.body()).unwrap_or_default();
    let json = (
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    let code = HeaderValue::from_static(error.code);
    (error.status, [json], [(KNOWN_ERROR_HEADER, code)], body).into_response()
}

fn text(status: StatusCode, message: String) -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], message).into_response()
}
