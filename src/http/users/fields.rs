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
use crate::http::request::fields::Fields;
use crate::http::request::input::Input;
use crate::http::request::values::{
    base64, boolean, country, integer, json_value, lenient_email, non_empty_text, text, text_max,
    url_text,
};
use crate::security::passwords;

/// The longest name, in UTF-16 code units.
const MAX_NAME: usize = 256;

/// The longest password, in UTF-16 code units.
const MAX_PASSWORD: usize = 70;

/// The fields that creating and changing a user have in common.
pub(super) struct UserFields {
    display_name: Patch<String>,
    profile_image_url: Patch<String>,
    client_metadata: Patch<Value>,
    client_read_only_metadata: Patch<Value>,
    server_metadata: Patch<Value>,
    primary_email: Patch<EmailAddress>,
    primary_email_verified: Option<bool>,
    primary_email_auth_enabled: Option<bool>,
    password: Patch<String>,
    password_hash: Option<String>,
    otp_auth_enabled: Option<bool>,
    passkey_auth_enabled: Option<bool>,
    totp_secret: Patch<String>,
    restriction: AdminRestriction,
    country_code: Patch<String>,
    risk_scores: Option<RiskScores>,
}

impl UserFields {
    pub(super) fn read(body: &mut Fields<'_>, access: AccessType) -> Option<Self> {
        let display_name = body.nullable("display_name", text_max(MAX_NAME));
        let profile_image_url = body.nullable("profile_image_url", url_text);
        let client_metadata = body.nullable("client_metadata", json_value);
        let primary_email = body.nullable("primary_email", lenient_email);
        let otp_auth_enabled = body.optional("otp_auth_enabled", boolean);
        let passkey_auth_enabled = body.optional("passkey_auth_enabled", boolean);
        let totp_secret = body.nullable("totp_secret_base64", base64);
        let trusted = match access {
            AccessType::Client => Some(TrustedFields::default()),
            AccessType::Server | AccessType::Admin => TrustedFields::read(body),
        };
        let trusted = trusted?;
        Some(Self {
            display_name: blank_is_null(display_name?),
            profile_image_url: profile_image_url?,
            client_metadata: client_metadata?,
            client_read_only_metadata: trusted.client_read_only_metadata,
            server_metadata: trusted.server_metadata,
            primary_email: primary_email?,
            primary_email_verified: trusted.primary_email_verified,
            primary_email_auth_enabled: trusted.primary_email_auth_enabled,
            password: trusted.password,
            password_hash: trusted.password_hash,
            otp_auth_enabled: otp_auth_enabled?,
            passkey_auth_enabled: passkey_auth_enabled?,
            totp_secret: map_patch(totp_secret?, |bytes| data_encoding::BASE64.encode(&bytes)),
            restriction: trusted.restriction,
            country_code: trusted.country_code,
            risk_scores: trusted.risk_scores,
        })
    }

    /// A note on a restriction goes with the restriction, in one and the same body.
    pub(super) fn check_restriction(&self, input: &Input) -> Result<(), ApiError> {
        if self.restriction.restricted == Some(true) {
            return Ok(());
        }
        let mut form = input.form(None);
        if self.restriction.reason.is_set() {
            form.violation("body.restricted_by_admin_reason", NEEDS_FLAG);
        }
        if self.restriction.private_details.is_set() {
            form.violation("body.restricted_by_admin_private_details", NEEDS_FLAG);
        }
        form.finish(Some(()))
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
        oauth_accounts: Vec<OauthAccount>,
    ) -> Result<NewUser, ApiError> {
        let config = &access.project.config;
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
        check_providers(&access.project, &oauth_accounts)?;
        let is_verified = self.primary_email_verified.unwrap_or(false);
        let used_for_auth = self.primary_email_auth_enabled.unwrap_or(false);
        let address = self.primary_email.into_value();
        if address.is_none() && (is_verified || used_for_auth) {
            return Err(bad_request(
                "primary_email_verified and primary_email_auth_enabled need a primary_email.",
            ));
        }
        let oauth_accounts = oauth_accounts
            .into_iter()
            .map(|account| OauthAccount {
                id: access.app.random.uuid(),
                ..account
            })
            .collect();
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
            display_name: self.display_name.into_value(),
            profile_image_url: image.await?.into_value(),
            client_metadata: self.client_metadata.into_value().unwrap_or_default(),
            client_read_only_metadata: self
                .client_read_only_metadata
                .into_value()
                .unwrap_or_default(),
            server_metadata: self.server_metadata.into_value().unwrap_or_default(),
            primary_email,
            password_hash,
            totp_secret: self.totp_secret.into_value(),
            otp_enabled,
            restriction: self.restriction,
            country_code: self.country_code.into_value(),
            risk_scores: self.risk_scores.unwrap_or_default(),
            oauth_accounts,
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
            display_name: self.display_name,
            profile_image_url,
            client_metadata: self.client_metadata,
            client_read_only_metadata: self.client_read_only_metadata,
            server_metadata: self.server_metadata,
            primary_email: self.primary_email,
            primary_email_verified: self.primary_email_verified,
            primary_email_auth_enabled: self.primary_email_auth_enabled,
            password_hash,
            otp_enabled: self.otp_auth_enabled,
            totp_secret: self.totp_secret,
            restriction: self.restriction,
            country_code: self.country_code,
            risk_scores: self.risk_scores,
            remove_passkey: self.passkey_auth_enabled == Some(false),
            ..UserUpdate::nothing(access.app.now(), ContactChannelId(access.app.random.uuid()))
        })
    }
}

const NEEDS_FLAG: &str = "needs `restricted_by_admin: true` in the same request";

/// The fields that only servers and administrators may write.
#[derive(Default)]
struct TrustedFields {
    client_read_only_metadata: Patch<Value>,
    server_metadata: Patch<Value>,
    primary_email_verified: Option<bool>,
    primary_email_auth_enabled: Option<bool>,
    password: Patch<String>,
    password_hash: Option<String>,
    restriction: AdminRestriction,
    country_code: Patch<String>,
    risk_scores: Option<RiskScores>,
}

impl TrustedFields {
    fn read(body: &mut Fields<'_>) -> Option<Self> {
        let client_read_only_metadata = body.nullable("client_read_only_metadata", json_value);
        let server_metadata = body.nullable("server_metadata", json_value);
        let verified = body.optional("primary_email_verified", boolean);
        let auth_enabled = body.optional("primary_email_auth_enabled", boolean);
        let password = body.nullable("password", text_max(MAX_PASSWORD));
        let password_hash = body.optional("password_hash", non_empty_text);
        let restricted = body.optional("restricted_by_admin", boolean);
        let reason = body.nullable("restricted_by_admin_reason", text);
        let private_details = body.nullable("restricted_by_admin_private_details", text);
        let country_code = body.nullable("country_code", country);
        let risk_scores = body.optional_object("risk_scores", read_risk_scores);
        Some(Self {
            client_read_only_metadata: client_read_only_metadata?,
            server_metadata: server_metadata?,
            primary_email_verified: verified?,
            primary_email_auth_enabled: auth_enabled?,
            password: password?,
            password_hash: password_hash?,
            restriction: AdminRestriction {
                restricted: restricted?,
                reason: reason?,
                private_details: private_details?,
            },
            country_code: country_code?,
            risk_scores: risk_scores?,
        })
    }
}

fn read_risk_scores(fields: &mut Fields<'_>) -> Option<RiskScores> {
    fields.required_object("sign_up", |sign_up| {
        let bot = sign_up.required("bot", integer(0..=100));
        let abuse = sign_up.required("free_trial_abuse", integer(0..=100));
        Some(RiskScores {
            bot: u8::try_from(bot?).ok()?,
            free_trial_abuse: u8::try_from(abuse?).ok()?,
        })
    })
}

pub(super) fn read_oauth_account(fields: &mut Fields<'_>) -> Option<OauthAccount> {
    let id = fields.required("id", text);
    let account_id = fields.required("account_id", text);
    let email = fields.nullable("email", text);
    Some(OauthAccount {
        id: uuid::Uuid::nil(),
        provider_config_id: id?,
        account_id: account_id?,
        email: email?.into_value(),
    })
}

fn check_providers(project: &LoadedProject, accounts: &[OauthAccount]) -> Result<(), ApiError> {
    let providers = &project.config.auth.oauth.providers;
    match accounts
        .iter()
        .find(|account| !providers.contains_key(&account.provider_config_id))
    {
        None => Ok(()),
        Some(account) => {
            let id = &account.provider_config_id;
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

fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, message)
}
