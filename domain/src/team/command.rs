//! What can be asked of a team.

use super::event::{MemberAdded, MemberProfileChange, TeamChange, TeamProfile};
use crate::permission::GrantFate;
use crate::{Millis, PermissionId, ProjectId, UserId};

/// A command to a team.
#[derive(Clone, Debug)]
pub enum TeamCommand {
    /// Found the team.
    Create {
        /// The project the team belongs to.
        project_id: ProjectId,
        /// When.
        now: Millis,
        /// Its fields.
        profile: TeamProfile,
    },
    /// Change the team's own fields.
    Update(TeamChange),
    /// Give an anonymous user's team its proper name, unless somebody renamed it already.
    NamePersonalTeam {
        /// The name it has if nobody renamed it.
        placeholder: String,
        /// The name it gets.
        display_name: String,
    },
    /// Let a user in.
    AddMember(MemberAdded),
    /// Remove a user.
    RemoveMember(UserId),
    /// Grant a member a permission directly. Granting it again is recorded again.
    GrantPermission(UserId, PermissionId),
    /// Revoke what was granted directly.
    RevokePermission(UserId, PermissionId),
    /// Follow what became of a permission's definition, in all members' direct grants.
    FollowDefinition(PermissionId, GrantFate),
    /// Change how a member appears in the team.
    ChangeMemberProfile(UserId, MemberProfileChange),
    /// Dissolve the team.
    Delete,
}
