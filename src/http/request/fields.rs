//! The fields of an object that is being read. What is wrong with them is collected, not told at the
//! first.

use std::collections::BTreeSet;

use muniment_domain::{Patch, UserId};
use serde_json::{Map, Value};

use super::declare::{Audience, Openness};
use super::presence::Presence;
use super::shape::Place;
use super::values::uuid;

/// A field's value, or nothing if it violates something, which was noted then.
pub(crate) type Checked<T> = Option<T>;

/// Something that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Where: `body.items[0].id`
    pub path: String,
    /// What: `is required`
    pub problem: String,
}

/// What is wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(super) current_user: Option<UserId>,
    /// Whether the caller is a client. Nobody in particular may send everything.
    pub(super) is_client: bool,
    pub(super) violations: Vec<Violation>,
    pub(super) own_user_missing: bool,
}

impl Findings {
    /// Notes something that is wrong with what stands at `path`: `body.items[0].id`.
    pub(crate) fn note(&mut self, path: &str, problem: &str) {
        self.violations.push(Violation {
            path: path.to_owned(),
            problem: problem.to_owned(),
        });
    }
}

/// The fields of an object that is being read. Ends with [`Fields::close`].
pub(crate) struct Fields<'f> {
    path: String,
    object: Map<String, Value>,
    read: BTreeSet<String>,
    openness: Openness,
    findings: &'f mut Findings,
}

impl Drop for Fields<'_> {
    /// Whatever was not read is unknown.
    fn drop(&mut self) {
        if self.openness == Openness::Open {
            return;
        }
        let unknown = self.object.keys().filter(|key| !self.read.contains(*key));
        for key in unknown {
            self.findings
                .note(&format!("{}.{key}", self.path), "is not a known field");
        }
    }
}

impl<'f> Fields<'f> {
    pub(super) fn new(path: &str, object: &Map<String, Value>, findings: &'f mut Findings) -> Self {
        note_nul(path, object, findings);
        Self::within(path.to_owned(), object.clone(), findings)
    }

    pub(super) fn within(
        path: String,
        object: Map<String, Value>,
        findings: &'f mut Findings,
    ) -> Self {
        Self {
            path,
            object,
            read: BTreeSet::new(),
            openness: Openness::Closed,
            findings,
        }
    }

    /// The same, passing over what is not read or not.
    pub(super) fn with_openness(mut self, openness: Openness) -> Self {
        self.openness = openness;
        self
    }

    /// A declared field. One that the caller may not know of is not read, which makes it unknown.
    pub(crate) fn field<P: Presence>(
        &mut self,
        name: &str,
        audience: Audience,
        presence: &P,
    ) -> Checked<P::Value> {
        if audience == Audience::Servers && self.findings.is_client {
            return presence.absent();
        }
        let value = self.take(name);
        let path = format!("{}.{name}", self.path);
        presence.read(value.as_ref(), &mut Place::new(path, self.findings))
    }

    /// Ends the reading of this object.
    pub(crate) fn close(self) {
        drop(self);
    }

    /// Ends the reading of this object, whatever else is in it: it may be for newer servers.
    pub(crate) fn close_leniently(mut self) {
        self.openness = Openness::Open;
    }

    /// Declares a field known without reading it.
    pub(crate) fn ignore(&mut self, name: &str) {
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
    pub(crate) fn required<T>(&mut self, name: &str, parser: impl Parser<T>) -> Checked<T> {
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
    pub(crate) fn optional<T>(&mut self, name: &str, parser: impl Parser<T>) -> Checked<Option<T>> {
        match self.take(name) {
            None => Some(None),
            Some(Value::Null) => self.null(name),
            Some(value) => self.parse(name, &value, parser).map(Some),
        }
    }

    /// A field that may be missing and then has a value of its own.
    pub(crate) fn or_default<T>(
        &mut self,
        name: &str,
        parser: impl Parser<T>,
        default: T,
    ) -> Checked<T> {
        Some(self.optional(name, parser)?.unwrap_or(default))
    }

    /// A field that may be missing, null or a value.
    pub(crate) fn nullable<T>(&mut self, name: &str, parser: impl Parser<T>) -> Checked<Patch<T>> {
        match self.take(name) {
            None => Some(Patch::Keep),
            Some(Value::Null) => Some(Patch::Clear),
            Some(value) => self.parse(name, &value, parser).map(Patch::Set),
        }
    }

    /// A field that must be there, but may be null.
    pub(crate) fn required_nullable<T>(
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
    pub(crate) fn required_object<T>(
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
    pub(crate) fn optional_object<T>(
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
    pub(crate) fn required_list<T>(
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
    pub(crate) fn optional_list<T>(
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
    pub(crate) fn required_values<T>(
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
    pub(crate) fn optional_values<T>(
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
    pub(crate) fn required_user_id_or_me(&mut self, name: &str) -> Option<UserId> {
        match self.optional_user_id_or_me(name)? {
            Some(id) => Some(id),
            None => self.missing(name),
        }
    }

    /// A user's id, `me` for the signed-in user's, or nothing.
    pub(crate) fn optional_user_id_or_me(&mut self, name: &str) -> Checked<Option<UserId>> {
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
pub(crate) trait Parser<T>: FnOnce(&Value) -> Result<T, String> {}
impl<T, F: FnOnce(&Value) -> Result<T, String>> Parser<T> for F {}
