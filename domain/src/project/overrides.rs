//! Override documents: the settings that operators write, one document per level, and how changes
//! merge into them.
//!
//! Keys are paths in dots, and merging is flat: a key that is written replaces that key and every
//! key below it, and leaves the others as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::level::Level;
use crate::permission::DefinitionChanges;

/// The override documents of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overrides(BTreeMap<Level, Map<String, Value>>);

impl Overrides {
    /// The document of a level; empty if nothing was overridden there.
    #[must_use]
    pub fn document(&self, level: Level) -> Map<String, Value> {
        self.0.get(&level).cloned().unwrap_or_default()
    }

    /// Whether merging `value` under `key` would change the document of `level`.
    #[must_use]
    pub fn would_change(&self, level: Level, key: &str, value: &Value) -> bool {
        let Some(document) = self.0.get(&level) else {
            return true;
        };
        let replaces = |known: &String| known != key && is_at_or_below(known, key);
        document.get(key) != Some(value) || document.keys().any(replaces)
    }

    /// Merges `changes` into the document of `level`.
    pub fn merge(&mut self, level: Level, changes: Map<String, Value>) {
        merge(self.0.entry(level).or_default(), changes);
    }

    /// Replaces the document of `level`.
    pub fn replace(&mut self, level: Level, document: Map<String, Value>) {
        self.0.insert(level, document);
    }

    /// The top-level keys in which `document` and the one of `level` differ.
    #[must_use]
    pub fn differing_keys(&self, level: Level, document: &Map<String, Value>) -> Vec<String> {
        let known = self.document(level);
        let gone = known.keys().filter(|key| !document.contains_key(*key));
        let new = document
            .iter()
            .filter(|(key, value)| known.get(*key) != Some(*value))
            .map(|(key, _)| key);
        let mut keys: Vec<String> = gone.chain(new).cloned().collect();
        keys.sort();
        keys
    }

    /// Takes a key out of the document of `level`, with everything below it. Objects that become
    /// empty by it go too. Returns whether there was anything to take out.
    pub fn reset(&mut self, level: Level, key: &str) -> bool {
        let Some(document) = self.0.get_mut(&level) else {
            return false;
        };
        let before = document.clone();
        document.retain(|known, _| !is_at_or_below(known, key));
        let holders: Vec<String> = document
            .keys()
            .filter(|known| is_at_or_below(key, known))
            .cloned()
            .collect();
        for holder in holders {
            let rest = key[holder.len()..].trim_start_matches('.');
            if let Some(value) = document.get_mut(&holder)
                && reset_within(value, rest) == Remainder::Empty
            {
                document.remove(&holder);
            }
        }
        *document != before
    }

    /// Writes permission definitions where the dashboard writes settings. A removed one is hidden
    /// from there, whichever level defined it.
    pub fn redefine(&mut self, definitions: DefinitionChanges) {
        let changes = definitions
            .into_iter()
            .map(|(id, definition)| (format!("rbac.permissions.{id}"), json!(definition)));
        self.merge(Level::Environment, changes.collect());
    }

    /// The documents of all levels, merged into one.
    pub(super) fn chained(&self) -> Map<String, Value> {
        let mut chained = Map::new();
        for document in self.0.values() {
            merge(&mut chained, document.clone());
        }
        chained
    }
}

/// Whether anything is left of an object after something was taken out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remainder {
    /// Nothing is left: the object can go too.
    Empty,
    /// Something is left, or nothing was taken out.
    Something,
}

fn reset_within(value: &mut Value, path: &str) -> Remainder {
    let Value::Object(object) = value else {
        return Remainder::Something;
    };
    let removed = match path.split_once('.') {
        None => object.remove(path).is_some(),
        Some((first, rest)) => {
            let inner = object.get_mut(first);
            let left = inner.map(|inner| reset_within(inner, rest));
            left == Some(Remainder::Empty) && object.remove(first).is_some()
        }
    };
    if removed && object.is_empty() {
        Remainder::Empty
    } else {
        Remainder::Something
    }
}

/// Merges flat on literal keys: a key of `changes` replaces the entries equal to it or below it.
fn merge(document: &mut Map<String, Value>, changes: Map<String, Value>) {
    for key in changes.keys() {
        document.retain(|known, _| !is_at_or_below(known, key));
    }
    document.extend(changes);
}

fn is_at_or_below(key: &str, ancestor: &str) -> bool {
    key.strip_prefix(ancestor)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn merging_replaces_what_lies_below_the_key() {
        let mut document = object(&json!({"a.b": 1, "ab": 2}));
        merge(&mut document, object(&json!({"a": {"c": 1}})));
        assert_eq!(Value::Object(document), json!({"a": {"c": 1}, "ab": 2}));
    }

    #[test]
    fn resetting_reaches_into_objects_and_leaves_no_empty_ones() {
        let cases = [
            (
                json!({"a.b": 1, "a": {"c": 1}, "ab": 1}),
                "a",
                json!({"ab": 1}),
            ),
            (json!({"a": {"b": {"c": 1}}}), "a.b.c", json!({})),
            (
                json!({"a.b": {"c": 1, "d": 2}}),
                "a.b.c",
                json!({"a.b": {"d": 2}}),
            ),
            (json!({"a": {"b": 1}}), "a.b.c", json!({"a": {"b": 1}})),
            (json!({"a": {"b": [1]}}), "a.b.0", json!({"a": {"b": [1]}})),
            (json!({"a": {}}), "a.b", json!({"a": {}})),
            (json!({"a": 1}), "b", json!({"a": 1})),
        ];
        for (document, key, expected) in cases {
            let mut overrides = Overrides::default();
            overrides.replace(Level::Branch, object(&document));
            let changed = overrides.reset(Level::Branch, key);
            let left = Value::Object(overrides.document(Level::Branch));
            assert_eq!(left, expected);
            assert_eq!(changed, left != document);
        }
    }
}
