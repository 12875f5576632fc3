//! Projects, as clients and as administrators see them.

use muniment_domain::project::legacy_config::{self, Audience, LEGACY_FIELDS, LegacyShape};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
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
    logo_url: Option<String>,
    logo_full_url: Option<String>,
    logo_dark_mode_url: Option<String>,
    logo_full_dark_mode_url: Option<String>,
    /// Milliseconds since the Unix epoch.
    created_at_millis: i64,
    is_production_mode: bool,
    owner_team_id: Option<Uuid>,
    /// How far the project is set up.
    #[schema(value_type = String)]
    onboarding_status: muniment_domain::project::OnboardingStatus,
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
    let mut object = ObjectBuilder::new();
    for field in LEGACY_FIELDS
        .iter()
        .filter(|field| field.audience <= audience)
    {
        let kept = Some(format!("Kept as `{}`.", field.setting));
        let object_of = |kind| ObjectBuilder::new().schema_type(kind);
        let schema: Schema = match field.shape {
            LegacyShape::Switch(_) => object_of(Type::Boolean).description(kept).into(),
            LegacyShape::MergeStrategy | LegacyShape::Theme => {
                object_of(Type::String).description(kept).into()
            }
            LegacyShape::Permissions(_)
            | LegacyShape::Domains
            | LegacyShape::Providers
            | LegacyShape::ProviderIds => ArrayBuilder::new()
                .items(object_of(Type::Object))
                .description(kept)
                .into(),
            LegacyShape::EmailServer => object_of(Type::Object).description(kept).into(),
        };
        object = object.property(field.name, schema).required(field.name);
    }
    object.into()
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
