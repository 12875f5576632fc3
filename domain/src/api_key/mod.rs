//! The API key that a user or a team gives to programs that act for them.
//!
//! The key itself is shown once, when it is issued. The log and the read tables know only its hash.

mod command;
mod event;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use command::ApiKeyCommand;
pub use event::{
    ApiKeyDeletion, ApiKeyDescription, ApiKeyEvent, ApiKeyIssued, ApiKeyKind, ApiKeyOwner,
    ApiKeyRevocation,
};

/// Why a command to an API key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// The key was never issued, or was deleted.
    #[error("the API key does not exist")]
    NotFound,
    /// A key with this id exists already.
    #[error("an API key with this id exists already")]
    AlreadyExists,
}

/// The state that decisions about an API key need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiKey {
    /// Nothing has happened on the stream yet. Snapshots keep the name that was stored first.
    #[default]
    #[serde(rename = "Unborn")]
    Absent,
    /// The key works until it expires.
    Issued(Description),
    /// The key works no longer.
    Revoked(Description),
    /// The key was deleted with its owner.
    Deleted,
}

/// A key's description, and the subject whose key seals it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    subject: Uuid,
    text: String,
}

impl ApiKey {
    fn decide(&self, command: ApiKeyCommand) -> Result<Option<ApiKeyEvent>, ApiKeyError> {
        match (self, command) {
            (Self::Absent, ApiKeyCommand::Issue(issued)) => {
                Ok(Some(ApiKeyEvent::ApiKeyIssued(issued)))
            }
            (_, ApiKeyCommand::Issue(_)) => Err(ApiKeyError::AlreadyExists),
            (Self::Absent | Self::Deleted, _) => Err(ApiKeyError::NotFound),
            (Self::Issued(known) | Self::Revoked(known), ApiKeyCommand::Describe(description)) => {
                let described = ApiKeyEvent::ApiKeyDescribed {
                    subject: known.subject,
                    personal: ApiKeyDescription {
                        description: description.clone(),
                    }
                    .into(),
                };
                Ok((description != known.text).then_some(described))
            }
            (Self::Issued(_), ApiKeyCommand::Revoke { now, cause }) => {
                Ok(Some(ApiKeyEvent::ApiKeyRevoked {
                    revoked_at: now,
                    cause,
                }))
            }
            (Self::Revoked(_), ApiKeyCommand::Revoke { .. }) => Ok(None),
            (Self::Issued(_) | Self::Revoked(_), ApiKeyCommand::Delete(cause)) => {
                Ok(Some(ApiKeyEvent::ApiKeyDeleted { cause }))
            }
        }
    }
}

impl Aggregate for ApiKey {
    const TYPE: &'static str = "api_key";
    type Command = ApiKeyCommand;
    type Event = ApiKeyEvent;
    type Error = ApiKeyError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ApiKeyCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ApiKeyError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ApiKeyEvent) {
        match event {
            ApiKeyEvent::ApiKeyIssued(issued) => {
                *self = Self::Issued(Description {
                    subject: issued.subject,
                    text: issued.personal.or_erased().description,
                });
            }
            ApiKeyEvent::ApiKeyDescribed { personal, .. } => {
                if let Self::Issued(known) | Self::Revoked(known) = self {
                    known.text = personal.or_erased().description;
                }
            }
            ApiKeyEvent::ApiKeyRevoked { .. } => {
                if let Self::Issued(known) = self {
                    *self = Self::Revoked(std::mem::take(known));
                }
            }
            ApiKeyEvent::ApiKeyDeleted { .. } => *self = Self::Deleted,
        }
    }
}
