//! What a value in a request may be. A [`Shape`] reads it and describes it, so the reference says what
//! the code checks.
//!
//! [`scalars`] has the shapes of single values, this file those that are made of others.

pub(crate) mod scalars;

use std::marker::PhantomData;

use serde_json::{Map, Value, json};

use super::declare::Part;
use super::fields::{Checked, Fields, Findings};

/// What a value may be that is there and not null.
pub(crate) trait Shape {
    /// What it means.
    type Value;

    /// Reads it. What is wrong with it is noted at its place.
    fn read(&self, value: &Value, place: &mut Place<'_>) -> Checked<Self::Value>;

    /// Describes it, as JSON Schema (2020-12).
    fn schema(&self) -> Value;

    /// The same on the wire, and something else to the server.
    fn map<U, F: Fn(Self::Value) -> U>(self, convert: F) -> impl Shape<Value = U>
    where
        Self: Sized,
    {
        self.refine(move |value| Ok(convert(value)))
    }

    /// The same on the wire but for what `convert` refuses, saying what the value must be.
    fn refine<U, F>(self, convert: F) -> impl Shape<Value = U>
    where
        Self: Sized,
        F: Fn(Self::Value) -> Result<U, String>,
    {
        Refined {
            shape: self,
            convert,
        }
    }

    /// The same with more said of it: the members of `more` are added to the schema.
    fn described(self, more: fn() -> Value) -> impl Shape<Value = Self::Value>
    where
        Self: Sized,
    {
        Described { shape: self, more }
    }
}

/// Where a value stands in the request, for what is wrong with it.
pub(crate) struct Place<'f> {
    path: String,
    pub(super) findings: &'f mut Findings,
}

impl<'f> Place<'f> {
    pub(super) fn new(path: String, findings: &'f mut Findings) -> Self {
        Self { path, findings }
    }

    /// Notes what is wrong with the value here.
    pub(crate) fn note(&mut self, problem: &str) {
        self.findings.note(&self.path, problem);
    }

    /// Something that is missing or wrong as a whole.
    pub(crate) fn refuse<T>(&mut self, problem: &str) -> Checked<T> {
        self.note(problem);
        None
    }

    fn item(&mut self, at: usize) -> Place<'_> {
        Place::new(format!("{}[{at}]", self.path), self.findings)
    }

    fn fields(&mut self, object: &Map<String, Value>) -> Fields<'_> {
        Fields::within(self.path.clone(), object.clone(), self.findings)
    }
}

struct Refined<S, F> {
    shape: S,
    convert: F,
}

impl<S: Shape, U, F: Fn(S::Value) -> Result<U, String>> Shape for Refined<S, F> {
    type Value = U;

    fn read(&self, value: &Value, place: &mut Place<'_>) -> Checked<U> {
        match (self.convert)(self.shape.read(value, place)?) {
            Ok(converted) => Some(converted),
            Err(problem) => place.refuse(&problem),
        }
    }

    fn schema(&self) -> Value {
        self.shape.schema()
    }
}

struct Described<S> {
    shape: S,
    more: fn() -> Value,
}

impl<S: Shape> Shape for Described<S> {
    type Value = S::Value;

    fn read(&self, value: &Value, place: &mut Place<'_>) -> Checked<S::Value> {
        self.shape.read(value, place)
    }

    fn schema(&self) -> Value {
        let mut schema = self.shape.schema();
        if let (Value::Object(schema), Value::Object(more)) = (&mut schema, (self.more)()) {
            schema.extend(more);
        }
        schema
    }
}

struct Scalar<F, S> {
    read: F,
    schema: S,
}

impl<T, F, S> Shape for Scalar<F, S>
where
    F: Fn(&Value) -> Result<T, String>,
    S: Fn() -> Value,
{
    type Value = T;

    fn read(&self, value: &Value, place: &mut Place<'_>) -> Checked<T> {
        match (self.read)(value) {
            Ok(read) => Some(read),
            Err(problem) => place.refuse(&problem),
        }
    }

    fn schema(&self) -> Value {
        (self.schema)()
    }
}

/// A value that is read by `read`, which says what it must be otherwise, and looks like `schema`.
pub(crate) fn scalar<T>(
    read: impl Fn(&Value) -> Result<T, String>,
    schema: impl Fn() -> Value,
) -> impl Shape<Value = T> {
    Scalar { read, schema }
}

struct ListOf<S>(S);

impl<S: Shape> Shape for ListOf<S> {
    type Value = Vec<S::Value>;

    fn read(&self, value: &Value, place: &mut Place<'_>) -> Checked<Self::Value> {
        let Value::Array(items) = value else {
            return place.refuse("must be a list");
        };
        let items = items.iter().enumerate();
        // All of them are read, so that all that is wrong is noted.
        let read: Vec<_> = items
            .map(|(at, item)| self.0.read(item, &mut place.item(at)))
            .collect();
        read.into_iter().collect()
    }

    fn schema(&self) -> Value {
        json!({"type": "array", "items": self.0.schema()})
    }
}

/// A list.
pub(crate) fn list_of<S: Shape>(items: S) -> impl Shape<Value = Vec<S::Value>> {
    ListOf(items)
}

/// The schema of what may be null as well.
pub(super) fn or_null(mut schema: Value) -> Value {
    match schema.get("type") {
        Some(Value::String(kind)) => {
            schema["type"] = json!([kind, "null"]);
            if let Some(choices) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                choices.push(Value::Null);
            }
            schema
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

struct ObjectOf<P>(PhantomData<P>);

impl<P: Part> Shape for ObjectOf<P> {
    type Value = P;

    fn read(&self, value: &Value, place: &mut Place<'_>) -> Checked<P> {
        let Value::Object(object) = value else {
            return place.refuse("must be an object");
        };
        P::read(&mut place.fields(object))
    }

    fn schema(&self) -> Value {
        P::schema()
    }
}

/// An object with the fields of a [`Part`]; others are unknown.
pub(crate) fn object<P: Part>() -> impl Shape<Value = P> {
    ObjectOf(PhantomData)
}
