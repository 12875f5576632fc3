//! The events on the stream of a team.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{IntoStaticStr, VariantNames};

use crate::event::domain_event;
use crate::permission::RevokeCause;
use crate::{Millis, Patch, PermissionId, Personal, ProjectId, UserId};

/// An event on a team's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum TeamEvent {
    /// The team came into being.
    TeamCreated(TeamCreated),
    /// The team's own fields changed, or an update changed nothing.
    TeamUpdated(TeamUpdated),
    /// The team created for an anonymous user got its proper name when the user signed up.
    PersonalTeamNamed(TeamUpdated),
    /// A user joined.
    MemberAdded(MemberAdded),
    /// A user left, was removed, or was deleted. Their permissions in the team end with it.
    MemberRemoved {
        /// The user who is no longer a member.
        user_id: UserId,
    },
    /// A member was granted a permission directly, which they may have held already.
    TeamPermissionGranted {
        /// The member who holds the permission from then on.
        user_id: UserId,
        /// The permission that was granted.
        permission_id: PermissionId,
    },
    /// A member's direct grant ended.
    TeamPermissionRevoked {
        /// The member whose grant ended.
        user_id: UserId,
        /// The permission that is no longer granted.
        permission_id: PermissionId,
        /// Whether somebody revoked it, or its definition was removed.
        cause: RevokeCause,
    },
    /// A permission was renamed, and a member's direct grant with it.
    TeamPermissionRenamed {
        /// The member whose grant was renamed.
        user_id: UserId,
        /// The permission's id until then.
        permission_id: PermissionId,
        /// The permission's id from then on.
        new_permission_id: PermissionId,
    },
    /// A member appears differently in the team.
    MemberProfileChanged(MemberProfileChanged),
    /// The team is gone, with its memberships.
    TeamDeleted {},
}

/// The content of [`TeamEvent::TeamCreated`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamCreated {
    /// The project the team belongs to.
    pub project_id: ProjectId,
    /// When the team was created.
    pub created_at: Millis,
    /// The team's fields, which often carry a person's name.
    pub personal: Personal<TeamProfile>,
}

/// The personal part of [`TeamCreated`]: a team's own fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamProfile {
    /// The name that others see.
    pub display_name: String,
    /// The address of the team's picture.
    pub profile_image_url: Option<String>,
    /// Metadata that clients may read and write.
    pub client_metadata: Value,
    /// Metadata that clients may read, but not write.
    pub client_read_only_metadata: Value,
    /// Metadata that only servers and administrators see.
    pub server_metadata: Value,
}

/// The content of [`TeamEvent::TeamUpdated`] and [`TeamEvent::PersonalTeamNamed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamUpdated {
    /// The fields that changed, possibly none.
    pub personal: Personal<TeamChange>,
}

/// The personal part of [`TeamUpdated`]. Fields that did not change are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamChange {
    /// The name that others see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The address of the team's picture.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub profile_image_url: Patch<String>,
    /// Metadata that clients may read and write; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub client_metadata: Patch<Value>,
    /// Metadata that clients may read, but not write; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub client_read_only_metadata: Patch<Value>,
    /// Metadata that only servers and administrators see; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub server_metadata: Patch<Value>,
}

/// How a user came into a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entrance {
    /// The user created the team.
    Creator,
    /// Somebody added the user, or the user accepted an invitation.
    Added,
}

/// The content of [`TeamEvent::MemberAdded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberAdded {
    /// The user who joined.
    pub user_id: UserId,
    /// When the user joined.
    pub joined_at: Millis,
    /// Whether the user created the team or was added to it.
    pub entrance: Entrance,
    /// The project's default permissions for this way of joining, granted directly.
    pub permission_ids: Vec<PermissionId>,
}

/// The content of [`TeamEvent::MemberProfileChanged`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberProfileChanged {
    /// The member whose profile changed.
    pub user_id: UserId,
    /// The member, whose key seals the personal part; not the team's key.
    pub subject: UserId,
    /// The fields of the profile that changed.
    pub personal: Personal<MemberProfileChange>,
}

/// The personal part of [`MemberProfileChanged`]. Fields that did not change are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberProfileChange {
    /// The name shown in this team, in place of the user's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A picture's address, in place of the user's own; cleared, the user's own shows again.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub profile_image_url: Patch<String>,
}

domain_event!(TeamEvent);
