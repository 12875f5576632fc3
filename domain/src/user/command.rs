//! The commands to a user.

use serde_json::Value;

use super::event::{OauthAccount, Passkey, PasswordOccasion, RiskScores};
use super::profile::{profile_fields, with_changes, with_values, without_profile};
use crate::notification::{NotificationCategory, Preference};
use crate::permission::{GrantCause, GrantChange};
use crate::{
    ContactChannelId, EmailAddress, Millis, Patch, PermissionId, ProjectId, SecretHash, TeamId,
};

/// A command to a user.
#[derive(Clone, Debug)]
pub enum UserCommand {
    /// Open the account. Refused if the id is taken.
    Create(Box<NewUser>),
    /// Change any of the account's own fields in one step.
    Update(Box<UserUpdate>),
    /// Replace the password's hash by a stronger one of the same password. Nothing happens if the
    /// password is another by now.
    RenewPasswordHash {
        /// The digest of the hash that the password was compared with.
        from: SecretHash,
        /// The stronger hash.
        to: String,
    },
    /// Give the account a password of its owner's choice.
    ChoosePassword {
        /// The hash of the chosen password, in PHC format.
        hash: String,
        /// Whether this is a first password, a change of a known one, or a reset by email.
        occasion: PasswordOccasion,
    },
    /// Let the account sign in by email code; nothing happens if it may already.
    EnableOtp,
    /// Use up a code of the second factor, by its thirty-second step (RFC 6238 §4).
    UseTotpStep(u64),
    /// Give the account this passkey instead of the one it has, if any.
    RegisterPasskey(Passkey),
    /// Record that the passkey signed, with the counter it now shows. Refused if it is not the
    /// account's any more.
    UsePasskey(Passkey),
    /// Take the passkey away; nothing happens if there is none.
    RemovePasskey,
    /// Add an email address that the user does not have yet.
    AddChannel(NewChannel),
    /// Change an email address or its flags.
    ChangeChannel(ChannelChange),
    /// Remove an email address.
    RemoveChannel(ContactChannelId),
    /// Mark an address as verified, because it was proved to reach the user.
    VerifyAddress(EmailAddress),
    /// Select a team for the user, because it was made for them.
    SelectTeam(TeamId),
    /// Deselect this team; nothing happens if another one is selected, or none.
    DeselectTeam(TeamId),
    /// Grant a project-wide permission. A default that is granted already is not recorded again.
    GrantProjectPermission(PermissionId, GrantCause),
    /// Revoke a project-wide permission that was granted directly.
    RevokeProjectPermission(PermissionId),
    /// Apply a renamed or removed permission definition to the user's direct grant of it.
    FollowDefinition(PermissionId, GrantChange),
    /// Choose whether the user receives mails of a category.
    PreferNotifications(NotificationCategory, Preference),
    /// Delete the account for good.
    Delete,
}

/// An email address to add: the content of [`UserCommand::AddChannel`].
#[derive(Clone, Debug)]
pub struct NewChannel {
    /// The id that the new channel will have.
    pub channel_id: ContactChannelId,
    /// When the address is added.
    pub now: Millis,
    /// The address itself, normalised.
    pub address: EmailAddress,
    /// Whether the address replaces the primary one.
    pub is_primary: bool,
    /// Whether the address is already known to reach the user.
    pub is_verified: bool,
    /// Whether the user may sign in with the address.
    pub used_for_auth: bool,
}

/// A change of one email address: the content of [`UserCommand::ChangeChannel`]. What is absent is
/// kept, but a new address is unverified unless the change says otherwise.
#[derive(Clone, Debug)]
pub struct ChannelChange {
    /// The channel to change.
    pub channel_id: ContactChannelId,
    /// The address that replaces the present one.
    pub address: Option<EmailAddress>,
    /// Whether the channel is the primary one from now on.
    pub is_primary: Option<bool>,
    /// Whether the address counts as verified from now on.
    pub is_verified: Option<bool>,
    /// Whether the user may sign in with the address from now on.
    pub used_for_auth: Option<bool>,
}

/// A primary email to open an account with.
#[derive(Clone, Debug)]
pub struct NewPrimaryEmail {
    /// The id that the address's channel will have.
    pub channel_id: ContactChannelId,
    /// The address itself, normalised.
    pub address: EmailAddress,
    /// Whether the address is already known to reach the user.
    pub is_verified: bool,
    /// Whether the user may sign in with the address.
    pub used_for_auth: bool,
}

/// A restriction that an administrator or a sign-up rule puts on a user, or lifts.
#[derive(Clone, Debug, Default)]
pub struct AdminRestriction {
    /// Whether the user is restricted; no change if absent.
    pub restricted: Option<bool>,
    /// The reason that the user is shown.
    pub reason: Patch<String>,
    /// Details that only the operator sees.
    pub private_details: Patch<String>,
}

profile_fields! {
    with_values {
        /// A user to create: the content of [`UserCommand::Create`].
        #[derive(Clone, Debug)]
        pub struct NewUser {
            /// The project the user belongs to.
            pub project_id: ProjectId,
            /// When the user signs up.
            pub now: Millis,
            /// Whether the user has not signed up yet, but keeps data until they do.
            pub is_anonymous: bool,
            /// The primary email address, if the account has one from the start.
            pub primary_email: Option<NewPrimaryEmail>,
            /// The password's hash, if the account has a password from the start.
            pub password_hash: Option<String>,
            /// The TOTP secret, base64. Stored, but not demanded before an update switches it on.
            pub totp_secret: Option<String>,
            /// Whether the user may sign in with a code by email.
            pub otp_enabled: bool,
            /// The restriction that the user starts with, if any.
            pub restriction: AdminRestriction,
            /// How likely the sign-up is to be abuse.
            pub risk_scores: RiskScores,
            /// The accounts at OAuth providers that the user signs in with.
            pub oauth_accounts: Vec<OauthAccount>,
        }
    }
}

impl NewUser {
    /// A user of `project_id` with no other data than the time of signing up.
    #[must_use]
    pub fn blank(project_id: ProjectId, now: Millis) -> Self {
        profile_fields! { without_profile {
            project_id,
            now,
            is_anonymous: false,
            primary_email: None,
            password_hash: None,
            totp_secret: None,
            otp_enabled: false,
            restriction: AdminRestriction::default(),
            risk_scores: RiskScores::default(),
            oauth_accounts: Vec::new(),
        } }
    }
}

/// Whether the project offers a way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The project offers it.
    Offered,
    /// The project has switched it off.
    Off,
}

impl Method {
    /// Reads the project's setting.
    #[must_use]
    pub fn offered_if(setting: bool) -> Self {
        if setting { Self::Offered } else { Self::Off }
    }
}

profile_fields! {
    with_changes {
        /// A change of a user's own fields: the content of [`UserCommand::Update`]. What is absent or kept
        /// does not change.
        #[derive(Clone, Debug)]
        pub struct UserUpdate {
            /// When the update happens.
            pub now: Millis,
            /// The id of the channel that a new primary address will have.
            pub new_channel_id: ContactChannelId,
            /// Whether the project offers sign-in by password.
            pub password_sign_in: Method,
            /// Whether the project offers sign-in by code.
            pub otp_sign_in: Method,
            /// Whether the user, anonymous until now, has signed up with this update.
            pub sign_up: bool,
            /// The primary email address; the old one is kept as an ordinary channel.
            pub primary_email: Patch<EmailAddress>,
            /// Whether the primary address counts as verified.
            pub primary_email_verified: Option<bool>,
            /// Whether the user may sign in with the primary address.
            pub primary_email_auth_enabled: Option<bool>,
            /// The hash of a new password, or `Clear` to remove the password.
            pub password_hash: Patch<String>,
            /// Whether the user may sign in with a code by email.
            pub otp_enabled: Option<bool>,
            /// The TOTP secret, base64; `Clear` switches the second factor off.
            pub totp_secret: Patch<String>,
            /// Whether to remove the passkey.
            pub remove_passkey: bool,
            /// The team that is shown first. The caller has checked the membership.
            pub selected_team_id: Patch<TeamId>,
            /// The restriction to put on the user, or to lift.
            pub restriction: AdminRestriction,
            /// Risk scores that replace those of the sign-up.
            pub risk_scores: Option<RiskScores>,
        }
    }
}

impl UserUpdate {
    /// An update that changes nothing yet.
    #[must_use]
    pub fn nothing(now: Millis, new_channel_id: ContactChannelId) -> Self {
        profile_fields! { without_profile {
            now,
            new_channel_id,
            password_sign_in: Method::Offered,
            otp_sign_in: Method::Offered,
            sign_up: false,
            primary_email: Patch::Keep,
            primary_email_verified: None,
            primary_email_auth_enabled: None,
            password_hash: Patch::Keep,
            otp_enabled: None,
            totp_secret: Patch::Keep,
            remove_passkey: false,
            selected_team_id: Patch::Keep,
            restriction: AdminRestriction::default(),
            risk_scores: None,
        } }
    }
}
