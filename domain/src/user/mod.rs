//! The user: one person's account in one project, with its email addresses and ways to sign in.

mod channels;
mod command;
mod event;

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

use crate::lifecycle::Lifecycle;
use crate::notification::{NotificationCategory, Preference};
use crate::permission::{GrantCause, GrantFate, RevokeCause};
use crate::{ContactChannelId, Patch, PermissionId, TeamId};

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
    /// A first password, where there is one.
    #[error("the user has a password already; change it instead")]
    PasswordExists,
    /// A changed password, where there is none.
    #[error("the user has no password; set one first")]
    PasswordMissing,
    /// A code of the second factor that was accepted before, or an earlier one.
    #[error("the code was used already; wait for the next one")]
    TotpStepUsed,
    /// An address that the user has not, or not any more.
    #[error("the user has no such contact channel")]
    ChannelNotFound,
    /// An address that the user has in another channel.
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

/// The state that decisions about a user need; not what is shown of it (see the read model).
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
    has_password: bool,
    otp_enabled: bool,
    restricted_by_admin: bool,
    selected_team_id: Option<TeamId>,
    project_permissions: BTreeSet<PermissionId>,
    #[serde(default)]
    totp_secret: Option<String>,
    #[serde(default)]
    last_totp_step: Option<u64>,
    #[serde(default)]
    has_passkey: bool,
    notification_preferences: BTreeMap<NotificationCategory, Preference>,
}

impl User {
    /// The secret of the second factor, base64, if there is one.
    #[must_use]
    pub fn totp_secret(&self) -> Option<&str> {
        self.totp_secret.as_deref()
    }

    /// Whether the account exists now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.lifecycle == Lifecycle::Active
    }

    /// Whether the user has not signed up yet.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }

    /// Decides what follows from a command. Pure: the same state and command give the same events.
    fn decide(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
        match (self.lifecycle, command) {
            (Lifecycle::Absent, UserCommand::Create(new)) => Ok(vec![created(*new)]),
            (_, UserCommand::Create(_)) => Err(UserError::AlreadyExists),
            (Lifecycle::Active, command) => self.decide_active(command),
            (Lifecycle::Absent | Lifecycle::Deleted, _) => Err(UserError::NotFound),
        }
    }

    fn decide_active(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
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
            UserCommand::ChoosePassword { hash, occasion } => self.decide_password(hash, occasion),
            UserCommand::EnableOtp if !self.otp_enabled => Ok(vec![UserEvent::OtpEnabled {}]),
            UserCommand::UseTotpStep(step) if self.last_totp_step >= Some(step) => {
                Err(UserError::TotpStepUsed)
            }
            UserCommand::UseTotpStep(step) => Ok(vec![UserEvent::TotpStepUsed { step }]),
            UserCommand::RegisterPasskey(passkey) => Ok(vec![UserEvent::PasskeyRegistered {
                personal: passkey.into(),
            }]),
            UserCommand::UsePasskey(passkey) => Ok(vec![UserEvent::PasskeyUsed {
                personal: passkey.into(),
            }]),
            UserCommand::RemovePasskey if self.has_passkey => {
                Ok(vec![UserEvent::PasskeyRemoved {}])
            }
            UserCommand::AddChannel(new) => self.decide_new_channel(&new),
            UserCommand::ChangeChannel(change) => self.decide_channel_change(change),
            UserCommand::RemoveChannel(id) => self.decide_removal(id),
            UserCommand::VerifyAddress(address) => self.decide_verification(&address),
            UserCommand::SelectTeam(team) => Ok(vec![UserEvent::SelectedTeamChanged {
                selected_team_id: Some(team),
            }]),
            UserCommand::DeselectTeam(team) if self.selected_team_id == Some(team) => {
                Ok(vec![UserEvent::SelectedTeamChanged {
                    selected_team_id: None,
                }])
            }
            UserCommand::RenewPasswordHash(_)
            | UserCommand::EnableOtp
            | UserCommand::RemovePasskey
            | UserCommand::DeselectTeam(_) => Ok(Vec::new()),
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
        if update.remove_passkey && self.has_passkey {
            events.push(UserEvent::PasskeyRemoved {});
        }
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

    fn decide_password(
        &self,
        hash: String,
        occasion: PasswordOccasion,
    ) -> Result<Vec<UserEvent>, UserError> {
        match occasion {
            PasswordOccasion::First if self.has_password => Err(UserError::PasswordExists),
            PasswordOccasion::Change if !self.has_password => Err(UserError::PasswordMissing),
            PasswordOccasion::First | PasswordOccasion::Change | PasswordOccasion::Reset => {
                let personal = NewHash {
                    password_hash: Some(hash),
                }
                .into();
                Ok(vec![UserEvent::PasswordChosen { occasion, personal }])
            }
        }
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

fn switched<T>(patch: &Patch<T>) -> Option<bool> {
    match patch {
        Patch::Keep => None,
        Patch::Clear => Some(false),
        Patch::Set(_) => Some(true),
    }
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
                self.lifecycle = Lifecycle::Active;
                self.is_anonymous = created.is_anonymous;
                self.has_password = created.has_password;
                self.otp_enabled = created.otp_enabled;
                self.restricted_by_admin = created.restricted_by_admin;
                let person = personal.or_erased();
                self.totp_secret = person.totp_secret;
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
                let totp_secret = updated.personal.or_erased().totp_secret;
                if !totp_secret.is_keep() {
                    // Steps are those of one secret; another starts anew.
                    self.last_totp_step = None;
                }
                totp_secret.apply_to(&mut self.totp_secret);
            }
            UserEvent::SelectedTeamChanged { selected_team_id } => {
                self.selected_team_id = selected_team_id;
            }
            UserEvent::PasswordRehashed { .. } | UserEvent::PasskeyUsed { .. } => {}
            UserEvent::PasswordChosen { .. } => self.has_password = true,
            UserEvent::OtpEnabled {} => self.otp_enabled = true,
            UserEvent::TotpStepUsed { step } => self.last_totp_step = Some(step),
            UserEvent::PasskeyRegistered { .. } => self.has_passkey = true,
            UserEvent::PasskeyRemoved {} => self.has_passkey = false,
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
