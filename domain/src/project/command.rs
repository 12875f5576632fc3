//! What can be asked of a project.

use serde_json::{Map, Value};

use super::event::{ConfigSource, KeySetIssued, ProjectCreated, ProjectUpdated};
use super::level::Level;
use crate::permission::{Scope, WantedDefinition};
use crate::{KeySetId, Millis, PermissionId, TeamId};

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
    /// Put another override document in the place of the one of a level.
    ReplaceOverrides {
        /// Which level.
        level: Level,
        /// The document.
        document: Map<String, Value>,
        /// Where it comes from, if that is kept for the level.
        source: Option<ConfigSource>,
    },
    /// Take keys out of the override document of a level, with what is below them.
    ResetOverrides {
        /// Which level.
        level: Level,
        /// Dotted keys. Those that are not there are left out of the log.
        keys: Vec<String>,
    },
    /// Forget where the configuration was pushed from.
    UnlinkConfig,
    /// Define a permission.
    DefinePermission {
        /// Its id.
        id: PermissionId,
        /// Its definition.
        wanted: WantedDefinition,
    },
    /// Replace a permission's definition, and possibly its id.
    RedefinePermission {
        /// Its id so far.
        id: PermissionId,
        /// Its id from now on.
        new_id: PermissionId,
        /// Its definition from now on. The scope says in which scope the id is looked up.
        wanted: WantedDefinition,
    },
    /// Remove a permission's definition.
    RemovePermission {
        /// Its id.
        id: PermissionId,
        /// Its scope.
        scope: Scope,
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
    /// Take payments through an account of its own at Stripe. It keeps the first one.
    ConnectStripe {
        /// `acct_…`
        account_id: String,
    },
    /// Note that a hosting platform made it for somebody who is to claim it.
    Provision {
        /// The platform: a client of the integrations.
        client_id: String,
    },
    /// Hand it over to its first owner, if that platform made it and nobody has claimed it yet.
    Claim {
        /// The platform.
        client_id: String,
        /// The owner, a team of the `internal` project.
        owner_team_id: TeamId,
    },
    /// Hand it over to another team of the `internal` project.
    Transfer(TeamId),
    /// Delete it.
    Delete,
}
