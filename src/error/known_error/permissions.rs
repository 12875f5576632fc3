//! Permissions and their definitions.

use muniment_domain::permission::Scope;
use muniment_domain::{PermissionId, TeamId, UserId};
use serde_json::json;

use super::KnownError;

impl KnownError {
    /// A member without the permission.
    #[must_use]
    pub fn team_permission_required(team: TeamId, user: UserId, permission: &PermissionId) -> Self {
        Self::unauthorized(
            "TEAM_PERMISSION_REQUIRED",
            format!("User {user} needs the permission {permission} in team {team}."),
        )
        .with(json!({"team_id": team, "user_id": user, "permission_id": permission}))
    }

    /// The member was not granted the permission directly.
    #[must_use]
    pub fn team_permission_not_found(
        team: TeamId,
        user: UserId,
        permission: &PermissionId,
    ) -> Self {
        Self::unauthorized(
            "TEAM_PERMISSION_NOT_FOUND",
            format!(
                "The permission {permission} is not granted to user {user} in team {team} directly."
            ),
        )
        .with(json!({"team_id": team, "user_id": user, "permission_id": permission}))
    }

    /// No permission of that id, or not one that this can be done with.
    #[must_use]
    pub fn permission_not_found(permission: &PermissionId) -> Self {
        Self::not_found(
            "PERMISSION_NOT_FOUND",
            format!("There is no permission {permission} that this could be done with."),
        )
        .with(json!({"permission_id": permission}))
    }

    /// A permission of the other scope.
    #[must_use]
    pub fn wrong_permission_scope(
        permission: &PermissionId,
        expected: Scope,
        actual: Scope,
    ) -> Self {
        let (expected, actual) = (expected.as_str(), actual.as_str());
        Self::not_found(
            "WRONG_PERMISSION_SCOPE",
            format!("{permission} is a {actual} permission; a {expected} permission is needed."),
        )
        .with(json!({
            "permission_id": permission,
            "expected_scope": expected,
            "actual_scope": actual,
        }))
    }

    /// A definition that contains what does not exist in its scope.
    #[must_use]
    pub fn contained_permission_not_found(permission: &PermissionId) -> Self {
        Self::bad_request(
            "CONTAINED_PERMISSION_NOT_FOUND",
            format!("The contained permission {permission} is not defined in the same scope."),
        )
        .with(json!({"permission_id": permission}))
    }

    /// A definition under an id that is taken.
    #[must_use]
    pub fn permission_id_already_exists(permission: &PermissionId) -> Self {
        Self::bad_request(
            "PERMISSION_ID_ALREADY_EXISTS",
            format!("A permission {permission} is defined already. Choose another id."),
        )
        .with(json!({"permission_id": permission}))
    }
}
