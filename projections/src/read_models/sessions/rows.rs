//! The rows of sessions.

use crate::read_models::table::read_table;
use muniment_domain::{Millis, SessionId};
use uuid::Uuid;

read_table! {
    /// A row of `sessions`.
    pub struct SessionRow in "sessions" {
        pub id: Uuid,
        pub project_id: String,
        pub user_id: Uuid,
        pub token_hash: String,
        pub created_at: i64,
        pub expires_at: Option<i64>,
        pub is_impersonation: bool,
    }
    key (id: Uuid);
    cleared (User by user_id, Project by project_id);
}

impl SessionRow {
    /// The session's id.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        SessionId(self.id)
    }

    /// Whether the refresh token works at that time.
    #[must_use]
    pub fn is_valid_at(&self, now: Millis) -> bool {
        self.expires_at.is_none_or(|end| end > now.0)
    }
}
