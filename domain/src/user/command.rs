//! What can be asked of a user.

use serde_json::Value;

use super::event::{OauthAccount, Passkey, PasswordOccasion, RiskScores};
use crate::notification::{NotificationCategory, Preference};
use crate::permission::{GrantCause, GrantFate};
use crate::{ContactChannelId, EmailAddress, Millis, Patch, PermissionId, ProjectId, TeamId};

/// A command to a user.
#[derive(Clone, Debug)]
pub enum UserCommand {
    /// Open the account.
    Create(Box<NewUser>),
    /// Change the account.
    Update(Box<UserUpdate>),
    /// Replace the password's hash by a stronger one of the same password.
    RenewPasswordHash(String),
    /// Give the account a password of its owner's choice.
    ChoosePassword {
        /// Its hash.
        hash: String,
        /// On what occasion.
        occasion: PasswordOccasion,
    },
    /// Let the account sign in by email code; nothing happens if it may already.
    EnableOtp,
    /// Use up a code of the second factor, by its thirty-second step (RFC 6238 §4).
    UseTotpStep(u64),
    /// Give the account this passkey instead of the one it has, if any.
    RegisterPasskey(Passkey),
    /// Note that the passkey signed.
    UsePasskey(Passkey),
    /// Take the passkey away; nothing happens if there is none.
    RemovePasskey,
    /// Add an email address.
    AddChannel(NewChannel),
    /// Change an email address or its flags.
    ChangeChannel(ChannelChange),
    /// Remove an email address.
    RemoveChannel(ContactChannelId),
    /// Note that an address was proved to reach the user.
    VerifyAddress(EmailAddress),
    /// Select a team that was made for the user.
    SelectTeam(TeamId),
    /// Take the selected team away, if it is this one.
    DeselectTeam(TeamId),
    /// Grant a project-wide permission. A default that is granted already is not recorded again.
    GrantProjectPermission(PermissionId, GrantCause),
    /// Revoke a project-wide permission that was granted directly.
    RevokeProjectPermission(PermissionId),
    /// Follow what became of a permission's definition, in the user's direct grant.
    FollowDefinition(PermissionId, GrantFate),
    /// Want mails of a category, or not.
    PreferNotifications(NotificationCategory, Preference),
    /// Close the account for good.
    Delete,
}

/// See [`UserCommand::AddChannel`].
#[derive(Clone, Debug)]
pub struct NewChannel {
    /// The id it shall have.
    pub channel_id: ContactChannelId,
    /// When.
    pub now: Millis,
    /// The address.
    pub address: EmailAddress,
    /// It takes the place of the primary one.
    pub is_primary: bool,
    /// It is known to reach the user.
    pub is_verified: bool,
    /// The user may sign in with it.
    pub used_for_auth: bool,
}

/// See [`UserCommand::ChangeChannel`]. What is absent is kept; but a new address is unverified
/// unless said otherwise.
#[derive(Clone, Debug)]
pub struct ChannelChange {
    /// Which.
    pub channel_id: ContactChannelId,
    /// Another address.
    pub address: Option<EmailAddress>,
    /// The primary one, or no longer.
    pub is_primary: Option<bool>,
    /// Verified, or no longer.
    pub is_verified: Option<bool>,
    /// Used for signing in, or no longer.
    pub used_for_auth: Option<bool>,
}

/// A primary email to open an account with.
#[derive(Clone, Debug)]
pub struct NewPrimaryEmail {
    /// The id its channel shall have.
    pub channel_id: ContactChannelId,
    /// The address.
    pub address: EmailAddress,
    /// The address is known to reach the user.
    pub is_verified: bool,
    /// The user may sign in with the address.
    pub used_for_auth: bool,
}

/// An administrator's restriction.
#[derive(Clone, Debug, Default)]
pub struct AdminRestriction {
    /// The flag.
    pub restricted: Option<bool>,
    /// Why, shown to the user.
    pub reason: Patch<String>,
    /// Why, for the operator.
    pub private_details: Patch<String>,
}

/// See [`UserCommand::Create`].
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The project the user belongs to.
    pub project_id: ProjectId,
    /// When.
    pub now: Millis,
    /// The user has not signed up, but keeps data until they do.
    pub is_anonymous: bool,
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
    /// The primary email.
    pub primary_email: Option<NewPrimaryEmail>,
    /// The password's hash.
    pub password_hash: Option<String>,
    /// The TOTP secret, base64. Stored, but not demanded before an update switches it on.
    pub totp_secret: Option<String>,
    /// The user may sign in with a code by email.
    pub otp_enabled: bool,
    /// An administrator's restriction.
    pub restriction: AdminRestriction,
    /// Two letters, ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// The sign-up's risk scores.
    pub risk_scores: RiskScores,
    /// Accounts at OAuth providers.
    pub oauth_accounts: Vec<OauthAccount>,
}

impl NewUser {
    /// A user of `project_id` with nothing but a birthday.
    #[must_use]
    pub fn blank(project_id: ProjectId, now: Millis) -> Self {
        Self {
            project_id,
            now,
            is_anonymous: false,
            display_name: None,
            profile_image_url: None,
            client_metadata: Value::Null,
            client_read_only_metadata: Value::Null,
            server_metadata: Value::Null,
            primary_email: None,
            password_hash: None,
            totp_secret: None,
            otp_enabled: false,
            restriction: AdminRestriction::default(),
            country_code: None,
            risk_scores: RiskScores::default(),
            oauth_accounts: Vec::new(),
        }
    }
}

/// Whether the project offers a way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It does.
    Offered,
    /// It does not.
    Off,
}

impl Method {
    /// Reads the setting.
    #[must_use]
    pub fn offered_if(setting: bool) -> Self {
        if setting { Self::Offered } else { Self::Off }
    }
}

/// See [`UserCommand::Update`].
#[derive(Clone, Debug)]
pub struct UserUpdate {
    /// When.
    pub now: Millis,
    /// The id a newly added email's channel shall have.
    pub new_channel_id: ContactChannelId,
    /// Whether the project offers sign-in by password.
    pub password_sign_in: Method,
    /// Whether the project offers sign-in by code.
    pub otp_sign_in: Method,
    /// The anonymous user has signed up.
    pub sign_up: bool,
    /// The name shown.
    pub display_name: Patch<String>,
    /// A picture's address.
    pub profile_image_url: Patch<String>,
    /// Data the client may read and write.
    pub client_metadata: Patch<Value>,
    /// Data the client may read.
    pub client_read_only_metadata: Patch<Value>,
    /// Data for the server only.
    pub server_metadata: Patch<Value>,
    /// The primary email; the old one is kept as an ordinary channel.
    pub primary_email: Patch<EmailAddress>,
    /// The primary email is verified, or is not.
    pub primary_email_verified: Option<bool>,
    /// The user may sign in with the primary email, or may not.
    pub primary_email_auth_enabled: Option<bool>,
    /// A new password's hash, or none.
    pub password_hash: Patch<String>,
    /// Sign-in by code.
    pub otp_enabled: Option<bool>,
    /// The TOTP secret, base64; `Clear` switches the second factor off.
    pub totp_secret: Patch<String>,
    /// The passkey is taken away.
    pub remove_passkey: bool,
    /// The team shown first. Membership was checked by the caller.
    pub selected_team_id: Patch<TeamId>,
    /// An administrator's restriction.
    pub restriction: AdminRestriction,
    /// Two letters, ISO 3166-1 alpha-2.
    pub country_code: Patch<String>,
    /// New risk scores.
    pub risk_scores: Option<RiskScores>,
}

impl UserUpdate {
    /// An update that changes nothing yet.
    #[must_use]
    pub fn nothing(now: Millis, new_channel_id: ContactChannelId) -> Self {
        Self {
            now,
            new_channel_id,
            password_sign_in: Method::Offered,
            otp_sign_in: Method::Offered,
            sign_up: false,
            display_name: Patch::Keep,
            profile_image_url: Patch::Keep,
            client_metadata: Patch::Keep,
            client_read_only_metadata: Patch::Keep,
            server_metadata: Patch::Keep,
            primary_email: Patch::Keep,
            primary_email_verified: None,
            primary_email_auth_enabled: None,
            password_hash: Patch::Keep,
            otp_enabled: None,
            totp_secret: Patch::Keep,
            remove_passkey: false,
            selected_team_id: Patch::Keep,
            restriction: AdminRestriction::default(),
            country_code: Patch::Keep,
            risk_scores: None,
        }
    }
}
