//! The levels at which settings are written.

use serde::{Deserialize, Serialize};

/// A level of configuration; later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Project-wide switches.
    Project,
    /// Configuration kept as code.
    Branch,
    /// What the dashboard edits, and secrets.
    Environment,
}

impl Level {
    /// The level's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Branch => "branch",
            Self::Environment => "environment",
        }
    }
}
