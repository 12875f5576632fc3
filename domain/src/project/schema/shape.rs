//! What stands at a path of the configuration, and how to walk down it.

use serde_json::Value;
use uuid::Uuid;

use crate::project::level::Level;

/// A type of the configuration.
pub trait Setting {
    /// What it looks like in a document.
    const SHAPE: Shape;
}

/// What stands at a path of the configuration.
#[derive(Debug)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// Exactly this.
    Only(bool),
    /// A number.
    Number,
    /// A string.
    Text,
    /// A UUID, as a string.
    Uuid,
    /// One of a few strings.
    OneOf(&'static [&'static str]),
    /// The condition of a sign-up rule.
    Condition,
    /// `[3, "day"]`
    Interval,
    /// One of several shapes.
    Either(&'static [Shape]),
    /// Known fields.
    Object {
        /// Which.
        fields: &'static [Field],
        /// What is there if nothing is said.
        default: fn() -> Value,
    },
    /// Entries of one shape under ids that operators choose.
    Record {
        /// The ids that a dotted key may name.
        key: RecordKey,
        /// The entries.
        entry: &'static Shape,
        /// What is there if nothing is said.
        default: fn() -> Value,
    },
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    /// Its name in documents.
    pub name: &'static str,
    /// The lowest level at which it can be written.
    pub level: Level,
    /// What stands there.
    pub shape: &'static Shape,
}

/// Which ids the entries of a record may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKey {
    /// Up to 63 letters, digits, `_` and `-`.
    Name,
    /// A permission that a project defines.
    CustomPermission,
    /// A permission, or anything named like one.
    Permission,
    /// A UUID.
    Uuid,
}

/// The longest id of a record's entry.
const MAX_ID: usize = 63;
/// The units of an interval.
pub(in crate::project) const INTERVAL_UNITS: [&str; 4] = ["day", "week", "month", "year"];

impl RecordKey {
    pub(in crate::project) fn accepts(self, id: &str) -> bool {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
        let permission = |id: &str| !id.is_empty() && id.chars().all(plain);
        match self {
            Self::Name => id.len() <= MAX_ID && !id.contains([':', '$']),
            Self::CustomPermission => permission(id),
            Self::Permission => permission(id.strip_prefix('$').unwrap_or(id)),
            Self::Uuid => is_uuid(id),
        }
    }
}

impl Field {
    /// Settings of the whole project are written at its own level only, and no others there.
    pub(in crate::project) fn is_open_at(&self, level: Level) -> bool {
        match self.level {
            Level::Project => level == Level::Project,
            lowest => level >= lowest,
        }
    }
}

impl Shape {
    /// What lies one segment of a path below.
    pub(super) fn step(&self, segment: &str) -> Option<&'static Shape> {
        self.step_if(segment, &|_| true, &|_| true)
    }

    /// The same, as far as a dotted key at that level reaches.
    pub(in crate::project) fn step_at(
        &self,
        level: Level,
        segment: &str,
    ) -> Option<&'static Shape> {
        let key = |key: RecordKey| key.accepts(segment);
        self.step_if(segment, &|field| field.is_open_at(level), &key)
    }

    pub(in crate::project) fn step_if(
        &self,
        segment: &str,
        open: &impl Fn(&Field) -> bool,
        accepts: &impl Fn(RecordKey) -> bool,
    ) -> Option<&'static Shape> {
        match self {
            Self::Object { fields, .. } => {
                let mut fields = fields.iter();
                let field = fields.find(|field| field.name == segment && open(field))?;
                Some(field.shape)
            }
            Self::Record { key, entry, .. } if accepts(*key) => Some(entry),
            Self::Either(shapes) => shapes
                .iter()
                .find_map(|shape| shape.step_if(segment, open, accepts)),
            _ => None,
        }
    }

    /// What is there if nothing is said; for a plain value its owner knows.
    pub(super) fn default_value(&self) -> Option<Value> {
        match self {
            Self::Object { default, .. } | Self::Record { default, .. } => Some(default()),
            _ => None,
        }
    }

    pub(in crate::project) fn is_plain(&self) -> bool {
        !matches!(self, Self::Object { .. } | Self::Record { .. })
    }
}

pub(in crate::project) fn is_uuid(text: &str) -> bool {
    const HYPHENATED: usize = 36;
    text.len() == HYPHENATED && Uuid::try_parse(text).is_ok()
}
