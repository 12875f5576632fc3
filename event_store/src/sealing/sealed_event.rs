//! The personal parts of an event: sealed when it is appended, opened when it is read.
//!
//! A payload keeps what is personal under `personal`. In the log that is
//! `{"subject": …, "sealed": …}`, base64 of nonce and ciphertext under the subject's key, bound to the
//! event's place. Of the metadata, ip and user agent are sealed likewise.

use std::collections::HashMap;

use cqrs_es::persist::SerializedEvent;
use data_encoding::BASE64;
use muniment_domain::UserId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::LedgerError;
use crate::event::StoredEvent;
use crate::sealing::DataKey;

/// What the metadata says about a person.
pub(crate) struct PersonalMetadata {
    pub(crate) owner: Option<UserId>,
    pub(crate) ip: Option<String>,
    pub(crate) user_agent: Option<String>,
}

/// Whose key seals the payload's personal part, if there is one.
pub(crate) fn payload_subject(event: &SerializedEvent) -> Option<&str> {
    event
        .payload
        .get("personal")
        .filter(|personal| !personal.is_null())?;
    let named = event.payload.get("subject").and_then(Value::as_str);
    Some(named.unwrap_or(&event.aggregate_id))
}

/// Whose key seals the metadata's personal part: the actor's; or, when a stranger signs up or in,
/// that of the user whom the event is about.
pub(crate) fn metadata_owner(event: &SerializedEvent, personal: &PersonalMetadata) -> String {
    if let Some(owner) = personal.owner {
        return owner.to_string();
    }
    let named = event.payload.get("user_id").and_then(Value::as_str);
    named.unwrap_or(&event.aggregate_id).to_owned()
}

pub(crate) fn key_of<'k>(
    keys: &'k HashMap<String, DataKey>,
    subject: &str,
) -> Result<&'k DataKey, LedgerError> {
    keys.get(subject)
        .ok_or_else(|| LedgerError::SubjectErased(subject.to_owned()))
}

/// # Errors
/// [`LedgerError::SubjectErased`]: what is said about somebody who is erased is not written.
pub(crate) fn seal_payload(
    event: &mut SerializedEvent,
    keys: &HashMap<String, DataKey>,
) -> Result<(), LedgerError> {
    let Some(subject) = payload_subject(event).map(str::to_owned) else {
        return Ok(());
    };
    let key = key_of(keys, &subject)?;
    let sealed = seal_value(
        &event.payload["personal"],
        &subject,
        key,
        &event_binding(event),
    )?;
    event.payload["personal"] = sealed;
    Ok(())
}

/// The metadata stays a flat map of strings, as cqrs-es wants it. Where an actor was who is erased by
/// now is nobody's business; what they did stands.
pub(crate) fn seal_metadata(
    event: &mut SerializedEvent,
    personal: &PersonalMetadata,
    keys: &HashMap<String, DataKey>,
) -> Result<(), LedgerError> {
    let owner = metadata_owner(event, personal);
    let Some(key) = keys.get(&owner) else {
        return Ok(());
    };
    let mut plain = HashMap::new();
    if let Some(ip) = &personal.ip {
        plain.insert("ip", ip);
    }
    if let Some(user_agent) = &personal.user_agent {
        plain.insert("user_agent", user_agent);
    }
    let plain = serde_json::to_vec(&plain)?;
    let sealed = key.seal(&plain, &metadata_binding(event))?;
    event.metadata["personal"] = Value::String(BASE64.encode(&sealed));
    event.metadata["personal_subject"] = Value::String(owner);
    Ok(())
}

/// The place an event's personal part is sealed for.
pub(crate) fn event_binding(event: &SerializedEvent) -> String {
    format!(
        "{}:{}:{}",
        event.aggregate_type, event.aggregate_id, event.sequence
    )
}

/// Where a snapshot says which shape it has; those that do not are of the first.
pub(crate) const SHAPE: &str = "shape";

pub(crate) fn snapshot_binding(aggregate_type: &str, id: &str, sequence: usize) -> String {
    format!("snapshot:{aggregate_type}:{id}:{sequence}")
}

/// Seals a JSON value for a place, in the form in which the log keeps it.
pub(crate) fn seal_value(
    plain: &Value,
    subject: &str,
    key: &DataKey,
    binding: &str,
) -> Result<Value, LedgerError> {
    let sealed = key.seal(&serde_json::to_vec(plain)?, binding)?;
    Ok(json!({"subject": subject, "sealed": BASE64.encode(&sealed)}))
}

pub(crate) fn open_value(
    sealed: &Value,
    key: &DataKey,
    binding: &str,
) -> Result<Value, LedgerError> {
    let text = sealed
        .get("sealed")
        .and_then(Value::as_str)
        .ok_or(LedgerError::Unsealing)?;
    let bytes = BASE64
        .decode(text.as_bytes())
        .map_err(|_| LedgerError::Unsealing)?;
    Ok(serde_json::from_slice(&key.open(&bytes, binding)?)?)
}

/// Whose key opens the payload's personal part, if it has one.
pub(crate) fn sealed_subject(payload: &Value) -> Option<&str> {
    payload.get("personal")?.get("subject")?.as_str()
}

/// Everyone whose data is sealed in a row.
pub(crate) fn subjects(row: &StoredEvent) -> impl Iterator<Item = &str> {
    let payload = sealed_subject(&row.payload);
    payload.into_iter().chain(metadata_subject(&row.metadata))
}

pub(crate) fn metadata_subject(metadata: &Value) -> Option<&str> {
    metadata.get("personal_subject")?.as_str()
}

pub(crate) fn open_payload(
    event: &mut SerializedEvent,
    keys: &HashMap<String, DataKey>,
) -> Result<(), LedgerError> {
    let Some(subject) = sealed_subject(&event.payload) else {
        return Ok(());
    };
    let opened = match keys.get(subject) {
        Some(key) => open_value(&event.payload["personal"], key, &event_binding(event))?,
        None => Value::Null,
    };
    event.payload["personal"] = opened;
    Ok(())
}

pub(crate) fn open_metadata(
    event: &SerializedEvent,
    keys: &HashMap<String, DataKey>,
) -> Result<HashMap<String, String>, LedgerError> {
    let mut metadata = HashMap::<String, String>::deserialize(&event.metadata)?;
    let (Some(sealed), Some(subject)) = (
        metadata.remove("personal"),
        metadata.remove("personal_subject"),
    ) else {
        return Ok(metadata);
    };
    let Some(key) = keys.get(&subject) else {
        return Ok(metadata);
    };
    let bytes = BASE64
        .decode(sealed.as_bytes())
        .map_err(|_| LedgerError::Unsealing)?;
    let plain = key.open(&bytes, &metadata_binding(event))?;
    let personal: HashMap<String, String> = serde_json::from_slice(&plain)?;
    metadata.extend(personal);
    Ok(metadata)
}

pub(crate) fn metadata_binding(event: &SerializedEvent) -> String {
    format!("metadata:{}", event_binding(event))
}
