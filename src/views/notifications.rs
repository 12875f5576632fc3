//! Notification preferences.

use muniment_domain::notification::{NotificationCategory, Preference};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Whether a user wants mails of a category.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct NotificationPreferenceView {
    notification_category_id: Uuid,
    notification_category_name: &'static str,
    enabled: bool,
    /// Whether users are shown a way to switch it off.
    can_disable: bool,
}

impl NotificationPreferenceView {
    /// Shows a preference.
    #[must_use]
    pub fn new(category: NotificationCategory, preference: Preference) -> Self {
        Self {
            notification_category_id: category.id(),
            notification_category_name: category.name(),
            enabled: preference.is_enabled(),
            can_disable: category.can_disable(),
        }
    }
}
