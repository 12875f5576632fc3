//! Answers as Svix gives them.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::page::Rest;
use crate::http::answer::schema_of;
use crate::http::openapi::describe::{OperationDescription, OperationOutput, reference_to};

/// 202, with what will be done.
pub(super) struct Accepted<T>(pub T);

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self.0)).into_response()
    }
}

impl<T: ToSchema> OperationOutput for Accepted<T> {
    fn describe(operation: &mut OperationDescription) {
        operation.answers_json::<T>(202, "Accepted.");
    }
}

/// A part of a list, with what leads on and back.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SvixPage<T> {
    data: Vec<T>,
    done: bool,
    iterator: Option<String>,
    prev_iterator: Option<String>,
}

impl<T> SvixPage<T> {
    /// A page of what has these ids.
    pub(super) fn of(data: Vec<T>, id: impl Fn(&T) -> &str, rest: Rest) -> Json<Self> {
        Json(Self {
            iterator: data.last().map(|last| id(last).to_owned()),
            prev_iterator: data.first().map(|first| format!("-{}", id(first))),
            done: rest == Rest::Nothing,
            data,
        })
    }
}

impl<T: ToSchema> PartialSchema for SvixPage<T> {
    fn schema() -> RefOr<Schema> {
        schema_of(&json!({
            "type": "object",
            "required": ["data", "done", "iterator", "prevIterator"],
            "properties": {
                "data": {"type": "array", "items": reference_to(&T::name())},
                "done": {
                    "description": "Whether nothing follows in the direction of the page.",
                    "type": "boolean",
                },
                "iterator": {
                    "description": "The `iterator` of the next page. Null if this one is empty.",
                    "type": ["string", "null"],
                },
                "prevIterator": {
                    "description": "The `iterator` of the page before. Null if this one is empty.",
                    "type": ["string", "null"],
                },
            },
        }))
    }
}

impl<T: ToSchema> ToSchema for SvixPage<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}
