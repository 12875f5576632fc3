//! Projects, as clients and as administrators see them.

use muniment_domain::project::OnboardingStatus;
use muniment_domain::project::config::MERGE_STRATEGIES;
use muniment_domain::project::legacy_config::{self, Audience, LEGACY_FIELDS, LegacyShape};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::app::projects::directory::LoadedProject;

/// A project as its clients see it.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ClientProject {
    id: String,
    display_name: String,
    config: ClientProjectConfig,
}

/// The settings that clients may know, in their older shape.
#[derive(Serialize, Clone, Debug)]
#[serde(transparent)]
pub struct ClientProjectConfig(Map<String, Value>);

/// A project as its administrators see it.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct AdminProject {
    id: String,
    display_name: String,
    description: String,
    #[schema(required)]
    logo_url: Option<String>,
    #[schema(required)]
    logo_full_url: Option<String>,
    #[schema(required)]
    logo_dark_mode_url: Option<String>,
    #[schema(required)]
    logo_full_dark_mode_url: Option<String>,
    /// Milliseconds since the Unix epoch.
    created_at_millis: i64,
    is_production_mode: bool,
    #[schema(required)]
    owner_team_id: Option<Uuid>,
    /// How far the project is set up.
    #[schema(schema_with = onboarding_status)]
    onboarding_status: OnboardingStatus,
    config: AdminProjectConfig,
}

/// All settings, in their older shape.
#[derive(Serialize, Clone, Debug)]
#[serde(transparent)]
pub struct AdminProjectConfig(Map<String, Value>);

impl PartialSchema for ClientProjectConfig {
    fn schema() -> RefOr<Schema> {
        config_schema(Audience::Clients)
    }
}

impl ToSchema for ClientProjectConfig {}

impl PartialSchema for AdminProjectConfig {
    fn schema() -> RefOr<Schema> {
        config_schema(Audience::Admins)
    }
}

impl ToSchema for AdminProjectConfig {}

/// Describes what `audience` sees of the settings.
fn config_schema(audience: Audience) -> RefOr<Schema> {
    let fields = LEGACY_FIELDS
        .iter()
        .filter(|field| field.audience <= audience);
    let described = fields.map(|field| {
        let mut schema = shown_shape(&field.shape);
        schema["description"] = json!(format!("Kept as `{}`.", field.setting));
        (field.name.to_owned(), schema)
    });
    let properties: Map<String, Value> = described.collect();
    let required: Vec<&String> = properties.keys().collect();
    schema_of(json!({"type": "object", "required": required, "properties": properties}))
}

/// Describes what a field of that shape shows.
fn shown_shape(shape: &LegacyShape) -> Value {
    let text = json!({"type": "string"});
    let ids = json!({"type": "object", "required": ["id"], "properties": {"id": text}});
    match shape {
        LegacyShape::Switch(_) => json!({"type": "boolean"}),
        LegacyShape::MergeStrategy => json!({"type": "string", "enum": MERGE_STRATEGIES}),
        LegacyShape::Theme => text,
        LegacyShape::Permissions(_) | LegacyShape::ProviderIds => {
            json!({"type": "array", "items": ids})
        }
        LegacyShape::Domains => json!({"type": "array", "items": {
            "type": "object",
            "required": ["domain", "handler_path"],
            "properties": {"domain": text, "handler_path": text},
        }}),
        LegacyShape::Providers => json!({"type": "array", "items": shown_provider()}),
        LegacyShape::EmailServer => shown_email_server(),
    }
}

fn shown_provider() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "required": ["provider_config_id", "id", "type"],
        "properties": {
            "provider_config_id": text,
            "id": text,
            "type": {"type": "string", "enum": ["shared", "standard"]},
            "client_id": text,
            "client_secret": text,
            "facebook_config_id": text,
            "microsoft_tenant_id": text,
            "apple_bundle_ids": {"type": "array", "items": text},
        },
    })
}

/// The details of a server that all projects share are nobody's business.
fn shown_email_server() -> Value {
    let text = json!({"type": ["string", "null"]});
    let shared = json!({
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "enum": ["shared"]}},
    });
    let own = json!({
        "type": "object",
        "required": ["type", "host", "port", "username", "password", "sender_name", "sender_email"],
        "properties": {
            "type": {"type": "string", "enum": ["standard"]},
            "host": text,
            "port": {"type": ["integer", "null"]},
            "username": text,
            "password": text,
            "sender_name": text,
            "sender_email": text,
        },
    });
    json!({"anyOf": [shared, own]})
}

fn onboarding_status() -> RefOr<Schema> {
    schema_of(json!({"type": "string", "enum": OnboardingStatus::NAMES}))
}

/// A schema that is written as JSON.
fn schema_of(json: Value) -> RefOr<Schema> {
    Schema::deserialize(json).map_or_else(|_| RefOr::default(), RefOr::T)
}

impl ClientProject {
    /// Shows a project.
    #[must_use]
    pub fn of(project: &LoadedProject) -> Self {
        Self {
            id: project.id.to_string(),
            display_name: project.profile.display_name.clone(),
            config: ClientProjectConfig(legacy_config::shown(&project.config, Audience::Clients)),
        }
    }
}

impl AdminProject {
    /// Shows a project.
    #[must_use]
    pub fn of(project: &LoadedProject) -> Self {
        let profile = project.profile.clone();
        Self {
            id: project.id.to_string(),
            display_name: profile.display_name,
            description: profile.description,
            logo_url: profile.logo_url,
            logo_full_url: profile.logo_full_url,
            logo_dark_mode_url: profile.logo_dark_mode_url,
            logo_full_dark_mode_url: profile.logo_full_dark_mode_url,
            created_at_millis: project.created_at.0,
            is_production_mode: profile.is_production_mode,
            owner_team_id: project.owner_team_id.map(|team| team.0),
            onboarding_status: profile.onboarding_status,
            config: AdminProjectConfig(legacy_config::shown(&project.config, Audience::Admins)),
        }
    }
}
