//! The decisions on commands to a user. Those about email addresses are in [`super::channels`].

use super::command::{Method, NewUser, UserCommand, UserUpdate};
use super::event::{
    InitialChannel, NewHash, NewPerson, PasswordOccasion, PersonChange, UserCreated, UserEvent,
    UserUpdated,
};
use super::profile::{profile_fields, profile_of};
use super::{User, UserError};
use crate::lifecycle::Lifecycle;
use crate::permission::{GrantCause, GrantChange, RevokeCause};
use crate::{Patch, PermissionId};

impl User {
    /// Decides what follows from a command. Pure: the same state and command give the same events.
    pub(super) fn decide(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
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
            UserCommand::RenewPasswordHash { from, to } if self.password_digest == Some(from) => {
                let personal = NewHash {
                    password_hash: Some(to),
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
            UserCommand::UsePasskey(passkey)
                if self.passkey_id.as_ref() != Some(&passkey.credential_id) =>
            {
                Err(UserError::PasskeyGone)
            }
            UserCommand::UsePasskey(passkey) => Ok(vec![UserEvent::PasskeyUsed {
                personal: passkey.into(),
            }]),
            UserCommand::RemovePasskey if self.has_passkey() => {
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
            UserCommand::RenewPasswordHash { .. }
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
            UserCommand::FollowDefinition(permission_id, change) => {
                let held = self.project_permissions.contains(&permission_id);
                let followed = || followed(permission_id, change);
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
        if update.remove_passkey && self.has_passkey() {
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
            personal: profile_fields! { profile_of { update => PersonChange {
                password_hash: update.password_hash,
                totp_secret: update.totp_secret,
                restricted_by_admin_reason: note(update.restriction.reason),
                restricted_by_admin_private_details: note(update.restriction.private_details),
            } } }
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
            PasswordOccasion::First if self.has_password() => Err(UserError::PasswordExists),
            PasswordOccasion::Change if !self.has_password() => Err(UserError::PasswordMissing),
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
        if !update.password_hash.is_set() || self.has_password() {
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

fn followed(permission_id: PermissionId, change: GrantChange) -> UserEvent {
    match change {
        GrantChange::Renamed(new_permission_id) => UserEvent::ProjectPermissionRenamed {
            permission_id,
            new_permission_id,
        },
        GrantChange::Dropped => UserEvent::ProjectPermissionRevoked {
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
        personal: profile_fields! { profile_of { new => NewPerson {
            primary_email: new.primary_email.map(|email| email.address.to_string()),
            password_hash: new.password_hash,
            totp_secret: new.totp_secret,
            restricted_by_admin_reason: new.restriction.reason.into_value(),
            restricted_by_admin_private_details: new.restriction.private_details.into_value(),
            oauth_accounts: new.oauth_accounts,
        } } }
        .into(),
    }))
}
