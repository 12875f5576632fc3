//! Override documents that use the former names of settings. They are brought up to date before
//! they are checked, so that a configuration file written years ago can still be pushed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::level::Level;

/// What happened to the setting at a path since the document was written.
enum NameChange {
    Kept,
    Dropped,
    /// The last segment of the path has another name now.
    Renamed(&'static str),
}

/// Brings a document up to date. The project's own level never had other names.
#[must_use]
pub fn bring_up_to_date(level: Level, document: Map<String, Value>) -> Map<String, Value> {
    if level == Level::Project {
        return document;
    }
    let legacy_lines = legacy_lines(&document);
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
    if !legacy_lines.is_empty() {
        infer_customer_types(&mut current, &legacy_lines);
    }
    current
}

fn name_change(parents: &[String], segment: &str) -> NameChange {
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    match (parents.as_slice(), segment) {
        (["emails"], "theme") => NameChange::Renamed("selectedThemeId"),
        (["payments"], "offers") => NameChange::Renamed("products"),
        (["payments"], "groups" | "catalogs") => NameChange::Renamed("productLines"),
        (["payments", "products", _], "groupId" | "catalogId") => {
            NameChange::Renamed("productLineId")
        }
        (["emails"], "themeList" | "templateList")
        | (["payments"], "stripeAccountId" | "stripeAccountSetupComplete")
        | (["payments", "items", _], "default")
        | ([] | ["apps", "installed"], "workflows") => NameChange::Dropped,
        _ => NameChange::Kept,
    }
}

fn current_path(key: &str) -> Option<Vec<String>> {
    let mut path: Vec<String> = Vec::new();
    for segment in key.split('.') {
        let segment = match name_change(&path, segment) {
            NameChange::Kept => segment.to_owned(),
            NameChange::Dropped => return None,
            NameChange::Renamed(name) => name.to_owned(),
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
        let name = match name_change(path, &name) {
            NameChange::Kept => name,
            NameChange::Dropped => continue,
            NameChange::Renamed(new) => new.to_owned(),
        };
        let mut inner = path.to_vec();
        inner.push(name.clone());
        current.insert(name, current_value(&inner, value));
    }
    Value::Object(current)
}

/// Turns a list of trusted domains, as they were once written, into a record.
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

/// The product lines that a document has under a former name.
fn legacy_lines(document: &Map<String, Value>) -> BTreeSet<String> {
    const LEGACY: [&str; 2] = ["groups", "catalogs"];
    let names = |lines: &Value| -> Vec<String> {
        let lines = lines.as_object();
        lines.into_iter().flat_map(Map::keys).cloned().collect()
    };
    let lines = document.iter().flat_map(|(key, value)| {
        let segments: Vec<&str> = key.split('.').collect();
        match segments.as_slice() {
            ["payments"] => {
                let groups = LEGACY.iter().filter_map(|name| value.get(name));
                groups.flat_map(names).collect()
            }
            ["payments", name] if LEGACY.contains(name) => names(value),
            ["payments", name, id, ..] if LEGACY.contains(name) => vec![(*id).to_owned()],
            _ => Vec::new(),
        }
    });
    lines.collect()
}

/// Gives product lines the customer type of their products, because lines did not have one once.
/// Lines without products were of no use, and are left out.
fn infer_customer_types(document: &mut Map<String, Value>, legacy_lines: &BTreeSet<String>) {
    let types = customer_types(document);
    let is_useless = |id: &str| legacy_lines.contains(id) && !types.contains_key(id);
    // A value that is no object removes a line, so it stays.
    document.retain(|key, value| {
        let segments: Vec<&str> = key.split('.').collect();
        match segments.as_slice() {
            ["payments", "productLines", id] => !(is_useless(id) && value.is_object()),
            ["payments", "productLines", id, ..] => !is_useless(id),
            _ => true,
        }
    });
    let complete = |id: &str, line: &mut Value| {
        let kind = types.get(id).filter(|_| legacy_lines.contains(id));
        if let (Some(line), Some(kind)) = (line.as_object_mut(), kind) {
            line.entry("customerType").or_insert_with(|| kind.clone());
        }
    };
    let complete_all = |lines: &mut Value| {
        let Some(lines) = lines.as_object_mut() else {
            return;
        };
        lines.retain(|id, line| !(is_useless(id) && line.is_object()));
        for (id, line) in lines {
            complete(id, line);
        }
    };
    let mut piecemeal = Vec::new();
    for (key, value) in document.iter_mut() {
        let segments: Vec<&str> = key.split('.').collect();
        match segments.as_slice() {
            ["payments"] => {
                if let Some(lines) = value.get_mut("productLines") {
                    complete_all(lines);
                }
            }
            ["payments", "productLines"] => complete_all(value),
            ["payments", "productLines", id] => complete(id, value),
            ["payments", "productLines", id, ..] => piecemeal.push((*id).to_owned()),
            _ => {}
        }
    }
    for id in piecemeal.iter().filter(|id| legacy_lines.contains(*id)) {
        if let Some(kind) = types.get(id) {
            let key = format!("payments.productLines.{id}.customerType");
            document.entry(key).or_insert_with(|| kind.clone());
        }
    }
}

/// The line and the customer type of a product, as far as a document mentions them.
#[derive(Default)]
struct Sold<'d> {
    line: Option<&'d str>,
    customer_type: Option<&'d Value>,
}

/// The customer types of the document's product lines, by their products.
fn customer_types(document: &Map<String, Value>) -> BTreeMap<String, Value> {
    let mut sold: BTreeMap<&str, Sold<'_>> = BTreeMap::new();
    let mut note = |id, field: &str, value| {
        let product: &mut Sold<'_> = sold.entry(id).or_default();
        match field {
            "productLineId" => product.line = Value::as_str(value),
            "customerType" => product.customer_type = Some(value),
            _ => {}
        }
    };
    for (key, value) in document {
        let segments: Vec<&str> = key.split('.').collect();
        match segments.as_slice() {
            ["payments"] => {
                for (id, product) in entries(value.get("products")) {
                    entries(Some(product)).for_each(|(field, value)| note(id, field, value));
                }
            }
            ["payments", "products"] => {
                for (id, product) in entries(Some(value)) {
                    entries(Some(product)).for_each(|(field, value)| note(id, field, value));
                }
            }
            ["payments", "products", id] => {
                entries(Some(value)).for_each(|(field, value)| note(*id, field, value));
            }
            ["payments", "products", id, field] => note(*id, field, value),
            _ => {}
        }
    }
    let lines = sold.into_values().filter_map(|product| {
        let kind = product.customer_type.cloned();
        Some((
            product.line?.to_owned(),
            kind.unwrap_or_else(|| json!("user")),
        ))
    });
    lines.collect()
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    let object = value.and_then(Value::as_object);
    let fields = object.into_iter().flatten();
    fields.map(|(name, value)| (name.as_str(), value))
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
            // In every way of writing them: a given type stays, and a line without products goes.
            (
                json!({"payments": {"catalogs": {"l": {}, "m": {"customerType": "custom"}, "empty": {}},
                                    "offers": {"p": {"catalogId": "l", "customerType": "team"}}},
                       "payments.products.q": {"groupId": "m", "customerType": "user"}}),
                json!({"payments": {"productLines": {"l": {"customerType": "team"}, "m": {"customerType": "custom"}},
                                    "products": {"p": {"productLineId": "l", "customerType": "team"}}},
                       "payments.products.q": {"productLineId": "m", "customerType": "user"}}),
            ),
            (
                json!({"payments.catalogs.l.displayName": "L", "payments.groups.empty.displayName": "E",
                       "payments.groups.gone": null, "payments.productLines.new": {},
                       "payments.offers.p.catalogId": "l", "payments.offers.p.customerType": "team"}),
                json!({"payments.productLines.l.displayName": "L", "payments.productLines.l.customerType": "team",
                       "payments.productLines.gone": null, "payments.productLines.new": {},
                       "payments.products.p.productLineId": "l", "payments.products.p.customerType": "team"}),
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
