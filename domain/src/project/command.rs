//! What can be asked of a project.

use serde_json::{Map, Value};

use super::config::Level;
use super::event::{KeySetIssued, ProjectCreated, ProjectUpdated};
use crate::{KeySetId, Millis, TeamId};

/// A command to a project.
#[derive(Clone, Debug)]
pub enum ProjectCommand {
    /// Found it.
    Create(ProjectCreated),
    /// Change its own fields.
    Update(ProjectUpdated),
    /// Merge settings into the override document of a level.
    Override {
        /// Which level.
        level: Level,
        /// Dotted keys and their values. Keys that have the value already are left out of the log.
        changes: Map<String, Value>,
    },
    /// Issue keys, or replace the set of that id.
    IssueKeys(KeySetIssued),
    /// Change a key set's description.
    DescribeKeys {
        /// Which.
        key_set_id: KeySetId,
        /// What it is for.
        description: String,
    },
    /// Revoke a key set.
    RevokeKeys {
        /// Which.
        key_set_id: KeySetId,
        /// When.
        now: Millis,
    },
    /// Hand it over to another team of the `internal` project.
    Transfer(TeamId),
    /// Delete it.
    Delete,
}
