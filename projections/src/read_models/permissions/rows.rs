//! The rows of permissions.

use crate::read_models::table::read_table;
use uuid::Uuid;

read_table! {
    /// A row of `project_permissions`.
    pub struct ProjectPermissionRow in "project_permissions" {
        pub user_id: Uuid,
        pub permission_id: String,
        pub project_id: String,
    }
    key (user_id: Uuid, permission_id: String);
    cleared (User by user_id, Project by project_id);
}

read_table! {
    /// A row of `permission_closure`.
    pub struct ClosureRow in "permission_closure" {
        pub project_id: String,
        pub permission_id: String,
        pub contained_id: String,
        pub scope: String,
    }
    key (project_id: String, permission_id: String, contained_id: String);
    cleared (Project by project_id);
}
