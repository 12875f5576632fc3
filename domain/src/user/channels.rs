//! A user's email addresses: which one is the primary, which are verified, and which the user may
//! sign in with.
//!
//! A user has at most one primary address and each address once. Whether another user signs in with
//! an address is not known here: the read table's unique index decides that in the same
//! transaction.

use super::command::{ChannelChange, NewChannel, UserUpdate};
use super::event::{ChannelValue, ContactChannelAdded, ContactChannelChanged, UserEvent};
use super::{Channel, User, UserError};
use crate::{ContactChannelId, EmailAddress, Patch};

impl User {
    pub(super) fn primary(&self) -> Option<(ContactChannelId, &Channel)> {
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

    pub(super) fn decide_new_channel(&self, new: &NewChannel) -> Result<Vec<UserEvent>, UserError> {
        if self.channel_with(&new.address).is_some() {
            return Err(UserError::ChannelExists);
        }
        Ok(vec![UserEvent::ContactChannelAdded(ContactChannelAdded {
            channel_id: new.channel_id,
            created_at: new.now,
            is_primary: new.is_primary,
            is_verified: new.is_verified,
            used_for_auth: new.used_for_auth,
            personal: ChannelValue {
                value: new.address.to_string(),
            }
            .into(),
        })])
    }

    pub(super) fn decide_channel_change(
        &self,
        change: ChannelChange,
    ) -> Result<Vec<UserEvent>, UserError> {
        let id = change.channel_id;
        let channel = self.channels.get(&id).ok_or(UserError::ChannelNotFound)?;
        let holder = change.address.as_ref().and_then(|to| self.channel_with(to));
        if holder.is_some_and(|(holder, _)| holder != id) {
            return Err(UserError::ChannelExists);
        }
        let reset = change.address.is_some().then_some(false);
        let changed = ContactChannelChanged {
            channel_id: id,
            is_primary: change.is_primary.filter(|v| *v != channel.is_primary),
            is_verified: change
                .is_verified
                .or(reset)
                .filter(|v| *v != channel.is_verified),
            used_for_auth: change.used_for_auth.filter(|v| *v != channel.used_for_auth),
            personal: change
                .address
                .map(|address| address.to_string())
                .filter(|value| *value != channel.value)
                .map(|value| ChannelValue { value }),
        };
        if changed == ContactChannelChanged::nothing(id) {
            return Ok(Vec::new());
        }
        Ok(vec![UserEvent::ContactChannelChanged(changed)])
    }

    pub(super) fn decide_removal(&self, id: ContactChannelId) -> Result<Vec<UserEvent>, UserError> {
        if !self.channels.contains_key(&id) {
            return Err(UserError::ChannelNotFound);
        }
        Ok(vec![UserEvent::ContactChannelRemoved { channel_id: id }])
    }

    pub(super) fn decide_verification(
        &self,
        address: &EmailAddress,
    ) -> Result<Vec<UserEvent>, UserError> {
        let (id, channel) = self
            .channel_with(address)
            .ok_or(UserError::ChannelNotFound)?;
        if channel.is_verified {
            return Ok(Vec::new());
        }
        Ok(vec![UserEvent::ContactChannelChanged(
            ContactChannelChanged {
                is_verified: Some(true),
                ..ContactChannelChanged::nothing(id)
            },
        )])
    }

    /// Decides the part of an update that concerns `primary_email`, `primary_email_verified` and
    /// `primary_email_auth_enabled`. A new primary address demotes the old one to an ordinary
    /// channel; the flags alone need an address that they can apply to.
    pub(super) fn decide_primary_email(
        &self,
        update: &UserUpdate,
    ) -> Result<Vec<UserEvent>, UserError> {
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

    pub(super) fn change_channel(&mut self, change: ContactChannelChanged) {
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

    pub(super) fn demote_all(&mut self) {
        for channel in self.channels.values_mut() {
            channel.is_primary = false;
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
