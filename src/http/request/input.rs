//! Reading a request's parameters, query and body, collecting everything that is wrong with them.
//! Handlers do not do so themselves: [`super::declare`] says what may be in which part.
//!
//! A field that was not read is an unknown field, which is a violation. So is a NUL character
//! anywhere: Postgres cannot store it.

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use muniment_domain::UserId;
use muniment_event_store::AccessType;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::body::{Body, Observations};
use super::caller::Caller;
use super::declare::{Mode, Need};
use super::fields::{Checked, Fields, Findings, Violation};
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// A request's parts, as sent.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// The parameters in its path.
    pub params: Map<String, Value>,
    /// Its query; of repeated keys, the last. All values are strings.
    pub query: Map<String, Value>,
    /// Its body.
    pub body: Body,
}

impl<S: Send + Sync> FromRequestParts<S> for Input {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(bad_path)?;
        let params = params
            .iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)));
        // Nesting strips the version's prefix; callers want to read the path they sent.
        let original = parts.extensions.get::<OriginalUri>();
        let path = original
            .map_or(parts.uri.path(), |uri| uri.path())
            .to_owned();
        let query = parts.uri.query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        Ok(Self {
            method: parts.method.clone(),
            path,
            params: params.collect(),
            query: query
                .map(|(name, value)| (name, Value::String(value)))
                .collect(),
            body: parts.extensions.remove().unwrap_or_default(),
        })
    }
}

pub(crate) fn bad_path(_: RawPathParamsRejection) -> ApiError {
    ApiError::text(
        StatusCode::BAD_REQUEST,
        "The path is not valid UTF-8 once decoded.",
    )
}

impl Input {
    /// Begins to read, on behalf of the signed-in user, if there is one.
    #[must_use]
    pub(crate) fn form(&self, current_user: Option<UserId>) -> Form<'_> {
        Form {
            input: self,
            caller: None,
            findings: Findings {
                current_user,
                ..Findings::default()
            },
        }
    }

    /// Begins to read a declared request of a caller.
    #[must_use]
    pub(crate) fn form_by<'i>(&'i self, caller: &'i Caller) -> Form<'i> {
        let access = caller.auth().map(|auth| auth.access_type);
        let mut form = self.form(caller.user_id());
        form.caller = Some(caller);
        form.findings.is_client = access == Some(AccessType::Client);
        form
    }
}

/// A request that is being read.
pub(crate) struct Form<'i> {
    input: &'i Input,
    caller: Option<&'i Caller>,
    findings: Findings,
}

impl<'i> Form<'i> {
    fn params(&mut self) -> Fields<'_> {
        Fields::new("params", &self.input.params, &mut self.findings)
    }

    fn query(&mut self) -> Fields<'_> {
        Fields::new("query", &self.input.query, &mut self.findings)
    }

    /// The body, which must be an object.
    fn body(&mut self) -> Fields<'_> {
        match &self.input.body {
            Body::Json(Value::Object(object)) | Body::Form(object) => {
                Fields::new("body", object, &mut self.findings)
            }
            Body::Observations(observations) => {
                Fields::new("body", &observations.fields, &mut self.findings)
            }
            _ => {
                self.findings.note("body", "must be a JSON object");
                Fields::within("body".to_owned(), Map::new(), &mut self.findings)
            }
        }
    }

    /// The body, which may be missing and then has no fields.
    fn optional_body(&mut self) -> Fields<'_> {
        match &self.input.body {
            Body::Absent => Fields::within("body".to_owned(), Map::new(), &mut self.findings),
            _ => self.body(),
        }
    }

    /// Something that a declared request wants of its caller.
    pub(crate) fn need<N: Need>(&mut self, need: &N) -> Checked<N::Value> {
        need.find(self.caller?, &mut self.findings)
    }

    /// The declared part of the path. What the path names besides is for others to read.
    pub(crate) fn path_section(&mut self, modes: &[&str]) -> Fields<'_> {
        self.params().with_openness(Mode::named(modes).openness)
    }

    /// The declared part of the query.
    pub(crate) fn query_section(&mut self, modes: &[&str]) -> Fields<'_> {
        self.query().with_openness(Mode::named(modes).openness)
    }

    /// The declared body.
    pub(crate) fn body_section(&mut self, modes: &[&str]) -> Fields<'_> {
        let mode = Mode::named(modes);
        let fields = if mode.required {
            self.body()
        } else {
            self.optional_body()
        };
        fields.with_openness(mode.openness)
    }

    /// What fields of a declared request have to do with each other.
    pub(crate) fn check_agreement<R>(&mut self, request: &R, check: fn(&R, &mut Findings)) {
        check(request, &mut self.findings);
    }

    /// The items of `events` in a body of observations, each as the text it came as.
    pub(crate) fn events(&mut self) -> Checked<Vec<&'i RawValue>> {
        let Body::Observations(Observations { events, .. }) = &self.input.body else {
            // That it is no object is noted with its fields.
            return None;
        };
        let Some(events) = events else {
            self.violation("body.events", "is required");
            return None;
        };
        let items = serde_json::from_str(events).ok();
        if items.is_none() {
            self.violation("body.events", "must be a list");
        }
        items
    }

    /// An object that is part of something of which only this is read.
    pub(crate) fn part(&mut self, path: String, object: Map<String, Value>) -> Fields<'_> {
        Fields::within(path, object, &mut self.findings)
    }

    /// Notes a violation that no single field shows.
    pub(crate) fn violation(&mut self, path: &str, problem: &str) {
        self.findings.note(path, problem);
    }

    /// Ends the reading. `value` is there if every field was fine.
    ///
    /// # Errors
    /// `CANNOT_GET_OWN_USER_WITHOUT_USER` when `me` was said and nobody is signed in, whatever else
    /// is wrong; else `SCHEMA_ERROR` with all violations.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        if self.findings.own_user_missing {
            return Err(KnownError::cannot_get_own_user_without_user().into());
        }
        match value {
            Some(value) if self.findings.violations.is_empty() => Ok(value),
            None if self.findings.violations.is_empty() => Err(ApiError::internal(
                "a form without violations yielded nothing",
            )),
            _ => Err(KnownError::schema_error(self.message()).into()),
        }
    }

    /// Ends the reading, for endpoints that tell of violations in their own way.
    ///
    /// # Errors
    /// All violations.
    pub(crate) fn check<T>(self, value: Option<T>) -> Result<T, Vec<Violation>> {
        match value {
            Some(value) if self.findings.violations.is_empty() => Ok(value),
            _ => Err(self.findings.violations),
        }
    }

    fn message(&self) -> String {
        let Input { method, path, .. } = self.input;
        let mut message = format!("{method} {path} does not accept this request:");
        for Violation { path, problem } in &self.findings.violations {
            message.push_str("\n  - ");
            message.push_str(path);
            message.push(' ');
            message.push_str(problem);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::super::declare::{Request, fields, request};
    use super::super::presence::{optional, or_default, required};
    use super::super::shape::scalars::{boolean, integer, json_value, text, user_id_or_me, uuid};
    use super::super::shape::{list_of, object};
    use super::*;

    request! {
        struct Things {
            body {
                name: String = required(text());
                count: i64 = required(integer(0..=9));
                when: Option<String> = optional(text());
                gone: bool = required(boolean());
            }
        }

        struct Nested {
            body {
                list: Option<Vec<Item>> = optional(list_of(object()));
                inner: Option<Nothing> = optional(object());
            }
        }

        struct OfUser {
            body {
                user_id: UserId = required(user_id_or_me());
            }
        }

        struct AnyData {
            body {
                data: Value = required(json_value());
            }
        }

        struct Coerced {
            query {
                count: i64 = or_default(integer(0..=99), 7);
            }
            body(optional) {
                flag: Option<bool> = optional(boolean());
                text: Option<String> = optional(text());
                id: Option<Uuid> = optional(uuid()), servers;
            }
        }

        struct Empty {
            body {}
        }
    }

    fields! {
        struct Item {
            id: String = required(text());
        }

        struct Nothing {}
    }

    fn input(body: Value) -> Input {
        Input {
            method: Method::POST,
            path: "/api/v1/things".to_owned(),
            params: Map::new(),
            query: Map::new(),
            body: Body::Json(body),
        }
    }

    fn read<R: Request>(input: &Input) -> Result<R, ApiError> {
        read_as(input.form(None))
    }

    fn read_as<R: Request>(mut form: Form<'_>) -> Result<R, ApiError> {
        let request = R::read(&mut form);
        form.finish(request)
    }

    fn refusal<R: Request>(input: &Input) -> String {
        match read::<R>(input) {
            Err(ApiError::Known(error)) => error.message,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it was accepted"),
        }
    }

    #[test]
    fn all_violations_are_listed() {
        let input = input(json!({"name": [], "count": "x", "extra": 1, "when": null}));
        let message = refusal::<Things>(&input);
        for line in [
            "body.name must be a string",
            "body.count must be a whole number",
            "body.when must not be null",
            "body.gone is required",
            "body.extra is not a known field",
        ] {
            assert!(message.contains(line), "{line} in {message}");
        }
        assert!(message.starts_with("POST /api/v1/things"));
    }

    #[test]
    fn what_is_fine_is_read() {
        let input = input(json!({"name": "x", "count": "4", "gone": "0"}));
        let things: Things = read(&input).unwrap();
        let read = (things.name.as_str(), things.count, things.when, things.gone);
        assert_eq!(read, ("x", 4, None, false));
    }

    #[test]
    fn unknown_fields_are_found_at_any_depth() {
        let input = input(json!({"list": [{"id": "a"}, {"id": "b", "x": 1}], "inner": {"y": 1}}));
        let message = refusal::<Nested>(&input);
        assert!(message.contains("body.list[1].x is not"), "{message}");
        assert!(message.contains("body.inner.y is not"), "{message}");
        let input = self::input(json!({"list": [{"id": "a"}], "inner": {}}));
        let nested: Nested = read(&input).unwrap();
        assert!(nested.inner.is_some());
        assert_eq!(nested.list.unwrap()[0].id, "a");
    }

    #[test]
    fn me_without_a_user_comes_before_everything_else() {
        let input = input(json!({"user_id": "me", "extra": 1}));
        match read::<OfUser>(&input) {
            Err(ApiError::Known(error)) => {
                assert_eq!(error.code, "CANNOT_GET_OWN_USER_WITHOUT_USER");
            }
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it was accepted"),
        }
    }

    #[test]
    fn me_is_the_current_user() {
        let input = input(json!({"user_id": "me"}));
        let user = UserId(Uuid::from_u128(7));
        let of: OfUser = read_as(input.form(Some(user))).unwrap();
        assert_eq!(of.user_id, user);
    }

    #[test]
    fn nul_characters_are_violations_at_any_depth() {
        let nul = input(json!({"data": {"deep": ["a\u{0}b"]}}));
        assert!(refusal::<AnyData>(&nul).contains("body.data contains a NUL"));
        let fine: AnyData = read(&input(json!({"data": [null]}))).unwrap();
        assert_eq!(fine.data, json!([null]));
    }

    #[test]
    fn an_absent_body_is_a_violation_where_one_is_wanted() {
        let absent = Input {
            body: Body::Absent,
            ..input(json!({}))
        };
        assert!(refusal::<Empty>(&absent).contains("body must be a JSON object"));
        let coerced: Coerced = read(&absent).unwrap();
        let read = (coerced.count, coerced.flag, coerced.text, coerced.id);
        assert_eq!(read, (7, None, None, None));
    }

    #[test]
    fn fields_for_servers_are_unknown_to_clients() {
        let input = input(json!({"id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de"}));
        assert!(read::<Coerced>(&input).is_ok());
        let mut form = input.form(None);
        form.findings.is_client = true;
        assert!(read_as::<Coerced>(form).is_err());
    }
}
