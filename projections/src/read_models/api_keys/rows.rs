//! The rows of api keys.

use crate::read_models::table::read_table;
use muniment_domain::api_key::{ApiKeyKind, ApiKeyOwner};
use muniment_domain::{ApiKeyId, Millis, TeamId, UserId};
use uuid::Uuid;

pub(crate) const SECRET: &str = "secret";
pub(crate) const PUBLIC: &str = "public";

read_table! {
    /// A row of `api_keys`.
    #[derive(sqlx::FromRow)]
    pub struct ApiKeyRow in "api_keys" {
        pub id: Uuid,
        pub project_id: String,
        pub user_id: Option<Uuid>,
        pub team_id: Option<Uuid>,
        pub kind: String,
        pub description: String,
        pub secret_hash: String,
        pub last_four: String,
        pub created_at: i64,
        pub expires_at: Option<i64>,
        pub revoked_at: Option<i64>,
    }
    key (id: Uuid);
    cleared (Project by project_id);
}

impl ApiKeyRow {
    /// The key's id.
    #[must_use]
    pub fn api_key_id(&self) -> ApiKeyId {
        ApiKeyId(self.id)
    }

    /// Whose it is; nobody's in a damaged row.
    #[must_use]
    pub fn owner(&self) -> Option<ApiKeyOwner> {
        match (self.user_id, self.team_id) {
            (Some(user), _) => Some(ApiKeyOwner::User {
                user_id: UserId(user),
            }),
            (None, Some(team)) => Some(ApiKeyOwner::Team {
                team_id: TeamId(team),
            }),
            (None, None) => None,
        }
    }

    /// Who may see it.
    #[must_use]
    pub fn kind(&self) -> ApiKeyKind {
        if self.kind == PUBLIC {
            ApiKeyKind::Public
        } else {
            ApiKeyKind::Secret
        }
    }

    /// Whether it has expired by that time.
    #[must_use]
    pub fn is_expired_at(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|end| end <= now.0)
    }
}
