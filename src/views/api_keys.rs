//! API keys: those of users and teams, and the key sets of projects.

use muniment_domain::api_key::{ApiKeyKind, ApiKeyOwner};
use muniment_projections::read_models::api_keys::ApiKeyRow;
use muniment_projections::read_models::projects::ProjectKeyRow;
use serde_json::{Value, json};

use crate::app::projects::NewKeys;

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

/// A key set in the view shown once: with the keys.
#[must_use]
pub fn new_key_set(row: &ProjectKeyRow, keys: &NewKeys) -> Value {
    let mut view = key_set_base(row);
    let keys = [
        ("publishable_client_key", &keys.publishable_client_key),
        ("secret_server_key", &keys.secret_server_key),
        ("super_secret_admin_key", &keys.super_secret_admin_key),
    ];
    for (name, key) in keys {
        if let Some(key) = key {
            view[name] = json!(key);
        }
    }
    view
}

/// A key set in every later view: with the keys' last four characters.
#[must_use]
pub fn key_set(row: &ProjectKeyRow) -> Value {
    let mut view = key_set_base(row);
    let keys = [
        ("publishable_client_key", &row.publishable_client_key),
        ("secret_server_key", &row.secret_server_key),
        ("super_secret_admin_key", &row.super_secret_admin_key),
    ];
    for (name, key) in keys {
        if let Some(stored) = ProjectKeyRow::stored(key.as_ref()) {
            view[name] = json!({"last_four": stored.last_four});
        }
    }
    view
}

fn key_set_base(row: &ProjectKeyRow) -> Value {
    let mut view = json!({
        "id": row.id,
        "description": row.description,
        "created_at_millis": row.created_at,
        "expires_at_millis": row.expires_at,
    });
    if let Some(revoked_at) = row.revoked_at {
        view["manually_revoked_at_millis"] = json!(revoked_at);
    }
    view
}
