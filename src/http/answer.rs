//! Answers that many routes give.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// `{"success": true}`
pub(crate) fn success() -> Response {
    Json(json!({"success": true})).into_response()
}

/// A list that is not paginated.
pub(crate) fn whole_list<T: serde::Serialize>(items: &[T]) -> Response {
    Json(json!({"items": items, "is_paginated": false})).into_response()
}
