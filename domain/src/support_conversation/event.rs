//! What can happen to a support conversation.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};
use uuid::Uuid;

use crate::event::domain_event;
use crate::{Millis, Patch, Personal, ProjectId, UserId};

/// An event on a support conversation's stream.
///
/// Everything that is said is sealed under the customer's key as long as the customer has an
/// account, afterwards under the conversation's own. Agents are named by their ids alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum SupportConversationEvent {
    /// An agent opened it.
    SupportConversationOpened(Box<SupportConversationOpened>),
    /// An agent answered.
    SupportReplySent(SupportReplySent),
    /// An agent wrote something down that the customer does not see.
    SupportNoteAdded(SupportNoteAdded),
    /// An agent changed the status.
    SupportStatusChanged {
        /// To what.
        status: Status,
        /// Who.
        agent: UserId,
        /// The id of the message that tells of it.
        message_id: Uuid,
        /// When.
        at: Millis,
    },
    /// What is noted about it changed.
    SupportDetailsChanged(SupportDetailsChanged),
    /// The customer wrote.
    SupportMessageReceived(SupportMessageReceived),
    /// The customer's account was deleted, and with it what was said up to now.
    SupportCustomerForgotten {},
}

/// Whether an answer is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// From the agents.
    #[default]
    Open,
    /// From the customer.
    Pending,
    /// From nobody.
    Closed,
}

impl Status {
    /// The names on the wire, in the log and in the read table.
    pub const NAMES: [&'static str; 3] = ["open", "pending", "closed"];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Closed => "closed",
        }
    }
}

/// How urgent a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// It can wait.
    Low,
    /// As most are.
    Normal,
    /// It comes first.
    High,
    /// It comes before everything else.
    Urgent,
}

impl Priority {
    /// The names on the wire, in the log and in the read table.
    pub const NAMES: [&'static str; 4] = ["low", "normal", "high", "urgent"];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

/// Where a conversation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An agent began it.
    Manual,
    /// A chat.
    Chat,
    /// A mail.
    Email,
    /// A program.
    Api,
}

impl Source {
    /// The names on the wire, in the log and in the read table.
    pub const NAMES: [&'static str; 4] = ["manual", "chat", "email", "api"];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Chat => "chat",
            Self::Email => "email",
            Self::Api => "api",
        }
    }
}

/// See [`SupportConversationEvent::SupportConversationOpened`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportConversationOpened {
    /// The project whose customer it is with.
    pub project_id: ProjectId,
    /// The customer.
    pub user_id: UserId,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it comes from.
    pub source: Source,
    /// The id of the entry point that it comes in by.
    pub entry_point_id: Uuid,
    /// The first message's id.
    pub message_id: Uuid,
    /// Who wrote it.
    pub agent: UserId,
    /// When.
    pub at: Millis,
    /// Whose key seals the personal part: the customer's.
    pub subject: UserId,
    /// What it is about, and what it says.
    pub personal: Personal<OpeningText>,
}

/// The personal part of [`SupportConversationOpened`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningText {
    /// What the conversation is about.
    pub topic: String,
    /// The first message.
    pub body: String,
}

/// See [`SupportConversationEvent::SupportReplySent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportReplySent {
    /// The message's id.
    pub message_id: Uuid,
    /// Who wrote it.
    pub agent: UserId,
    /// When.
    pub at: Millis,
    /// The status from now on.
    pub status: Status,
    /// Whether the customer had waited for a first answer until now.
    pub is_first_response: bool,
    /// The entry point of the chat, if the conversation had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point_id: Option<Uuid>,
    /// Whose key seals the personal part; the conversation's own, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// What it says.
    pub personal: Personal<MessageText>,
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageText {
    /// The text.
    pub body: String,
}

/// See [`SupportConversationEvent::SupportNoteAdded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportNoteAdded {
    /// The message's id.
    pub message_id: Uuid,
    /// Who wrote it.
    pub agent: UserId,
    /// When.
    pub at: Millis,
    /// Whose key seals the personal part; the conversation's own, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// What it says.
    pub personal: Personal<MessageText>,
}

/// See [`SupportConversationEvent::SupportDetailsChanged`]. Fields that did not change are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportDetailsChanged {
    /// When.
    pub at: Millis,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub assigned_to_user_id: Patch<String>,
    /// Whose key seals the personal part; the conversation's own, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// The rest.
    pub personal: Personal<PersonalDetails>,
}

/// The personal part of [`SupportDetailsChanged`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PersonalDetails {
    /// The name of who looks after it.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub assigned_to_display_name: Patch<String>,
    /// Free labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}

/// See [`SupportConversationEvent::SupportMessageReceived`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportMessageReceived {
    /// The message's id.
    pub message_id: Uuid,
    /// When.
    pub at: Millis,
    /// The status from now on.
    pub status: Status,
    /// The customer, whose key seals the personal part.
    pub subject: UserId,
    /// What it says.
    pub personal: Personal<MessageText>,
}

domain_event!(SupportConversationEvent);
