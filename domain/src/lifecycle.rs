//! Where an aggregate is between not existing yet and being deleted.

use serde::{Deserialize, Serialize};

/// Whether an aggregate exists yet, exists now, or existed once.
///
/// Snapshots hold this under the names that were stored first, so those must stay readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lifecycle {
    /// Nothing has happened on the stream yet.
    #[default]
    #[serde(rename = "Unborn")]
    Absent,
    /// The aggregate exists.
    #[serde(rename = "Alive")]
    Active,
    /// The aggregate was deleted. Its id is never used again.
    Deleted,
}
