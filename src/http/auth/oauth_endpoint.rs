//! What the token endpoints have in common (RFC 6749).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::http::openapi::describe::{OperationDescription, OperationOutput};
use crate::http::request::body::Body;

/// An error of OAuth 2.0 (RFC 6749 §5.2).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OauthError {
    /// What is wrong.
    pub(crate) error: OauthErrorCode,
    /// The same in words.
    pub(crate) error_description: String,
}

/// The errors of OAuth 2.0 that occur here.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OauthErrorCode {
    InvalidClient,
    InvalidGrant,
    InvalidRedirectUri,
    InvalidRequest,
    InvalidScope,
    UnsupportedGrantType,
    UnsupportedResponseType,
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(self)).into_response()
    }
}

/// An answer, or an error of the standard's that is none of this API's.
pub(crate) struct OauthAnswer<T, E = OauthError>(pub Result<T, E>);

impl<T: IntoResponse, E: IntoResponse> IntoResponse for OauthAnswer<T, E> {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl<T: OperationOutput, E> OperationOutput for OauthAnswer<T, E> {
    fn describe(operation: &mut OperationDescription) {
        T::describe(operation);
        operation.answers_json::<OauthError>(400, "an error of OAuth 2.0");
    }
}

/// The fields of a body, which is a form by the standard, or JSON. What else they are is the
/// endpoint's own matter.
pub(crate) fn fields_of(body: &Body) -> Option<&Map<String, Value>> {
    match body {
        Body::Json(Value::Object(fields)) | Body::Form(fields) => Some(fields),
        _ => None,
    }
}

/// The text of a field. What is no text counts as missing.
pub(crate) fn text_of(fields: &Map<String, Value>, name: &str) -> Option<String> {
    Some(fields.get(name)?.as_str()?.to_owned())
}

/// Describes a body with the fields of `T`, such as `example`.
pub(crate) fn describe_fields<T: ToSchema>(operation: &mut OperationDescription, example: &Value) {
    let content = json!({"schema": operation.reference::<T>(), "example": example});
    operation.body = Some(json!({
        "required": true,
        "content": {"application/x-www-form-urlencoded": content, "application/json": content},
    }));
}
