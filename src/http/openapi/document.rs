//! Putting the document together.

use muniment_domain::project::ProjectConfig;
use muniment_domain::project::schema::Setting;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::answers::Answers;
use super::describe::{EXTENSION, OperationDescription, reference_to};
use super::security;
use crate::error::codes;

/// The document. `server` is the prefix under which the API is described.
pub(crate) fn document(collected: &OpenApi, server: &str) -> Value {
    let mut document = serde_json::to_value(collected).unwrap_or_default();
    document["servers"] = json!([{"url": server}]);
    let mut components = Components::new();
    let paths = document["paths"].take();
    document["paths"] = with_plain_parameters(paths);
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(method, path, operation, &mut components);
        }
    }
    components.add_to(&mut document);
    document
}

/// Paths as `OpenAPI` has them, which knows no parameter for all that remains of a path.
fn with_plain_parameters(paths: Value) -> Value {
    let Value::Object(paths) = paths else {
        return paths;
    };
    let plain = paths.into_iter();
    plain
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect()
}

struct Components {
    schemas: Map<String, Value>,
    /// The answers to [`AccessErrors`], told by the components that have them.
    access: Answers,
}

impl Components {
    fn new() -> Self {
        let mut schemas = codes::component_schemas();
        schemas.insert(
            "ProjectConfig".to_owned(),
            ProjectConfig::SHAPE.json_schema(),
        );
        let mut access = Answers::default();
        access.add_errors::<AccessErrors>();
        for (status, answer) in &mut access.0 {
            let name = format!("AccessError{status}");
            let content = &mut answer["content"]["application/json"]["schema"];
            let mut schema = std::mem::replace(content, reference_to(&name));
            schema["description"] =
                json!("What is wrong with the keys or tokens of a request, whatever it asks for.");
            schemas.insert(name, schema);
            answer["description"] = json!("what is wrong with keys or tokens");
        }
        Self { schemas, access }
    }

    /// Adds a schema. Two of the same name must be the same.
    fn add(&mut self, name: String, schema: Value) {
        let known = self.schemas.get(&name);
        debug_assert!(
            known.is_none_or(|known| *known == schema),
            "two schemas are called {name}"
        );
        self.schemas.insert(name, schema);
    }

    fn add_to(self, document: &mut Value) {
        let collected = document["components"]["schemas"].take();
        let mut schemas = self.schemas;
        for (name, schema) in collected.as_object().into_iter().flatten() {
            schemas
                .entry(name.clone())
                .or_insert_with(|| schema.clone());
        }
        document["components"] = json!({
            "schemas": schemas,
            "securitySchemes": security::schemes(),
            "parameters": security::parameters(),
        });
    }
}

/// What any request can fail with whose headers name a project; see
/// [`crate::http::request::authentication`].
type AccessErrors = (
    (
        codes::ProjectKeyWithoutAccessType,
        codes::InvalidAccessType,
        codes::AccessTypeWithoutProjectId,
        codes::CurrentProjectNotFound,
        codes::BranchDoesNotExist,
    ),
    (
        codes::InvalidPublishableClientKey,
        codes::InvalidSecretServerKey,
        codes::InvalidSuperSecretAdminKey,
        codes::PublishableClientKeyRequiredForProject,
        codes::ServerAuthenticationRequired,
        codes::AdminAuthenticationRequired,
    ),
    (
        codes::UnparsableAdminAccessToken,
        codes::AdminAccessTokenExpired,
        codes::AdminAccessTokenIsNotAdmin,
        codes::UnparsableAccessToken,
        codes::AccessTokenExpired,
        codes::InvalidProjectForAccessToken,
        codes::AnonymousAuthenticationNotAllowed,
        codes::RestrictedUserNotAllowed,
        // That the user of an admin access token is gone.
        codes::Text<401>,
    ),
);

/// Completes an operation by what its handler's signature says.
fn complete(method: &str, path: &str, operation: &mut Value, components: &mut Components) {
    let Some(described) = operation
        .as_object_mut()
        .and_then(|it| it.remove(EXTENSION))
    else {
        return;
    };
    let described: OperationDescription = serde_json::from_value(described).unwrap_or_default();
    operation["operationId"] = json!(in_camel_case(operation["operationId"].as_str()));
    let mut parameters = described.parameters;
    parameters.extend(
        operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default(),
    );
    let mut answers = described.answers;
    if described.credentials.names_a_project() {
        parameters.extend(security::parameter_references());
    }
    // Wrong keys and tokens are refused on every path, also where none are asked for.
    for (status, answer) in &components.access.0 {
        answers.add(status, answer);
    }
    operation["parameters"] = json!(parameters);
    operation["security"] = described.credentials.requirements();
    if let Some(body) = described.body {
        operation["requestBody"] = body;
    }
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        answers.add(status, answer);
    }
    if method != "get" {
        answers.add_errors::<codes::BodyParsingError>();
    }
    if path.contains('{') {
        // A parameter that is not UTF-8.
        answers.add_errors::<codes::Text<400>>();
    }
    operation["responses"] = json!(answers);
    for (name, schema) in described.schemas {
        components.add(name, schema);
    }
}

/// `list_users` as `listUsers`.
fn in_camel_case(name: Option<&str>) -> String {
    let mut words = name.unwrap_or_default().split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name + &head.to_uppercase() + tail
    })
}
