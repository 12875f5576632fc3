//! The shapes of settings: what an override document may hold, and at which level.
//!
//! A type of the configuration says by [`Setting`] what it looks like in a document; the macro
//! `settings!` derives that from the same lines that declare the type. From the resulting [`Shape`]
//! follow the checks of [`super::validation`], the defaults, the rendering, and the JSON Schema.

mod json_schema;
mod lay_over;
mod settings;
mod shape;

pub(super) use lay_over::lay_over;
pub(super) use settings::settings;
pub use settings::{default_of, no_entries};
pub use shape::{Field, RecordKey, Setting, Shape};
pub(super) use shape::{INTERVAL_UNITS, is_uuid};
