//! Sessions.

use muniment_domain::SessionId;
use muniment_projections::read_models::sessions::SessionRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;

/// A session in a listing.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct SessionView {
    id: Uuid,
    user_id: Uuid,
    /// Milliseconds since the Unix epoch.
    created_at: i64,
    /// Milliseconds since the Unix epoch.
    last_used_at: i64,
    is_impersonation: bool,
    /// Whether it is the one whose access token the request carries.
    is_current_session: bool,
    /// Where the end user seemed to be then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_used_at_end_user_ip_info: Option<Value>,
}

impl SessionView {
    /// Shows a record.
    #[must_use]
    pub fn of(app: &App, record: SessionRecord, current: Option<SessionId>) -> Self {
        let id = SessionId(record.id);
        let (seen, place) = app
            .activity
            .of_session(id, (record.last_active_at, record.ip_info));
        Self {
            id: record.id,
            user_id: record.user_id,
            created_at: record.created_at,
            last_used_at: seen.unwrap_or(record.created_at),
            is_impersonation: record.is_impersonation,
            is_current_session: current == Some(id),
            last_used_at_end_user_ip_info: place,
        }
    }
}
