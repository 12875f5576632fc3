//! The key sets of projects.

use muniment_projections::read_models::projects::ProjectKeyRow;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::projects::NewKeys;

/// What is known of a key set beside its keys.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct KeySetDescription {
    /// Milliseconds since the Unix epoch.
    created_at_millis: i64,
    /// What the keys are for, in the words of whoever issued them.
    description: String,
    /// When the keys stop working, in milliseconds since the Unix epoch.
    expires_at_millis: i64,
    id: Uuid,
    /// When the keys were revoked, in milliseconds since the Unix epoch. Absent if they were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    manually_revoked_at_millis: Option<i64>,
}

/// A key set as it is shown once, when it is issued: with the keys. Kinds of keys that it lacks are absent.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct NewKeySet {
    #[serde(flatten)]
    set: KeySetDescription,
    /// `pck_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    publishable_client_key: Option<String>,
    /// `ssk_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret_server_key: Option<String>,
    /// `sak_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    super_secret_admin_key: Option<String>,
}

/// A key set as it is shown later: with no more of the keys than how they end. Kinds of keys that it lacks
/// are absent.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct KeySet {
    #[serde(flatten)]
    set: KeySetDescription,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    publishable_client_key: Option<KeyEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret_server_key: Option<KeyEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    super_secret_admin_key: Option<KeyEnd>,
}

/// How a key ends.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct KeyEnd {
    /// Its last four characters.
    pub(super) last_four: String,
}

impl KeyEnd {
    fn of(key: Option<&Value>) -> Option<Self> {
        let last_four = ProjectKeyRow::stored(key)?.last_four;
        Some(Self { last_four })
    }
}

impl KeySetDescription {
    fn of(row: &ProjectKeyRow) -> Self {
        Self {
            created_at_millis: row.created_at,
            description: row.description.clone(),
            expires_at_millis: row.expires_at,
            id: row.id,
            manually_revoked_at_millis: row.revoked_at,
        }
    }
}

impl NewKeySet {
    /// Shows a set whose keys are these.
    #[must_use]
    pub fn of(row: &ProjectKeyRow, keys: NewKeys) -> Self {
        Self {
            set: KeySetDescription::of(row),
            publishable_client_key: keys.publishable_client_key,
            secret_server_key: keys.secret_server_key,
            super_secret_admin_key: keys.super_secret_admin_key,
        }
    }
}

impl KeySet {
    /// Shows a set.
    #[must_use]
    pub fn of(row: &ProjectKeyRow) -> Self {
        Self {
            set: KeySetDescription::of(row),
            publishable_client_key: KeyEnd::of(row.publishable_client_key.as_ref()),
            secret_server_key: KeyEnd::of(row.secret_server_key.as_ref()),
            super_secret_admin_key: KeyEnd::of(row.super_secret_admin_key.as_ref()),
        }
    }
}
