//! What can happen to an API key.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};
use uuid::Uuid;

use crate::event::domain_event;
use crate::project::StoredKey;
use crate::{Millis, Personal, ProjectId, TeamId, UserId};

/// An event on an API key's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum ApiKeyEvent {
    /// The key was issued.
    ApiKeyIssued(Box<ApiKeyIssued>),
    /// The key's description changed.
    ApiKeyDescribed {
        /// Whose key seals the personal part: the owner's.
        subject: Uuid,
        /// What it is for.
        personal: Personal<ApiKeyDescription>,
    },
    /// The key stopped working. A key that leaked is to be reported to its owner by mail: whoever
    /// sends it follows this event.
    ApiKeyRevoked {
        /// When.
        revoked_at: Millis,
        /// Why.
        cause: ApiKeyRevocation,
    },
    /// The key is gone with its owner.
    ApiKeyDeleted {
        /// Why.
        cause: ApiKeyDeletion,
    },
}

/// Whose an API key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "owner_type", rename_all = "snake_case")]
pub enum ApiKeyOwner {
    /// A user's.
    User {
        /// Whose.
        user_id: UserId,
    },
    /// A team's.
    Team {
        /// Whose.
        team_id: TeamId,
    },
}

impl ApiKeyOwner {
    /// The owner's id, whatever it is.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::User { user_id } => user_id.0,
            Self::Team { team_id } => team_id.0,
        }
    }
}

/// Who may see an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyKind {
    /// Nobody but its owner: `sk_…`
    Secret,
    /// Everybody: `pk_…`
    Public,
}

/// Why an API key was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyRevocation {
    /// Its owner or a server did it.
    Manual,
    /// A scanner found it where others can read it.
    Leaked,
}

/// Why an API key was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyDeletion {
    /// The user was.
    UserDeleted,
    /// The team was.
    TeamDeleted,
}

/// See [`ApiKeyEvent::ApiKeyIssued`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKeyIssued {
    /// The project of the owner.
    pub project_id: ProjectId,
    /// Whose it is.
    #[serde(flatten)]
    pub owner: ApiKeyOwner,
    /// Who may see it.
    pub kind: ApiKeyKind,
    /// When.
    pub created_at: Millis,
    /// When it stops working; never, if absent.
    pub expires_at: Option<Millis>,
    /// Its hash, and the end of it that is shown.
    pub key: StoredKey,
    /// Whose key seals the personal part: the owner's.
    pub subject: Uuid,
    /// What it is for.
    pub personal: Personal<ApiKeyDescription>,
}

/// The personal part of an API key's events: free text that may name people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiKeyDescription {
    /// What the key is for.
    pub description: String,
}

domain_event!(ApiKeyEvent);
