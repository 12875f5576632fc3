//! Permissions: definitions, what contains what, and the system's own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::PermissionId;

/// Change the team's fields.
pub const UPDATE_TEAM: &str = "$update_team";
/// Dissolve the team.
pub const DELETE_TEAM: &str = "$delete_team";
/// List the members.
pub const READ_MEMBERS: &str = "$read_members";
/// Remove members and invitations.
pub const REMOVE_MEMBERS: &str = "$remove_members";
/// Invite new members.
pub const INVITE_MEMBERS: &str = "$invite_members";
/// Manage the team's API keys.
pub const MANAGE_API_KEYS: &str = "$manage_api_keys";

/// The system permissions, all of team scope: always defined, never changed, containing nothing.
pub const SYSTEM: [&str; 6] = [
    DELETE_TEAM,
    INVITE_MEMBERS,
    MANAGE_API_KEYS,
    READ_MEMBERS,
    REMOVE_MEMBERS,
    UPDATE_TEAM,
];

/// Where a permission applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Within one team.
    Team,
    /// In the whole project.
    Project,
}

/// A permission definition of a project, as its configuration holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Definition {
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it applies; a definition without a scope is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// What it contains directly.
    pub contained_permission_ids: BTreeMap<PermissionId, bool>,
}

/// The definitions of a project.
pub type Definitions = BTreeMap<PermissionId, Definition>;

/// The scope of `id`, or `None` if it is not defined.
#[must_use]
pub fn scope_of(definitions: &Definitions, id: &PermissionId) -> Option<Scope> {
    if SYSTEM.contains(&id.as_str()) {
        return Some(Scope::Team);
    }
    definitions.get(id)?.scope
}

/// Everything that grants `wanted`: itself and whatever contains it, directly or not.
///
/// Loops in the definitions are harmless: every id is visited once.
#[must_use]
pub fn grantors(definitions: &Definitions, wanted: &PermissionId) -> BTreeSet<PermissionId> {
    let mut found = BTreeSet::from([wanted.clone()]);
    let mut queue = vec![wanted.clone()];
    while let Some(inner) = queue.pop() {
        for (outer, definition) in definitions {
            let contains = definition.contained_permission_ids.get(&inner) == Some(&true);
            if contains && found.insert(outer.clone()) {
                queue.push(outer.clone());
            }
        }
    }
    found.retain(|id| scope_of(definitions, id).is_some());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn containing(ids: &[&str]) -> Definition {
        let contained = ids
            .iter()
            .map(|id| (PermissionId::new(*id), true))
            .collect();
        Definition {
            scope: Some(Scope::Team),
            contained_permission_ids: contained,
            ..Definition::default()
        }
    }

    #[test]
    fn containment_is_transitive_and_loops_end() {
        let definitions = Definitions::from([
            (PermissionId::new("a"), containing(&["b"])),
            (PermissionId::new("b"), containing(&[UPDATE_TEAM, "a"])),
            (PermissionId::new("c"), containing(&[])),
        ]);
        let found = grantors(&definitions, &PermissionId::new(UPDATE_TEAM));
        let found: Vec<_> = found.iter().map(PermissionId::as_str).collect();
        assert_eq!(found, [UPDATE_TEAM, "a", "b"]);
    }

    #[test]
    fn an_undefined_permission_is_granted_by_nothing() {
        assert!(grantors(&Definitions::new(), &PermissionId::new("gone")).is_empty());
    }
}
