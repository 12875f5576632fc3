//! The read model of notification preferences: projector and queries.

pub(crate) mod rows;

use std::collections::BTreeMap;

use muniment_domain::UserId;
use muniment_domain::notification::{NotificationCategory, Preference};
use sqlx::PgPool;
use uuid::Uuid;

use crate::read_models::registry::ReadModels;
use muniment_event_store::LedgerError;

pub use rows::NotificationPreferenceRow;

/// What holds for a user, for every category: what they said, or else its default.
pub async fn of_user(
    pool: &PgPool,
    user: UserId,
) -> Result<BTreeMap<NotificationCategory, Preference>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT category_id, is_enabled FROM notification_preferences WHERE user_id = $1",
        user.0
    )
    .fetch_all(pool)
    .await?;
    let said = |category: NotificationCategory| {
        let row = rows.iter().find(|row| row.category_id == category.id());
        row.map(|row| Preference::from_enabled(row.is_enabled))
    };
    let all = NotificationCategory::ALL.into_iter();
    Ok(all
        .map(|category| {
            let preference = said(category).unwrap_or(category.default_preference());
            (category, preference)
        })
        .collect())
}

pub(crate) fn fold(
    models: &mut ReadModels,
    user: Uuid,
    category: NotificationCategory,
    preference: Preference,
) {
    let Some(row) = models.users.get(&user) else {
        return;
    };
    let project_id = row.project_id.clone();
    models
        .notification_preferences
        .put(NotificationPreferenceRow {
            user_id: user,
            category_id: category.id(),
            project_id,
            is_enabled: preference.is_enabled(),
        });
}
