//! The events on the stream of an API key.

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
        /// The owner, whose key seals the personal part.
        subject: Uuid,
        /// The new description: what the key is for.
        personal: Personal<ApiKeyDescription>,
    },
    /// The key stopped working. If it leaked, its owner is to be told by mail; the sender of that
    /// mail follows this event.
    ApiKeyRevoked {
        /// When the key stopped working.
        revoked_at: Millis,
        /// Whether somebody revoked the key, or it leaked.
        cause: ApiKeyRevocation,
    },
    /// The key was deleted with its owner.
    ApiKeyDeleted {
        /// Whether the owner was a user or a team.
        cause: ApiKeyDeletion,
    },
}

/// The owner of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "owner_type", rename_all = "snake_case")]
pub enum ApiKeyOwner {
    /// A user owns the key.
    User {
        /// The user who owns the key.
        user_id: UserId,
    },
    /// A team owns the key.
    Team {
        /// The team that owns the key.
        team_id: TeamId,
    },
}

impl ApiKeyOwner {
    /// The owner's id, of a user or a team.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::User { user_id } => user_id.0,
            Self::Team { team_id } => team_id.0,
        }
    }
}

/// The confidentiality of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyKind {
    /// Only its owner may see the key: `sk_…`
    Secret,
    /// Everybody may see the key: `pk_…`
    Public,
}

/// Why an API key was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyRevocation {
    /// Its owner or a server revoked it.
    Manual,
    /// A scanner found it where others can read it.
    Leaked,
}

/// Why an API key was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyDeletion {
    /// The user who owned the key was deleted.
    UserDeleted,
    /// The team that owned the key was deleted.
    TeamDeleted,
}

/// The content of [`ApiKeyEvent::ApiKeyIssued`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKeyIssued {
    /// The project that the owner belongs to.
    pub project_id: ProjectId,
    /// The user or team that the key acts for.
    #[serde(flatten)]
    pub owner: ApiKeyOwner,
    /// Whether the key is a secret.
    pub kind: ApiKeyKind,
    /// When the key was issued.
    pub created_at: Millis,
    /// When the key stops working; never, if absent.
    pub expires_at: Option<Millis>,
    /// The key's hash, and the end of the key, which is shown.
    pub key: StoredKey,
    /// The owner, whose key seals the personal part.
    pub subject: Uuid,
    /// The description: what the key is for.
    pub personal: Personal<ApiKeyDescription>,
}

/// The personal part of an API key's events: free text that may name people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiKeyDescription {
    /// The purpose of the key, in its owner's words.
    pub description: String,
}

domain_event!(ApiKeyEvent);
