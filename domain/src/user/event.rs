//! The events on the stream of a user.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::profile::{profile_fields, with_stored_changes, with_values};
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
        /// The team that is selected now, if any.
        selected_team_id: Option<TeamId>,
    },
    /// The password's hash was renewed, because the old one was of a weaker kind.
    PasswordRehashed {
        /// The stronger hash of the same password.
        personal: Personal<NewHash>,
    },
    /// A password was chosen by its owner: a first one, or another.
    PasswordChosen {
        /// Whether this is a first password, a change of a known one, or a reset by email.
        occasion: PasswordOccasion,
        /// The hash of the chosen password.
        personal: Personal<NewHash>,
    },
    /// The account may sign in by email code from now on, because its owner has just proved that
    /// they can.
    OtpEnabled {},
    /// A code of the second factor was accepted. Codes of this step, or of an earlier one, are
    /// refused from now on.
    TotpStepUsed {
        /// The step of the code: thirty-second steps since the Unix epoch (RFC 6238 §4).
        step: u64,
    },
    /// A passkey took the place of the one before, if any.
    PasskeyRegistered {
        /// The credential of the new passkey.
        personal: Personal<Passkey>,
    },
    /// The passkey was used to sign in.
    PasskeyUsed {
        /// The credential after the signature, because authenticators count their signatures.
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
        /// The channel that was removed.
        channel_id: ContactChannelId,
    },
    /// A project-wide permission was granted directly.
    ProjectPermissionGranted {
        /// The permission that was granted.
        permission_id: PermissionId,
        /// Whether somebody granted it, or a default of the project.
        #[serde(default)]
        cause: GrantCause,
    },
    /// A direct grant of a project-wide permission ended.
    ProjectPermissionRevoked {
        /// The permission that ended.
        permission_id: PermissionId,
        /// Whether somebody revoked it, or its definition was removed.
        cause: RevokeCause,
    },
    /// A project-wide permission was renamed, and the user's direct grant with it.
    ProjectPermissionRenamed {
        /// The permission's id until then.
        permission_id: PermissionId,
        /// The permission's id from then on.
        new_permission_id: PermissionId,
    },
    /// The user chose whether to receive mails of a category.
    NotificationPreferenceChanged {
        /// The category that the choice is about.
        category: NotificationCategory,
        /// Whether the user wants these mails.
        preference: Preference,
    },
    /// The account is gone. Its subject key is destroyed afterwards.
    UserDeleted {},
}

/// How likely a sign-up was abuse, 0 to 100 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskScores {
    /// How likely the account is not a person.
    pub bot: u8,
    /// How likely the person has used up a free trial before.
    pub free_trial_abuse: u8,
}

/// The primary email's channel at creation. The address itself is in the personal part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialChannel {
    /// The channel's id.
    pub channel_id: ContactChannelId,
    /// Whether the address is already known to reach the user.
    pub is_verified: bool,
    /// Whether the user may sign in with the address.
    pub used_for_auth: bool,
}

/// An account at an OAuth provider that belongs to a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthAccount {
    /// The id of this link, unique across projects.
    pub id: Uuid,
    /// The provider's id in the project's configuration.
    pub provider_config_id: String,
    /// The id that the provider knows the account by.
    pub account_id: String,
    /// The email address that the provider gave, if any.
    pub email: Option<String>,
}

/// The content of [`UserEvent::UserCreated`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct UserCreated {
    /// The project the user belongs to.
    pub project_id: ProjectId,
    /// When the user signed up, or the anonymous account was opened.
    pub signed_up_at: Millis,
    /// Whether the user has not signed up yet, but keeps data until they do.
    pub is_anonymous: bool,
    /// The channel of the primary email address, if there is one.
    pub primary_channel: Option<InitialChannel>,
    /// Whether the user may sign in with a password.
    pub has_password: bool,
    /// Whether the user may sign in with a code by email.
    pub otp_enabled: bool,
    /// Whether an administrator or a sign-up rule restricted the user.
    pub restricted_by_admin: bool,
    /// How likely the sign-up was abuse.
    pub risk_scores: RiskScores,
    /// Everything that says who the user is.
    pub personal: Personal<NewPerson>,
}

profile_fields! {
    with_values {
        /// The personal part of [`UserCreated`]: everything that says who the user is.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct NewPerson {
            /// The primary email address, normalised.
            pub primary_email: Option<String>,
            /// The password's hash, in PHC or modular crypt format.
            pub password_hash: Option<String>,
            /// The TOTP secret, base64 (RFC 4648 §4).
            pub totp_secret: Option<String>,
            /// The reason for a restriction that the user is shown.
            pub restricted_by_admin_reason: Option<String>,
            /// Details of a restriction that only the operator sees.
            pub restricted_by_admin_private_details: Option<String>,
            /// The accounts at OAuth providers that the user signs in with.
            pub oauth_accounts: Vec<OauthAccount>,
        }
    }
}

/// The content of [`UserEvent::UserUpdated`]. Fields that did not change are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserUpdated {
    /// When the user, anonymous until then, signed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgraded_at: Option<Millis>,
    /// Whether an administrator restricted the user or lifted the restriction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restricted_by_admin: Option<bool>,
    /// Risk scores that replaced those of the sign-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_scores: Option<RiskScores>,
    /// Whether sign-in by email code was switched on or off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp_enabled: Option<bool>,
    /// Whether the second factor was switched on or off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp_enabled: Option<bool>,
    /// A password was set (`true`) or removed (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_password: Option<bool>,
    /// The team that was selected, or none.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub selected_team_id: Patch<TeamId>,
    /// The changed fields that say who the user is.
    pub personal: Personal<PersonChange>,
}

profile_fields! {
    with_stored_changes {
        /// The personal part of [`UserUpdated`]: the changed fields that say who the user is.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct PersonChange {
            /// The hash of a new password, or none if the password was removed.
            #[serde(skip_serializing_if = "Patch::is_keep")]
            pub password_hash: Patch<String>,
            /// The TOTP secret, base64, or none if the second factor was switched off.
            #[serde(skip_serializing_if = "Patch::is_keep")]
            pub totp_secret: Patch<String>,
            /// The reason for a restriction that the user is shown.
            #[serde(skip_serializing_if = "Patch::is_keep")]
            pub restricted_by_admin_reason: Patch<String>,
            /// Details of a restriction that only the operator sees.
            #[serde(skip_serializing_if = "Patch::is_keep")]
            pub restricted_by_admin_private_details: Patch<String>,
        }
    }
}

/// The personal part of the events that store a password's hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewHash {
    /// The password's hash, in PHC format.
    pub password_hash: Option<String>,
}

/// On what occasion a password was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordOccasion {
    /// The account had no password before.
    First,
    /// The owner proved to know the old password.
    Change,
    /// The owner brought back a code that was sent by email.
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

/// The content of [`UserEvent::ContactChannelAdded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContactChannelAdded {
    /// The channel's id.
    pub channel_id: ContactChannelId,
    /// When the address was added.
    pub created_at: Millis,
    /// Whether the channel replaced the primary one, if there was one.
    pub is_primary: bool,
    /// Whether the address was already known to reach the user.
    pub is_verified: bool,
    /// Whether the user may sign in with the address.
    pub used_for_auth: bool,
    /// The address itself.
    pub personal: Personal<ChannelValue>,
}

/// The content of [`UserEvent::ContactChannelChanged`]. Fields that did not change are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContactChannelChanged {
    /// The channel that changed.
    pub channel_id: ContactChannelId,
    /// Whether the channel became the primary one, demoting the other, or ceased to be it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_primary: Option<bool>,
    /// Whether the address was verified, or lost its verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_verified: Option<bool>,
    /// Whether the user may sign in with the address from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_for_auth: Option<bool>,
    /// The address that replaced the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<ChannelValue>,
}

/// The personal part of the channel events: the address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelValue {
    /// The normalised address.
    pub value: String,
}

domain_event!(UserEvent);
