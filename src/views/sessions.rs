//! Sessions.

use muniment_domain::SessionId;
use muniment_projections::read_models::sessions::SessionRecord;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

use crate::app::App;

/// An end user's address, and where that is; see [`crate::app::auth::geo::GeoLocation::shown`].
fn ip_info() -> RefOr<Schema> {
    let schema = json!({
        "description": "Where it was last used from, as far as that is known.",
        "type": "object",
        "required": ["ip"],
        "properties": {
            "ip": {"type": "string"},
            "countryCode": {"type": "string", "description": "ISO 3166-1 alpha-2."},
            "regionCode": {"type": "string", "description": "ISO 3166-2, without the country."},
            "cityName": {"type": "string"},
            "latitude": {"type": "number", "description": "In degrees north."},
            "longitude": {"type": "number", "description": "In degrees east."},
            "tzIdentifier": {"type": "string", "description": "By its name in the IANA database."},
        },
    });
    Schema::deserialize(schema).map_or_else(|_| RefOr::default(), RefOr::T)
}

/// A session in a listing.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct SessionView {
    id: Uuid,
    user_id: Uuid,
    /// Milliseconds since the Unix epoch.
    created_at: i64,
    /// Milliseconds since the Unix epoch.
    last_used_at: i64,
    /// Whether an operator acts as the user.
    is_impersonation: bool,
    /// Whether it is the session of the access token that was sent.
    is_current_session: bool,
    /// Where it was last used from, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = ip_info)]
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
