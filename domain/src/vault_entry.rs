//! The entry of a project's data vault: a value that a client sealed, kept under a hashed key.
//!
//! The value is opaque here, and sealed once more in the log, under a key of the entry's own.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use sha2::{Digest, Sha256};

use crate::event::domain_event;
use crate::{Personal, ProjectId, VaultEntryId};

/// The state that decisions about an entry need: its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultEntry {
    value: Option<VaultValue>,
}

impl VaultEntry {
    /// The sealed value, if one was ever set.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_ref().map(|value| value.encrypted.as_str())
    }
}

/// A value as the client sealed it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultValue {
    /// The value, opaque to the server.
    pub encrypted: String,
}

impl std::fmt::Debug for VaultValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VaultValue(..)")
    }
}

/// A command to an entry.
#[derive(Clone, Debug)]
pub enum VaultEntryCommand {
    /// Store a value in the entry, replacing any other. Nothing happens if it is the same.
    Set(VaultValueSet),
}

/// An event on an entry's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum VaultEntryEvent {
    /// A value was stored in the entry.
    VaultValueSet(VaultValueSet),
}

/// The content of [`VaultEntryEvent::VaultValueSet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultValueSet {
    /// The project whose vault it is.
    pub project_id: ProjectId,
    /// The store that the entry is in.
    pub store_id: String,
    /// The key of the entry, hashed by the client.
    pub hashed_key: String,
    /// The value, sealed by the client.
    pub personal: Personal<VaultValue>,
}

/// Why a command to an entry was refused. None ever is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultEntryError {}

domain_event!(VaultEntryEvent);

impl Aggregate for VaultEntry {
    const TYPE: &'static str = "vault_entry";
    type Command = VaultEntryCommand;
    type Event = VaultEntryEvent;
    type Error = VaultEntryError;
    type Services = ();

    async fn handle(
        &mut self,
        command: VaultEntryCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), VaultEntryError> {
        let VaultEntryCommand::Set(set) = command;
        if set.personal.known() != self.value.as_ref() {
            sink.write(VaultEntryEvent::VaultValueSet(set), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: VaultEntryEvent) {
        let VaultEntryEvent::VaultValueSet(set) = event;
        self.value = set.personal.known().cloned();
    }
}

impl VaultEntryId {
    /// The id of the entry for a key in a store. It is the same every time, so that one key has one
    /// stream.
    #[must_use]
    pub fn of(project: &ProjectId, store: &str, hashed_key: &str) -> Self {
        let mut hasher = Sha256::new();
        for part in [project.as_str(), store, hashed_key] {
            hasher.update(part.len().to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let digest = hasher.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}
