//! The user: one person's account in one project, with its email addresses and ways to sign in.

mod command;
mod event;

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::{AdminRestriction, Method, NewPrimaryEmail, NewUser, UserCommand, UserUpdate};
pub use event::{
    ChannelValue, ContactChannelAdded, ContactChannelChanged, InitialChannel, NewHash, NewPerson,
    OauthAccount, PersonChange, RiskScores, UserCreated, UserEvent, UserUpdated,
};

use crate::notification::{NotificationCategory, Preference};
use crate::permission::{GrantCause, GrantFate, RevokeCause};
use crate::{ContactChannelId, EmailAddress, Patch, PermissionId, TeamId};

/// Why a command to a user was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The account does not exist, or no longer.
    #[error("the user does not exist")]
    NotFound,
    /// The id is taken.
    #[error("a user with this id exists already")]
    AlreadyExists,
    /// A primary email cannot be verified or used for sign-in when there is none.
    #[error("set a primary email before marking it as verified or enabling sign-in with it")]
    PrimaryEmailMissing,
    /// A first password, in a project that does not offer passwords.
    #[error("password sign-in is switched off in this project, so no password can be set")]
    PasswordSignInOff,
    /// A password without an address to sign in with.
    #[error("a password can only be set for a user with a primary email")]
    PasswordNeedsEmail,
    /// Sign-in by code, in a project that does not offer it.
    #[error("sign-in by email code is switched off in this project, so it cannot be enabled")]
    OtpSignInOff,
    /// The permission was not granted to the user directly.
    #[error("the permission is not granted to the user directly")]
    PermissionNotGranted(PermissionId),
}

/// Where an account is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Life {
    #[default]
    Unborn,
    Alive,
    Deleted,
}

/// One of the user's email addresses, as far as decisions depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Channel {
    value: String,
    is_primary: bool,
    is_verified: bool,
    used_for_auth: bool,
}

/// The state that decisions about a user need; not what is shown of it (see the read model).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, set by its own event"
)]
pub struct User {
    life: Life,
    is_anonymous: bool,
    channels: BTreeMap<ContactChannelId, Channel>,
    has_password: bool,
    otp_enabled: bool,
    restricted_by_admin: bool,
    selected_team_id: Option<TeamId>,
    project_permissions: BTreeSet<PermissionId>,
    #[serde(default)]
    notification_preferences: BTreeMap<NotificationCategory, Preference>,
}

impl User {
    /// Whether the account exists now.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.life == Life::Alive
    }

    /// Whether the user has not signed up yet.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }

    fn primary(&self) -> Option<(ContactChannelId, &Channel)> {
        self.channels
            .iter()
            .find(|(_, channel)| channel.is_primary)
            .map(|(id, channel)| (*id, channel))
    }

    fn channel_with(&self, address: &EmailAddress) -> Option<(ContactChannelId, &Channel)> {
        self.channels
            .iter()
            .find(|(_, channel)| channel.value == address.as_str())
            .map(|(id, channel)| (*id, channel))
    }

    /// Decides what follows from a command. Pure: the same state and command give the same events.
    fn decide(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
        match (self.life, command) {
            (Life::Unborn, UserCommand::Create(new)) => Ok(vec![created(*new)]),
            (_, UserCommand::Create(_)) => Err(UserError::AlreadyExists),
            (Life::Alive, command) => self.decide_alive(command),
            (Life::Unborn | Life::Deleted, _) => Err(UserError::NotFound),
        }
    }

    fn decide_alive(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
        match command {
            UserCommand::Create(_) => Err(UserError::AlreadyExists),
            UserCommand::Update(update) => self.decide_update(*update),
            UserCommand::RenewPasswordHash(hash) if self.has_password => {
                let personal = NewHash {
                    password_hash: Some(hash),
                }
                .into();
                Ok(vec![UserEvent::PasswordRehashed { personal }])
            }
            UserCommand::SelectTeam(team) => Ok(vec![UserEvent::SelectedTeamChanged {
                selected_team_id: Some(team),
            }]),
            UserCommand::DeselectTeam(team) if self.selected_team_id == Some(team) => {
                Ok(vec![UserEvent::SelectedTeamChanged {
                    selected_team_id: None,
                }])
            }
            UserCommand::RenewPasswordHash(_) | UserCommand::DeselectTeam(_) => Ok(Vec::new()),
            UserCommand::GrantProjectPermission(permission_id, cause) => {
                let held = self.project_permissions.contains(&permission_id);
                let granted = UserEvent::ProjectPermissionGranted {
                    permission_id,
                    cause,
                };
                let is_news = !held || cause == GrantCause::Granted;
                Ok(is_news.then_some(granted).into_iter().collect())
            }
            UserCommand::RevokeProjectPermission(permission_id) => {
                if !self.project_permissions.contains(&permission_id) {
                    return Err(UserError::PermissionNotGranted(permission_id));
                }
                Ok(vec![UserEvent::ProjectPermissionRevoked {
                    permission_id,
                    cause: RevokeCause::Revoked,
                }])
            }
            UserCommand::FollowDefinition(permission_id, fate) => {
                let held = self.project_permissions.contains(&permission_id);
                let followed = || followed(permission_id, fate);
                Ok(held.then(followed).into_iter().collect())
            }
            UserCommand::PreferNotifications(category, preference) => {
                let is_news = self.notification_preferences.get(&category) != Some(&preference);
                let changed = UserEvent::NotificationPreferenceChanged {
                    category,
                    preference,
                };
                Ok(is_news.then_some(changed).into_iter().collect())
            }
            UserCommand::Delete => Ok(vec![UserEvent::UserDeleted {}]),
        }
    }

    fn decide_update(&self, update: UserUpdate) -> Result<Vec<UserEvent>, UserError> {
        let mut events = self.decide_primary_email(&update)?;
        self.check_password(&update)?;
        self.check_otp(&update)?;
        let clears_restriction = update.restriction.restricted == Some(false);
        let note = |patch: Patch<String>| {
            if clears_restriction {
                Patch::Clear
            } else {
                patch
            }
        };
        events.push(UserEvent::UserUpdated(Box::new(UserUpdated {
            upgraded_at: (update.sign_up && self.is_anonymous).then_some(update.now),
            restricted_by_admin: update.restriction.restricted,
            risk_scores: update.risk_scores,
            otp_enabled: update.otp_enabled,
            totp_enabled: switched(&update.totp_secret),
            has_password: switched(&update.password_hash),
            selected_team_id: update.selected_team_id,
            personal: PersonChange {
                display_name: update.display_name,
                profile_image_url: update.profile_image_url,
                client_metadata: update.client_metadata,
                client_read_only_metadata: update.client_read_only_metadata,
                server_metadata: update.server_metadata,
                password_hash: update.password_hash,
                totp_secret: update.totp_secret,
                country_code: update.country_code,
                restricted_by_admin_reason: note(update.restriction.reason),
                restricted_by_admin_private_details: note(update.restriction.private_details),
            }
            .into(),
        })));
        Ok(events)
    }

    fn check_password(&self, update: &UserUpdate) -> Result<(), UserError> {
        if !update.password_hash.is_set() || self.has_password {
            return Ok(());
        }
        if update.password_sign_in == Method::Off {
            return Err(UserError::PasswordSignInOff);
        }
        let ends_with_email = match update.primary_email {
            Patch::Keep => self.primary().is_some(),
            Patch::Clear => false,
            Patch::Set(_) => true,
        };
        if ends_with_email {
            Ok(())
        } else {
            Err(UserError::PasswordNeedsEmail)
        }
    }

    fn check_otp(&self, update: &UserUpdate) -> Result<(), UserError> {
        let switches_on = update.otp_enabled == Some(true) && !self.otp_enabled;
        if switches_on && update.otp_sign_in == Method::Off {
            return Err(UserError::OtpSignInOff);
        }
        Ok(())
    }

    /// The contract's rules for `primary_email`, `primary_email_verified` and
    /// `primary_email_auth_enabled` in one update. Whether another user signs in with the address
    /// is not known here: the read table's unique index decides it in the same transaction.
    fn decide_primary_email(&self, update: &UserUpdate) -> Result<Vec<UserEvent>, UserError> {
        let current = self.primary();
        let demote = current.map(|(id, _)| {
            UserEvent::ContactChannelChanged(ContactChannelChanged {
                is_primary: Some(false),
                ..ContactChannelChanged::nothing(id)
            })
        });
        let address = match &update.primary_email {
            Patch::Clear => return Ok(demote.into_iter().collect()),
            Patch::Keep => {
                return match current {
                    Some((id, channel)) => Ok(flag_changes(id, channel, update)),
                    None if wants_flags(update) => Err(UserError::PrimaryEmailMissing),
                    None => Ok(Vec::new()),
                };
            }
            Patch::Set(address) => address,
        };
        let used_for_auth = update
            .primary_email_auth_enabled
            .unwrap_or_else(|| current.is_some_and(|(_, channel)| channel.used_for_auth));
        match self.channel_with(address) {
            Some((id, channel)) if channel.is_primary => Ok(flag_changes(id, channel, update)),
            Some((id, channel)) => {
                let promoted = UserEvent::ContactChannelChanged(ContactChannelChanged {
                    is_primary: Some(true),
                    is_verified: update.primary_email_verified,
                    used_for_auth: (channel.used_for_auth != used_for_auth)
                        .then_some(used_for_auth),
                    ..ContactChannelChanged::nothing(id)
                });
                Ok(demote.into_iter().chain([promoted]).collect())
            }
            None => {
                let added = UserEvent::ContactChannelAdded(ContactChannelAdded {
                    channel_id: update.new_channel_id,
                    created_at: update.now,
                    is_primary: true,
                    is_verified: update.primary_email_verified.unwrap_or(false),
                    used_for_auth,
                    personal: ChannelValue {
                        value: address.to_string(),
                    }
                    .into(),
                });
                Ok(demote.into_iter().chain([added]).collect())
            }
        }
    }

    fn change_channel(&mut self, change: ContactChannelChanged) {
        if change.is_primary == Some(true) {
            self.demote_all();
        }
        let Some(channel) = self.channels.get_mut(&change.channel_id) else {
            return;
        };
        if let Some(is_primary) = change.is_primary {
            channel.is_primary = is_primary;
        }
        if let Some(is_verified) = change.is_verified {
            channel.is_verified = is_verified;
        }
        if let Some(used_for_auth) = change.used_for_auth {
            channel.used_for_auth = used_for_auth;
        }
        if let Some(ChannelValue { value }) = change.personal {
            channel.value = value;
        }
    }

    fn demote_all(&mut self) {
        for channel in self.channels.values_mut() {
            channel.is_primary = false;
        }
    }
}

impl UserUpdated {
    /// An update that changed nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            upgraded_at: None,
            restricted_by_admin: None,
            risk_scores: None,
            otp_enabled: None,
            totp_enabled: None,
            has_password: None,
            selected_team_id: Patch::Keep,
            personal: PersonChange::default().into(),
        }
    }
}

impl ContactChannelChanged {
    fn nothing(channel_id: ContactChannelId) -> Self {
        Self {
            channel_id,
            is_primary: None,
            is_verified: None,
            used_for_auth: None,
            personal: None,
        }
    }
}

fn switched<T>(patch: &Patch<T>) -> Option<bool> {
    match patch {
        Patch::Keep => None,
        Patch::Clear => Some(false),
        Patch::Set(_) => Some(true),
    }
}

fn wants_flags(update: &UserUpdate) -> bool {
    update.primary_email_verified == Some(true) || update.primary_email_auth_enabled == Some(true)
}

fn flag_changes(id: ContactChannelId, channel: &Channel, update: &UserUpdate) -> Vec<UserEvent> {
    let is_verified = update
        .primary_email_verified
        .filter(|v| *v != channel.is_verified);
    let used_for_auth = update
        .primary_email_auth_enabled
        .filter(|v| *v != channel.used_for_auth);
    if is_verified.is_none() && used_for_auth.is_none() {
        return Vec::new();
    }
    vec![UserEvent::ContactChannelChanged(ContactChannelChanged {
        is_verified,
        used_for_auth,
        ..ContactChannelChanged::nothing(id)
    })]
}

fn followed(permission_id: PermissionId, fate: GrantFate) -> UserEvent {
    match fate {
        GrantFate::Renamed(new_permission_id) => UserEvent::ProjectPermissionRenamed {
            permission_id,
            new_permission_id,
        },
        GrantFate::Dropped => UserEvent::ProjectPermissionRevoked {
            permission_id,
            cause: RevokeCause::DefinitionRemoved,
        },
    }
}

fn created(new: NewUser) -> UserEvent {
    let primary_channel = new.primary_email.as_ref().map(|email| InitialChannel {
        channel_id: email.channel_id,
        is_verified: email.is_verified,
        used_for_auth: email.used_for_auth,
    });
    UserEvent::UserCreated(Box::new(UserCreated {
        project_id: new.project_id,
        signed_up_at: new.now,
        is_anonymous: new.is_anonymous,
        primary_channel,
        has_password: new.password_hash.is_some(),
        otp_enabled: new.otp_enabled,
        restricted_by_admin: new.restriction.restricted.unwrap_or(false),
        risk_scores: new.risk_scores,
        personal: NewPerson {
            display_name: new.display_name,
            profile_image_url: new.profile_image_url,
            client_metadata: new.client_metadata,
            client_read_only_metadata: new.client_read_only_metadata,
            server_metadata: new.server_metadata,
            primary_email: new.primary_email.map(|email| email.address.to_string()),
            password_hash: new.password_hash,
            totp_secret: new.totp_secret,
            country_code: new.country_code,
            restricted_by_admin_reason: new.restriction.reason.into_value(),
            restricted_by_admin_private_details: new.restriction.private_details.into_value(),
            oauth_accounts: new.oauth_accounts,
        }
        .into(),
    }))
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
                self.life = Life::Alive;
                self.is_anonymous = created.is_anonymous;
                self.has_password = created.has_password;
                self.otp_enabled = created.otp_enabled;
                self.restricted_by_admin = created.restricted_by_admin;
                if let Some(initial) = primary_channel {
                    let channel = Channel {
                        value: personal.or_erased().primary_email.unwrap_or_default(),
                        is_primary: true,
                        is_verified: initial.is_verified,
                        used_for_auth: initial.used_for_auth,
                    };
                    self.channels.insert(initial.channel_id, channel);
                }
            }
            UserEvent::UserUpdated(updated) => {
                self.is_anonymous &= updated.upgraded_at.is_none();
                self.has_password = updated.has_password.unwrap_or(self.has_password);
                self.otp_enabled = updated.otp_enabled.unwrap_or(self.otp_enabled);
                self.restricted_by_admin = updated
                    .restricted_by_admin
                    .unwrap_or(self.restricted_by_admin);
                updated
                    .selected_team_id
                    .apply_to(&mut self.selected_team_id);
            }
            UserEvent::SelectedTeamChanged { selected_team_id } => {
                self.selected_team_id = selected_team_id;
            }
            UserEvent::PasswordRehashed { .. } => {}
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
                    life: Life::Deleted,
                    ..Self::default()
                }
            }
        }
    }
}
