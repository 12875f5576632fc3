//! Reading a request's parameters, query and body, collecting everything that is wrong with them.
//!
//! ```ignore
//! let mut form = access.form(&input).no_query();
//! let mut body = form.body();
//! let email = body.required("email", strict_email);
//! let callback = body.optional("callback_url", url_text);
//! body.close();
//! let (email, callback) = form.finish((|| Some((email?, callback?)))())?;
//! ```
//!
//! A field that was not read is an unknown field, which is a violation. So is a NUL character
//! anywhere: Postgres cannot store it.

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use muniment_domain::UserId;
use muniment_event_store::AccessType;
use muniment_projections::read_models::users::UserRecord;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::body::{Body, Observations};
use super::caller::{Auth, Caller};
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
    /// The parameters in the path.
    pub(crate) fn params(&mut self) -> Fields<'_> {
        Fields::new("params", &self.input.params, &mut self.findings)
    }

    /// The query.
    pub(crate) fn query(&mut self) -> Fields<'_> {
        Fields::new("query", &self.input.query, &mut self.findings)
    }

    /// Declares that the endpoint knows no query parameters.
    #[must_use]
    pub(crate) fn no_query(mut self) -> Self {
        self.query().close();
        self
    }

    /// The body, which must be an object.
    pub(crate) fn body(&mut self) -> Fields<'_> {
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
    pub(crate) fn optional_body(&mut self) -> Fields<'_> {
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

    /// The signed-in user, whom the endpoint wants as it wants a field.
    pub(crate) fn signed_in<'a>(&mut self, auth: &'a Auth) -> Option<&'a UserRecord> {
        let user = auth.user();
        if user.is_none() {
            self.findings
                .note("auth.user", "is required; send x-stack-access-token");
        }
        user
    }

    /// The signed-in user of the project `internal`, whom the endpoint wants as it wants a field.
    pub(crate) fn internal_user(&mut self, auth: &Auth) -> Checked<UserId> {
        if !auth.project_id().is_internal() {
            self.violation("auth.project", "must be the project `internal`");
        }
        Some(self.signed_in(auth)?.user.user_id())
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

    use super::super::values::*;
    use super::*;

    fn input(body: Value) -> Input {
        Input {
            method: Method::POST,
            path: "/api/v1/things".to_owned(),
            params: Map::new(),
            query: Map::new(),
            body: Body::Json(body),
        }
    }

    fn message<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
        match result {
            Err(ApiError::Known(error)) => error.message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_violations_are_listed() {
        let input = input(json!({"name": [], "count": "x", "extra": 1, "when": null}));
        let mut form = input.form(None);
        let mut body = form.body();
        let name = body.required("name", text);
        let count = body.required("count", integer(0..=9));
        let when = body.optional("when", text);
        let gone = body.required("gone", boolean);
        body.close();
        let result = form.finish((|| Some((name?, count?, when?, gone?)))());
        let message = message(result);
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
    fn scalars_are_coerced() {
        assert_eq!(integer(0..=99)(&json!("42")), Ok(42));
        assert_eq!(integer(0..=99)(&json!(4.0)), Ok(4));
        assert!(integer(0..=99)(&json!(4.5)).is_err());
        assert_eq!(boolean(&json!("1")), Ok(true));
        assert!(query_boolean(&json!("1")).is_err());
        assert_eq!(text(&json!(true)), Ok("true".to_owned()));
        assert!(text(&json!({})).is_err());
    }

    #[test]
    fn unknown_fields_are_found_at_any_depth() {
        let input = input(json!({"list": [{"id": "a"}, {"id": "b", "x": 1}], "inner": {"y": 1}}));
        let mut form = input.form(None);
        let mut body = form.body();
        let list = body.optional_list("list", |item| item.required("id", text));
        let inner = body.optional_object("inner", |_| Some(()));
        body.close();
        let message = message(form.finish((|| Some((list?, inner?)))()));
        assert!(message.contains("body.list[1].x is not"), "{message}");
        assert!(message.contains("body.inner.y is not"), "{message}");
    }

    #[test]
    fn uuids_are_canonical() {
        for good in [
            "00000000-0000-0000-0000-000000000000",
            "6FB53BB8-4f2f-4b1c-9d27-1d4a61d1f0de",
        ] {
            assert!(uuid(&json!(good)).is_ok(), "{good}");
        }
        for bad in [
            "6fb53bb84f2f4b1c9d271d4a61d1f0de",
            "{6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de}",
            "6fb53bb8-4f2f-7b1c-9d27-1d4a61d1f0de",
            "6fb53bb8-4f2f-4b1c-cd27-1d4a61d1f0de",
            "me",
        ] {
            assert!(uuid(&json!(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn me_without_a_user_comes_before_everything_else() {
        let input = input(json!({"user_id": "me", "extra": 1}));
        let mut form = input.form(None);
        let id = form.body().required_user_id_or_me("user_id");
        match form.finish(id) {
            Err(ApiError::Known(error)) => {
                assert_eq!(error.code, "CANNOT_GET_OWN_USER_WITHOUT_USER");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn me_is_the_current_user() {
        let input = input(json!({"user_id": "me"}));
        let user = UserId(Uuid::from_u128(7));
        let mut form = input.form(Some(user));
        let id = form.body().required_user_id_or_me("user_id");
        assert_eq!(form.finish(id).unwrap(), user);
    }

    #[test]
    fn nul_characters_are_violations_at_any_depth() {
        let input = input(json!({"data": {"deep": ["a\u{0}b"]}}));
        let mut form = input.form(None);
        let mut body = form.body();
        let data = body.required("data", json_value);
        body.close();
        assert!(message(form.finish(data)).contains("body.data contains a NUL"));
    }

    #[test]
    fn an_absent_body_is_a_violation_where_one_is_wanted() {
        let input = Input {
            body: Body::Absent,
            ..input(json!({}))
        };
        let mut form = input.form(None);
        form.body().close();
        assert!(message(form.finish(Some(()))).contains("body must be a JSON object"));
    }
}
