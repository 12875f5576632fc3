//! Teams, their members and invitations.

use axum::http::StatusCode;
use muniment_domain::{RestrictedReason, TeamId, UserId};
use serde_json::json;

use super::KnownError;

impl KnownError {
    /// The team does not exist.
    #[must_use]
    pub fn team_not_found(team: TeamId) -> Self {
        Self::not_found("TEAM_NOT_FOUND", format!("The project has no team {team}."))
            .with(json!({"team_id": team}))
    }

    /// The user is not in the team.
    #[must_use]
    pub fn team_membership_not_found(team: TeamId, user: UserId) -> Self {
        Self::not_found(
            "TEAM_MEMBERSHIP_NOT_FOUND",
            format!("User {user} is not a member of team {team}."),
        )
        .with(json!({"team_id": team, "user_id": user}))
    }

    /// The user is in the team already.
    #[must_use]
    pub fn team_membership_already_exists() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "TEAM_MEMBERSHIP_ALREADY_EXISTS",
            "The user is a member of the team already.",
        )
    }

    /// Somebody who may not use the project yet, and so may not accept an invitation.
    #[must_use]
    pub fn team_invitation_restricted_user(reason: RestrictedReason) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED",
            "The user is restricted, and cannot accept invitations before that is lifted.",
        )
        .with(json!({"restricted_reason": reason}))
    }
}
