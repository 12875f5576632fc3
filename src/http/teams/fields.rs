//! The fields of a team in requests.

use muniment_domain::Patch;
use muniment_domain::team::{TeamChange, TeamProfile};
use muniment_event_store::AccessType;
use serde_json::Value;

use crate::error::ApiError;
use crate::http::images::{self, Folder, ImageRule};
use crate::http::request::access::ProjectAccess;
use crate::http::request::declare::fields;
use crate::http::request::presence::nullable;
use crate::http::request::shape::scalars::{json_value, url_text};

fields! {
    /// The fields that creating and changing a team have in common.
    pub(super) struct TeamFields {
        /// The team's picture: a `data:` URL of an image, to upload it, or from servers a link that is
        /// kept. Null for none.
        profile_image_url: Patch<String> = nullable(url_text());
        /// Whatever the team's members want to keep. They see it, and may change it with the team.
        client_metadata: Patch<Value> = nullable(json_value());
        /// What the team's members see, but servers alone may change.
        client_read_only_metadata: Patch<Value> = nullable(json_value()), servers;
        /// What servers alone see and change.
        server_metadata: Patch<Value> = nullable(json_value()), servers;
    }
}

impl TeamFields {
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
