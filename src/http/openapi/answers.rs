//! What an operation answers, by status. What comes from different places is joined: under one status
//! there may be an error of an argument, one of the handler's own, and a sentence.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::IntoResponses;

use crate::error::codes::{ErrorSet, Errors};

/// Answers by status, as `OpenAPI` has them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answers(pub(super) Map<String, Value>);

impl Answers {
    /// The answers to the errors of a set.
    pub(super) fn add_errors<E: ErrorSet>(&mut self) {
        for (status, answer) in Errors::<E>::responses() {
            self.add(&status, &json!(answer));
        }
    }

    /// Adds an answer to those that a status may have.
    pub(super) fn add(&mut self, status: &str, more: &Value) {
        let Some(answer) = self.0.get_mut(status) else {
            self.0.insert(status.to_owned(), more.clone());
            return;
        };
        let about = joined(&answer["description"], &more["description"]);
        answer["description"] = json!(about);
        for (media_type, content) in more["content"].as_object().into_iter().flatten() {
            let known = &mut answer["content"][media_type]["schema"];
            *known = either(known, &content["schema"]);
        }
    }
}

fn joined(one: &Value, other: &Value) -> String {
    let texts = [one, other].map(|text| text.as_str().unwrap_or_default());
    let mut names: Vec<&str> = texts.iter().flat_map(|text| text.split(", ")).collect();
    names.retain(|name| !name.is_empty());
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    names.join(", ")
}

/// The schema of what has one or the other.
fn either(one: &Value, other: &Value) -> Value {
    let mut choices: Vec<Value> = Vec::new();
    for schema in [one, other] {
        match schema.get("anyOf").and_then(Value::as_array) {
            Some(members) => choices.extend(members.iter().cloned()),
            None if schema.is_null() => {}
            None => choices.push(schema.clone()),
        }
    }
    let mut distinct: Vec<Value> = Vec::new();
    for choice in choices {
        if !distinct.contains(&choice) {
            distinct.push(choice);
        }
    }
    match distinct.pop() {
        Some(only) if distinct.is_empty() => only,
        last => json!({"anyOf": distinct.into_iter().chain(last).collect::<Vec<_>>()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_under_one_status_are_joined() {
        let mut answers = Answers::default();
        let of = |name: &str| json!({"$ref": name});
        let json_answer = |about: &str, schema: Value| json!({"description": about, "content": {"application/json": {"schema": schema}}});
        answers.add("400", &json_answer("A", of("A")));
        answers.add(
            "400",
            &json_answer("A, B", json!({"anyOf": [of("A"), of("B")]})),
        );
        let text = json!({"description": "a sentence", "content": {"text/plain": {"schema": {"type": "string"}}}});
        answers.add("400", &text);
        let expected = json!({
            "description": "A, B, a sentence",
            "content": {
                "application/json": {"schema": {"anyOf": [of("A"), of("B")]}},
                "text/plain": {"schema": {"type": "string"}},
            },
        });
        assert_eq!(answers.0["400"], expected);
    }
}
