//! Reading a request's parameters, query and body, collecting everything that is wrong with them
//! (contract 01 §1.5 and §1.7).
//!
//! ```ignore
//! let mut form = input.form(caller.user_id()).no_query();
//! let mut body = form.body();
//! let email = body.required("email", strict_email);
//! let callback = body.optional("callback_url", url_text);
//! body.close();
//! let (email, callback) = form.finish((|| Some((email?, callback?)))())?;
//! ```
//!
//! A field that was not read is an unknown field, which is a violation. So is a NUL character
//! anywhere: Postgres cannot store it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use muniment_domain::permission;
use muniment_domain::{EmailAddress, Patch, PermissionId, UserId};
use muniment_projections::read_models::users::UserRecord;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::body::{Body, Observations};
use super::caller::Auth;
use crate::app::auth::codes;
use crate::app::auth::sign_up_gate::country_code;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// A field's value, or nothing if it violates something, which was noted then.
pub type Checked<T> = Option<T>;

/// The longest URL that is taken, which may be an image, in characters.
const MAX_URL: usize = 1_000_000;

/// A request's parts, as sent.
#[derive(Clone, Debug)]
pub struct Input {
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

pub(super) fn bad_path(_: RawPathParamsRejection) -> ApiError {
    ApiError::text(
        StatusCode::BAD_REQUEST,
        "The path is not valid UTF-8 once decoded.",
    )
}

impl Input {
    /// Begins to read, on behalf of the signed-in user, if there is one.
    #[must_use]
    pub fn form(&self, current_user: Option<UserId>) -> Form<'_> {
        Form {
            input: self,
            findings: Findings {
                current_user,
                violations: Vec::new(),
                own_user_missing: false,
            },
        }
    }
}

/// A request that is being read.
pub struct Form<'i> {
    input: &'i Input,
    findings: Findings,
}

/// Something that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: `body.items[0].id`
    pub path: String,
    /// What: `is required`
    pub problem: String,
}

/// What is wrong so far.
struct Findings {
    current_user: Option<UserId>,
    violations: Vec<Violation>,
    own_user_missing: bool,
}

impl Findings {
    fn note(&mut self, path: &str, problem: &str) {
        self.violations.push(Violation {
            path: path.to_owned(),
            problem: problem.to_owned(),
        });
    }
}

impl<'i> Form<'i> {
    /// The parameters in the path.
    pub fn params(&mut self) -> Fields<'_> {
        Fields::new("params", &self.input.params, &mut self.findings)
    }

    /// The query.
    pub fn query(&mut self) -> Fields<'_> {
        Fields::new("query", &self.input.query, &mut self.findings)
    }

    /// Declares that the endpoint knows no query parameters.
    #[must_use]
    pub fn no_query(mut self) -> Self {
        self.query().close();
        self
    }

    /// The body, which must be an object.
    pub fn body(&mut self) -> Fields<'_> {
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
    pub fn optional_body(&mut self) -> Fields<'_> {
        match &self.input.body {
            Body::Absent => Fields::within("body".to_owned(), Map::new(), &mut self.findings),
            _ => self.body(),
        }
    }

    /// The items of `events` in a body of observations, each as the text it came as.
    pub fn events(&mut self) -> Checked<Vec<&'i RawValue>> {
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
    pub fn part(&mut self, path: String, object: Map<String, Value>) -> Fields<'_> {
        Fields::within(path, object, &mut self.findings)
    }

    /// The signed-in user, whom the endpoint wants as it wants a field.
    pub fn signed_in<'a>(&mut self, auth: &'a Auth) -> Option<&'a UserRecord> {
        let user = auth.user();
        if user.is_none() {
            self.findings
                .note("auth.user", "is required; send x-stack-access-token");
        }
        user
    }

    /// The signed-in user of the project `internal`, whom the endpoint wants as it wants a field.
    pub fn internal_user(&mut self, auth: &Auth) -> Checked<UserId> {
        if !auth.project_id().is_internal() {
            self.violation("auth.project", "must be the project `internal`");
        }
        Some(self.signed_in(auth)?.user.user_id())
    }

    /// Notes a violation that no single field shows.
    pub fn violation(&mut self, path: &str, problem: &str) {
        self.findings.note(path, problem);
    }

    /// Ends the reading. `value` is there if every field was fine.
    ///
    /// # Errors
    /// `CANNOT_GET_OWN_USER_WITHOUT_USER` when `me` was said and nobody is signed in, whatever else
    /// is wrong; else `SCHEMA_ERROR` with all violations.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
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
    pub fn check<T>(self, value: Option<T>) -> Result<T, Vec<Violation>> {
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

/// The fields of an object that is being read. Ends with [`Fields::close`].
pub struct Fields<'f> {
    path: String,
    object: Map<String, Value>,
    read: BTreeSet<String>,
    findings: &'f mut Findings,
}

impl Drop for Fields<'_> {
    /// Whatever was not read is unknown.
    fn drop(&mut self) {
        let unknown = self.object.keys().filter(|key| !self.read.contains(*key));
        for key in unknown {
            self.findings
                .note(&format!("{}.{key}", self.path), "is not a known field");
        }
    }
}

impl<'f> Fields<'f> {
    fn new(path: &str, object: &Map<String, Value>, findings: &'f mut Findings) -> Self {
        note_nul(path, object, findings);
        Self::within(path.to_owned(), object.clone(), findings)
    }

    fn within(path: String, object: Map<String, Value>, findings: &'f mut Findings) -> Self {
        Self {
            path,
            object,
            read: BTreeSet::new(),
            findings,
        }
    }

    /// Ends the reading of this object.
    pub fn close(self) {
        drop(self);
    }

    /// Ends the reading of this object, whatever else is in it: it may be for newer servers.
    pub fn close_leniently(mut self) {
        self.read.extend(self.object.keys().cloned());
    }

    /// Declares a field known without reading it.
    pub fn ignore(&mut self, name: &str) {
        self.read.insert(name.to_owned());
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.read.insert(name.to_owned());
        self.object.get(name).cloned()
    }

    fn note(&mut self, name: &str, problem: &str) {
        let path = format!("{}.{name}", self.path);
        self.findings.note(&path, problem);
    }

    fn parse<T>(&mut self, name: &str, value: &Value, parser: impl Parser<T>) -> Checked<T> {
        match parser(value) {
            Ok(parsed) => Some(parsed),
            Err(problem) => {
                self.note(name, &problem);
                None
            }
        }
    }

    fn missing<T>(&mut self, name: &str) -> Option<T> {
        self.note(name, "is required");
        None
    }

    /// A field that must be there.
    pub fn required<T>(&mut self, name: &str, parser: impl Parser<T>) -> Checked<T> {
        match self.take(name) {
            None => self.missing(name),
            Some(Value::Null) => self.null(name),
            Some(value) => self.parse(name, &value, parser),
        }
    }

    fn null<T>(&mut self, name: &str) -> Option<T> {
        self.note(name, "must not be null");
        None
    }

    /// A field that may be missing, but not null.
    pub fn optional<T>(&mut self, name: &str, parser: impl Parser<T>) -> Checked<Option<T>> {
        match self.take(name) {
            None => Some(None),
            Some(Value::Null) => self.null(name),
            Some(value) => self.parse(name, &value, parser).map(Some),
        }
    }

    /// A field that may be missing and then has a value of its own.
    pub fn or_default<T>(&mut self, name: &str, parser: impl Parser<T>, default: T) -> Checked<T> {
        Some(self.optional(name, parser)?.unwrap_or(default))
    }

    /// A field that may be missing, null or a value.
    pub fn nullable<T>(&mut self, name: &str, parser: impl Parser<T>) -> Checked<Patch<T>> {
        match self.take(name) {
            None => Some(Patch::Keep),
            Some(Value::Null) => Some(Patch::Clear),
            Some(value) => self.parse(name, &value, parser).map(Patch::Set),
        }
    }

    /// A field that must be there, but may be null.
    pub fn required_nullable<T>(
        &mut self,
        name: &str,
        parser: impl Parser<T>,
    ) -> Checked<Option<T>> {
        match self.nullable(name, parser)? {
            Patch::Keep => self.missing(name),
            Patch::Clear => Some(None),
            Patch::Set(value) => Some(Some(value)),
        }
    }

    /// An object that must be there.
    pub fn required_object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.take(name) {
            None => self.missing(name),
            Some(value) => self.object(name, value, read),
        }
    }

    /// An object that may be missing.
    pub fn optional_object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Checked<Option<T>> {
        match self.take(name) {
            None => Some(None),
            Some(value) => self.object(name, value, read).map(Some),
        }
    }

    fn object<T>(
        &mut self,
        name: &str,
        value: Value,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let Value::Object(object) = value else {
            self.note(name, "must be an object");
            return None;
        };
        read(&mut Fields::within(
            format!("{}.{name}", self.path),
            object,
            self.findings,
        ))
    }

    /// A list of objects that must be there.
    pub fn required_list<T>(
        &mut self,
        name: &str,
        read: impl Fn(&mut Fields<'_>) -> Option<T>,
    ) -> Checked<Vec<T>> {
        match self.optional_list(name, read)? {
            Some(items) => Some(items),
            None => self.missing(name),
        }
    }

    /// A list of objects that may be missing.
    pub fn optional_list<T>(
        &mut self,
        name: &str,
        read: impl Fn(&mut Fields<'_>) -> Option<T>,
    ) -> Checked<Option<Vec<T>>> {
        match self.take(name) {
            None => Some(None),
            Some(Value::Array(items)) => {
                let items = items.into_iter().enumerate();
                let read: Vec<Option<T>> = items
                    .map(|(at, item)| self.object(&format!("{name}[{at}]"), item, &read))
                    .collect();
                read.into_iter().collect::<Option<Vec<T>>>().map(Some)
            }
            Some(_) => {
                self.note(name, "must be a list");
                None
            }
        }
    }

    /// A list of plain values that must be there.
    pub fn required_values<T>(
        &mut self,
        name: &str,
        parser: impl Parser<T> + Copy,
    ) -> Checked<Vec<T>> {
        match self.optional_values(name, parser)? {
            Some(values) => Some(values),
            None => self.missing(name),
        }
    }

    /// A list of plain values that may be missing.
    pub fn optional_values<T>(
        &mut self,
        name: &str,
        parser: impl Parser<T> + Copy,
    ) -> Checked<Option<Vec<T>>> {
        match self.take(name) {
            None => Some(None),
            Some(Value::Array(items)) => {
                let items = items.iter().enumerate();
                let read: Vec<Option<T>> = items
                    .map(|(at, item)| self.parse(&format!("{name}[{at}]"), item, parser))
                    .collect();
                read.into_iter().collect::<Option<Vec<T>>>().map(Some)
            }
            Some(_) => {
                self.note(name, "must be a list");
                None
            }
        }
    }

    /// A user's id, or `me` for the signed-in user's.
    pub fn required_user_id_or_me(&mut self, name: &str) -> Option<UserId> {
        match self.optional_user_id_or_me(name)? {
            Some(id) => Some(id),
            None => self.missing(name),
        }
    }

    /// A user's id, `me` for the signed-in user's, or nothing.
    pub fn optional_user_id_or_me(&mut self, name: &str) -> Checked<Option<UserId>> {
        if self.object.get(name).and_then(Value::as_str) == Some("me") {
            self.ignore(name);
            self.findings.own_user_missing |= self.findings.current_user.is_none();
            return self.findings.current_user.map(Some);
        }
        Some(self.optional(name, uuid)?.map(UserId))
    }
}

fn note_nul(path: &str, object: &Map<String, Value>, findings: &mut Findings) {
    for (key, value) in object {
        if key.contains('\0') || has_nul(value) {
            let name = key.replace('\0', "\u{fffd}");
            findings.note(
                &format!("{path}.{name}"),
                "contains a NUL character, which cannot be stored",
            );
        }
    }
}

/// Whether there is a NUL character anywhere in it.
pub(crate) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(object) => object
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Reads a value that is not null, or says what it must be.
pub trait Parser<T>: FnOnce(&Value) -> Result<T, String> {}
impl<T, F: FnOnce(&Value) -> Result<T, String>> Parser<T> for F {}

/// A text. Numbers and booleans are taken as their text.
///
/// # Errors
/// For lists and objects.
pub fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err("must be a string".to_owned()),
    }
}

/// A text of at most `max` UTF-16 code units.
pub fn text_max(max: usize) -> impl Fn(&Value) -> Result<String, String> + Copy {
    move |value| {
        let text = text(value)?;
        if text.encode_utf16().count() > max {
            return Err(format!("must have at most {max} characters"));
        }
        Ok(text)
    }
}

/// A text of at least one character.
///
/// # Errors
/// For anything else.
pub fn non_empty_text(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text)
    }
}

/// A boolean, also as `"true"`, `"false"`, `"1"` or `"0"`.
///
/// # Errors
/// For anything else.
pub fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" || text == "1" => Ok(true),
        Value::String(text) if text == "false" || text == "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A boolean of a query: exactly `true` or `false`.
///
/// # Errors
/// For anything else.
pub fn query_boolean(value: &Value) -> Result<bool, String> {
    match value.as_str() {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Only `true`.
///
/// # Errors
/// For anything else.
pub fn only_true(value: &Value) -> Result<bool, String> {
    if boolean(value)? {
        Ok(true)
    } else {
        Err("may only be true".to_owned())
    }
}

/// A whole number in a range, also as text.
pub fn integer(range: RangeInclusive<i64>) -> impl Fn(&Value) -> Result<i64, String> {
    move |value| {
        let (min, max) = (range.start(), range.end());
        let number = whole_number(value).ok_or("must be a whole number")?;
        if range.contains(&number) {
            return Ok(number);
        }
        if *max == i64::MAX {
            return Err(format!("must be at least {min}"));
        }
        Err(format!("must be between {min} and {max}"))
    }
}

fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| exact(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| exact(text.parse().ok()?))
        }
        _ => None,
    }
}

/// A float that is a whole number, such as `1e3`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "checked to be whole and in range"
)]
fn exact(number: f64) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= LARGEST).then_some(number as i64)
}

/// A UUID in canonical form: versions 1 to 5 of the RFC's variant, or nil.
///
/// # Errors
/// For anything else.
pub fn uuid(value: &Value) -> Result<Uuid, String> {
    let text = text(value)?;
    let parsed = Some(&text).filter(|text| text.len() == 36);
    let parsed = parsed.and_then(|text| Uuid::try_parse(text).ok());
    parsed
        .filter(is_accepted)
        .ok_or_else(|| "must be a UUID".to_owned())
}

fn is_accepted(id: &Uuid) -> bool {
    let is_rfc = id.get_variant() == uuid::Variant::RFC4122;
    id.is_nil() || (is_rfc && (1..=5).contains(&id.get_version_num()))
}

/// A verification code: 45 characters, read in lower case.
///
/// # Errors
/// For anything else.
pub fn verification_code(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.chars().count() == codes::LENGTH {
        return Ok(text.to_lowercase());
    }
    Err(format!("must have exactly {} characters", codes::LENGTH))
}

/// An object, whatever is in it.
///
/// # Errors
/// For anything else.
pub fn json_object(value: &Value) -> Result<Value, String> {
    if value.is_object() {
        Ok(value.clone())
    } else {
        Err("must be an object".to_owned())
    }
}

/// One of a few texts.
pub fn one_of(choices: &'static [&'static str]) -> impl Fn(&Value) -> Result<&'static str, String> {
    move |value| {
        let text = text(value)?;
        let found = choices.iter().copied().find(|choice| *choice == text);
        found.ok_or_else(|| format!("must be one of: {}", choices.join(", ")))
    }
}

/// The id by which a permission is spoken of: a definable one, or one of the system's own.
///
/// # Errors
/// For anything else.
pub fn permission_id(value: &Value) -> Result<PermissionId, String> {
    let id = text(value)?;
    if permission::is_permission_id(&id) {
        return Ok(PermissionId::new(id));
    }
    Err("must be a permission's id: lower-case letters, digits, _ and :".to_owned())
}

/// The id of a permission that is to be defined.
///
/// # Errors
/// For anything else.
pub fn definable_permission_id(value: &Value) -> Result<PermissionId, String> {
    let id = text(value)?;
    if permission::is_definable(&id) {
        return Ok(PermissionId::new(id));
    }
    Err("must have lower-case letters, digits, _ and : only, and at least one".to_owned())
}

/// Any JSON.
///
/// # Errors
/// Never.
#[allow(clippy::unnecessary_wraps, reason = "it is a parser like the others")]
pub fn json_value(value: &Value) -> Result<Value, String> {
    Ok(value.clone())
}

/// An email address by the rules of sign-up.
///
/// # Errors
/// For anything else.
pub fn strict_email(value: &Value) -> Result<EmailAddress, String> {
    EmailAddress::strict(&text(value)?).ok_or_else(|| "must be an email address".to_owned())
}

/// An email address by the rules of sign-in and of servers.
///
/// # Errors
/// For anything else.
pub fn lenient_email(value: &Value) -> Result<EmailAddress, String> {
    EmailAddress::lenient(&text(value)?).ok_or_else(|| "must be an email address".to_owned())
}

/// An absolute URL without spaces, kept as it was written.
///
/// # Errors
/// For anything else.
pub fn url_text(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let is_url = !text.contains(' ') && url::Url::parse(&text).is_ok();
    if !is_url {
        return Err("must be a URL".to_owned());
    }
    if text.len() > MAX_URL {
        return Err(format!("must have at most {MAX_URL} characters"));
    }
    Ok(text)
}

/// A country's code, in capitals (ISO 3166-1 alpha-2). Whether there is such a country is not asked.
///
/// # Errors
/// For anything else.
pub fn country(value: &Value) -> Result<String, String> {
    country_code(&text(value)?).ok_or_else(|| "must be a country code of two letters".to_owned())
}

/// Bytes in base64 (RFC 4648 §4).
///
/// # Errors
/// For anything else.
pub fn base64(value: &Value) -> Result<Vec<u8>, String> {
    let text = text(value)?;
    data_encoding::BASE64
        .decode(text.as_bytes())
        .map_err(|_| "must be base64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
