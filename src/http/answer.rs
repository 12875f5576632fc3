//! Answers that many routes give. Each describes itself in the reference.

use std::borrow::Cow;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use muniment_event_store::AccessType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::openapi::describe::{OperationDescription, OperationOutput};

/// 200 `{"success": true}`
#[derive(Serialize, ToSchema)]
pub(crate) struct Success {
    success: bool,
}

impl Success {
    /// The only such answer.
    pub(crate) const ANSWER: Json<Self> = Json(Self { success: true });
}

/// 200 `{}`
#[derive(Serialize, ToSchema)]
pub(crate) struct Empty {}

/// 201, with what was made.
pub(crate) struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl<T: ToSchema> OperationOutput for Created<T> {
    fn describe(operation: &mut OperationDescription) {
        operation.answers_json::<T>(201, "Created.");
    }
}

/// 204
pub(crate) struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl OperationOutput for NoContent {
    fn describe(operation: &mut OperationDescription) {
        operation.answers_without_body(204, "Done.");
    }
}

/// 200, with a text.
pub(crate) struct PlainText(pub String);

impl IntoResponse for PlainText {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        (kind, self.0).into_response()
    }
}

impl OperationOutput for PlainText {
    fn describe(operation: &mut OperationDescription) {
        let schema = json!({"type": "string"});
        operation.answers_with(200, "A text.", "text/plain", &schema);
    }
}

/// What clients see, or what servers and administrators do.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum ByAccess<C, S> {
    /// For clients.
    Client(C),
    /// For servers and administrators.
    Server(S),
}

impl<C, S> ByAccess<C, S> {
    /// What a caller of that access sees.
    pub(crate) fn of(
        access: AccessType,
        client: impl FnOnce() -> C,
        server: impl FnOnce() -> S,
    ) -> Self {
        match access {
            AccessType::Client => Self::Client(client()),
            AccessType::Server | AccessType::Admin => Self::Server(server()),
        }
    }
}

impl<C: ToSchema, S: ToSchema> PartialSchema for ByAccess<C, S> {
    fn schema() -> RefOr<Schema> {
        schema_of(&json!({
            "description": "The first for clients, the second for servers and administrators.",
            "anyOf": [reference::<C>(), reference::<S>()],
        }))
    }
}

impl<C: ToSchema, S: ToSchema> ToSchema for ByAccess<C, S> {
    fn name() -> Cow<'static, str> {
        format!("{}Or{}", C::name(), S::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        collect::<C>(schemas);
        collect::<S>(schemas);
    }
}

/// A list that is not paginated: `{"items": […], "is_paginated": false}`
#[derive(Serialize)]
pub(crate) struct List<T> {
    items: Vec<T>,
    is_paginated: bool,
}

impl<T> List<T> {
    /// All there are.
    pub(crate) fn of(items: Vec<T>) -> Json<Self> {
        Json(Self {
            items,
            is_paginated: false,
        })
    }
}

impl<T: ToSchema> PartialSchema for List<T> {
    fn schema() -> RefOr<Schema> {
        schema_of(&json!({
            "type": "object",
            "required": ["items", "is_paginated"],
            "properties": {
                "items": {"type": "array", "items": reference::<T>()},
                "is_paginated": {"type": "boolean", "enum": [false]},
            },
        }))
    }
}

impl<T: ToSchema> ToSchema for List<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        collect::<T>(schemas);
    }
}

/// A page of a list:
/// `{"items": […], "is_paginated": true, "pagination": {"next_cursor": "…" | null}}`
#[derive(Serialize)]
pub(crate) struct Page<T> {
    items: Vec<T>,
    is_paginated: bool,
    pagination: Pagination,
}

#[derive(Serialize)]
struct Pagination {
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Some of them. With `next_cursor` as the query's `cursor`, the next are asked for.
    pub(crate) fn of(items: Vec<T>, next_cursor: Option<String>) -> Json<Self> {
        Json(Self {
            items,
            is_paginated: true,
            pagination: Pagination { next_cursor },
        })
    }
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        schema_of(&json!({
            "type": "object",
            "required": ["items", "is_paginated", "pagination"],
            "properties": {
                "items": {"type": "array", "items": reference::<T>()},
                "is_paginated": {"type": "boolean", "enum": [true]},
                "pagination": {
                    "type": "object",
                    "required": ["next_cursor"],
                    "properties": {
                        "next_cursor": {
                            "description": "The `cursor` of the next page. Null on the last.",
                            "type": ["string", "null"],
                        },
                    },
                },
            },
        }))
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        collect::<T>(schemas);
    }
}

/// A list of which a page is shown if the caller set a limit, and else all.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum PageOrAll<T> {
    /// Those within the limit.
    Page(Page<T>),
    /// All there are.
    All(List<T>),
}

impl<T> PageOrAll<T> {
    /// Some of them, if the caller set a limit; all otherwise.
    pub(crate) fn of(items: Vec<T>, is_limited: bool, next_cursor: Option<String>) -> Json<Self> {
        if is_limited {
            let Json(page) = Page::of(items, next_cursor);
            return Json(Self::Page(page));
        }
        let Json(all) = List::of(items);
        Json(Self::All(all))
    }
}

impl<T: ToSchema> PartialSchema for PageOrAll<T> {
    fn schema() -> RefOr<Schema> {
        schema_of(&json!({
            "description": "A page if there was a limit, else all.",
            "anyOf": [reference::<Page<T>>(), reference::<List<T>>()],
        }))
    }
}

impl<T: ToSchema> ToSchema for PageOrAll<T> {
    fn name() -> Cow<'static, str> {
        format!("{}PageOrList", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        collect::<Page<T>>(schemas);
        collect::<List<T>>(schemas);
    }
}

/// A reference to the schema of `T` among the components.
fn reference<T: ToSchema>() -> Value {
    crate::http::openapi::describe::reference_to(&T::name())
}

fn collect<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

/// A schema that is written as JSON.
pub(crate) fn schema_of(json: &Value) -> RefOr<Schema> {
    Schema::deserialize(json).map_or_else(|_| RefOr::default(), RefOr::T)
}
