//! The objects that the API shows: one type per shape on the wire, in a file per kind of object.

mod api_keys;
mod contact_channels;
mod key_sets;
mod notifications;
mod permissions;
mod projects;
mod sessions;
mod teams;
mod users;

pub use api_keys::{ApiKeyView, IssuedApiKey};
pub use contact_channels::ContactChannelView;
pub use key_sets::{KeyEnd, KeySet, KeySetDescription, NewKeySet};
pub use notifications::NotificationPreferenceView;
pub use permissions::{PermissionDefinitionView, ProjectPermission, TeamPermission};
pub use projects::{AdminProject, AdminProjectConfig, ClientProject, ClientProjectConfig};
pub use sessions::SessionView;
pub use teams::{ClientMemberProfile, ClientTeam, ServerMemberProfile, ServerTeam, TeamInvitation};
pub use users::{
    ClientUser, CurrentUser, OauthProviderView, RiskScoresView, ServerUser, SignUpScores,
};

pub(crate) use muniment_domain::project::legacy_config::enabled_providers;
