//! API keys of users and teams.

use muniment_domain::api_key::{ApiKeyKind, ApiKeyOwner};
use muniment_projections::read_models::api_keys::ApiKeyRow;
use serde_json::{Value, json};

/// An API key of a user or a team, as issued if `value` is the key, and else with its end only.
#[must_use]
pub fn api_key(row: &ApiKeyRow, value: Option<&str>) -> Value {
    let mut view = json!({
        "id": row.id,
        "description": row.description,
        "is_public": row.kind() == ApiKeyKind::Public,
        "created_at_millis": row.created_at,
        "value": value.map_or_else(|| json!({"last_four": row.last_four}), Value::from),
    });
    match row.owner() {
        Some(ApiKeyOwner::User { user_id }) => {
            view["type"] = json!("user");
            view["user_id"] = json!(user_id);
        }
        Some(ApiKeyOwner::Team { team_id }) => {
            view["type"] = json!("team");
            view["team_id"] = json!(team_id);
        }
        None => {}
    }
    if let Some(expires_at) = row.expires_at {
        view["expires_at_millis"] = json!(expires_at);
    }
    if let Some(revoked_at) = row.revoked_at {
        view["manually_revoked_at_millis"] = json!(revoked_at);
    }
    view
}
