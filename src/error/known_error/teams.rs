//! Teams, their members and invitations.

use muniment_domain::{RestrictedReason, TeamId, UserId};
use uuid::Uuid;

use super::code::{Code, KnownError, codes};
use super::restriction::Restriction;

codes! {
    /// The team does not exist.
    TeamNotFound: NOT_FOUND "TEAM_NOT_FOUND" {
        /// The id, which may not even be a UUID.
        pub(super) team_id: String,
    };

    /// The user is not in the team.
    TeamMembershipNotFound: NOT_FOUND "TEAM_MEMBERSHIP_NOT_FOUND" {
        /// The team.
        team_id: Uuid,
        /// The user.
        user_id: Uuid,
    };

    /// The user is in the team already.
    TeamMembershipAlreadyExists: CONFLICT "TEAM_MEMBERSHIP_ALREADY_EXISTS";

    /// Somebody who may not use the project yet, and so may not accept an invitation.
    TeamInvitationRestrictedUserNotAllowed: FORBIDDEN "TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED" {
        #[schema(inline)]
        restricted_reason: Restriction,
    };
}

impl KnownError {
    /// The team does not exist.
    #[must_use]
    pub fn team_not_found(team: TeamId) -> Self {
        TeamNotFound {
            team_id: team.to_string(),
        }
        .says(format!("The project has no team {team}."))
    }

    /// The user is not in the team.
    #[must_use]
    pub fn team_membership_not_found(team: TeamId, user: UserId) -> Self {
        TeamMembershipNotFound {
            team_id: team.0,
            user_id: user.0,
        }
        .says(format!("User {user} is not a member of team {team}."))
    }

    /// The user is in the team already.
    #[must_use]
    pub fn team_membership_already_exists() -> Self {
        TeamMembershipAlreadyExists.says("The user is a member of the team already.")
    }

    /// Somebody who may not use the project yet, and so may not accept an invitation.
    #[must_use]
    pub fn team_invitation_restricted_user(reason: RestrictedReason) -> Self {
        TeamInvitationRestrictedUserNotAllowed {
            restricted_reason: reason.into(),
        }
        .says("The user is restricted, and cannot accept invitations before that is lifted.")
    }
}
