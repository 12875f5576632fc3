//! The rows of projects and their keys.

use crate::read_models::table::read_table;
use muniment_domain::Millis;
use muniment_domain::project::{ConfigSource, Overrides, ProjectProfile, StoredKey};
use muniment_event_store::LedgerError;
use serde_json::Value;
use uuid::Uuid;

read_table! {
    /// A row of `projects`.
    #[derive(sqlx::FromRow)]
    pub struct ProjectRow in "projects" {
        pub id: String,
        pub created_at: i64,
        pub owner_team_id: Option<Uuid>,
        pub profile: Value,
        pub overrides: Value,
        pub config_source: Value,
        pub stripe_account_id: Option<String>,
        pub provisioned_by: Option<String>,
    }
    key (id: String);
    cleared (Project by id);
}

read_table! {
    /// A row of `project_keys`.
    #[derive(sqlx::FromRow)]
    pub struct ProjectKeyRow in "project_keys" {
        pub id: Uuid,
        pub project_id: String,
        pub description: String,
        pub created_at: i64,
        pub expires_at: i64,
        pub revoked_at: Option<i64>,
        pub publishable_client_key: Option<Value>,
        pub secret_server_key: Option<Value>,
        pub super_secret_admin_key: Option<Value>,
    }
    key (id: Uuid);
    cleared (Project by project_id);
}

impl ProjectRow {
    /// The project's own fields.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn profile(&self) -> Result<ProjectProfile, LedgerError> {
        Ok(serde_json::from_value(self.profile.clone())?)
    }

    /// The override documents of its settings.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn overrides(&self) -> Result<Overrides, LedgerError> {
        Ok(serde_json::from_value(self.overrides.clone())?)
    }

    /// Where the configuration kept as code comes from.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn config_source(&self) -> Result<ConfigSource, LedgerError> {
        Ok(serde_json::from_value(self.config_source.clone())?)
    }
}

impl ProjectKeyRow {
    /// Whether the keys of the set work at that time.
    #[must_use]
    pub fn is_valid_at(&self, now: Millis) -> bool {
        self.revoked_at.is_none() && self.expires_at > now.0
    }

    /// Reads a stored key of the set.
    #[must_use]
    pub fn stored(key: Option<&Value>) -> Option<StoredKey> {
        serde_json::from_value(key?.clone()).ok()
    }
}
