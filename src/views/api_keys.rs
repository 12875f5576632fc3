//! API keys of users and teams.

use muniment_domain::api_key::{ApiKeyKind, ApiKeyOwner};
use muniment_projections::read_models::api_keys::ApiKeyRow;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::KeyEnd;

/// What is shown of an API key of a user or a team, whoever sees it.
#[derive(Serialize, ToSchema, Clone, Debug)]
struct ApiKeyFacts {
    id: Uuid,
    /// What it is for.
    description: String,
    /// Whether everybody may see it. A public key that leaks is not revoked.
    is_public: bool,
    /// Milliseconds since the Unix epoch.
    created_at_millis: i64,
    #[serde(flatten)]
    owner: ApiKeyOwnerView,
    /// When it stops working, in milliseconds since the Unix epoch. Absent if it never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at_millis: Option<i64>,
    /// When it was revoked, in milliseconds since the Unix epoch. Absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    manually_revoked_at_millis: Option<i64>,
}

/// Whose an API key is.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ApiKeyOwnerView {
    /// A user's.
    User {
        /// The user's id.
        user_id: Uuid,
    },
    /// A team's.
    Team {
        /// The team's id.
        team_id: Uuid,
    },
}

/// An API key that was just issued, in the view shown once: with the key.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct IssuedApiKey {
    #[serde(flatten)]
    facts: ApiKeyFacts,
    /// The key. Nobody can read it again.
    value: String,
}

/// An API key in every later view: with its end only.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ApiKeyView {
    #[serde(flatten)]
    facts: ApiKeyFacts,
    value: KeyEnd,
}

impl ApiKeyFacts {
    fn of(row: &ApiKeyRow, owner: ApiKeyOwner) -> Self {
        Self {
            id: row.id,
            description: row.description.clone(),
            is_public: row.kind() == ApiKeyKind::Public,
            created_at_millis: row.created_at,
            owner: owner.into(),
            expires_at_millis: row.expires_at,
            manually_revoked_at_millis: row.revoked_at,
        }
    }
}

impl From<ApiKeyOwner> for ApiKeyOwnerView {
    fn from(owner: ApiKeyOwner) -> Self {
        match owner {
            ApiKeyOwner::User { user_id } => Self::User { user_id: user_id.0 },
            ApiKeyOwner::Team { team_id } => Self::Team { team_id: team_id.0 },
        }
    }
}

impl IssuedApiKey {
    /// Shows a key of that owner, with the key itself.
    #[must_use]
    pub fn new(row: &ApiKeyRow, owner: ApiKeyOwner, key: String) -> Self {
        Self {
            facts: ApiKeyFacts::of(row, owner),
            value: key,
        }
    }
}

impl ApiKeyView {
    /// Shows a key of that owner.
    #[must_use]
    pub fn new(row: &ApiKeyRow, owner: ApiKeyOwner) -> Self {
        Self {
            facts: ApiKeyFacts::of(row, owner),
            value: KeyEnd {
                last_four: row.last_four.clone(),
            },
        }
    }
}
