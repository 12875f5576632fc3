//! The rows of users and their contact channels.

use crate::read_models::table::read_table;
use muniment_domain::restriction::{EmailVerification, Standing};
use muniment_domain::user::{OauthAccount, RiskScores};
use muniment_domain::{RestrictedReason, UserId};
use serde_json::Value;
use uuid::Uuid;

read_table! {
    /// A row of `users`.
    #[derive(sqlx::FromRow)]
    #[allow(clippy::struct_excessive_bools, reason = "as many columns are booleans")]
    pub struct UserRow in "users" {
        pub id: Uuid,
        pub project_id: String,
        pub signed_up_at: i64,
        pub is_anonymous: bool,
        pub display_name: Option<String>,
        pub profile_image_url: Option<String>,
        pub client_metadata: Option<Value>,
        pub client_read_only_metadata: Option<Value>,
        pub server_metadata: Option<Value>,
        pub primary_email: Option<String>,
        pub primary_email_verified: bool,
        pub primary_email_auth_enabled: bool,
        pub password_hash: Option<String>,
        pub otp_enabled: bool,
        pub totp_enabled: bool,
        pub oauth_accounts: Value,
        pub selected_team_id: Option<Uuid>,
        pub restricted_by_admin: bool,
        pub restricted_by_admin_reason: Option<String>,
        pub restricted_by_admin_private_details: Option<String>,
        pub country_code: Option<String>,
        pub risk_scores: Value,
        pub passkey_enabled: bool,
    }
    key (id: Uuid);
    cleared (User by id, Project by project_id);
}

read_table! {
    /// A row of `contact_channels`.
    #[derive(sqlx::FromRow)]
    pub struct ContactChannelRow in "contact_channels" {
        pub id: Uuid,
        pub project_id: String,
        pub user_id: Uuid,
        pub r#type: String,
        pub value: String,
        pub is_primary: bool,
        pub is_verified: bool,
        pub used_for_auth: bool,
        pub created_at: i64,
    }
    key (id: Uuid);
    owner user_id;
    cleared (User by user_id, Project by project_id);
}

impl UserRow {
    /// The user's id.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        UserId(self.id)
    }

    /// Why the user is restricted at present, if so.
    #[must_use]
    pub fn restricted_reason(&self, verification: EmailVerification) -> Option<RestrictedReason> {
        let standing = Standing {
            is_anonymous: self.is_anonymous,
            primary_email_verified: self.primary_email_verified,
            restricted_by_admin: self.restricted_by_admin,
        };
        RestrictedReason::of(standing, verification)
    }

    /// The accounts at OAuth providers.
    #[must_use]
    pub fn oauth_accounts(&self) -> Vec<OauthAccount> {
        serde_json::from_value(self.oauth_accounts.clone()).unwrap_or_default()
    }

    /// The sign-up's risk scores.
    #[must_use]
    pub fn risk_scores(&self) -> RiskScores {
        serde_json::from_value(self.risk_scores.clone()).unwrap_or_default()
    }
}

/// The only type of contact channel that exists.
pub(crate) const EMAIL: &str = "email";
