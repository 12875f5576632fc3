//! Email addresses of users.

use muniment_projections::read_models::users::ContactChannelRow;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An email address of a user.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ContactChannelView {
    id: Uuid,
    user_id: Uuid,
    /// Always `email`.
    r#type: String,
    value: String,
    is_primary: bool,
    is_verified: bool,
    used_for_auth: bool,
}

impl ContactChannelView {
    /// Shows a row.
    #[must_use]
    pub fn of(row: &ContactChannelRow) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            r#type: row.r#type.clone(),
            value: row.value.clone(),
            is_primary: row.is_primary,
            is_verified: row.is_verified,
            used_for_auth: row.used_for_auth,
        }
    }
}
