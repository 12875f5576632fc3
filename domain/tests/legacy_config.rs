//! The legacy `project.config`: every field shows the value that was written to it.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests may fail loudly")]

use std::collections::BTreeSet;

use muniment_domain::project::legacy_config::{
    Audience, LEGACY_FIELDS, LegacyField, LegacyShape, shared_provider, shown,
};
use muniment_domain::project::{Level, Overrides, ProjectConfig};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Values of a field, none of which is the default.
fn examples(field: &LegacyField) -> Vec<Value> {
    match field.shape {
        LegacyShape::Switch(_) => vec![json!(true), json!(false)],
        LegacyShape::MergeStrategy => vec![json!("raise_error"), json!("allow_duplicates")],
        LegacyShape::Theme => vec![json!("a0172b5d-cff0-463b-83bb-85124697373a")],
        LegacyShape::Permissions(_) if field.name == "user_default_permissions" => vec![json!([])],
        LegacyShape::Permissions(_) => vec![
            json!([]),
            json!([{"id": "$read_members"}, {"id": "team_admin"}]),
        ],
        LegacyShape::Domains => vec![
            json!([{"domain": "http://*.example.com", "handler_path": "/handler"},
                   {"domain": "https://b.example.com", "handler_path": "/h"}]),
            json!([]),
        ],
        LegacyShape::Providers => vec![
            json!([
                {"id": "apple", "type": "standard", "client_id": "a", "client_secret": "b",
                 "apple_bundle_ids": ["com.example.b", "com.example.a", "com.example.c"]},
                {"id": "facebook", "type": "standard", "client_id": "a", "client_secret": "b",
                 "facebook_config_id": "c"},
                {"id": "github", "type": "shared"},
                {"id": "microsoft", "type": "standard", "client_id": "a", "client_secret": "b",
                 "microsoft_tenant_id": "d"},
            ]),
            json!([]),
        ],
        LegacyShape::ProviderIds => vec![json!([{"id": "github"}, {"id": "google"}])],
        LegacyShape::EmailServer => vec![
            json!({"type": "standard", "host": "mail.example.com", "port": 587, "username": "u",
                   "password": "p", "sender_name": "n", "sender_email": "n@example.com"}),
            json!({"type": "shared"}),
        ],
    }
}

/// What a provider shows beside what was written: its key, which is its type then.
fn without_keys(mut value: Value) -> Value {
    for item in value.as_array_mut().into_iter().flatten() {
        let item = item.as_object_mut().unwrap();
        if let Some(key) = item.remove("provider_config_id") {
            assert_eq!(Some(&key), item.get("id"));
        }
    }
    value
}

/// A project with the permissions that projects have from the start.
fn overrides() -> Overrides {
    let mut overrides = Overrides::default();
    let initial = muniment_domain::project::config::initial_settings();
    overrides.merge(Level::Environment, initial);
    overrides
}

#[test]
fn every_field_shows_what_was_written_to_it() {
    for field in &LEGACY_FIELDS {
        for written in examples(field) {
            let mut ids = (1..9).rev().map(Uuid::from_u128);
            let setting = field.write(&written, || ids.next().unwrap());
            let mut overrides = overrides();
            let changes = Map::from_iter([(field.setting.to_owned(), setting)]);
            overrides.merge(Level::Environment, changes);
            let config = ProjectConfig::render(&overrides).unwrap();
            assert_eq!(without_keys(field.read(&config)), written, "{}", field.name);
        }
    }
}

#[test]
fn writing_one_field_leaves_the_others_alone() {
    for field in &LEGACY_FIELDS {
        let before = shown(
            &ProjectConfig::render(&overrides()).unwrap(),
            Audience::Nobody,
        );
        for written in examples(field) {
            let mut overrides = overrides();
            let setting = field.write(&written, || Uuid::from_u128(1));
            let changes = Map::from_iter([(field.setting.to_owned(), setting)]);
            overrides.merge(Level::Environment, changes);
            let after = shown(
                &ProjectConfig::render(&overrides).unwrap(),
                Audience::Nobody,
            );
            for other in &LEGACY_FIELDS {
                if other.setting != field.setting {
                    let name = other.name;
                    assert_eq!(before[name], after[name], "{name} after {}", field.name);
                }
            }
        }
    }
}

#[test]
fn clients_and_admins_see_the_fields_that_are_meant_for_them() {
    let config = ProjectConfig::default();
    let names = |audience| shown(&config, audience).into_iter().map(|(name, _)| name);
    let clients: BTreeSet<String> = names(Audience::Clients).collect();
    let expected = [
        "sign_up_enabled",
        "credential_enabled",
        "magic_link_enabled",
        "passkey_enabled",
        "client_team_creation_enabled",
        "client_user_deletion_enabled",
        "allow_user_api_keys",
        "allow_team_api_keys",
        "enabled_oauth_providers",
        "domains",
    ];
    assert_eq!(clients, expected.map(str::to_owned).into());
    let admins: BTreeSet<String> = names(Audience::Admins).collect();
    assert_eq!(admins.len(), 19);
    assert!(!admins.contains("require_email_verification"));
}

#[test]
fn a_provider_that_may_not_be_signed_in_with_does_not_show() {
    let mut provider = shared_provider("github");
    provider["allowSignIn"] = json!(false);
    let mut overrides = overrides();
    let changes = Map::from_iter([("auth.oauth.providers".to_owned(), json!({"g": provider}))]);
    overrides.merge(Level::Environment, changes);
    let config = ProjectConfig::render(&overrides).unwrap();
    assert_eq!(
        shown(&config, Audience::Admins)["oauth_providers"],
        json!([])
    );
}
