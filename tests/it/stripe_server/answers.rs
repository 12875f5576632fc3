//! Answers of the fake Stripe, and its refusals in Stripe's words.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refusal, as Stripe words it.
pub(super) struct Refused(pub u16, pub Value);

pub(super) type Done = Result<Value, Refused>;

pub(super) fn refuse<T>(
    status: u16,
    kind: &str,
    code: &str,
    message: &str,
    param: &str,
) -> Result<T, Refused> {
    let mut error = json!({"type": kind, "message": message});
    for (name, value) in [("code", code), ("param", param)] {
        if !value.is_empty() {
            error[name] = json!(value);
        }
    }
    Err(Refused(status, json!({"error": error})))
}

pub(super) fn invalid<T>(message: &str, param: &str) -> Result<T, Refused> {
    refuse(400, "invalid_request_error", "", message, param)
}

pub(super) fn missing<T>(kind: &str, id: &str) -> Result<T, Refused> {
    let message = format!("No such {kind}: '{id}'");
    refuse(
        404,
        "invalid_request_error",
        "resource_missing",
        &message,
        "id",
    )
}

pub(super) fn answer(done: Done) -> Response {
    let (status, body) = match done {
        Ok(body) => (200, body),
        Err(Refused(status, body)) => (status, body),
    };
    let status = StatusCode::from_u16(status).unwrap();
    let json = [("content-type", "application/json")];
    (status, json, body.to_string()).into_response()
}
