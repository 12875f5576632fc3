//! Notification preferences.

use muniment_domain::notification::{NotificationCategory, Preference};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Whether a user wants mails of a category.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct NotificationPreferenceView {
    notification_category_id: Uuid,
    notification_category_name: NotificationCategoryName,
    /// Whether the user wants such mails.
    enabled: bool,
    /// Whether users are shown a way to switch it off.
    can_disable: bool,
}

/// The name of a category of mails.
#[derive(Serialize, ToSchema, Clone, Copy, Debug)]
enum NotificationCategoryName {
    /// Mails about what the user does.
    Transactional,
    /// Mails that advertise something.
    Marketing,
}

impl From<NotificationCategory> for NotificationCategoryName {
    fn from(category: NotificationCategory) -> Self {
        match category {
            NotificationCategory::Transactional => Self::Transactional,
            NotificationCategory::Marketing => Self::Marketing,
        }
    }
}

impl NotificationPreferenceView {
    /// Shows a preference.
    #[must_use]
    pub fn new(category: NotificationCategory, preference: Preference) -> Self {
        Self {
            notification_category_id: category.id(),
            notification_category_name: category.into(),
            enabled: preference.is_enabled(),
            can_disable: category.can_disable(),
        }
    }
}
