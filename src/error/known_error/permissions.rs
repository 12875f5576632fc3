//! Permissions and their definitions.

use muniment_domain::permission::{PermissionDenied, Scope};
use muniment_domain::{PermissionId, TeamId, UserId};
use uuid::Uuid;

use super::code::{Code, KnownError, codes};

codes! {
    /// A member without the permission.
    TeamPermissionRequired: UNAUTHORIZED "TEAM_PERMISSION_REQUIRED" {
        /// The team.
        team_id: Uuid,
        /// The user.
        user_id: Uuid,
        /// The permission that is missing.
        permission_id: String,
    };

    /// The member was not granted the permission directly.
    TeamPermissionNotFound: UNAUTHORIZED "TEAM_PERMISSION_NOT_FOUND" {
        /// The team.
        team_id: Uuid,
        /// The user.
        user_id: Uuid,
        /// The permission.
        permission_id: String,
    };

    /// No permission of that id, or not one that this can be done with.
    PermissionNotFound: NOT_FOUND "PERMISSION_NOT_FOUND" {
        /// The id.
        permission_id: String,
    };

    /// A permission of the other scope.
    WrongPermissionScope: NOT_FOUND "WRONG_PERMISSION_SCOPE" {
        /// The permission.
        permission_id: String,
        /// Where it should apply: in a `team`, or in the whole `project`.
        expected_scope: &'static str,
        /// Where it applies.
        actual_scope: &'static str,
    };

    /// A definition that contains what does not exist in its scope.
    ContainedPermissionNotFound: BAD_REQUEST "CONTAINED_PERMISSION_NOT_FOUND" {
        /// The contained permission.
        permission_id: String,
    };

    /// A definition under an id that is taken.
    PermissionIdAlreadyExists: BAD_REQUEST "PERMISSION_ID_ALREADY_EXISTS" {
        /// The id.
        permission_id: String,
    };
}

impl KnownError {
    /// What somebody may not do, or may not do any more.
    #[must_use]
    pub fn denied(denied: &PermissionDenied) -> Self {
        match denied {
            PermissionDenied::NotMember { team, user } => {
                Self::team_membership_not_found(*team, *user)
            }
            PermissionDenied::Lacking {
                team,
                user,
                permission,
            } => Self::team_permission_required(*team, *user, permission),
            PermissionDenied::NotOwner => Self::admin_access_token_is_not_admin(),
        }
    }

    /// A member without the permission.
    #[must_use]
    pub fn team_permission_required(team: TeamId, user: UserId, permission: &PermissionId) -> Self {
        TeamPermissionRequired {
            team_id: team.0,
            user_id: user.0,
            permission_id: permission.to_string(),
        }
        .says(format!(
            "User {user} needs the permission {permission} in team {team}."
        ))
    }

    /// The member was not granted the permission directly.
    #[must_use]
    pub fn team_permission_not_found(
        team: TeamId,
        user: UserId,
        permission: &PermissionId,
    ) -> Self {
        TeamPermissionNotFound {
            team_id: team.0,
            user_id: user.0,
            permission_id: permission.to_string(),
        }
        .says(format!(
            "The permission {permission} is not granted to user {user} in team {team} directly."
        ))
    }

    /// No permission of that id, or not one that this can be done with.
    #[must_use]
    pub fn permission_not_found(permission: &PermissionId) -> Self {
        PermissionNotFound {
            permission_id: permission.to_string(),
        }
        .says(format!(
            "There is no permission {permission} that this could be done with."
        ))
    }

    /// A permission of the other scope.
    #[must_use]
    pub fn wrong_permission_scope(
        permission: &PermissionId,
        expected: Scope,
        actual: Scope,
    ) -> Self {
        let (expected, actual) = (expected.as_str(), actual.as_str());
        WrongPermissionScope {
            permission_id: permission.to_string(),
            expected_scope: expected,
            actual_scope: actual,
        }
        .says(format!(
            "{permission} is a {actual} permission; a {expected} permission is needed."
        ))
    }

    /// A definition that contains what does not exist in its scope.
    #[must_use]
    pub fn contained_permission_not_found(permission: &PermissionId) -> Self {
        ContainedPermissionNotFound {
            permission_id: permission.to_string(),
        }
        .says(format!(
            "The contained permission {permission} is not defined in the same scope."
        ))
    }

    /// A definition under an id that is taken.
    #[must_use]
    pub fn permission_id_already_exists(permission: &PermissionId) -> Self {
        PermissionIdAlreadyExists {
            permission_id: permission.to_string(),
        }
        .says(format!(
            "A permission {permission} is defined already. Choose another id."
        ))
    }
}
