//! The macro that declares settings, and the shapes of the plain types that they have.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use super::shape::{RecordKey, Setting, Shape};
use crate::PermissionId;

/// The default of a type, as it stands in a document.
#[must_use]
pub fn default_of<T: Default + Serialize>() -> Value {
    json!(T::default())
}

/// The default of a record: no entries.
#[must_use]
pub fn no_entries() -> Value {
    Value::Object(Map::new())
}

/// Declares types of the configuration together with their [`Shape`]. A line is: the lowest level
/// at which the setting can be written, its name in documents, its name and type in Rust, its
/// default, and, where the type does not say it, its shape. Settings without a default follow
/// after `+ optional`.
macro_rules! settings {
    (@shape $type:ty) => { <$type as $crate::project::schema::Setting>::SHAPE };
    (@shape $type:ty, $shape:expr) => { $shape };
    ($(
        $(#[$meta:meta])*
        $name:ident {$(
            $(#[$field_meta:meta])*
            $level:ident $wire:literal $field:ident: $type:ty = $default:expr $(, $shape:expr)?;
        )*}
        $(+ optional {$(
            $(#[$optional_meta:meta])*
            $optional_level:ident $optional_wire:literal $optional:ident: $optional_type:ty
                $(, $optional_shape:expr)?;
        )*})?
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(rename = $wire)]
                pub $field: $type,
            )*
            $($(
                $(#[$optional_meta])*
                #[serde(rename = $optional_wire, skip_serializing_if = "Option::is_none")]
                pub $optional: Option<$optional_type>,
            )*)?
        }

        #[allow(clippy::derivable_impls, reason = "the defaults stand in the table")]
        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    $($($optional: None,)*)?
                }
            }
        }

        impl $crate::project::schema::Setting for $name {
            const SHAPE: $crate::project::schema::Shape = $crate::project::schema::Shape::Object {
                fields: &[
                    $($crate::project::schema::Field {
                        name: $wire,
                        level: $crate::project::level::Level::$level,
                        shape: &settings!(@shape $type $(, $shape)?),
                    },)*
                    $($($crate::project::schema::Field {
                        name: $optional_wire,
                        level: $crate::project::level::Level::$optional_level,
                        shape: &settings!(@shape $optional_type $(, $optional_shape)?),
                    },)*)?
                ],
                default: $crate::project::schema::default_of::<Self>,
            };
        }
    )*};
}
pub(in crate::project) use settings;

impl Setting for bool {
    const SHAPE: Shape = Shape::Boolean;
}
impl Setting for Number {
    const SHAPE: Shape = Shape::Number;
}
impl Setting for String {
    const SHAPE: Shape = Shape::Text;
}
impl<V: Setting> Setting for BTreeMap<String, V> {
    const SHAPE: Shape = Shape::Record {
        key: RecordKey::Name,
        entry: &V::SHAPE,
        default: no_entries,
    };
}
impl Setting for BTreeMap<PermissionId, bool> {
    const SHAPE: Shape = Shape::Record {
        key: RecordKey::Permission,
        entry: &Shape::Only(true),
        default: no_entries,
    };
}
