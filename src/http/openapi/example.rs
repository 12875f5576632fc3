//! Examples of bodies, made from their schemas where a declaration gives none: all that is required,
//! and nothing else, so that what is pasted is accepted.

use serde_json::{Map, Value, json};

/// Something that a schema allows.
pub(super) fn of(schema: &Value) -> Value {
    if let Some(given) = given(schema) {
        return given;
    }
    if let Some(choice) = schema["anyOf"].get(0) {
        return of(choice);
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str());
    match kind {
        Some("string") => json!(text(schema)),
        Some("integer" | "number") => json!(schema["minimum"].as_i64().unwrap_or(1).max(1)),
        Some("boolean") => json!(true),
        Some("array") => json!([of(&schema["items"])]),
        Some("null") => Value::Null,
        _ => object(schema),
    }
}

fn given(schema: &Value) -> Option<Value> {
    let first = |key: &str| schema[key].get(0).cloned();
    schema
        .get("default")
        .cloned()
        .or_else(|| first("examples"))
        .or_else(|| first("enum"))
}

fn text(schema: &Value) -> String {
    match schema["format"].as_str() {
        Some("email") => "ada@example.com".to_owned(),
        Some("uri") => "http://localhost:3000/handler".to_owned(),
        Some("uuid") => "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de".to_owned(),
        Some("date-time") => "2026-12-31T12:00:00Z".to_owned(),
        _ => {
            let least = schema["minLength"].as_u64().unwrap_or(0);
            let least = usize::try_from(least).unwrap_or(0);
            format!("{:x<least$}", "text")
        }
    }
}

fn object(schema: &Value) -> Value {
    let required = schema["required"].as_array().into_iter().flatten();
    let members: Map<String, Value> = required
        .filter_map(Value::as_str)
        .map(|name| (name.to_owned(), of(&schema["properties"][name])))
        .collect();
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_what_is_required() {
        let schema = json!({
            "type": "object",
            "required": ["email", "code", "list", "kind"],
            "properties": {
                "email": {"type": "string", "format": "email"},
                "code": {"type": "string", "minLength": 6},
                "list": {"type": "array", "items": {"type": ["integer", "null"], "minimum": 3}},
                "kind": {"type": "string", "enum": ["b", "a"]},
                "more": {"type": "string"},
            },
        });
        let expected =
            json!({"email": "ada@example.com", "code": "textxx", "list": [3], "kind": "b"});
        assert_eq!(of(&schema), expected);
    }
}
