//! Shapes as JSON Schema, for editors of override documents.

use serde_json::{Map, Value, json};

use super::shape::{Field, INTERVAL_UNITS, RecordKey, Shape};

impl Shape {
    /// The shape as a JSON Schema.
    #[must_use]
    pub fn json_schema(&self) -> Value {
        match self {
            Self::Boolean => json!({"type": "boolean"}),
            Self::Only(value) => json!({"type": "boolean", "enum": [value]}),
            Self::Number => json!({"type": "number"}),
            Self::Text => json!({"type": "string"}),
            Self::Condition => json!({"type": "string", "description": "CEL"}),
            Self::Uuid => json!({"type": "string", "format": "uuid"}),
            Self::OneOf(choices) => json!({"type": "string", "enum": choices}),
            Self::Interval => json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {
                "oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "enum": INTERVAL_UNITS}],
            }}),
            Self::Either(shapes) => {
                let schemas: Vec<Value> = shapes.iter().map(Self::json_schema).collect();
                json!({"oneOf": schemas})
            }
            Self::Object { fields, default } => {
                let properties: Map<String, Value> = fields
                    .iter()
                    .map(|field| (field.name.to_owned(), field.schema(&default())))
                    .collect();
                json!({"type": "object", "properties": properties, "additionalProperties": false})
            }
            Self::Record { key, entry, .. } => json!({
                "type": "object",
                "description": format!("Keys match {}", key.pattern()),
                "additionalProperties": entry.json_schema(),
            }),
        }
    }
}

impl Field {
    fn schema(&self, defaults: &Value) -> Value {
        let mut schema = self.shape.json_schema();
        if self.shape.is_plain()
            && let Some(default) = defaults.get(self.name)
        {
            schema["default"] = default.clone();
        }
        schema
    }
}

impl RecordKey {
    fn pattern(self) -> &'static str {
        match self {
            Self::Name => "^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$",
            Self::CustomPermission => "^[a-z0-9_:]+$",
            Self::Permission => r"^\$?[a-z0-9_:]+$",
            Self::Uuid => "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
        }
    }
}
