//! Whether a field must be there, may be null, or has a default.

use muniment_domain::Patch;
use serde_json::{Value, json};

use super::fields::Checked;
use super::shape::{Place, Shape, or_null};

/// How a field is read that is there, null or missing.
pub(crate) trait Presence {
    /// What it yields.
    type Value;

    /// Whether callers must send it.
    const REQUIRED: bool;

    /// Reads it.
    fn read(&self, value: Option<&Value>, place: &mut Place<'_>) -> Checked<Self::Value>;

    /// What it is when the caller may not even know of it. A field that must be there has nothing to
    /// stand for it: it cannot be one that only some callers may send.
    fn absent(&self) -> Checked<Self::Value>;

    /// Describes the value, as JSON Schema.
    fn schema(&self) -> Value;
}

/// See [`required`].
pub(crate) struct Required<S>(S);

/// A field that must be there.
pub(crate) fn required<S: Shape>(shape: S) -> Required<S> {
    Required(shape)
}

impl<S: Shape> Presence for Required<S> {
    type Value = S::Value;

    const REQUIRED: bool = true;

    fn read(&self, value: Option<&Value>, place: &mut Place<'_>) -> Checked<S::Value> {
        match value {
            None => place.refuse("is required"),
            Some(Value::Null) => place.refuse("must not be null"),
            Some(value) => self.0.read(value, place),
        }
    }

    fn absent(&self) -> Checked<S::Value> {
        None
    }

    fn schema(&self) -> Value {
        self.0.schema()
    }
}

/// See [`optional`].
pub(crate) struct Optional<S>(S);

/// A field that may be missing, but not null.
pub(crate) fn optional<S: Shape>(shape: S) -> Optional<S> {
    Optional(shape)
}

impl<S: Shape> Presence for Optional<S> {
    type Value = Option<S::Value>;

    const REQUIRED: bool = false;

    fn read(&self, value: Option<&Value>, place: &mut Place<'_>) -> Checked<Self::Value> {
        match value {
            None => Some(None),
            Some(Value::Null) => place.refuse("must not be null"),
            Some(value) => self.0.read(value, place).map(Some),
        }
    }

    fn absent(&self) -> Checked<Self::Value> {
        Some(None)
    }

    fn schema(&self) -> Value {
        self.0.schema()
    }
}

/// See [`or_default`].
pub(crate) struct OrDefault<S, D> {
    shape: S,
    default: D,
}

/// A field that may be missing, and then is `default`, as it would stand on the wire; null is
/// refused. The default is read like any other value.
pub(crate) fn or_default<S: Shape, D: Into<Value> + Clone>(
    shape: S,
    default: D,
) -> OrDefault<S, D> {
    OrDefault { shape, default }
}

impl<S: Shape, D: Into<Value> + Clone> Presence for OrDefault<S, D> {
    type Value = S::Value;

    const REQUIRED: bool = false;

    fn read(&self, value: Option<&Value>, place: &mut Place<'_>) -> Checked<S::Value> {
        match value {
            None => self.shape.read(&self.default.clone().into(), place),
            Some(Value::Null) => place.refuse("must not be null"),
            Some(value) => self.shape.read(value, place),
        }
    }

    fn absent(&self) -> Checked<S::Value> {
        let mut nothing_is_wrong = super::fields::Findings::default();
        let mut place = Place::new(String::new(), &mut nothing_is_wrong);
        self.shape.read(&self.default.clone().into(), &mut place)
    }

    fn schema(&self) -> Value {
        let mut schema = self.shape.schema();
        let default: Value = self.default.clone().into();
        // In a query everything is text; the schema says what the text stands for.
        schema["default"] = match (default.as_str(), schema["type"].as_str()) {
            (Some(text), Some("boolean")) => json!(text == "true"),
            _ => default,
        };
        schema
    }
}

/// See [`nullable`].
pub(crate) struct Nullable<S>(S);

/// A field that may be missing, which leaves things as they are; null, which clears them; or a value.
pub(crate) fn nullable<S: Shape>(shape: S) -> Nullable<S> {
    Nullable(shape)
}

impl<S: Shape> Presence for Nullable<S> {
    type Value = Patch<S::Value>;

    const REQUIRED: bool = false;

    fn read(&self, value: Option<&Value>, place: &mut Place<'_>) -> Checked<Self::Value> {
        match value {
            None => Some(Patch::Keep),
            Some(Value::Null) => Some(Patch::Clear),
            Some(value) => self.0.read(value, place).map(Patch::Set),
        }
    }

    fn absent(&self) -> Checked<Self::Value> {
        Some(Patch::Keep)
    }

    fn schema(&self) -> Value {
        or_null(self.0.schema())
    }
}

/// See [`required_or_null`].
pub(crate) struct RequiredOrNull<S>(S);

/// A field that must be there, but may be null.
pub(crate) fn required_or_null<S: Shape>(shape: S) -> RequiredOrNull<S> {
    RequiredOrNull(shape)
}

impl<S: Shape> Presence for RequiredOrNull<S> {
    type Value = Option<S::Value>;

    const REQUIRED: bool = true;

    fn read(&self, value: Option<&Value>, place: &mut Place<'_>) -> Checked<Self::Value> {
        match value {
            None => place.refuse("is required"),
            Some(Value::Null) => Some(None),
            Some(value) => self.0.read(value, place).map(Some),
        }
    }

    fn absent(&self) -> Checked<Self::Value> {
        None
    }

    fn schema(&self) -> Value {
        or_null(self.0.schema())
    }
}

/// See [`ignored`].
pub(crate) struct Ignored;

/// A field that may be there, and is not looked at.
pub(crate) fn ignored() -> Ignored {
    Ignored
}

impl Presence for Ignored {
    type Value = ();

    const REQUIRED: bool = false;

    fn read(&self, _: Option<&Value>, _: &mut Place<'_>) -> Checked<()> {
        Some(())
    }

    fn absent(&self) -> Checked<()> {
        Some(())
    }

    fn schema(&self) -> Value {
        json!({"description": "Accepted, and not looked at."})
    }
}
