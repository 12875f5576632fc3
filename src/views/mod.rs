//! What the API shows: one type per shape of the contract.

use muniment_domain::api_key::{ApiKeyKind, ApiKeyOwner};
use muniment_domain::notification::{NotificationCategory, Preference};
use muniment_domain::project::ProjectConfig;
use muniment_domain::project::old_fields::{self, Audience, OLD_FIELDS, OldShape};
use muniment_domain::user::RiskScores;
use muniment_domain::{PermissionId, RestrictedReason, SessionId, TeamId, UserId};
use muniment_projections::read_models::api_keys::ApiKeyRow;
use muniment_projections::read_models::permissions::{ProjectGrant, TeamGrant};
use muniment_projections::read_models::projects::ProjectKeyRow;
use muniment_projections::read_models::sessions::SessionRecord;
use muniment_projections::read_models::teams::TeamRow;
use muniment_projections::read_models::teams::invitations::Invitation;
use muniment_projections::read_models::teams::member_profiles::MemberProfile;
use muniment_projections::read_models::users::{ContactChannelRow, UserRecord};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::app::projects::{NewKeys, string_order};

pub(crate) use muniment_domain::project::old_fields::enabled_providers;

/// Why a user is restricted.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct Restriction {
    /// `anonymous`, `email_not_verified` or `restricted_by_administrator`.
    #[serde(rename = "type")]
    kind: &'static str,
}

impl From<RestrictedReason> for Restriction {
    fn from(reason: RestrictedReason) -> Self {
        let kind = match reason {
            RestrictedReason::Anonymous => "anonymous",
            RestrictedReason::EmailNotVerified => "email_not_verified",
            RestrictedReason::RestrictedByAdministrator => "restricted_by_administrator",
        };
        Self { kind }
    }
}

/// An account at an OAuth provider.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct OauthProviderView {
    /// The provider's id in the project.
    id: String,
    /// The account's id at the provider.
    account_id: String,
    /// The email the provider gave.
    email: Option<String>,
}

/// A user as clients see themselves.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "the contract has as many")]
pub struct ClientUser {
    id: Uuid,
    primary_email: Option<String>,
    primary_email_verified: bool,
    display_name: Option<String>,
    client_metadata: Option<Value>,
    client_read_only_metadata: Option<Value>,
    profile_image_url: Option<String>,
    /// Milliseconds since the Unix epoch.
    signed_up_at_millis: i64,
    has_password: bool,
    /// Deprecated: `has_password || otp_auth_enabled`.
    auth_with_email: bool,
    oauth_providers: Vec<OauthProviderView>,
    selected_team_id: Option<Uuid>,
    requires_totp_mfa: bool,
    otp_auth_enabled: bool,
    passkey_auth_enabled: bool,
    is_anonymous: bool,
    is_restricted: bool,
    restricted_reason: Option<Restriction>,
    restricted_by_admin: bool,
    /// Public text.
    restricted_by_admin_reason: Option<String>,
}

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

/// The signed-in user with the team selected.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct CurrentUser {
    #[serde(flatten)]
    user: ClientUser,
    selected_team: Option<ClientTeam>,
}

/// A user as servers and administrators see one.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ServerUser {
    #[serde(flatten)]
    user: ClientUser,
    selected_team: Option<ServerTeam>,
    server_metadata: Option<Value>,
    primary_email_auth_enabled: bool,
    /// Milliseconds since the Unix epoch.
    last_active_at_millis: i64,
    restricted_by_admin_private_details: Option<String>,
    /// ISO 3166-1 alpha-2.
    country_code: Option<String>,
    risk_scores: RiskScoresView,
}

/// Risk scores by occasion.
#[derive(Serialize, ToSchema, Clone, Copy, Debug)]
pub struct RiskScoresView {
    sign_up: SignUpScores,
}

/// The risk scores of a sign-up, 0 to 100.
#[derive(Serialize, ToSchema, Clone, Copy, Debug)]
pub struct SignUpScores {
    bot: u8,
    free_trial_abuse: u8,
}

impl From<RiskScores> for RiskScoresView {
    fn from(scores: RiskScores) -> Self {
        let RiskScores {
            bot,
            free_trial_abuse,
        } = scores;
        Self {
            sign_up: SignUpScores {
                bot,
                free_trial_abuse,
            },
        }
    }
}

fn client_user(record: &UserRecord, config: &ProjectConfig) -> ClientUser {
    let row = &record.user;
    let restricted_reason = row.restricted_reason(config.email_verification());
    let providers = row
        .oauth_accounts()
        .into_iter()
        .map(|account| OauthProviderView {
            id: account.provider_config_id,
            account_id: account.account_id,
            email: account.email,
        });
    ClientUser {
        id: row.id,
        primary_email: row.primary_email.clone(),
        primary_email_verified: row.primary_email_verified,
        display_name: row.display_name.clone(),
        client_metadata: row.client_metadata.clone(),
        client_read_only_metadata: row.client_read_only_metadata.clone(),
        profile_image_url: row.profile_image_url.clone(),
        signed_up_at_millis: row.signed_up_at,
        has_password: row.password_hash.is_some(),
        auth_with_email: row.password_hash.is_some() || row.otp_enabled,
        oauth_providers: providers.collect(),
        selected_team_id: record.selected_team.as_ref().map(|team| team.id),
        requires_totp_mfa: row.totp_enabled,
        otp_auth_enabled: row.otp_enabled,
        passkey_auth_enabled: row.passkey_enabled,
        is_anonymous: row.is_anonymous,
        is_restricted: restricted_reason.is_some(),
        restricted_reason: restricted_reason.map(Restriction::from),
        restricted_by_admin: row.restricted_by_admin,
        restricted_by_admin_reason: row.restricted_by_admin_reason.clone(),
    }
}

impl CurrentUser {
    /// Shows a record.
    #[must_use]
    pub fn of(record: &UserRecord, project: &LoadedProject) -> Self {
        Self {
            user: client_user(record, &project.config),
            selected_team: record.selected_team.clone().map(ClientTeam::from),
        }
    }
}

impl ServerUser {
    /// Shows a record.
    #[must_use]
    pub fn of(app: &App, record: &UserRecord, project: &LoadedProject) -> Self {
        let id = record.user.user_id();
        let seen = app.activity.of_user(id, record.last_active_at);
        Self::as_of(record, project, seen)
    }

    /// Shows a record of some time, when the user was last seen at `last_active_at`.
    #[must_use]
    pub fn as_of(
        record: &UserRecord,
        project: &LoadedProject,
        last_active_at: Option<i64>,
    ) -> Self {
        let row = &record.user;
        Self {
            user: client_user(record, &project.config),
            selected_team: record.selected_team.clone().map(ServerTeam::from),
            server_metadata: row.server_metadata.clone(),
            primary_email_auth_enabled: row.primary_email_auth_enabled,
            last_active_at_millis: last_active_at.unwrap_or(row.signed_up_at),
            restricted_by_admin_private_details: row.restricted_by_admin_private_details.clone(),
            country_code: row.country_code.clone(),
            risk_scores: row.risk_scores().into(),
        }
    }

    /// The same user before any team was selected: what `POST /users` answers, because the personal
    /// team is made after the user.
    #[must_use]
    pub fn before_personal_team(mut self) -> Self {
        self.user.selected_team_id = None;
        self.selected_team = None;
        self
    }
}

/// A team as its members see it.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ClientTeam {
    id: Uuid,
    display_name: String,
    profile_image_url: Option<String>,
    client_metadata: Option<Value>,
    client_read_only_metadata: Option<Value>,
}

impl From<TeamRow> for ClientTeam {
    fn from(row: TeamRow) -> Self {
        Self {
            id: row.id,
            display_name: row.display_name,
            profile_image_url: row.profile_image_url,
            client_metadata: row.client_metadata,
            client_read_only_metadata: row.client_read_only_metadata,
        }
    }
}

/// A team as servers and administrators see it.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ServerTeam {
    #[serde(flatten)]
    team: ClientTeam,
    /// Milliseconds since the Unix epoch.
    created_at_millis: i64,
    server_metadata: Option<Value>,
}

impl From<TeamRow> for ServerTeam {
    fn from(mut row: TeamRow) -> Self {
        Self {
            created_at_millis: row.created_at,
            server_metadata: row.server_metadata.take(),
            team: row.into(),
        }
    }
}

/// A permission definition.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct PermissionDefinitionView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What it contains directly.
    contained_permission_ids: Vec<String>,
}

impl PermissionDefinitionView {
    /// Shows a definition.
    #[must_use]
    pub fn new<'c>(
        id: &str,
        description: Option<&str>,
        contained: impl Iterator<Item = &'c str>,
    ) -> Self {
        let mut contained: Vec<String> = contained.map(str::to_owned).collect();
        contained.sort_by(|a, b| string_order(a, b));
        Self {
            id: id.to_owned(),
            description: description.map(str::to_owned),
            contained_permission_ids: contained,
        }
    }

    /// The permission's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A permission that a member holds in a team.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct TeamPermission {
    /// The permission's id.
    id: String,
    user_id: Uuid,
    team_id: Uuid,
}

impl TeamPermission {
    /// Shows a grant.
    #[must_use]
    pub fn new(team: TeamId, user: UserId, permission: &PermissionId) -> Self {
        Self {
            id: permission.to_string(),
            user_id: user.0,
            team_id: team.0,
        }
    }
}

impl From<TeamGrant> for TeamPermission {
    fn from(grant: TeamGrant) -> Self {
        Self {
            id: grant.permission_id,
            user_id: grant.user_id,
            team_id: grant.team_id,
        }
    }
}

/// A permission that a user holds in the whole project.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ProjectPermission {
    /// The permission's id.
    id: String,
    user_id: Uuid,
}

impl ProjectPermission {
    /// Shows a grant.
    #[must_use]
    pub fn new(user: UserId, permission: &PermissionId) -> Self {
        Self {
            id: permission.to_string(),
            user_id: user.0,
        }
    }
}

impl From<ProjectGrant> for ProjectPermission {
    fn from(grant: ProjectGrant) -> Self {
        Self {
            id: grant.permission_id,
            user_id: grant.user_id,
        }
    }
}

/// An invitation that can still be accepted.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct TeamInvitation {
    id: Uuid,
    team_id: Uuid,
    team_display_name: String,
    expires_at_millis: i64,
    /// The address as the sender wrote it.
    recipient_email: String,
}

impl From<Invitation> for TeamInvitation {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            team_id: invitation.team_id,
            team_display_name: invitation.team_display_name,
            expires_at_millis: invitation.expires_at,
            recipient_email: invitation.recipient_email,
        }
    }
}

/// How a member appears in a team.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ClientMemberProfile {
    team_id: Uuid,
    user_id: Uuid,
    /// The name shown in the team, or else the user's own.
    display_name: Option<String>,
    /// The picture shown in the team, or else the user's own.
    profile_image_url: Option<String>,
}

impl ClientMemberProfile {
    /// Shows a profile.
    #[must_use]
    pub fn of(profile: &MemberProfile) -> Self {
        Self {
            team_id: profile.member_team_id,
            user_id: profile.record.user.id,
            display_name: profile.display_name().map(str::to_owned),
            profile_image_url: profile.profile_image_url().map(str::to_owned),
        }
    }
}

/// How a member appears in a team, with the user.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ServerMemberProfile {
    #[serde(flatten)]
    profile: ClientMemberProfile,
    user: ServerUser,
}

impl ServerMemberProfile {
    /// Shows a profile.
    #[must_use]
    pub fn of(app: &App, profile: &MemberProfile, project: &LoadedProject) -> Self {
        Self {
            profile: ClientMemberProfile::of(profile),
            user: ServerUser::of(app, &profile.record, project),
        }
    }
}

/// Whether a user wants mails of a category.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct NotificationPreferenceView {
    notification_category_id: Uuid,
    notification_category_name: &'static str,
    enabled: bool,
    /// Whether users are shown a way to switch it off.
    can_disable: bool,
}

impl NotificationPreferenceView {
    /// Shows a preference.
    #[must_use]
    pub fn new(category: NotificationCategory, preference: Preference) -> Self {
        Self {
            notification_category_id: category.id(),
            notification_category_name: category.name(),
            enabled: preference.is_enabled(),
            can_disable: category.can_disable(),
        }
    }
}

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
    is_current_session: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
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
    for field in OLD_FIELDS.iter().filter(|field| field.audience <= audience) {
        let kept = Some(format!("Kept as `{}`.", field.setting));
        let object_of = |kind| ObjectBuilder::new().schema_type(kind);
        let schema: Schema = match field.shape {
            OldShape::Switch(_) => object_of(Type::Boolean).description(kept).into(),
            OldShape::MergeStrategy | OldShape::Theme => {
                object_of(Type::String).description(kept).into()
            }
            OldShape::Permissions(_)
            | OldShape::Domains
            | OldShape::Providers
            | OldShape::ProviderIds => ArrayBuilder::new()
                .items(object_of(Type::Object))
                .description(kept)
                .into(),
            OldShape::EmailServer => object_of(Type::Object).description(kept).into(),
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
            config: ClientProjectConfig(old_fields::shown(&project.config, Audience::Clients)),
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
            config: AdminProjectConfig(old_fields::shown(&project.config, Audience::Admins)),
        }
    }
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
