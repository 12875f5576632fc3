//! The personal part of events, which an erasure makes unreadable.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The part of an event that says something about a person.
///
/// Events hold it in a field named `personal`; the event log encrypts that field under the key of
/// the event's subject before it is written. Once the subject was erased and the key destroyed,
/// the log reads the field as `null`, which is [`Personal::Erased`] here: the event stays, the
/// person is gone from it.
///
/// The subject is the aggregate itself, unless the event names another in a field `subject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Personal<T> {
    /// The data, readable as long as the subject's key exists.
    Known(T),
    /// The subject was erased, and the data with it.
    Erased,
}

impl<T> Personal<T> {
    /// The data, or the default in its place after an erasure.
    pub fn or_erased(self) -> T
    where
        T: Default,
    {
        match self {
            Self::Known(value) => value,
            Self::Erased => T::default(),
        }
    }

    /// The data, if it can still be read.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Erased => None,
        }
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => serializer.serialize_some(value),
            Self::Erased => serializer.serialize_none(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Erased, Self::Known))
    }
}
