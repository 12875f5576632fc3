//! The settings that a new project gets.

use serde_json::{Map, Value, json};

/// The settings that every newly created project starts with, beside the defaults.
#[must_use]
pub fn initial_settings() -> Map<String, Value> {
    let settings = json!({
        "rbac.permissions.team_member": {
            "scope": "team",
            "description": "What every member of a team may do.",
            "containedPermissionIds": {"$read_members": true, "$invite_members": true},
        },
        "rbac.permissions.team_admin": {
            "scope": "team",
            "description": "What the creator of a team may do.",
            "containedPermissionIds": {
                "$update_team": true, "$delete_team": true, "$read_members": true,
                "$remove_members": true, "$invite_members": true, "$manage_api_keys": true,
            },
        },
        "rbac.defaultPermissions.teamCreator": {"team_admin": true},
        "rbac.defaultPermissions.teamMember": {"team_member": true},
        "auth.password.allowSignIn": true,
        "apps.installed.authentication.enabled": true,
        "apps.installed.emails.enabled": true,
    });
    match settings {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
