//! Users, as they see themselves and as servers see them.

use muniment_domain::project::ProjectConfig;
use muniment_domain::user::RiskScores;
use muniment_projections::read_models::users::UserRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::teams::{ClientTeam, ServerTeam};
use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::error::known_error::Restriction;

/// An account at an OAuth provider.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct OauthProviderView {
    /// The provider's id in the project.
    id: String,
    /// The account's id at the provider.
    account_id: String,
    /// The email the provider gave.
    #[schema(required)]
    email: Option<String>,
}

/// A user as clients see themselves.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "clients expect as many")]
pub struct ClientUser {
    id: Uuid,
    #[schema(required)]
    primary_email: Option<String>,
    primary_email_verified: bool,
    #[schema(required)]
    display_name: Option<String>,
    #[schema(required)]
    client_metadata: Option<Value>,
    #[schema(required)]
    client_read_only_metadata: Option<Value>,
    #[schema(required)]
    profile_image_url: Option<String>,
    /// Milliseconds since the Unix epoch.
    signed_up_at_millis: i64,
    has_password: bool,
    /// Deprecated: `has_password || otp_auth_enabled`.
    auth_with_email: bool,
    oauth_providers: Vec<OauthProviderView>,
    #[schema(required)]
    selected_team_id: Option<Uuid>,
    requires_totp_mfa: bool,
    otp_auth_enabled: bool,
    passkey_auth_enabled: bool,
    is_anonymous: bool,
    is_restricted: bool,
    #[schema(required)]
    restricted_reason: Option<Restriction>,
    restricted_by_admin: bool,
    /// Public text.
    #[schema(required)]
    restricted_by_admin_reason: Option<String>,
}

/// The signed-in user with the team selected.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct CurrentUser {
    #[serde(flatten)]
    user: ClientUser,
    #[schema(required)]
    selected_team: Option<ClientTeam>,
}

/// A user as servers and administrators see one.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub struct ServerUser {
    #[serde(flatten)]
    user: ClientUser,
    #[schema(required)]
    selected_team: Option<ServerTeam>,
    #[schema(required)]
    server_metadata: Option<Value>,
    primary_email_auth_enabled: bool,
    /// Milliseconds since the Unix epoch.
    last_active_at_millis: i64,
    #[schema(required)]
    restricted_by_admin_private_details: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[schema(required)]
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
