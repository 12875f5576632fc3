//! Teams, their members and invitations.

use muniment_projections::read_models::teams::TeamRow;
use muniment_projections::read_models::teams::invitations::Invitation;
use muniment_projections::read_models::teams::member_profiles::MemberProfile;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::users::ServerUser;
use crate::app::App;
use crate::app::projects::directory::LoadedProject;

/// A team as its members see it.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ClientTeam {
    id: Uuid,
    display_name: String,
    #[schema(required)]
    profile_image_url: Option<String>,
    /// What the team's members may see and change.
    #[schema(required)]
    client_metadata: Option<Value>,
    /// What the team's members see, but servers alone may change.
    #[schema(required)]
    client_read_only_metadata: Option<Value>,
}

impl From<TeamRow> for ClientTeam {
    fn from(row: TeamRow) -> Self {
        Self {
            id: row.id,
            display_name: row.display_name,
            profile_image_url: row.profile_image_url,
            client_metadata: row.client_metadata,
            client_read_only_metadata: row.client_read_only_metadata,
        }
    }
}

/// A team as servers and administrators see it.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ServerTeam {
    #[serde(flatten)]
    team: ClientTeam,
    /// Milliseconds since the Unix epoch.
    created_at_millis: i64,
    /// What servers alone see and change.
    #[schema(required)]
    server_metadata: Option<Value>,
}

impl From<TeamRow> for ServerTeam {
    fn from(mut row: TeamRow) -> Self {
        Self {
            created_at_millis: row.created_at,
            server_metadata: row.server_metadata.take(),
            team: row.into(),
        }
    }
}

/// An invitation that can still be accepted.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct TeamInvitation {
    id: Uuid,
    team_id: Uuid,
    team_display_name: String,
    /// Milliseconds since the Unix epoch.
    expires_at_millis: i64,
    /// The address as the sender wrote it.
    recipient_email: String,
}

impl From<Invitation> for TeamInvitation {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            team_id: invitation.team_id,
            team_display_name: invitation.team_display_name,
            expires_at_millis: invitation.expires_at,
            recipient_email: invitation.recipient_email,
        }
    }
}

/// How a member appears in a team.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ClientMemberProfile {
    team_id: Uuid,
    user_id: Uuid,
    /// The name shown in the team, or else the user's own.
    #[schema(required)]
    display_name: Option<String>,
    /// The picture shown in the team, or else the user's own.
    #[schema(required)]
    profile_image_url: Option<String>,
}

impl ClientMemberProfile {
    /// Shows a profile.
    #[must_use]
    pub fn of(profile: &MemberProfile) -> Self {
        Self {
            team_id: profile.member_team_id,
            user_id: profile.record.user.id,
            display_name: profile.display_name().map(str::to_owned),
            profile_image_url: profile.profile_image_url().map(str::to_owned),
        }
    }
}

/// How a member appears in a team, with the user.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ServerMemberProfile {
    #[serde(flatten)]
    profile: ClientMemberProfile,
    user: ServerUser,
}

impl ServerMemberProfile {
    /// Shows a profile.
    #[must_use]
    pub fn of(app: &App, profile: &MemberProfile, project: &LoadedProject) -> Self {
        Self {
            profile: ClientMemberProfile::of(profile),
            user: ServerUser::of(app, &profile.record, project),
        }
    }
}
