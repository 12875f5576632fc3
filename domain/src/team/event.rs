//! What can happen to a team.

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
        /// Who.
        user_id: UserId,
    },
    /// A member was granted a permission directly, which they may have held already.
    TeamPermissionGranted {
        /// Who.
        user_id: UserId,
        /// Which.
        permission_id: PermissionId,
    },
    /// A member's direct grant ended.
    TeamPermissionRevoked {
        /// Whose.
        user_id: UserId,
        /// Which.
        permission_id: PermissionId,
        /// Why.
        cause: RevokeCause,
    },
    /// A permission was renamed, and a member's direct grant with it.
    TeamPermissionRenamed {
        /// Whose.
        user_id: UserId,
        /// The old id.
        permission_id: PermissionId,
        /// The new id.
        new_permission_id: PermissionId,
    },
    /// A member appears differently in the team.
    MemberProfileChanged(MemberProfileChanged),
    /// The team is gone, with its memberships.
    TeamDeleted {},
}

/// See [`TeamEvent::TeamCreated`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamCreated {
    /// The project the team belongs to.
    pub project_id: ProjectId,
    /// When.
    pub created_at: Millis,
    /// The team's fields, which often carry a person's name.
    pub personal: Personal<TeamProfile>,
}

/// The personal part of [`TeamCreated`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamProfile {
    /// The name shown.
    pub display_name: String,
    /// A picture's address.
    pub profile_image_url: Option<String>,
    /// Data the client may read and write.
    pub client_metadata: Value,
    /// Data the client may read.
    pub client_read_only_metadata: Value,
    /// Data for the server only.
    pub server_metadata: Value,
}

/// See [`TeamEvent::TeamUpdated`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamUpdated {
    /// The fields that changed.
    pub personal: Personal<TeamChange>,
}

/// The personal part of [`TeamUpdated`]. Fields that did not change are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamChange {
    /// The name shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A picture's address.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub profile_image_url: Patch<String>,
    /// Data the client may read and write; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub client_metadata: Patch<Value>,
    /// Data the client may read; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub client_read_only_metadata: Patch<Value>,
    /// Data for the server only; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub server_metadata: Patch<Value>,
}

/// How a user came into a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entrance {
    /// The user created the team.
    Creator,
    /// The user was added to it.
    Added,
}

/// See [`TeamEvent::MemberAdded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberAdded {
    /// Who.
    pub user_id: UserId,
    /// When.
    pub joined_at: Millis,
    /// As what.
    pub entrance: Entrance,
    /// The project's default permissions for that entrance, granted directly.
    pub permission_ids: Vec<PermissionId>,
}

/// See [`TeamEvent::MemberProfileChanged`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberProfileChanged {
    /// Who.
    pub user_id: UserId,
    /// Whose key seals the personal part: the member's, not the team's.
    pub subject: UserId,
    /// The fields that changed.
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
