//! The permissions that users get when they sign up, create a team or join one.

use super::config::ProjectConfig;
use crate::permission::{self, Scope};
use crate::{PermissionId, string_order};

/// A list of default permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultsOf {
    /// The permissions that a new user gets in the project.
    SignUp,
    /// The permissions that the creator of a team gets in it.
    TeamCreator,
    /// The permissions that a new member of a team gets in it.
    TeamMember,
}

impl ProjectConfig {
    /// The default permissions of a list that are defined in its scope, in the order in which the
    /// API lists them.
    #[must_use]
    pub fn existing_defaults(&self, list: DefaultsOf) -> Vec<PermissionId> {
        let defaults = &self.rbac.default_permissions;
        let (list, scope) = match list {
            DefaultsOf::SignUp => (&defaults.sign_up, Scope::Project),
            DefaultsOf::TeamCreator => (&defaults.team_creator, Scope::Team),
            DefaultsOf::TeamMember => (&defaults.team_member, Scope::Team),
        };
        let definitions = &self.rbac.permissions;
        let exists = |id: &PermissionId| permission::scope_of(definitions, id) == Some(scope);
        let chosen = list.iter().filter(|(id, granted)| **granted && exists(id));
        let mut chosen: Vec<PermissionId> = chosen.map(|(id, _)| id.clone()).collect();
        chosen.sort_by(|a, b| string_order(a.as_str(), b.as_str()));
        chosen
    }
}
