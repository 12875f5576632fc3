//! Shapes that several routes of this folder take, and schemas that several of their answers have.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::http::request::declare::Part;
use crate::http::request::fields::Checked;
use crate::http::request::shape::scalars::one_of;
use crate::http::request::shape::{Place, Shape, object};

/// One of a few values, by the names that `serde` knows them by.
pub(super) fn named<T: DeserializeOwned>(names: &'static [&'static str]) -> impl Shape<Value = T> {
    one_of(names).refine(|name| serde_json::from_value(json!(name)).map_err(|it| it.to_string()))
}

/// The schema of an answer's text that is one of a few.
pub(super) fn text_among(about: &str, names: &'static [&'static str]) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(about))
        .enum_values(Some(names.iter().copied()))
        .build()
}

/// What becomes of the one, and of the other.
type Conversions<A, B, T> = (fn(A) -> T, fn(B) -> T);

/// An object whose `type` says which of two it is.
struct ByType<A, B, T> {
    first: &'static str,
    convert: Conversions<A, B, T>,
}

impl<A: Part, B: Part, T> Shape for ByType<A, B, T> {
    type Value = T;

    fn read(&self, value: &Value, place: &mut Place<'_>) -> Checked<T> {
        let (first, second) = self.convert;
        if value.get("type").and_then(Value::as_str) == Some(self.first) {
            object::<A>().read(value, place).map(first)
        } else {
            object::<B>().read(value, place).map(second)
        }
    }

    fn schema(&self) -> Value {
        json!({"anyOf": [A::schema(), B::schema()]})
    }
}

/// An object with the fields of `A` if its `type` is `first`, and else with those of `B`.
pub(super) fn by_type<A: Part, B: Part, T>(
    first: &'static str,
    convert: Conversions<A, B, T>,
) -> impl Shape<Value = T> {
    ByType { first, convert }
}
