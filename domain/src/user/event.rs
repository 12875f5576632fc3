//! What can happen to a user.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{IntoStaticStr, VariantNames};
use uuid::Uuid;

use crate::event::domain_event;
use crate::notification::{NotificationCategory, Preference};
use crate::permission::{GrantCause, RevokeCause};
use crate::{ContactChannelId, Millis, Patch, PermissionId, Personal, ProjectId, TeamId};

/// An event on a user's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum UserEvent {
    /// The account came into being.
    UserCreated(Box<UserCreated>),
    /// The account's own fields changed. Also recorded when an update changed nothing: the
    /// caller's intent is part of the history, and webhooks follow it.
    UserUpdated(Box<UserUpdated>),
    /// Another team was selected for the user, or none, because of something that happened to the
    /// team: the user's own choice is an update.
    SelectedTeamChanged {
        /// The team selected now.
        selected_team_id: Option<TeamId>,
    },
    /// The password's hash was renewed, because the old one was of a weaker kind.
    PasswordRehashed {
        /// The new hash.
        personal: Personal<NewHash>,
    },
    /// A password was chosen by its owner: a first one, or another.
    PasswordChosen {
        /// On what occasion.
        occasion: PasswordOccasion,
        /// The new hash.
        personal: Personal<NewHash>,
    },
    /// The account may sign in by email code from now on, because its owner has just proved that
    /// they can.
    OtpEnabled {},
    /// A code of the second factor was accepted. No code of this or an earlier step is again.
    TotpStepUsed {
        /// Thirty-second steps since the Unix epoch (RFC 6238 §4).
        step: u64,
    },
    /// A passkey took the place of the one before, if any.
    PasskeyRegistered {
        /// Which.
        personal: Personal<Passkey>,
    },
    /// The passkey signed.
    PasskeyUsed {
        /// Its credential, as after the signature: authenticators count.
        personal: Personal<Passkey>,
    },
    /// The passkey was removed.
    PasskeyRemoved {},
    /// An email address was added.
    ContactChannelAdded(ContactChannelAdded),
    /// An email address, or its flags, changed.
    ContactChannelChanged(ContactChannelChanged),
    /// An email address was removed.
    ContactChannelRemoved {
        /// Which.
        channel_id: ContactChannelId,
    },
    /// A project-wide permission was granted directly.
    ProjectPermissionGranted {
        /// Which.
        permission_id: PermissionId,
        /// Why.
        #[serde(default)]
        cause: GrantCause,
    },
    /// A direct grant of a project-wide permission ended.
    ProjectPermissionRevoked {
        /// Which.
        permission_id: PermissionId,
        /// Why.
        cause: RevokeCause,
    },
    /// A project-wide permission was renamed, and the user's direct grant with it.
    ProjectPermissionRenamed {
        /// The old id.
        permission_id: PermissionId,
        /// The new id.
        new_permission_id: PermissionId,
    },
    /// The user wants mails of a category, or does not.
    NotificationPreferenceChanged {
        /// Which.
        category: NotificationCategory,
        /// Whether they are wanted.
        preference: Preference,
    },
    /// The account is gone. Its subject key is destroyed afterwards.
    UserDeleted {},
}

/// How likely a sign-up was abuse, 0 to 100 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskScores {
    /// The account is not a person.
    pub bot: u8,
    /// The person has used up a free trial before.
    pub free_trial_abuse: u8,
}

/// The primary email's channel at creation. Its value is in the personal part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialChannel {
    /// The channel's id.
    pub channel_id: ContactChannelId,
    /// The address is known to reach the user.
    pub is_verified: bool,
    /// The user may sign in with the address.
    pub used_for_auth: bool,
}

/// An account at an OAuth provider that belongs to a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthAccount {
    /// Our id of the record.
    pub id: Uuid,
    /// The provider's id in the project's configuration.
    pub provider_config_id: String,
    /// The account's id at the provider.
    pub account_id: String,
    /// The email the provider gave.
    pub email: Option<String>,
}

/// See [`UserEvent::UserCreated`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct UserCreated {
    /// The project the user belongs to.
    pub project_id: ProjectId,
    /// When.
    pub signed_up_at: Millis,
    /// The user has not signed up, but keeps data until they do.
    pub is_anonymous: bool,
    /// The primary email, if there is one.
    pub primary_channel: Option<InitialChannel>,
    /// The user may sign in with a password.
    pub has_password: bool,
    /// The user may sign in with a code by email.
    pub otp_enabled: bool,
    /// An administrator or a rule restricted the user.
    pub restricted_by_admin: bool,
    /// The sign-up's risk scores.
    pub risk_scores: RiskScores,
    /// Who this is.
    pub personal: Personal<NewPerson>,
}

/// The personal part of [`UserCreated`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewPerson {
    /// The name shown.
    pub display_name: Option<String>,
    /// A picture's address.
    pub profile_image_url: Option<String>,
    /// Data the client may read and write.
    pub client_metadata: Value,
    /// Data the client may read.
    pub client_read_only_metadata: Value,
    /// Data for the server only.
    pub server_metadata: Value,
    /// The primary email's normalised value.
    pub primary_email: Option<String>,
    /// The password's hash, in PHC or modular crypt format.
    pub password_hash: Option<String>,
    /// The TOTP secret, base64 (RFC 4648 §4).
    pub totp_secret: Option<String>,
    /// Two letters, ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Why the user is restricted, shown to the user.
    pub restricted_by_admin_reason: Option<String>,
    /// Why the user is restricted, for the operator.
    pub restricted_by_admin_private_details: Option<String>,
    /// Accounts at OAuth providers.
    pub oauth_accounts: Vec<OauthAccount>,
}

/// See [`UserEvent::UserUpdated`]. Fields that did not change are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserUpdated {
    /// The anonymous user signed up at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgraded_at: Option<Millis>,
    /// The administrator's flag was set or cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restricted_by_admin: Option<bool>,
    /// New risk scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_scores: Option<RiskScores>,
    /// Sign-in by code was switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp_enabled: Option<bool>,
    /// The second factor was switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp_enabled: Option<bool>,
    /// A password was set (`true`) or removed (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_password: Option<bool>,
    /// Another team was selected, or none.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub selected_team_id: Patch<TeamId>,
    /// The personal fields that changed.
    pub personal: Personal<PersonChange>,
}

/// The personal part of [`UserUpdated`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PersonChange {
    /// The name shown.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub display_name: Patch<String>,
    /// A picture's address.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub profile_image_url: Patch<String>,
    /// Data the client may read and write; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub client_metadata: Patch<Value>,
    /// Data the client may read; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub client_read_only_metadata: Patch<Value>,
    /// Data for the server only; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub server_metadata: Patch<Value>,
    /// The password's new hash.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub password_hash: Patch<String>,
    /// The TOTP secret, base64.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub totp_secret: Patch<String>,
    /// Two letters, ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub country_code: Patch<String>,
    /// Why the user is restricted, shown to the user.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub restricted_by_admin_reason: Patch<String>,
    /// Why the user is restricted, for the operator.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub restricted_by_admin_private_details: Patch<String>,
}

/// The personal part of [`UserEvent::PasswordRehashed`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewHash {
    /// The password's hash, in PHC format.
    pub password_hash: Option<String>,
}

/// On what occasion a password was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordOccasion {
    /// The account had none.
    First,
    /// Its owner knew the old one.
    Change,
    /// Its owner received a code by email.
    Reset,
}

/// A credential of an authenticator (WebAuthn Level 2 §4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passkey {
    /// The credential's id, base64url without padding.
    pub credential_id: String,
    /// Public key, counter and the rest, in the form in which `webauthn-rs` keeps them.
    pub credential: Value,
}

/// See [`UserEvent::ContactChannelAdded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContactChannelAdded {
    /// The channel's id.
    pub channel_id: ContactChannelId,
    /// When.
    pub created_at: Millis,
    /// The channel takes the place of the primary one, if any.
    pub is_primary: bool,
    /// The address is known to reach the user.
    pub is_verified: bool,
    /// The user may sign in with the address.
    pub used_for_auth: bool,
    /// The address.
    pub personal: Personal<ChannelValue>,
}

/// See [`UserEvent::ContactChannelChanged`]. Fields that did not change are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContactChannelChanged {
    /// Which.
    pub channel_id: ContactChannelId,
    /// The channel became the primary one (`true`, demoting the other) or ceased to be it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_primary: Option<bool>,
    /// The address was verified, or is no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_verified: Option<bool>,
    /// Sign-in with the address was switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_for_auth: Option<bool>,
    /// The new address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<ChannelValue>,
}

/// The personal part of the channel events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelValue {
    /// The normalised address.
    pub value: String,
}

domain_event!(UserEvent);
