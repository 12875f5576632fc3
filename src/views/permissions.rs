//! Permissions and their definitions.

use muniment_domain::{PermissionId, TeamId, UserId};
use muniment_projections::read_models::permissions::{ProjectGrant, TeamGrant};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::projects::string_order;

/// A permission definition.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct PermissionDefinitionView {
    /// The permission's id. Those of the system's own begin with `$`.
    id: String,
    /// What it is for, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    description: Option<String>,
    /// What it contains directly.
    contained_permission_ids: Vec<String>,
}

impl PermissionDefinitionView {
    /// Shows a definition.
    #[must_use]
    pub fn new<'c>(
        id: &str,
        description: Option<&str>,
        contained: impl Iterator<Item = &'c str>,
    ) -> Self {
        let mut contained: Vec<String> = contained.map(str::to_owned).collect();
        contained.sort_by(|a, b| string_order(a, b));
        Self {
            id: id.to_owned(),
            description: description.map(str::to_owned),
            contained_permission_ids: contained,
        }
    }

    /// The permission's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A permission that a member holds in a team.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct TeamPermission {
    /// The permission's id.
    id: String,
    user_id: Uuid,
    team_id: Uuid,
}

impl TeamPermission {
    /// Shows a grant.
    #[must_use]
    pub fn new(team: TeamId, user: UserId, permission: &PermissionId) -> Self {
        Self {
            id: permission.to_string(),
            user_id: user.0,
            team_id: team.0,
        }
    }
}

impl From<TeamGrant> for TeamPermission {
    fn from(grant: TeamGrant) -> Self {
        Self {
            id: grant.permission_id,
            user_id: grant.user_id,
            team_id: grant.team_id,
        }
    }
}

/// A permission that a user holds in the whole project.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ProjectPermission {
    /// The permission's id.
    id: String,
    user_id: Uuid,
}

impl ProjectPermission {
    /// Shows a grant.
    #[must_use]
    pub fn new(user: UserId, permission: &PermissionId) -> Self {
        Self {
            id: permission.to_string(),
            user_id: user.0,
        }
    }
}

impl From<ProjectGrant> for ProjectPermission {
    fn from(grant: ProjectGrant) -> Self {
        Self {
            id: grant.permission_id,
            user_id: grant.user_id,
        }
    }
}
