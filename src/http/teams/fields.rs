//! The fields of a team in requests.

use muniment_domain::Patch;
use muniment_domain::team::{TeamChange, TeamProfile};
use muniment_event_store::AccessType;
use serde_json::Value;

use crate::error::ApiError;
use crate::http::images::{self, Folder, ImageRule};
use crate::http::request::access::ProjectAccess;
use crate::http::request::fields::Fields;
use crate::http::request::values::{json_value, url_text};

/// The fields that creating and changing a team have in common.
pub(super) struct TeamFields {
    profile_image_url: Patch<String>,
    client_metadata: Patch<Value>,
    client_read_only_metadata: Patch<Value>,
    server_metadata: Patch<Value>,
}

impl TeamFields {
    pub(super) fn read(body: &mut Fields<'_>, access: AccessType) -> Option<Self> {
        let profile_image_url = body.nullable("profile_image_url", url_text);
        let client_metadata = body.nullable("client_metadata", json_value);
        let (read_only, server) = match access {
            AccessType::Client => (Some(Patch::Keep), Some(Patch::Keep)),
            AccessType::Server | AccessType::Admin => (
                body.nullable("client_read_only_metadata", json_value),
                body.nullable("server_metadata", json_value),
            ),
        };
        Some(Self {
            profile_image_url: profile_image_url?,
            client_metadata: client_metadata?,
            client_read_only_metadata: read_only?,
            server_metadata: server?,
        })
    }

    async fn image(
        access: &ProjectAccess,
        image: Patch<String>,
    ) -> Result<Patch<String>, ApiError> {
        let rule = match access.access_type {
            AccessType::Client => ImageRule::UploadsOnly,
            AccessType::Server | AccessType::Admin => ImageRule::UploadsAndLinks,
        };
        images::accept(&access.app, Folder::Teams, rule, image).await
    }

    pub(super) async fn into_profile(
        self,
        access: &ProjectAccess,
        display_name: String,
    ) -> Result<TeamProfile, ApiError> {
        Ok(TeamProfile {
            display_name,
            profile_image_url: Self::image(access, self.profile_image_url)
                .await?
                .into_value(),
            client_metadata: self.client_metadata.into_value().unwrap_or_default(),
            client_read_only_metadata: self
                .client_read_only_metadata
                .into_value()
                .unwrap_or_default(),
            server_metadata: self.server_metadata.into_value().unwrap_or_default(),
        })
    }

    pub(super) async fn into_change(
        self,
        access: &ProjectAccess,
        display_name: Option<String>,
    ) -> Result<TeamChange, ApiError> {
        Ok(TeamChange {
            display_name,
            profile_image_url: Self::image(access, self.profile_image_url).await?,
            client_metadata: self.client_metadata,
            client_read_only_metadata: self.client_read_only_metadata,
            server_metadata: self.server_metadata,
        })
    }
}
