//! The shapes themselves, and how a path leads from one to another.

use serde_json::Value;
use uuid::Uuid;

use crate::project::level::Level;

/// A type that settings have.
pub trait Setting {
    /// The form of its values in a document.
    const SHAPE: Shape;
}

/// The form of the values at a path of the configuration.
#[derive(Debug)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// Exactly this boolean.
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
    /// A number and a unit: `[3, "day"]`.
    Interval,
    /// One of several shapes.
    Either(&'static [Shape]),
    /// An object with known fields.
    Object {
        /// The fields that the object may have.
        fields: &'static [Field],
        /// The value of an object that no document mentions.
        default: fn() -> Value,
    },
    /// Entries of one shape under ids that operators choose.
    Record {
        /// The ids that a dotted key may name.
        key: RecordKey,
        /// The shape of the entries.
        entry: &'static Shape,
        /// The entries of a record that no document mentions.
        default: fn() -> Value,
    },
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    /// The field's name in documents.
    pub name: &'static str,
    /// The lowest level at which the field can be written.
    pub level: Level,
    /// The shape of the field's value.
    pub shape: &'static Shape,
}

/// The ids that the entries of a record may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKey {
    /// Names of up to 63 letters, digits, `_` and `-`.
    Name,
    /// The ids of permissions that a project can define.
    CustomPermission,
    /// The ids of permissions, the system's own among them.
    Permission,
    /// UUIDs.
    Uuid,
}

/// The length of the longest [`RecordKey::Name`].
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
    /// Whether the field can be written at `level`. Settings of the whole project are written at
    /// its own level only, and no others there.
    pub(in crate::project) fn is_open_at(&self, level: Level) -> bool {
        match self.level {
            Level::Project => level == Level::Project,
            lowest => level >= lowest,
        }
    }
}

impl Shape {
    /// The shape one segment of a path further down.
    pub(super) fn step(&self, segment: &str) -> Option<&'static Shape> {
        self.step_if(segment, &|_| true, &|_| true)
    }

    /// The shape one segment further down, if a dotted key at that level may reach it.
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

    /// The value of an object or record that no document mentions. The defaults of plain values are
    /// known to their owner.
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
