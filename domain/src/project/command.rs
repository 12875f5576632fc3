//! The commands to a project.

use serde_json::{Map, Value};

use super::event::{ConfigSource, KeySetIssued, ProjectCreated, ProjectUpdated};
use super::level::Level;
use crate::permission::{Scope, WantedDefinition};
use crate::{KeySetId, Millis, PermissionId, TeamId};

/// A command to a project.
#[derive(Clone, Debug)]
pub enum ProjectCommand {
    /// Create the project. Refused if the id is taken.
    Create(ProjectCreated),
    /// Change the project's own fields.
    Update(ProjectUpdated),
    /// Merge settings into the override document of a level.
    Override {
        /// The level whose document changes.
        level: Level,
        /// Dotted keys and their values. Keys that have their value already are left out of the
        /// log.
        changes: Map<String, Value>,
    },
    /// Replace the override document of a level.
    ReplaceOverrides {
        /// The level whose document is replaced.
        level: Level,
        /// The document from now on.
        document: Map<String, Value>,
        /// Where the document comes from, if that is known for the level.
        source: Option<ConfigSource>,
    },
    /// Take keys out of the override document of a level, with what is below them.
    ResetOverrides {
        /// The level whose document changes.
        level: Level,
        /// Dotted keys. Those that the document does not have are left out of the log.
        keys: Vec<String>,
    },
    /// Forget where the configuration was pushed from.
    UnlinkConfig,
    /// Define a permission. Refused if the id is taken.
    DefinePermission {
        /// The permission's id.
        id: PermissionId,
        /// The definition, with the scope that it applies in.
        wanted: WantedDefinition,
    },
    /// Replace a permission's definition, and possibly its id.
    RedefinePermission {
        /// The permission's id until now.
        id: PermissionId,
        /// The permission's id from now on.
        new_id: PermissionId,
        /// The definition from now on. Its scope is the one in which the id is looked up.
        wanted: WantedDefinition,
    },
    /// Remove a permission's definition.
    RemovePermission {
        /// The permission's id.
        id: PermissionId,
        /// The scope in which the id is looked up.
        scope: Scope,
    },
    /// Issue a set of keys, or replace the set with that id.
    IssueKeys(KeySetIssued),
    /// Change a key set's description.
    DescribeKeys {
        /// The key set to describe.
        key_set_id: KeySetId,
        /// The purpose of the keys, for operators.
        description: String,
    },
    /// Revoke a key set.
    RevokeKeys {
        /// The key set to revoke.
        key_set_id: KeySetId,
        /// When the keys stop working.
        now: Millis,
    },
    /// Take payments through the project's own account at Stripe. A project keeps its first
    /// account.
    ConnectStripe {
        /// The account's id at Stripe: `acct_…`
        account_id: String,
    },
    /// Record that a hosting platform made the project for somebody who is to claim it.
    Provision {
        /// The platform, a client of the integrations.
        client_id: String,
    },
    /// Hand the project over to its first owner, if that platform made it and nobody has claimed it
    /// yet.
    Claim {
        /// The platform that made the project.
        client_id: String,
        /// The owner, a team of the `internal` project.
        owner_team_id: TeamId,
    },
    /// Hand the project over to another team of the `internal` project.
    Transfer(TeamId),
    /// Delete the project, with all its data.
    Delete,
}
