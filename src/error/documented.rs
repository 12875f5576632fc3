//! What an endpoint can fail with, as the API's reference shows it.
//!
//! An endpoint names its errors by type, `responses(Errors<(UserNotFound, Text<400>)>)`, and the
//! statuses, codes and schemas follow from those.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde_json::{Map, Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::schema::{AnyOfBuilder, Type};
use utoipa::openapi::{Content, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};

use super::known_error::{CodeDescription, Documented, ErrorSet, FAMILIES, all_codes};

/// An error without a code: a sentence in plain text.
pub(crate) enum Text<const STATUS: u16> {}

impl<const STATUS: u16> ErrorSet for Text<STATUS> {
    fn list(into: &mut Vec<Documented>) {
        into.push(Documented::Text(STATUS));
    }
}

macro_rules! sets {
    ($($set:ident)+) => {
        impl<$($set: ErrorSet),+> ErrorSet for ($($set,)+) {
            fn list(into: &mut Vec<Documented>) {
                $($set::list(into);)+
            }
        }
    };
}

sets!(A);
sets!(A B);
sets!(A B C);
sets!(A B C D);
sets!(A B C D E);
sets!(A B C D E F);
sets!(A B C D E F G);
sets!(A B C D E F G H);
sets!(A B C D E F G H I);
sets!(A B C D E F G H I J);
sets!(A B C D E F G H I J K);
sets!(A B C D E F G H I J K L);

/// The answers with which an endpoint reports the errors of a set.
pub(crate) struct Errors<E>(PhantomData<E>);

impl<E: ErrorSet> IntoResponses for Errors<E> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut ways = Vec::new();
        E::list(&mut ways);
        let mut answers: BTreeMap<u16, Answer> = BTreeMap::new();
        for way in ways {
            match way {
                Documented::Code(known) => {
                    let answer = answers.entry(known.status.as_u16()).or_default();
                    answer.codes.insert(known.code, known.type_name);
                }
                Documented::Text(status) => answers.entry(status).or_default().sentence = true,
            }
        }
        let response = |(status, answer): (u16, Answer)| (status.to_string(), answer.response());
        answers.into_iter().map(response).collect()
    }
}

/// What an endpoint can answer under one status.
#[derive(Default)]
struct Answer {
    /// The names of the types, by code.
    codes: BTreeMap<&'static str, &'static str>,
    /// Whether it may be a sentence in plain text.
    sentence: bool,
}

impl Answer {
    fn response(&self) -> RefOr<Response> {
        let mut response = ResponseBuilder::new().description(self.description());
        if !self.codes.is_empty() {
            response = response.content("application/json", Content::new(Some(self.schema())));
        }
        if self.sentence {
            let text = ObjectBuilder::new().schema_type(Type::String);
            response = response.content("text/plain", Content::new(Some(text)));
        }
        response.into()
    }

    fn description(&self) -> String {
        let sentence = self.sentence.then_some("a sentence");
        let names: Vec<&str> = self.codes.keys().copied().chain(sentence).collect();
        names.join(", ")
    }

    fn schema(&self) -> RefOr<Schema> {
        let mut refs: Vec<Ref> = self
            .codes
            .values()
            .map(|name| Ref::from_schema_name(*name))
            .collect();
        match refs.pop() {
            Some(only) if refs.is_empty() => only.into(),
            last => {
                let all = refs.into_iter().chain(last);
                all.fold(AnyOfBuilder::new(), AnyOfBuilder::item).into()
            }
        }
    }
}

/// The components that [`Errors`] refers to, and one for every family of codes.
pub(crate) fn component_schemas() -> Map<String, Value> {
    let codes = all_codes()
        .into_iter()
        .map(|known| (known.type_name.to_owned(), code_schema(&known)));
    let families = FAMILIES
        .iter()
        .map(|(family, members)| (camel_case(family), family_schema(members)));
    codes.chain(families).collect()
}

fn code_schema(known: &CodeDescription) -> Value {
    let mut required = vec!["code", "error"];
    let mut properties = json!({
        "code": {"type": "string", "enum": [known.code]},
        "error": {"type": "string"},
    });
    if let Some(details) = known.details_schema() {
        required.push("details");
        properties["details"] = details;
    }
    json!({
        "type": "object",
        "description": known.description,
        "required": required,
        "properties": properties,
    })
}

fn family_schema(members: &[&str]) -> Value {
    let refs: Vec<Value> = members
        .iter()
        .map(|member| json!({"$ref": format!("#/components/schemas/{}", camel_case(member))}))
        .collect();
    json!({"anyOf": refs})
}

/// The name of a code's or a family's type: `UserNotFound` for `USER_NOT_FOUND`.
pub(super) fn camel_case(code: &str) -> String {
    let capitalized = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_owned() + &rest.to_ascii_lowercase()
    };
    code.split('_').map(capitalized).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::IntoResponses;

    use super::{Errors, Text, component_schemas};
    use crate::error::known_error::{
        PasswordTooLong, TeamMembershipNotFound, UserIdDoesNotExist, UserNotFound,
    };

    type Some404 = (UserNotFound, TeamMembershipNotFound);
    type Nested = (
        Some404,
        UserNotFound,
        UserIdDoesNotExist,
        Text<400>,
        Text<429>,
    );

    #[test]
    fn errors_are_grouped_by_status() {
        let responses = json!(Errors::<Nested>::responses());
        let text = json!({"schema": {"type": "string"}});
        let id = json!({"schema": {"$ref": "#/components/schemas/UserIdDoesNotExist"}});
        let not_found = json!({"schema": {"anyOf": [
            {"$ref": "#/components/schemas/TeamMembershipNotFound"},
            {"$ref": "#/components/schemas/UserNotFound"},
        ]}});
        let expected = json!({
            "400": {
                "description": "USER_ID_DOES_NOT_EXIST, a sentence",
                "content": {"application/json": id, "text/plain": text},
            },
            "404": {
                "description": "TEAM_MEMBERSHIP_NOT_FOUND, USER_NOT_FOUND",
                "content": {"application/json": not_found},
            },
            "429": {"description": "a sentence", "content": {"text/plain": text}},
        });
        assert_eq!(responses, expected);
    }

    #[test]
    fn a_code_alone_is_a_set() {
        let responses = json!(Errors::<PasswordTooLong>::responses());
        assert_eq!(responses["400"]["description"], "PASSWORD_TOO_LONG");
    }

    #[test]
    fn a_component_shows_code_and_details() {
        let components = component_schemas();
        let user_id = json!({"type": "string", "format": "uuid", "description": "The id."});
        let expected = json!({
            "type": "object",
            "description": "The user spoken of does not exist.",
            "required": ["code", "error", "details"],
            "properties": {
                "code": {"type": "string", "enum": ["USER_ID_DOES_NOT_EXIST"]},
                "error": {"type": "string"},
                "details": {
                    "type": "object",
                    "required": ["user_id"],
                    "properties": {"user_id": user_id},
                },
            },
        });
        assert_eq!(components["UserIdDoesNotExist"], expected);
    }

    #[test]
    fn nullable_details_are_required() {
        let components = component_schemas();
        let details = &components["EmailIsNotPrimaryEmail"]["properties"]["details"];
        assert_eq!(details["required"], json!(["email", "primary_email"]));
        let primary = &details["properties"]["primary_email"];
        assert_eq!(primary["type"], json!(["string", "null"]));
    }

    #[test]
    fn a_family_is_any_of_its_members() {
        let family = component_schemas()["PasswordRequirementsNotMet"].clone();
        let expected = json!({"anyOf": [
            {"$ref": "#/components/schemas/PasswordTooShort"},
            {"$ref": "#/components/schemas/PasswordTooLong"},
        ]});
        assert_eq!(family, expected);
    }
}
