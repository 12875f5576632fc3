//! The rows of notifications.

use crate::read_models::table::read_table;
use uuid::Uuid;

read_table! {
    /// A row of `notification_preferences`.
    pub struct NotificationPreferenceRow in "notification_preferences" {
        pub user_id: Uuid,
        pub category_id: Uuid,
        pub project_id: String,
        pub is_enabled: bool,
    }
    key (user_id: Uuid, category_id: Uuid);
    cleared (User by user_id, Project by project_id);
}
