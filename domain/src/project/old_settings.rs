//! Settings under their former names (contract 04 §4.2): documents are brought up to date before
//! they are checked, so that what was pushed for years can still be pushed.

use serde_json::{Map, Value, json};

use super::overrides::Level;

/// What becomes of a path.
enum Fate {
    Kept,
    Dropped,
    /// Its last segment has another name now.
    Renamed(&'static str),
}

/// Brings a document up to date. The project's own level never had other names.
#[must_use]
pub fn bring_up_to_date(level: Level, document: Map<String, Value>) -> Map<String, Value> {
    if level == Level::Project {
        return document;
    }
    let had_old_lines = mentions_old_lines(&document);
    let mut current = Map::new();
    for (key, value) in document {
        if key == "sourceOfTruth" {
            continue;
        }
        let Some(path) = current_path(&key) else {
            continue;
        };
        let value = current_value(&path, value);
        let value = numbered(level, &path, value);
        current.insert(path.join("."), value);
    }
    if had_old_lines {
        infer_customer_types(&mut current);
    }
    current
}

fn fate(parents: &[String], segment: &str) -> Fate {
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    match (parents.as_slice(), segment) {
        (["emails"], "theme") => Fate::Renamed("selectedThemeId"),
        (["payments"], "offers") => Fate::Renamed("products"),
        (["payments"], "groups" | "catalogs") => Fate::Renamed("productLines"),
        (["payments", "products", _], "groupId" | "catalogId") => Fate::Renamed("productLineId"),
        (["emails"], "themeList" | "templateList")
        | (["payments"], "stripeAccountId" | "stripeAccountSetupComplete")
        | (["payments", "items", _], "default")
        | ([] | ["apps", "installed"], "workflows") => Fate::Dropped,
        _ => Fate::Kept,
    }
}

fn current_path(key: &str) -> Option<Vec<String>> {
    let mut path: Vec<String> = Vec::new();
    for segment in key.split('.') {
        let segment = match fate(&path, segment) {
            Fate::Kept => segment.to_owned(),
            Fate::Dropped => return None,
            Fate::Renamed(name) => name.to_owned(),
        };
        path.push(segment);
    }
    Some(path)
}

fn current_value(path: &[String], value: Value) -> Value {
    let Value::Object(object) = value else {
        return value;
    };
    let mut current = Map::new();
    for (name, value) in object {
        let name = match fate(path, &name) {
            Fate::Kept => name,
            Fate::Dropped => continue,
            Fate::Renamed(new) => new.to_owned(),
        };
        let mut inner = path.to_vec();
        inner.push(name.clone());
        current.insert(name, current_value(&inner, value));
    }
    Value::Object(current)
}

/// Trusted domains were a list once.
fn numbered(level: Level, path: &[String], mut value: Value) -> Value {
    if level != Level::Environment {
        return value;
    }
    match path.join(".").as_str() {
        "domains.trustedDomains" => numbered_entries(value),
        "domains" => {
            if let Some(domains) = value.get_mut("trustedDomains") {
                *domains = numbered_entries(domains.take());
            }
            value
        }
        _ => value,
    }
}

fn numbered_entries(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            items.map(|(at, item)| (at.to_string(), item)).collect()
        }
        other => other,
    }
}

fn mentions_old_lines(document: &Map<String, Value>) -> bool {
    const OLD: [&str; 2] = ["groups", "catalogs"];
    document.iter().any(|(key, value)| {
        let mut segments = key.split('.');
        if segments.next() != Some("payments") {
            return false;
        }
        match segments.next() {
            Some(name) => OLD.contains(&name),
            None => OLD.iter().any(|name| value.get(name).is_some()),
        }
    })
}

/// Lines of products had no customer type once: it is that of their products.
fn infer_customer_types(document: &mut Map<String, Value>) {
    let types = customer_types(document);
    for (key, value) in document.iter_mut() {
        let segments: Vec<&str> = key.split('.').collect();
        match segments.as_slice() {
            ["payments"] => {
                if let Some(lines) = value.get_mut("productLines") {
                    complete_lines(lines, &types);
                }
            }
            ["payments", "productLines"] => complete_lines(value, &types),
            ["payments", "productLines", id] => complete_line(id, value, &types),
            _ => {}
        }
    }
}

fn complete_lines(lines: &mut Value, types: &Map<String, Value>) {
    for (id, line) in lines.as_object_mut().into_iter().flatten() {
        complete_line(id, line, types);
    }
}

fn complete_line(id: &str, line: &mut Value, types: &Map<String, Value>) {
    let (Some(line), Some(kind)) = (line.as_object_mut(), types.get(id)) else {
        return;
    };
    line.entry("customerType").or_insert_with(|| kind.clone());
}

/// The customer types of the document's products, by their line.
fn customer_types(document: &Map<String, Value>) -> Map<String, Value> {
    let mut types = Map::new();
    let mut note = |product: &Value| {
        if let Some(line) = product.get("productLineId").and_then(Value::as_str) {
            let kind = product.get("customerType").cloned();
            types.insert(line.to_owned(), kind.unwrap_or_else(|| json!("user")));
        }
    };
    for (key, value) in document {
        let segments: Vec<&str> = key.split('.').collect();
        match segments.as_slice() {
            ["payments"] => entries(value.get("products")).for_each(&mut note),
            ["payments", "products"] => entries(Some(value)).for_each(&mut note),
            ["payments", "products", _] => note(value),
            _ => {}
        }
    }
    types
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let object = value.and_then(Value::as_object);
    object.into_iter().flat_map(Map::values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_names_are_brought_up_to_date_however_they_are_written() {
        let cases = [
            (
                json!({"emails.theme": "x", "emails.themeList.a.tsxSource": "x", "workflows.a": 1}),
                json!({"emails.selectedThemeId": "x"}),
            ),
            (
                json!({"emails": {"theme": "x", "templateList": {}}, "sourceOfTruth": {"type": "hosted"}}),
                json!({"emails": {"selectedThemeId": "x"}}),
            ),
            (
                json!({"payments.groups": {"l": {"displayName": "L"}},
                       "payments.offers.p": {"groupId": "l", "customerType": "team"}}),
                json!({"payments.productLines": {"l": {"displayName": "L", "customerType": "team"}},
                       "payments.products.p": {"productLineId": "l", "customerType": "team"}}),
            ),
            (
                json!({"payments": {"items": {"i": {"default": {"quantity": 1}}}, "stripeAccountId": "a"}}),
                json!({"payments": {"items": {"i": {}}}}),
            ),
            (
                json!({"domains.trustedDomains": [{"baseUrl": "https://a"}]}),
                json!({"domains.trustedDomains": {"0": {"baseUrl": "https://a"}}}),
            ),
            (
                json!({"sourceOfTruth.type": "hosted", "apps.installed.workflows.enabled": true}),
                json!({"sourceOfTruth.type": "hosted"}),
            ),
        ];
        for (old, current) in cases {
            let old = old.as_object().unwrap().clone();
            let updated = bring_up_to_date(Level::Environment, old);
            assert_eq!(Value::Object(updated), current);
        }
    }
}
