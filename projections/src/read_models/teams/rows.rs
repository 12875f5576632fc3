//! The rows of teams and memberships.

use crate::read_models::table::read_table;
use muniment_domain::PermissionId;
use serde_json::Value;
use uuid::Uuid;

read_table! {
    /// A row of `teams`.
    #[derive(sqlx::FromRow)]
    pub struct TeamRow in "teams" {
        pub id: Uuid,
        pub project_id: String,
        pub created_at: i64,
        pub display_name: String,
        pub profile_image_url: Option<String>,
        pub client_metadata: Option<Value>,
        pub client_read_only_metadata: Option<Value>,
        pub server_metadata: Option<Value>,
    }
    key (id: Uuid);
    cleared (Team by id, Project by project_id);
}

read_table! {
    /// A row of `team_memberships`.
    #[derive(sqlx::FromRow)]
    pub struct MembershipRow in "team_memberships" {
        pub team_id: Uuid,
        pub user_id: Uuid,
        pub project_id: String,
        pub joined_at: i64,
        pub permission_ids: Vec<String>,
        pub display_name: Option<String>,
        pub profile_image_url: Option<String>,
    }
    key (team_id: Uuid, user_id: Uuid);
    cleared (Team by team_id, Project by project_id);
}

impl MembershipRow {
    pub(crate) fn grant(&mut self, permission: &PermissionId) {
        if !self
            .permission_ids
            .iter()
            .any(|id| id == permission.as_str())
        {
            self.permission_ids.push(permission.to_string());
        }
    }

    pub(crate) fn revoke(&mut self, permission: &PermissionId) {
        self.permission_ids.retain(|id| id != permission.as_str());
    }
}
