//! Laying an override document over the defaults.

use serde_json::{Map, Value};

use super::shape::Shape;

/// Lays an override document over the defaults: keys in order of depth, each setting its path.
/// A path whose parent does not exist is dropped; `null` stands for the default.
pub(in crate::project) fn lay_over(shape: &'static Shape, document: Map<String, Value>) -> Value {
    let defaults = shape.default_value().unwrap_or_default();
    let mut config = defaults.clone();
    let mut entries: Vec<_> = document.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.matches('.').count());
    for (key, value) in entries {
        set_path(shape, &mut config, &defaults, &key, value);
    }
    config
}

fn set_path(shape: &'static Shape, config: &mut Value, defaults: &Value, key: &str, value: Value) {
    let (parents, last) = key
        .rsplit_once('.')
        .map_or((None, key), |(p, l)| (Some(p), l));
    let mut place = Place {
        shape,
        target: config,
        default: Some(defaults.clone()),
    };
    for segment in parents.into_iter().flat_map(|path| path.split('.')) {
        match place.enter(segment) {
            Some(inner) => place = inner,
            None => return,
        }
    }
    place.set(last, value);
}

/// A place in the configuration that is being rendered.
struct Place<'c> {
    shape: &'static Shape,
    target: &'c mut Value,
    default: Option<Value>,
}

impl<'c> Place<'c> {
    fn enter(self, segment: &str) -> Option<Self> {
        let shape = self.shape.step(segment)?;
        let target: &'c mut Value = self.target.get_mut(segment)?;
        let default = self.default.as_ref().and_then(|value| value.get(segment));
        let default = default.cloned().or_else(|| shape.default_value());
        Some(Self {
            shape,
            target,
            default,
        })
    }

    fn set(self, name: &str, value: Value) {
        let (Some(shape), Some(object)) = (self.shape.step(name), self.target.as_object_mut())
        else {
            return;
        };
        let default = self.default.as_ref().and_then(|value| value.get(name));
        match filled(self.shape, shape, default.cloned(), value) {
            Some(value) => object.insert(name.to_owned(), value),
            None => object.remove(name),
        };
    }
}

/// Fills in the defaults that a value does not mention. `None` deletes: `null` for a setting that
/// has no default, and for an entry of a record.
fn filled(
    owner: &Shape,
    shape: &'static Shape,
    default: Option<Value>,
    value: Value,
) -> Option<Value> {
    match (shape, value) {
        (_, Value::Null) if matches!(owner, Shape::Record { .. }) => None,
        (_, Value::Null) => default,
        (Shape::Either(shapes), value) => {
            let shape = shapes.iter().find(|shape| holds(shape, &value))?;
            filled(owner, shape, default, value)
        }
        (Shape::Object { .. } | Shape::Record { .. }, Value::Object(given)) => {
            Some(filled_object(shape, default, given))
        }
        (_, value) => Some(value),
    }
}

fn filled_object(
    shape: &'static Shape,
    default: Option<Value>,
    given: Map<String, Value>,
) -> Value {
    let mut object = match default.or_else(|| shape.default_value()) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    for (name, value) in given {
        let Some(inner) = shape.step(&name) else {
            continue;
        };
        let default = object.remove(&name);
        if let Some(value) = filled(shape, inner, default, value) {
            object.insert(name, value);
        }
    }
    Value::Object(object)
}

/// Whether a value is written in this one of several shapes.
fn holds(shape: &Shape, value: &Value) -> bool {
    match shape {
        Shape::Object { .. } | Shape::Record { .. } => value.is_object(),
        Shape::Interval => value.is_array(),
        Shape::Boolean | Shape::Only(_) => value.is_boolean(),
        Shape::Number => value.is_number(),
        _ => value.is_string(),
    }
}
