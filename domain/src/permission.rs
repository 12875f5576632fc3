//! Permissions: their definitions, their containment in each other, and the system's own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{PermissionId, TeamId, UserId};

/// The permission that lets a member speak for a team. Projects define it from the start.
pub const TEAM_ADMIN: &str = "team_admin";

/// The permission to change the team's fields.
pub const UPDATE_TEAM: &str = "$update_team";
/// The permission to delete the team.
pub const DELETE_TEAM: &str = "$delete_team";
/// The permission to list the members.
pub const READ_MEMBERS: &str = "$read_members";
/// The permission to remove members and invitations.
pub const REMOVE_MEMBERS: &str = "$remove_members";
/// The permission to invite new members.
pub const INVITE_MEMBERS: &str = "$invite_members";
/// The permission to manage the team's API keys.
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

/// Why somebody may not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PermissionDenied {
    /// They are not in the team.
    #[error("the user {user} is not a member of the team {team}")]
    NotMember {
        /// The team.
        team: TeamId,
        /// Who is not in it.
        user: UserId,
    },
    /// They are in the team, without the permission.
    #[error("the user {user} does not have the permission {permission:?} in the team {team}")]
    Lacking {
        /// The team.
        team: TeamId,
        /// The member.
        user: UserId,
        /// What the member lacks.
        permission: PermissionId,
    },
    /// They are not in the team that owns the project.
    #[error("the user is not an owner of the project")]
    NotOwner,
}

/// Where a permission applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The permission applies within one team.
    Team,
    /// The permission applies in the whole project.
    Project,
}

impl Scope {
    /// The scope's name on the wire and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Project => "project",
        }
    }
}

/// A permission definition of a project, as its configuration holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Definition {
    /// The purpose of the permission, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The scope that the permission applies in; a definition without a scope is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The permissions that it contains directly; entries that are `false` do not count.
    pub contained_permission_ids: BTreeMap<PermissionId, bool>,
}

impl Definition {
    /// The permissions that it contains directly.
    pub fn contained(&self) -> impl Iterator<Item = &PermissionId> {
        let contained = self.contained_permission_ids.iter();
        contained.filter(|(_, granted)| **granted).map(|(id, _)| id)
    }

    fn contains(&self, id: &PermissionId) -> bool {
        self.contained_permission_ids.get(id) == Some(&true)
    }
}

/// A definition that somebody wants a permission to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedDefinition {
    /// The scope that the permission applies in.
    pub scope: Scope,
    /// The purpose of the permission, for operators.
    pub description: Option<String>,
    /// The permissions that it contains directly, in the order in which they are checked.
    pub contained: Vec<PermissionId>,
}

impl WantedDefinition {
    fn definition(&self) -> Definition {
        let contained = self.contained.iter().map(|id| (id.clone(), true));
        Definition {
            description: self.description.clone(),
            scope: Some(self.scope),
            contained_permission_ids: contained.collect(),
        }
    }

    fn check_contained(&self, definitions: &Definitions) -> Result<(), DefinitionError> {
        let mut contained = self.contained.iter();
        match contained.find(|id| scope_of(definitions, id) != Some(self.scope)) {
            Some(missing) => Err(DefinitionError::ContainedNotFound(missing.clone())),
            None => Ok(()),
        }
    }
}

/// The definitions of a project, by the permissions' ids.
pub type Definitions = BTreeMap<PermissionId, Definition>;

/// The scope of `id`, or `None` if it is not defined.
#[must_use]
pub fn scope_of(definitions: &Definitions, id: &PermissionId) -> Option<Scope> {
    if is_system(id) {
        return Some(Scope::Team);
    }
    definitions.get(id)?.scope
}

/// The closure of each defined permission: itself, and whatever it contains, directly or not.
///
/// Only permissions that are defined, and of the same scope, count. Loops, which a definition is
/// refused for but the project's settings may hold, are harmless: every id is visited once.
#[must_use]
pub fn closure(definitions: &Definitions) -> BTreeMap<PermissionId, BTreeSet<PermissionId>> {
    let custom = definitions.keys().cloned();
    let all = SYSTEM.iter().map(|id| PermissionId::new(*id)).chain(custom);
    all.filter(|id| scope_of(definitions, id).is_some())
        .map(|id| {
            let contained = reachable(definitions, &id);
            (id, contained)
        })
        .collect()
}

/// `from`, and everything of its scope that it contains, directly or not.
fn reachable(definitions: &Definitions, from: &PermissionId) -> BTreeSet<PermissionId> {
    let scope = scope_of(definitions, from);
    let mut found = BTreeSet::from([from.clone()]);
    let mut queue = vec![from];
    while let Some(outer) = queue.pop() {
        let definition = definitions.get(outer);
        for inner in definition.into_iter().flat_map(Definition::contained) {
            if scope_of(definitions, inner) == scope && found.insert(inner.clone()) {
                queue.push(inner);
            }
        }
    }
    found
}

/// Definitions that are new or replaced, or removed (`None`), by the permissions' ids.
pub type DefinitionChanges = BTreeMap<PermissionId, Option<Definition>>;

/// Why a definition was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The scope has no such definition that could be changed. System permissions never can.
    #[error("the project defines no permission {0} that could be changed")]
    NotFound(PermissionId),
    /// The id is defined already, in either scope.
    #[error("a permission with the id {0} is defined already")]
    Taken(PermissionId),
    /// A contained permission is not defined in the same scope.
    #[error("the contained permission {0} is not defined in the same scope")]
    ContainedNotFound(PermissionId),
    /// The permission would contain itself, directly or through others.
    #[error(
        "a permission cannot contain itself, directly or through others; take {0} out of the contained permissions"
    )]
    Cycle(PermissionId),
}

/// Decides on a new definition.
///
/// # Errors
/// `Taken`, `ContainedNotFound`, `Cycle`.
pub fn define(
    definitions: &Definitions,
    id: &PermissionId,
    wanted: &WantedDefinition,
) -> Result<DefinitionChanges, DefinitionError> {
    require_free(definitions, id)?;
    wanted.check_contained(definitions)?;
    let changes = DefinitionChanges::from([(id.clone(), Some(wanted.definition()))]);
    refuse_cycle(definitions, &changes, id)?;
    Ok(changes)
}

/// Decides on replacing a definition, under the same id or another one. Under another one, what
/// contained the old id contains the new one.
///
/// # Errors
/// `NotFound`, `Taken`, `ContainedNotFound`, `Cycle`.
pub fn redefine(
    definitions: &Definitions,
    id: &PermissionId,
    new_id: &PermissionId,
    wanted: &WantedDefinition,
) -> Result<DefinitionChanges, DefinitionError> {
    require_defined(definitions, id, wanted.scope)?;
    if new_id != id {
        require_free(definitions, new_id)?;
    }
    wanted.check_contained(definitions)?;
    if wanted.contained.contains(id) {
        return Err(DefinitionError::Cycle(id.clone()));
    }
    let mut changes = DefinitionChanges::new();
    if new_id != id {
        changes = without_mention(definitions, id, Some(new_id));
        changes.insert(id.clone(), None);
    }
    changes.insert(new_id.clone(), Some(wanted.definition()));
    refuse_cycle(definitions, &changes, new_id)?;
    Ok(changes)
}

/// Decides on removing a definition, also from what contains it.
///
/// # Errors
/// `NotFound`.
pub fn remove(
    definitions: &Definitions,
    id: &PermissionId,
    scope: Scope,
) -> Result<DefinitionChanges, DefinitionError> {
    require_defined(definitions, id, scope)?;
    let mut changes = without_mention(definitions, id, None);
    changes.insert(id.clone(), None);
    Ok(changes)
}

fn require_free(definitions: &Definitions, id: &PermissionId) -> Result<(), DefinitionError> {
    match scope_of(definitions, id) {
        Some(_) => Err(DefinitionError::Taken(id.clone())),
        None => Ok(()),
    }
}

fn require_defined(
    definitions: &Definitions,
    id: &PermissionId,
    scope: Scope,
) -> Result<(), DefinitionError> {
    let found = definitions.get(id).and_then(|definition| definition.scope);
    if found == Some(scope) && !is_system(id) {
        return Ok(());
    }
    Err(DefinitionError::NotFound(id.clone()))
}

/// The other definitions that contain `id`, containing `instead` or nothing in its place.
fn without_mention(
    definitions: &Definitions,
    id: &PermissionId,
    instead: Option<&PermissionId>,
) -> DefinitionChanges {
    let mentioning = definitions
        .iter()
        .filter(|(outer, definition)| *outer != id && definition.contains(id));
    mentioning
        .map(|(outer, definition)| {
            let mut changed = definition.clone();
            changed.contained_permission_ids.remove(id);
            let instead = instead.map(|instead| (instead.clone(), true));
            changed.contained_permission_ids.extend(instead);
            (outer.clone(), Some(changed))
        })
        .collect()
}

fn refuse_cycle(
    definitions: &Definitions,
    changes: &DefinitionChanges,
    id: &PermissionId,
) -> Result<(), DefinitionError> {
    let mut after = definitions.clone();
    for (changed, definition) in changes {
        match definition {
            Some(definition) => after.insert(changed.clone(), definition.clone()),
            None => after.remove(changed),
        };
    }
    let contained = after.get(id).into_iter().flat_map(Definition::contained);
    for inner in contained {
        if reachable(&after, inner).contains(id) {
            return Err(DefinitionError::Cycle(inner.clone()));
        }
    }
    Ok(())
}

/// Whether the id is one of the system's own.
#[must_use]
pub fn is_system(id: &PermissionId) -> bool {
    SYSTEM.contains(&id.as_str())
}

/// Whether a text may be the id of a definition: `^[a-z0-9_:]+$`.
#[must_use]
pub fn is_definable(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    !id.is_empty() && id.chars().all(plain)
}

/// Whether a text may stand for a permission: a definable id, or one of the system's own.
#[must_use]
pub fn is_permission_id(id: &str) -> bool {
    is_definable(id) || SYSTEM.contains(&id)
}

/// How a permission came to be granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantCause {
    /// The permission is one of the project's defaults.
    #[default]
    Default,
    /// Somebody granted it. This is recorded even if the permission was held already, because
    /// webhooks follow it.
    Granted,
}

/// How a permission came to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeCause {
    /// Somebody revoked the permission.
    Revoked,
    /// The permission's definition was removed.
    DefinitionRemoved,
}

/// The effect of a changed definition on all direct grants of a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantChange {
    /// The definition was renamed: grants are grants of this permission from now on.
    Renamed(PermissionId),
    /// The definition was removed: grants end.
    Dropped,
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

    fn id(id: &str) -> PermissionId {
        PermissionId::new(id)
    }

    fn wanted(contained: &[&str]) -> WantedDefinition {
        WantedDefinition {
            scope: Scope::Team,
            description: None,
            contained: contained.iter().map(|name| id(name)).collect(),
        }
    }

    #[test]
    fn containment_is_transitive_and_loops_end() {
        let definitions = Definitions::from([
            (id("a"), containing(&["b"])),
            (id("b"), containing(&[UPDATE_TEAM, "a", "gone"])),
            (id("c"), containing(&[])),
        ]);
        let closure = closure(&definitions);
        let found: Vec<_> = closure[&id("a")].iter().map(PermissionId::as_str).collect();
        assert_eq!(found, [UPDATE_TEAM, "a", "b"]);
        assert_eq!(closure[&id("a")], closure[&id("b")].clone());
        assert_eq!(closure[&id("c")].len(), 1);
        assert_eq!(closure[&id(UPDATE_TEAM)].len(), 1);
        assert_eq!(closure.len(), 3 + SYSTEM.len());
    }

    #[test]
    fn what_is_not_of_the_same_scope_is_not_contained() {
        let other = Definition {
            scope: Some(Scope::Project),
            ..Definition::default()
        };
        let definitions = Definitions::from([(id("a"), containing(&["p"])), (id("p"), other)]);
        assert_eq!(closure(&definitions)[&id("a")].len(), 1);
        let refused = define(&definitions, &id("b"), &wanted(&["p"]));
        assert_eq!(refused, Err(DefinitionError::ContainedNotFound(id("p"))));
    }

    #[test]
    fn a_permission_cannot_come_to_contain_itself() {
        let definitions = Definitions::from([
            (id("a"), containing(&["b"])),
            (id("b"), containing(&["gone"])),
        ]);
        for (contained, through) in [("a", "a"), ("b", "b")] {
            let refused = redefine(&definitions, &id("b"), &id("b"), &wanted(&[contained]));
            assert_eq!(refused, Err(DefinitionError::Cycle(id(through))));
        }
        // A dangling mention would close the loop as soon as it is defined.
        let refused = define(&definitions, &id("gone"), &wanted(&["a"]));
        assert_eq!(refused, Err(DefinitionError::Cycle(id("a"))));
        let renamed = redefine(&definitions, &id("b"), &id("new"), &wanted(&["b"]));
        assert_eq!(renamed, Err(DefinitionError::Cycle(id("b"))));
    }

    #[test]
    fn renaming_and_removing_reach_what_contains_the_permission() {
        let definitions = Definitions::from([
            (id("a"), containing(&["b", UPDATE_TEAM])),
            (id("b"), containing(&[])),
        ]);
        let renamed = redefine(&definitions, &id("b"), &id("c"), &wanted(&[])).unwrap();
        assert_eq!(renamed[&id("a")], Some(containing(&["c", UPDATE_TEAM])));
        assert_eq!(renamed[&id("b")], None);
        let removed = remove(&definitions, &id("b"), Scope::Team).unwrap();
        assert_eq!(removed[&id("a")], Some(containing(&[UPDATE_TEAM])));
        let refused = remove(&definitions, &id("b"), Scope::Project);
        assert_eq!(refused, Err(DefinitionError::NotFound(id("b"))));
        let system = remove(&definitions, &id(UPDATE_TEAM), Scope::Team);
        assert_eq!(system, Err(DefinitionError::NotFound(id(UPDATE_TEAM))));
    }
}
