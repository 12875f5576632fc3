//! The commands to a team.

use super::event::{MemberAdded, MemberProfileChange, TeamChange, TeamProfile};
use crate::permission::GrantChange;
use crate::{Millis, PermissionId, ProjectId, UserId};

/// A command to a team.
#[derive(Clone, Debug)]
pub enum TeamCommand {
    /// Create the team. Refused if the id is taken.
    Create {
        /// The project the team belongs to.
        project_id: ProjectId,
        /// When the team is created.
        now: Millis,
        /// The team's fields at the start.
        profile: TeamProfile,
    },
    /// Change the team's own fields.
    Update(TeamChange),
    /// Give an anonymous user's team its proper name, unless somebody renamed it already.
    NamePersonalTeam {
        /// The name that the team has if nobody renamed it.
        placeholder: String,
        /// The proper name, which replaces it.
        display_name: String,
    },
    /// Add a user to the team, with the permissions that they start with.
    AddMember(MemberAdded),
    /// Remove a user from the team, with all their permissions in it.
    RemoveMember(UserId),
    /// Grant a member a permission directly. Granting it again is recorded again.
    GrantPermission(UserId, PermissionId),
    /// Revoke a permission that was granted to a member directly.
    RevokePermission(UserId, PermissionId),
    /// Apply a renamed or removed permission definition to all members' direct grants of it.
    FollowDefinition(PermissionId, GrantChange),
    /// Change how a member appears in the team.
    ChangeMemberProfile(UserId, MemberProfileChange),
    /// Delete the team, with its memberships.
    Delete,
}
