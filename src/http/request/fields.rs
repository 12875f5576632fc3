//! The fields of an object that is being read. What is wrong with them is collected, not told at the
//! first.

use std::collections::BTreeSet;

use muniment_domain::UserId;
use serde_json::{Map, Value};

use super::declare::{Audience, Openness};
use super::presence::Presence;
use super::shape::Place;

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

    fn take(&mut self, name: &str) -> Option<Value> {
        self.read.insert(name.to_owned());
        self.object.get(name).cloned()
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
