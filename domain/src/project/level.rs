//! The levels at which settings are written.

use serde::{Deserialize, Serialize};

/// A level at which settings are written. Later levels win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Switches of the whole project.
    Project,
    /// The configuration that is kept as code.
    Branch,
    /// The settings that the dashboard edits, and secrets.
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
