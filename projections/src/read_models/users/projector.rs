//! The projector of users.

use crate::read_models::registry::{ReadModels, RowsToLoad};
use crate::read_models::table::{Owner, stored};
use crate::read_models::users::rows::{ContactChannelRow, EMAIL, UserRow};
use crate::read_models::{notifications, passkeys, permissions};
use muniment_domain::Patch;
use muniment_domain::user::{
    ContactChannelAdded, ContactChannelChanged, PersonChange, UserCreated, UserEvent, UserUpdated,
};
use serde_json::json;
use uuid::Uuid;

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: Uuid, event: &UserEvent) {
    match event {
        UserEvent::ContactChannelAdded(_)
        | UserEvent::ContactChannelChanged(_)
        | UserEvent::ContactChannelRemoved { .. } => {
            rows.users.insert(id);
            rows.channels.insert(id);
        }
        UserEvent::UserUpdated(_)
        | UserEvent::SelectedTeamChanged { .. }
        | UserEvent::PasswordRehashed { .. }
        | UserEvent::PasswordChosen { .. }
        | UserEvent::OtpEnabled {}
        | UserEvent::TotpStepUsed { .. }
        | UserEvent::PasskeyRegistered { .. }
        | UserEvent::PasskeyUsed { .. }
        | UserEvent::PasskeyRemoved {}
        | UserEvent::ProjectPermissionGranted { .. }
        | UserEvent::ProjectPermissionRevoked { .. }
        | UserEvent::ProjectPermissionRenamed { .. }
        | UserEvent::NotificationPreferenceChanged { .. }
        | UserEvent::UserDeleted {} => {
            rows.users.insert(id);
        }
        UserEvent::UserCreated(_) => {}
    }
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: UserEvent) {
    match event {
        UserEvent::UserCreated(created) => fold_created(models, id, *created),
        UserEvent::UserUpdated(updated) => {
            if let Some(row) = models.users.change(&id) {
                fold_updated(row, *updated);
            }
        }
        UserEvent::SelectedTeamChanged { selected_team_id } => {
            if let Some(row) = models.users.change(&id) {
                row.selected_team_id = selected_team_id.map(|team| team.0);
            }
        }
        UserEvent::PasswordRehashed { personal } | UserEvent::PasswordChosen { personal, .. } => {
            if let Some(row) = models.users.change(&id) {
                row.password_hash = personal.or_erased().password_hash;
            }
        }
        UserEvent::OtpEnabled {} => {
            if let Some(row) = models.users.change(&id) {
                row.otp_enabled = true;
            }
        }
        UserEvent::TotpStepUsed { .. } => {}
        UserEvent::PasskeyRegistered { personal } => {
            if let Some(row) = models.users.change(&id) {
                row.passkey_enabled = true;
            }
            passkeys::put(models, id, personal.or_erased());
        }
        UserEvent::PasskeyUsed { personal } => passkeys::put(models, id, personal.or_erased()),
        UserEvent::PasskeyRemoved {} => {
            if let Some(row) = models.users.change(&id) {
                row.passkey_enabled = false;
            }
            models.passkeys.remove(id);
        }
        UserEvent::ContactChannelRemoved { channel_id } => {
            models.channels.remove(channel_id.0);
            mirror_primary(models, id);
        }
        UserEvent::ContactChannelAdded(added) => fold_channel_added(models, id, added),
        UserEvent::ContactChannelChanged(changed) => fold_channel_changed(models, id, changed),
        UserEvent::ProjectPermissionGranted { permission_id, .. } => {
            permissions::fold_granted(models, id, &permission_id);
        }
        UserEvent::ProjectPermissionRevoked { permission_id, .. } => {
            models.permissions.remove((id, permission_id.to_string()));
        }
        UserEvent::ProjectPermissionRenamed {
            permission_id,
            new_permission_id,
        } => {
            models.permissions.remove((id, permission_id.to_string()));
            permissions::fold_granted(models, id, &new_permission_id);
        }
        UserEvent::NotificationPreferenceChanged {
            category,
            preference,
        } => notifications::fold(models, id, category, preference),
        UserEvent::UserDeleted {} => models.clear(Owner::User(id)),
    }
}

fn fold_created(models: &mut ReadModels, id: Uuid, created: UserCreated) {
    let project_id = created.project_id.to_string();
    let person = created.personal.or_erased();
    models.users.put(UserRow {
        id,
        project_id: project_id.clone(),
        signed_up_at: created.signed_up_at.0,
        is_anonymous: created.is_anonymous,
        display_name: person.display_name,
        profile_image_url: person.profile_image_url,
        client_metadata: stored(person.client_metadata),
        client_read_only_metadata: stored(person.client_read_only_metadata),
        server_metadata: stored(person.server_metadata),
        primary_email: None,
        primary_email_verified: false,
        primary_email_auth_enabled: false,
        password_hash: person.password_hash,
        otp_enabled: created.otp_enabled,
        totp_enabled: false,
        oauth_accounts: json!(person.oauth_accounts),
        selected_team_id: None,
        restricted_by_admin: created.restricted_by_admin,
        restricted_by_admin_reason: person.restricted_by_admin_reason,
        restricted_by_admin_private_details: person.restricted_by_admin_private_details,
        country_code: person.country_code,
        risk_scores: json!(created.risk_scores),
        passkey_enabled: false,
    });
    if let Some(channel) = created.primary_channel {
        models.channels.put(ContactChannelRow {
            id: channel.channel_id.0,
            project_id,
            user_id: id,
            r#type: EMAIL.to_owned(),
            value: person.primary_email.unwrap_or_default(),
            is_primary: true,
            is_verified: channel.is_verified,
            used_for_auth: channel.used_for_auth,
            created_at: created.signed_up_at.0,
        });
        mirror_primary(models, id);
    }
}

fn fold_updated(row: &mut UserRow, updated: UserUpdated) {
    if let Some(at) = updated.upgraded_at {
        row.is_anonymous = false;
        row.signed_up_at = at.0;
    }
    row.restricted_by_admin = updated
        .restricted_by_admin
        .unwrap_or(row.restricted_by_admin);
    row.otp_enabled = updated.otp_enabled.unwrap_or(row.otp_enabled);
    row.totp_enabled = updated.totp_enabled.unwrap_or(row.totp_enabled);
    if let Some(scores) = updated.risk_scores {
        row.risk_scores = json!(scores);
    }
    match updated.selected_team_id {
        Patch::Keep => {}
        Patch::Clear => row.selected_team_id = None,
        Patch::Set(team) => row.selected_team_id = Some(team.0),
    }
    let PersonChange {
        display_name,
        profile_image_url,
        client_metadata,
        client_read_only_metadata,
        server_metadata,
        password_hash,
        totp_secret: _,
        country_code,
        restricted_by_admin_reason,
        restricted_by_admin_private_details,
    } = updated.personal.or_erased();
    display_name.apply_to(&mut row.display_name);
    profile_image_url.apply_to(&mut row.profile_image_url);
    client_metadata.apply_to(&mut row.client_metadata);
    client_read_only_metadata.apply_to(&mut row.client_read_only_metadata);
    server_metadata.apply_to(&mut row.server_metadata);
    password_hash.apply_to(&mut row.password_hash);
    country_code.apply_to(&mut row.country_code);
    restricted_by_admin_reason.apply_to(&mut row.restricted_by_admin_reason);
    restricted_by_admin_private_details.apply_to(&mut row.restricted_by_admin_private_details);
}

fn fold_channel_added(models: &mut ReadModels, id: Uuid, added: ContactChannelAdded) {
    let Some(user) = models.users.get(&id) else {
        return;
    };
    let project_id = user.project_id.clone();
    if added.is_primary {
        demote_channels(models, id);
    }
    models.channels.put(ContactChannelRow {
        id: added.channel_id.0,
        project_id,
        user_id: id,
        r#type: EMAIL.to_owned(),
        value: added.personal.or_erased().value,
        is_primary: added.is_primary,
        is_verified: added.is_verified,
        used_for_auth: added.used_for_auth,
        created_at: added.created_at.0,
    });
    mirror_primary(models, id);
}

fn fold_channel_changed(models: &mut ReadModels, id: Uuid, changed: ContactChannelChanged) {
    if changed.is_primary == Some(true) {
        demote_channels(models, id);
    }
    let Some(channel) = models.channels.change(&changed.channel_id.0) else {
        return;
    };
    channel.is_primary = changed.is_primary.unwrap_or(channel.is_primary);
    channel.is_verified = changed.is_verified.unwrap_or(channel.is_verified);
    channel.used_for_auth = changed.used_for_auth.unwrap_or(channel.used_for_auth);
    if let Some(address) = changed.personal {
        channel.value = address.value;
    }
    mirror_primary(models, id);
}

fn demote_channels(models: &mut ReadModels, user: Uuid) {
    let channels = models.channels.of_owner(user);
    let primary: Vec<Uuid> = channels
        .filter(|row| row.is_primary)
        .map(|row| row.id)
        .collect();
    for key in primary {
        if let Some(channel) = models.channels.change(&key) {
            channel.is_primary = false;
        }
    }
}

/// Keeps the user row's copy of the primary channel.
fn mirror_primary(models: &mut ReadModels, id: Uuid) {
    let channels = &models.channels;
    let primary = channels.of_owner(id).find(|row| row.is_primary).cloned();
    let Some(row) = models.users.change(&id) else {
        return;
    };
    row.primary_email_verified = primary.as_ref().is_some_and(|channel| channel.is_verified);
    row.primary_email_auth_enabled = primary
        .as_ref()
        .is_some_and(|channel| channel.used_for_auth);
    row.primary_email = primary.map(|channel| channel.value);
}
