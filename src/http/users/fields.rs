//! The fields of a user in requests.

use axum::http::StatusCode;
use muniment_domain::user::{
    AdminRestriction, Method, NewPrimaryEmail, NewUser, OauthAccount, RiskScores, UserUpdate,
};
use muniment_domain::{ContactChannelId, EmailAddress, Patch};
use muniment_event_store::AccessType;
use serde_json::Value;

use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::error::ApiError;
use crate::error::known_error::KnownError;
use crate::http::images::{self, ImageRule};
use crate::http::request::access::ProjectAccess;
use crate::http::request::caller::Auth;
use crate::http::request::declare::fields;
use crate::http::request::fields::Findings;
use crate::http::request::presence::{nullable, optional, required};
use crate::http::request::shape::scalars::{
    base64, boolean, country, integer, json_value, lenient_email, non_empty_text, text, text_max,
    url_text,
};
use crate::http::request::shape::{Shape, object};
use crate::security::passwords;

/// The longest name, in UTF-16 code units.
const MAX_NAME: usize = 256;

/// The longest password, in UTF-16 code units.
const MAX_PASSWORD: usize = 70;

fields! {
    /// The fields that creating and changing a user have in common.
    pub(super) struct UserFields {
        /// The name shown to others. An empty one counts as null.
        display_name: Patch<String> = nullable(text_max(MAX_NAME));
        /// The picture, as a URL or, to upload it, as a `data:` URL of an image.
        profile_image_url: Patch<String> = nullable(url_text());
        /// Whatever the user and the application's clients want to keep. Others do not see it.
        client_metadata: Patch<Value> = nullable(json_value());
        /// What the user and clients see, but servers alone may change.
        client_read_only_metadata: Patch<Value> = nullable(json_value()), servers;
        /// What servers alone see and change.
        server_metadata: Patch<Value> = nullable(json_value()), servers;
        /// The primary email address.
        primary_email: Patch<EmailAddress> = nullable(lenient_email());
        /// Whether the primary email address is verified.
        primary_email_verified: Option<bool> = optional(boolean()), servers;
        /// Whether the primary email address may be used to sign in.
        primary_email_auth_enabled: Option<bool> = optional(boolean()), servers;
        /// A new password. Null takes the password away.
        password: Patch<String> = nullable(text_max(MAX_PASSWORD)), servers;
        /// The hash of a password, as another system computed it. Not together with `password`.
        password_hash: Option<String> = optional(non_empty_text()), servers;
        /// Whether the user may sign in by a code or link sent to the primary email address.
        otp_auth_enabled: Option<bool> = optional(boolean());
        /// `false` removes the passkeys. A passkey is registered by its owner.
        passkey_auth_enabled: Option<bool> = optional(boolean());
        /// The secret of the second factor (RFC 6238), in base64. Null switches it off.
        totp_secret_base64: Patch<Vec<u8>> = nullable(base64());
        /// Whether an administrator restricts the user.
        restricted_by_admin: Option<bool> = optional(boolean()), servers;
        /// Why, as the user may read it. Needs `restricted_by_admin: true` beside it.
        restricted_by_admin_reason: Patch<String> = nullable(text()), servers;
        /// Why, for administrators. Needs `restricted_by_admin: true` beside it.
        restricted_by_admin_private_details: Patch<String> = nullable(text()), servers;
        /// The user's country (ISO 3166-1 alpha-2).
        country_code: Patch<String> = nullable(country()), servers;
        /// How risky the user seems, by occasion.
        risk_scores: Option<RiskScoresByOccasion> = optional(object()), servers;
    }

    /// Risk scores by occasion.
    pub(super) struct RiskScoresByOccasion {
        /// Those of the sign-up.
        sign_up: SignUpRisks = required(object());
    }

    /// The risk scores of a sign-up.
    pub(crate) struct SignUpRisks {
        /// How likely it is that a program signed up.
        bot: u8 = required(score());
        /// How likely it is that a free trial is being abused.
        free_trial_abuse: u8 = required(score());
    }

    /// An account at an OAuth provider.
    pub(super) struct OauthAccountFields {
        /// The provider's id in the project.
        id: String = required(text());
        /// The account's id at the provider.
        account_id: String = required(text());
        /// The email the provider gave.
        email: Patch<String> = nullable(text());
    }
}

/// A risk score.
fn score() -> impl Shape<Value = u8> {
    let out_of_range = |_| "must be between 0 and 100".to_owned();
    integer(0..=100).refine(move |score| u8::try_from(score).map_err(out_of_range))
}

impl From<&SignUpRisks> for RiskScores {
    fn from(risks: &SignUpRisks) -> Self {
        Self {
            bot: risks.bot,
            free_trial_abuse: risks.free_trial_abuse,
        }
    }
}

impl UserFields {
    /// A note on a restriction goes with the restriction, in one and the same body.
    pub(super) fn check_restriction(&self, findings: &mut Findings) {
        if self.restricted_by_admin == Some(true) {
            return;
        }
        if self.restricted_by_admin_reason.is_set() {
            findings.note("body.restricted_by_admin_reason", NEEDS_FLAG);
        }
        if self.restricted_by_admin_private_details.is_set() {
            findings.note("body.restricted_by_admin_private_details", NEEDS_FLAG);
        }
    }

    fn restriction(&self) -> AdminRestriction {
        AdminRestriction {
            restricted: self.restricted_by_admin,
            reason: self.restricted_by_admin_reason.clone(),
            private_details: self.restricted_by_admin_private_details.clone(),
        }
    }

    fn image_rule(auth: &Auth) -> ImageRule {
        match auth.access_type {
            AccessType::Client => ImageRule::UploadsOnly,
            AccessType::Server | AccessType::Admin => ImageRule::UploadsAndLinks,
        }
    }

    /// The hash to store: of a password given, or one computed elsewhere.
    async fn hash(&self, app: &App) -> Result<Patch<String>, ApiError> {
        match (&self.password, &self.password_hash) {
            (Patch::Keep, None) => Ok(Patch::Keep),
            (Patch::Clear, None) => Ok(Patch::Clear),
            (Patch::Keep, Some(hash)) => {
                passwords::check_imported_hash(hash)
                    .map_err(|error| bad_request(error.to_string()))?;
                Ok(Patch::Set(hash.clone()))
            }
            (Patch::Set(password), None) => {
                if passwords::strength(password) == passwords::Strength::TooLong {
                    return Err(KnownError::password_too_long().into());
                }
                let hash = app
                    .passwords
                    .hash(password)
                    .await
                    .map_err(ApiError::internal)?;
                Ok(Patch::Set(hash))
            }
            (Patch::Clear | Patch::Set(_), Some(_)) => Err(bad_request(
                "Send either password or password_hash, not both.",
            )),
        }
    }

    pub(super) async fn into_new_user(
        self,
        access: &ProjectAccess,
        is_anonymous: bool,
        oauth_providers: Vec<OauthAccountFields>,
    ) -> Result<NewUser, ApiError> {
        let config = &access.project.config;
        let restriction = self.restriction();
        let password_hash = self.hash(&access.app).await?.into_value();
        if password_hash.is_some() && !config.auth.password.allow_sign_in {
            return Err(bad_request(
                "Password sign-in is switched off in this project, so no password can be set.",
            ));
        }
        let otp_enabled = self.otp_auth_enabled.unwrap_or(false);
        if otp_enabled && !config.auth.otp.allow_sign_in {
            return Err(bad_request(
                "Sign-in by email code is switched off in this project.",
            ));
        }
        check_providers(&access.project, &oauth_providers)?;
        let risk_scores = self
            .risk_scores
            .as_ref()
            .map(|scores| (&scores.sign_up).into());
        let is_verified = self.primary_email_verified.unwrap_or(false);
        let used_for_auth = self.primary_email_auth_enabled.unwrap_or(false);
        let address = self.primary_email.into_value();
        if address.is_none() && (is_verified || used_for_auth) {
            return Err(bad_request(
                "primary_email_verified and primary_email_auth_enabled need a primary_email.",
            ));
        }
        let oauth_accounts = oauth_providers.into_iter().map(|account| OauthAccount {
            id: access.app.random.uuid(),
            provider_config_id: account.id,
            account_id: account.account_id,
            email: account.email.into_value(),
        });
        let primary_email = address.map(|address| NewPrimaryEmail {
            channel_id: ContactChannelId(access.app.random.uuid()),
            address,
            is_verified,
            used_for_auth,
        });
        let image = images::accept(
            &access.app,
            images::Folder::Users,
            UserFields::image_rule(access),
            self.profile_image_url,
        );
        Ok(NewUser {
            is_anonymous,
            display_name: blank_is_null(self.display_name).into_value(),
            profile_image_url: image.await?.into_value(),
            client_metadata: self.client_metadata.into_value().unwrap_or_default(),
            client_read_only_metadata: self
                .client_read_only_metadata
                .into_value()
                .unwrap_or_default(),
            server_metadata: self.server_metadata.into_value().unwrap_or_default(),
            primary_email,
            password_hash,
            totp_secret: in_base64(self.totp_secret_base64).into_value(),
            otp_enabled,
            restriction,
            country_code: self.country_code.into_value(),
            risk_scores: risk_scores.unwrap_or_default(),
            oauth_accounts: oauth_accounts.collect(),
            ..NewUser::blank(access.project.id.clone(), access.app.now())
        })
    }

    pub(super) async fn into_update(self, access: &ProjectAccess) -> Result<UserUpdate, ApiError> {
        if self.passkey_auth_enabled == Some(true) {
            return Err(bad_request(
                "A passkey is registered by its owner; it cannot be switched on here.",
            ));
        }
        let config = &access.project.config;
        let password_hash = self.hash(&access.app).await?;
        let restriction = self.restriction();
        let image = images::accept(
            &access.app,
            images::Folder::Users,
            UserFields::image_rule(access),
            self.profile_image_url,
        );
        let profile_image_url = image.await?;
        Ok(UserUpdate {
            password_sign_in: Method::offered_if(config.auth.password.allow_sign_in),
            otp_sign_in: Method::offered_if(config.auth.otp.allow_sign_in),
            display_name: blank_is_null(self.display_name),
            profile_image_url,
            client_metadata: self.client_metadata,
            client_read_only_metadata: self.client_read_only_metadata,
            server_metadata: self.server_metadata,
            primary_email: self.primary_email,
            primary_email_verified: self.primary_email_verified,
            primary_email_auth_enabled: self.primary_email_auth_enabled,
            password_hash,
            otp_enabled: self.otp_auth_enabled,
            totp_secret: in_base64(self.totp_secret_base64),
            restriction,
            country_code: self.country_code,
            risk_scores: self.risk_scores.map(|scores| (&scores.sign_up).into()),
            remove_passkey: self.passkey_auth_enabled == Some(false),
            ..UserUpdate::nothing(access.app.now(), ContactChannelId(access.app.random.uuid()))
        })
    }
}

const NEEDS_FLAG: &str = "needs `restricted_by_admin: true` in the same request";

fn check_providers(
    project: &LoadedProject,
    accounts: &[OauthAccountFields],
) -> Result<(), ApiError> {
    let providers = &project.config.auth.oauth.providers;
    match accounts
        .iter()
        .find(|account| !providers.contains_key(&account.id))
    {
        None => Ok(()),
        Some(account) => {
            let id = &account.id;
            Err(bad_request(format!(
                "The project has no OAuth provider `{id}`. Configure it first."
            )))
        }
    }
}

fn blank_is_null(name: Patch<String>) -> Patch<String> {
    match name {
        Patch::Set(name) if name.is_empty() => Patch::Clear,
        other => other,
    }
}

pub(super) fn map_patch<T, U>(patch: Patch<T>, change: impl FnOnce(T) -> U) -> Patch<U> {
    match patch {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(value) => Patch::Set(change(value)),
    }
}

fn in_base64(secret: Patch<Vec<u8>>) -> Patch<String> {
    map_patch(secret, |bytes| data_encoding::BASE64.encode(&bytes))
}

fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, message)
}
