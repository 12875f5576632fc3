//! The user: one person's account in one project, with its email addresses and ways to sign in.

mod channels;
mod command;
mod decisions;
mod event;
mod first_factor;
mod profile;

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::{
    AdminRestriction, ChannelChange, Method, NewChannel, NewPrimaryEmail, NewUser, UserCommand,
    UserUpdate,
};
pub use event::{
    ChannelValue, ContactChannelAdded, ContactChannelChanged, InitialChannel, NewHash, NewPerson,
    OauthAccount, Passkey, PasswordOccasion, PersonChange, RiskScores, UserCreated, UserEvent,
    UserUpdated,
};

pub use first_factor::FirstFactor;

use crate::lifecycle::Lifecycle;
use crate::notification::{NotificationCategory, Preference};
use crate::{ContactChannelId, PermissionId, SecretHash, TeamId};

/// Why a command to a user was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The account never existed, or was deleted.
    #[error("the user does not exist")]
    NotFound,
    /// A user with this id exists already, or existed once.
    #[error("a user with this id exists already")]
    AlreadyExists,
    /// The update marks a primary email as verified or usable for sign-in, but there is none.
    #[error("set a primary email before marking it as verified or enabling sign-in with it")]
    PrimaryEmailMissing,
    /// A first password was chosen in a project that does not offer passwords.
    #[error("password sign-in is switched off in this project, so no password can be set")]
    PasswordSignInOff,
    /// A password was set for a user who has no address to sign in with.
    #[error("a password can only be set for a user with a primary email")]
    PasswordNeedsEmail,
    /// Sign-in by email code was switched on in a project that does not offer it.
    #[error("sign-in by email code is switched off in this project, so it cannot be enabled")]
    OtpSignInOff,
    /// A first password was chosen for a user who has one already.
    #[error("the user has a password already; change it instead")]
    PasswordExists,
    /// A password was changed that the user does not have.
    #[error("the user has no password; set one first")]
    PasswordMissing,
    /// The passkey that signed is not the account's any more.
    #[error("the passkey was removed or replaced; sign in with another one")]
    PasskeyGone,
    /// The code of the second factor, or a later one, was accepted before.
    #[error("the code was used already; wait for the next one")]
    TotpStepUsed,
    /// The user does not have this address, or no longer.
    #[error("the user has no such contact channel")]
    ChannelNotFound,
    /// The user has this address in another channel.
    #[error("the user has this address already")]
    ChannelExists,
    /// The permission was not granted to the user directly.
    #[error("the permission is not granted to the user directly")]
    PermissionNotGranted(PermissionId),
}

/// One of the user's email addresses, as far as decisions depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Channel {
    value: String,
    is_primary: bool,
    is_verified: bool,
    used_for_auth: bool,
}

/// The state that decisions about a user need. What is shown of a user is in the read model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, set by its own event"
)]
pub struct User {
    #[serde(rename = "life")]
    lifecycle: Lifecycle,
    is_anonymous: bool,
    channels: BTreeMap<ContactChannelId, Channel>,
    otp_enabled: bool,
    restricted_by_admin: bool,
    selected_team_id: Option<TeamId>,
    project_permissions: BTreeSet<PermissionId>,
    #[serde(default)]
    totp_secret: Option<String>,
    #[serde(default)]
    last_totp_step: Option<u64>,
    #[serde(default)]
    totp_enabled: bool,
    /// Of the password's hash as it is stored, if there is a password.
    #[serde(default)]
    password_digest: Option<SecretHash>,
    /// How often the password was chosen, changed or removed.
    #[serde(default)]
    password_changes: u32,
    /// The credential id of the passkey, if there is one.
    #[serde(default)]
    passkey_id: Option<String>,
    notification_preferences: BTreeMap<NotificationCategory, Preference>,
}

impl User {
    fn apply_update(&mut self, updated: UserUpdated) {
        self.is_anonymous &= updated.upgraded_at.is_none();
        self.otp_enabled = updated.otp_enabled.unwrap_or(self.otp_enabled);
        self.restricted_by_admin = updated
            .restricted_by_admin
            .unwrap_or(self.restricted_by_admin);
        updated
            .selected_team_id
            .apply_to(&mut self.selected_team_id);
        self.totp_enabled = updated.totp_enabled.unwrap_or(self.totp_enabled);
        let PersonChange {
            totp_secret,
            password_hash,
            ..
        } = updated.personal.or_erased();
        self.password_changes += u32::from(updated.has_password.is_some());
        if !password_hash.is_keep() {
            self.password_digest = digest(password_hash.into_value().as_deref());
        }
        if !totp_secret.is_keep() {
            // Steps belong to one secret; another secret starts from the beginning.
            self.last_totp_step = None;
        }
        totp_secret.apply_to(&mut self.totp_secret);
    }

    fn has_password(&self) -> bool {
        self.password_digest.is_some()
    }

    fn has_passkey(&self) -> bool {
        self.passkey_id.is_some()
    }

    /// The secret of the second factor, base64, if the user has one.
    #[must_use]
    pub fn totp_secret(&self) -> Option<&str> {
        self.totp_secret.as_deref()
    }

    /// Whether signing in takes a second factor.
    #[must_use]
    pub fn requires_second_factor(&self) -> bool {
        self.totp_enabled
    }

    /// Whether the account exists now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.lifecycle == Lifecycle::Active
    }

    /// Whether the user existed once, and was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.lifecycle == Lifecycle::Deleted
    }

    /// How often the password was chosen, changed or removed. What was promised on the ground of a
    /// password, such as a code to replace it, compares this: a number tells nothing of the password.
    #[must_use]
    pub fn password_changes(&self) -> u32 {
        self.password_changes
    }

    /// Whether the address is one of the user's, for whatever it may be used.
    #[must_use]
    pub fn has_address(&self, address: &str) -> bool {
        self.addresses().any(|it| it == address)
    }

    /// The user's addresses, normalised.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.channels.values().map(|channel| channel.value.as_str())
    }

    /// Whether the user has not signed up yet.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }
}

fn digest(password_hash: Option<&str>) -> Option<SecretHash> {
    password_hash.map(SecretHash::of)
}

impl Aggregate for User {
    const TYPE: &'static str = "user";
    type Command = UserCommand;
    type Event = UserEvent;
    type Error = UserError;
    type Services = ();

    async fn handle(
        &mut self,
        command: UserCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), UserError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: UserEvent) {
        match event {
            UserEvent::UserCreated(created) => {
                let UserCreated {
                    primary_channel,
                    personal,
                    ..
                } = *created;
                self.lifecycle = Lifecycle::Active;
                self.is_anonymous = created.is_anonymous;
                self.otp_enabled = created.otp_enabled;
                self.restricted_by_admin = created.restricted_by_admin;
                let person = personal.or_erased();
                self.totp_secret = person.totp_secret;
                self.password_digest = digest(person.password_hash.as_deref());
                if let Some(initial) = primary_channel {
                    let channel = Channel {
                        value: person.primary_email.unwrap_or_default(),
                        is_primary: true,
                        is_verified: initial.is_verified,
                        used_for_auth: initial.used_for_auth,
                    };
                    self.channels.insert(initial.channel_id, channel);
                }
            }
            UserEvent::UserUpdated(updated) => self.apply_update(*updated),
            UserEvent::SelectedTeamChanged { selected_team_id } => {
                self.selected_team_id = selected_team_id;
            }
            UserEvent::PasswordRehashed { personal } => {
                self.password_digest = digest(personal.or_erased().password_hash.as_deref());
            }
            UserEvent::PasswordChosen { personal, .. } => {
                self.password_digest = digest(personal.or_erased().password_hash.as_deref());
                self.password_changes += 1;
            }
            UserEvent::PasskeyUsed { .. } => {}
            UserEvent::OtpEnabled {} => self.otp_enabled = true,
            UserEvent::TotpStepUsed { step } => self.last_totp_step = Some(step),
            UserEvent::PasskeyRegistered { personal } => {
                self.passkey_id = Some(personal.or_erased().credential_id);
            }
            UserEvent::PasskeyRemoved {} => self.passkey_id = None,
            UserEvent::ContactChannelAdded(added) => {
                if added.is_primary {
                    self.demote_all();
                }
                let channel = Channel {
                    value: added.personal.or_erased().value,
                    is_primary: added.is_primary,
                    is_verified: added.is_verified,
                    used_for_auth: added.used_for_auth,
                };
                self.channels.insert(added.channel_id, channel);
            }
            UserEvent::ContactChannelChanged(change) => self.change_channel(change),
            UserEvent::ContactChannelRemoved { channel_id } => {
                self.channels.remove(&channel_id);
            }
            UserEvent::ProjectPermissionGranted { permission_id, .. } => {
                self.project_permissions.insert(permission_id);
            }
            UserEvent::ProjectPermissionRevoked { permission_id, .. } => {
                self.project_permissions.remove(&permission_id);
            }
            UserEvent::ProjectPermissionRenamed {
                permission_id,
                new_permission_id,
            } => {
                self.project_permissions.remove(&permission_id);
                self.project_permissions.insert(new_permission_id);
            }
            UserEvent::NotificationPreferenceChanged {
                category,
                preference,
            } => {
                self.notification_preferences.insert(category, preference);
            }
            UserEvent::UserDeleted {} => {
                *self = Self {
                    lifecycle: Lifecycle::Deleted,
                    ..Self::default()
                }
            }
        }
    }
}
