//! The reference, `/openapi.json`, against what the server does: every answer that a test gets
//! through [`crate::support::Call`] is held against it. An answer with a status, a media type, a
//! known error or a body that the operation does not document fails the test that got it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::support::{Answer, TestServer, unique_email};

/// The methods under which `OpenAPI` lists operations.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The versions of the API, all of which answer alike.
const VERSIONS: [&str; 7] = [
    "v1", "v2beta1", "v2beta2", "v2beta3", "v2beta4", "v2beta5", "latest",
];

/// The document, and what was made of it so far.
pub(crate) struct Reference {
    document: Value,
    /// By operation, status and media type.
    validators: Mutex<HashMap<(String, String, String), Arc<Validator>>>,
}

/// The document is the same on every server of a process.
static REFERENCE: OnceLock<Reference> = OnceLock::new();

impl Reference {
    /// The reference of the server at `base`.
    pub(crate) async fn of(base: &str) -> &'static Self {
        if let Some(reference) = REFERENCE.get() {
            return reference;
        }
        let document = reqwest::get(format!("{base}/openapi.json")).await.unwrap();
        let document: Value = document.json().await.unwrap();
        REFERENCE.get_or_init(|| Self {
            document,
            validators: Mutex::default(),
        })
    }

    /// Holds an answer against the operation that gave it. What is no operation is passed over, as is
    /// what went wrong on the server's side.
    pub(crate) fn check(&self, method: &str, path: &str, answer: &Answer) {
        let Some((template, operation)) = self.operation(method, path) else {
            return;
        };
        let actual = answer.header("x-stack-actual-status");
        let status = if actual.is_empty() {
            answer.status.as_str().to_owned()
        } else {
            actual.to_owned()
        };
        if status.starts_with('5') {
            return;
        }
        let name = format!("{method} {template}");
        let documented = &operation["responses"][&status];
        assert!(
            documented.is_object(),
            "{name} answers {status}, which the reference does not know: {}",
            answer.text
        );
        self.check_body(&name, &status, documented, answer);
    }

    fn check_body(&self, name: &str, status: &str, documented: &Value, answer: &Answer) {
        let kind = answer.header("content-type");
        let media_type = kind.split(';').next().unwrap_or_default();
        let Some(content) = documented["content"].as_object() else {
            assert!(
                answer.text.is_empty() || media_type != "application/json",
                "{name} answers {status} with a body that the reference does not know: {}",
                answer.text
            );
            return;
        };
        let content = content.get(media_type).unwrap_or_else(|| {
            panic!(
                "{name} answers {status} with {media_type}, which the reference does not know: {}",
                answer.text
            )
        });
        if media_type != "application/json" {
            return;
        }
        let body = answer.json();
        let validator = self.validator(name, status, media_type, &content["schema"]);
        let errors: Vec<String> = validator
            .iter_errors(&body)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(
            errors.is_empty(),
            "{name} answers {status} with a body that its schema does not allow: {errors:#?}\n{body:#}"
        );
    }

    fn validator(
        &self,
        name: &str,
        status: &str,
        media_type: &str,
        schema: &Value,
    ) -> Arc<Validator> {
        let key = (name.to_owned(), status.to_owned(), media_type.to_owned());
        let mut validators = self.validators.lock().unwrap();
        let made = validators.entry(key).or_insert_with(|| {
            Arc::new(jsonschema::validator_for(&self.with_what_it_refers_to(schema)).unwrap())
        });
        Arc::clone(made)
    }

    /// A schema as a document of its own. All components would take a second to compile.
    fn with_what_it_refers_to(&self, schema: &Value) -> Value {
        let mut components = Map::new();
        let mut unread = vec![schema];
        while let Some(part) = unread.pop() {
            match part {
                Value::Object(members) => {
                    let reference = members.get("$ref").and_then(Value::as_str);
                    let name = reference.and_then(|it| it.strip_prefix("#/components/schemas/"));
                    if let Some(name) = name.filter(|name| !components.contains_key(*name)) {
                        let component = &self.document["components"]["schemas"][name];
                        components.insert(name.to_owned(), component.clone());
                        unread.push(component);
                    }
                    unread.extend(members.values());
                }
                Value::Array(items) => unread.extend(items),
                _ => {}
            }
        }
        json!({"allOf": [schema], "components": {"schemas": components}})
    }

    /// The operation that answers, with the template of its path. Of several, that with the fewest
    /// parameters.
    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let path = path.strip_prefix("/api/")?;
        let (version, path) = path.split_once('/')?;
        if !VERSIONS.contains(&version) {
            return None;
        }
        let method = method.to_ascii_lowercase();
        let paths = self.document["paths"].as_object()?;
        let matching = paths
            .iter()
            .filter(|(template, _)| matches(template, path))
            .min_by_key(|(template, _)| template.matches('{').count())?;
        Some((matching.0, matching.1.get(&method)?))
    }
}

fn matches(template: &str, path: &str) -> bool {
    // The only parameter that takes all that remains of a path.
    let (template, rest) = match template.trim_start_matches('/').strip_suffix("/{rest}") {
        Some(template) => (template, true),
        None => (template.trim_start_matches('/'), false),
    };
    let (mut wanted, mut parts) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), parts.next()) {
            (None, None) => return true,
            (None, Some(_)) => return rest,
            (Some(wanted), Some(part)) if wanted.starts_with('{') || wanted == part => {}
            _ => return false,
        }
    }
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        METHODS.iter().filter_map(move |method| {
            let operation = item.get(*method)?;
            Some((format!("{} {path}", method.to_uppercase()), operation))
        })
    })
}

async fn document() -> &'static Value {
    let server = TestServer::start().await;
    &Reference::of(&server.base()).await.document
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_described_by_its_handlers_signature() {
    let document = document().await;
    let mut hollow = Vec::new();
    for (name, operation) in operations(document) {
        if !operation["security"].is_array() {
            hollow.push(format!("{name} is not described"));
        }
        if let Some(body) = operation["requestBody"]["content"].as_object() {
            let any = body.values().any(|content| is_hollow(&content["schema"]));
            if any {
                hollow.push(format!("{name} takes any body"));
            }
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let is_error = !status.starts_with(['2', '3']);
            let content = answer["content"].as_object();
            let any =
                content.is_some_and(|it| it.values().any(|content| is_hollow(&content["schema"])));
            if any || (is_error && content.is_none()) {
                hollow.push(format!("{name} answers {status} with anything"));
            }
        }
    }
    assert!(hollow.is_empty(), "{}: {hollow:#?}", hollow.len());
}

/// Whether a schema says nothing.
fn is_hollow(schema: &Value) -> bool {
    schema.as_object().is_none_or(|schema| {
        schema
            .keys()
            .all(|key| key == "description" || key == "default")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_operations_are_unique_verbs() {
    let mut seen = HashMap::new();
    for (name, operation) in operations(document().await) {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(
            id.chars().any(char::is_uppercase),
            "{name}: {id} says not what is done to what"
        );
        if let Some(other) = seen.insert(id.clone(), name.clone()) {
            panic!("{other} and {name} are both called {id}");
        }
        assert!(operation["summary"].is_string(), "{name} has no summary");
        assert!(operation["tags"][0].is_string(), "{name} has no tag");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_null_in_an_answer_is_always_there() {
    let document = document().await;
    let mut doubtful = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if schema["additionalProperties"].is_boolean() {
            // A request, which says whether it takes more: there, null and absent differ.
            continue;
        }
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            if may_be_null(schema) && !required.contains(&json!(property)) {
                doubtful.push(format!("{name}.{property}"));
            }
        }
    }
    assert!(
        doubtful.is_empty(),
        "null and absent at once; say #[schema(required)], or #[schema(nullable = false)]: {doubtful:#?}"
    );
}

fn may_be_null(schema: &Value) -> bool {
    let choices = ["anyOf", "oneOf"]
        .iter()
        .filter_map(|key| schema[*key].as_array());
    schema["type"] == "null"
        || schema["type"]
            .as_array()
            .is_some_and(|types| types.contains(&json!("null")))
        || choices.flatten().any(may_be_null)
}

#[tokio::test(flavor = "multi_thread")]
async fn references_lead_somewhere() {
    let document = document().await;
    let mut lost = Vec::new();
    find_lost(document, document, &mut lost);
    assert!(lost.is_empty(), "{lost:#?}");
}

fn find_lost(document: &Value, part: &Value, lost: &mut Vec<String>) {
    match part {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref")
                && document
                    .pointer(reference.trim_start_matches('#'))
                    .is_none()
            {
                lost.push(reference.clone());
            }
            members
                .values()
                .for_each(|it| find_lost(document, it, lost));
        }
        Value::Array(items) => items.iter().for_each(|it| find_lost(document, it, lost)),
        _ => {}
    }
}

/// The path of an operation that is tried, with something in the place of every parameter: of a few
/// texts, the first.
fn filled_in(template: &str, operation: &Value, user: &str) -> String {
    let parts = template.split('/').map(|part| {
        let Some(name) = part.strip_prefix('{').and_then(|it| it.strip_suffix('}')) else {
            return part;
        };
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let mut declared = parameters.filter(|it| it["in"] == "path" && it["name"] == name);
        let choice = declared.find_map(|it| it["schema"]["enum"][0].as_str());
        choice.unwrap_or(match name {
            "user_id" => user,
            _ => "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        })
    });
    parts.collect::<Vec<&str>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_of_bodies_are_accepted_as_they_are() {
    let server = TestServer::start().await;
    let reference = Reference::of(&server.base()).await;
    let user = server.sign_up_to(&server.project, &unique_email()).await;
    let mut refused = Vec::new();
    for (name, operation) in operations(&reference.document) {
        let Some(content) = operation["requestBody"]["content"]["application/json"].as_object()
        else {
            continue;
        };
        let (method, template) = name.split_once(' ').unwrap();
        let path = filled_in(template, operation, &user.user_id);
        // What other APIs of this server ask for is credentials of their own.
        let call = server.admin(method, &path).user(&user);
        let Some(example) = content.get("example") else {
            refused.push(format!("{name} has no example"));
            continue;
        };
        let answer = call.body(example.clone()).send().await;
        // Whoever tries sends what else the operation asks for: other credentials, a query.
        if answer.known_error() == Some("SCHEMA_ERROR") && answer.text.contains("- body") {
            refused.push(format!("{name}: {example}\n{}", answer.text));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n\n"));
}
