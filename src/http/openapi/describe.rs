//! What the signature of a handler says about its operation.

use std::cell::Cell;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem, Paths};

use super::answers::Answers;
use super::example;
use super::security::Credentials;
use crate::app::App;
use crate::error::codes::ErrorSet;
use crate::http::request::caller::Caller;
use crate::http::request::declare::{FieldDescription, RequestDescription};
use crate::http::request::input::Input;

/// The extension under which an operation carries its description to [`mod@super::document`].
pub(super) const EXTENSION: &str = "x-described";

/// What a handler's signature says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct OperationDescription {
    /// Parameters in path, query and headers, as `OpenAPI` has them.
    pub parameters: Vec<Value>,
    /// The request's body, as `OpenAPI` has it.
    pub body: Option<Value>,
    /// What is answered, by status, as `OpenAPI` has it: if all goes well, and when an argument fails.
    pub answers: Answers,
    /// Whose credentials it takes.
    pub credentials: Credentials,
    /// The schemas that the rest refers to, by name.
    pub schemas: Map<String, Value>,
}

impl OperationDescription {
    /// Errors that an argument can fail with.
    pub(crate) fn fails_with<E: ErrorSet>(&mut self) {
        self.answers.add_errors::<E>();
    }

    /// An answer with a body of a media type.
    pub(crate) fn answers_with(
        &mut self,
        status: u16,
        about: &str,
        media_type: &str,
        schema: &Value,
    ) {
        let content = json!({media_type: {"schema": schema}});
        let answer = json!({"description": about, "content": content});
        self.answers.add(&status.to_string(), &answer);
    }

    /// An answer without a body.
    pub(crate) fn answers_without_body(&mut self, status: u16, about: &str) {
        let answer = json!({"description": about});
        self.answers.add(&status.to_string(), &answer);
    }

    /// An answer that is JSON.
    pub(crate) fn answers_json<T: ToSchema>(&mut self, status: u16, about: &str) {
        let schema = self.reference::<T>();
        self.answers_with(status, about, "application/json", &schema);
    }

    /// Adds the schema of `T`, with those it refers to, and yields a reference to it.
    pub(crate) fn reference<T: ToSchema>(&mut self) -> Value {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        for (name, schema) in schemas {
            let schema = serde_json::to_value(schema).unwrap_or_default();
            self.schemas.insert(name, schema);
        }
        reference_to(&T::name())
    }

    /// The parameters and the body of a declared request.
    pub(crate) fn request(&mut self, request: &RequestDescription) {
        self.parameters
            .extend(request.path.iter().map(|field| parameter("path", field)));
        self.parameters
            .extend(request.query.iter().map(|field| parameter("query", field)));
        let Some(body) = &request.body else { return };
        let schema = reference_to(body.name);
        let example = body.example.clone();
        let example = example.unwrap_or_else(|| example::of(&body.schema));
        self.body = Some(json!({
            "required": body.required,
            "content": {"application/json": {"schema": schema, "example": example}},
        }));
        self.schemas
            .insert(body.name.to_owned(), body.schema.clone());
    }
}

/// A reference to a schema among the components.
pub(in crate::http) fn reference_to(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn parameter(place: &str, field: &FieldDescription) -> Value {
    let mut parameter = json!({
        "name": field.name,
        "in": place,
        "required": field.required,
        "schema": field.schema,
    });
    if !field.about.is_empty() {
        parameter["description"] = json!(field.about);
    }
    parameter
}

/// An argument of a handler.
pub(crate) trait OperationInput {
    /// Says what there is to say about operations with such an argument.
    fn describe(operation: &mut OperationDescription);
}

/// What a handler answers if all goes well.
pub(crate) trait OperationOutput {
    /// Says what there is to say about operations with such an answer.
    fn describe(operation: &mut OperationDescription);
}

/// Describes an operation by a request that `request!` declares.
pub(crate) fn describe_request(operation: &mut OperationDescription, request: &RequestDescription) {
    use crate::error::codes::{CannotGetOwnUserWithoutUser, SchemaError};
    operation.request(request);
    operation.fails_with::<SchemaError>();
    let fields = request.path.iter().chain(&request.query);
    let body = request.body.iter().map(|body| &body.schema);
    let takes_me = |schema: &Value| schema.to_string().contains(r#""enum":["me"]"#);
    if fields.map(|field| &field.schema).chain(body).any(takes_me) {
        operation.fails_with::<CannotGetOwnUserWithoutUser>();
    }
}

/// Arguments that say nothing about an operation.
macro_rules! silent_inputs {
    ($($input:ty),* $(,)?) => {$(
        impl OperationInput for $input {
            fn describe(_: &mut OperationDescription) {}
        }
    )*};
}

silent_inputs!(
    State<App>,
    HeaderMap,
    Caller,
    Input,
    crate::http::request::body::Sent
);

impl<T: ToSchema> OperationOutput for Json<T> {
    fn describe(operation: &mut OperationDescription) {
        operation.answers_json::<T>(200, "Done.");
    }
}

/// An answer that the handler's attribute describes.
impl OperationOutput for Response {
    fn describe(_: &mut OperationDescription) {}
}

impl<T: OperationOutput, E> OperationOutput for Result<T, E> {
    fn describe(operation: &mut OperationDescription) {
        T::describe(operation);
    }
}

/// A handler, whatever its arguments `A` are.
pub(crate) trait Handler<A> {
    /// Asks arguments and answer what there is to say.
    fn describe(&self, operation: &mut OperationDescription);
}

macro_rules! handlers {
    ($($argument:ident)*) => {
        impl<H, F, R, $($argument,)*> Handler<($($argument,)*)> for H
        where
            H: Fn($($argument),*) -> F,
            F: Future<Output = R>,
            R: OperationOutput,
            $($argument: OperationInput,)*
        {
            fn describe(&self, operation: &mut OperationDescription) {
                $(<$argument as OperationInput>::describe(operation);)*
                R::describe(operation);
            }
        }
    };
}

handlers!();
handlers!(A);
handlers!(A B);
handlers!(A B C);
handlers!(A B C D);
handlers!(A B C D E);
handlers!(A B C D E G);

thread_local! {
    /// Whether operations are described while their routes are made. That takes a while, and is only
    /// done for the reference.
    static DESCRIBING: Cell<bool> = const { Cell::new(false) };
}

/// Makes routes whose operations are described.
pub(in crate::http) fn describing<T>(routes: impl FnOnce() -> T) -> T {
    DESCRIBING.set(true);
    let made = routes();
    DESCRIBING.set(false);
    made
}

/// Has an operation among `paths` carry what its handler's signature says. See [`super::operations!`].
pub(crate) fn describe<A>(paths: &mut Paths, name: &str, handler: &impl Handler<A>) {
    if !DESCRIBING.get() {
        return;
    }
    let mut description = OperationDescription::default();
    handler.describe(&mut description);
    let Some(operation) = operation_named(paths, name) else {
        return;
    };
    let extension = ExtensionsBuilder::new().add(EXTENSION, serde_json::json!(description));
    operation
        .extensions
        .get_or_insert_default()
        .merge(extension.build());
}

fn operation_named<'p>(paths: &'p mut Paths, name: &str) -> Option<&'p mut Operation> {
    let operations = paths.paths.values_mut().flat_map(operations_of);
    operations
        .filter(|operation| operation.operation_id.as_deref() == Some(name))
        .last()
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        post,
        put,
        patch,
        delete,
        ..
    } = item;
    [get, post, put, patch, delete].into_iter().flatten()
}
