//! The events on the stream of a support conversation.

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
    /// An agent opened the conversation.
    SupportConversationOpened(Box<SupportConversationOpened>),
    /// An agent answered the customer.
    SupportReplySent(SupportReplySent),
    /// An agent added a note that the customer does not see.
    SupportNoteAdded(SupportNoteAdded),
    /// An agent changed the status.
    SupportStatusChanged {
        /// The status from then on.
        status: Status,
        /// The agent who changed the status.
        agent: UserId,
        /// The id of the message that records the change.
        message_id: Uuid,
        /// When the status changed.
        at: Millis,
    },
    /// The assignment, priority or tags changed.
    SupportDetailsChanged(SupportDetailsChanged),
    /// The customer wrote a message.
    SupportMessageReceived(SupportMessageReceived),
    /// The customer's account was deleted, and with it everything that was said up to now.
    SupportCustomerForgotten {},
}

/// Who is expected to answer next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The agents are expected to answer.
    #[default]
    Open,
    /// The customer is expected to answer.
    Pending,
    /// Nobody is expected to answer.
    Closed,
}

impl Status {
    /// The names on the wire, in the log and in the read table.
    pub const NAMES: [&'static str; 3] = ["open", "pending", "closed"];

    /// The status's name on the wire, in the log and in the read table.
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
    /// The conversation can wait.
    Low,
    /// The conversation is as urgent as most are.
    Normal,
    /// The conversation comes before most others.
    High,
    /// The conversation comes before all others.
    Urgent,
}

impl Priority {
    /// The names on the wire, in the log and in the read table.
    pub const NAMES: [&'static str; 4] = ["low", "normal", "high", "urgent"];

    /// The priority's name on the wire, in the log and in the read table.
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

/// The channel that a conversation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An agent began the conversation.
    Manual,
    /// The customer wrote in a chat.
    Chat,
    /// The customer wrote an email.
    Email,
    /// A program opened the conversation through the API.
    Api,
}

impl Source {
    /// The names on the wire, in the log and in the read table.
    pub const NAMES: [&'static str; 4] = ["manual", "chat", "email", "api"];

    /// The source's name on the wire, in the log and in the read table.
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

/// The content of [`SupportConversationEvent::SupportConversationOpened`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportConversationOpened {
    /// The project that the customer is a user of.
    pub project_id: ProjectId,
    /// The user whom the conversation is with.
    pub user_id: UserId,
    /// How urgent the conversation is.
    pub priority: Priority,
    /// The channel that the conversation comes from.
    pub source: Source,
    /// The id of the entry point that the conversation comes in by.
    pub entry_point_id: Uuid,
    /// The first message's id.
    pub message_id: Uuid,
    /// The agent who wrote the first message.
    pub agent: UserId,
    /// When the conversation was opened.
    pub at: Millis,
    /// The customer, whose key seals the personal part.
    pub subject: UserId,
    /// The topic and the first message.
    pub personal: Personal<OpeningText>,
}

/// The personal part of [`SupportConversationOpened`]: the topic and the first message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningText {
    /// The subject of the conversation.
    pub topic: String,
    /// The text of the first message.
    pub body: String,
}

/// The content of [`SupportConversationEvent::SupportReplySent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportReplySent {
    /// The message's id.
    pub message_id: Uuid,
    /// The agent who answered.
    pub agent: UserId,
    /// When the agent answered.
    pub at: Millis,
    /// The status of the conversation after the answer.
    pub status: Status,
    /// Whether the customer had waited for a first answer until then.
    pub is_first_response: bool,
    /// The entry point for the chat, if the conversation had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point_id: Option<Uuid>,
    /// The customer, whose key seals the personal part; the conversation's own key does, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// The text of the answer.
    pub personal: Personal<MessageText>,
}

/// The personal part of the events that carry a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageText {
    /// The text of the message.
    pub body: String,
}

/// The content of [`SupportConversationEvent::SupportNoteAdded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportNoteAdded {
    /// The note's id.
    pub message_id: Uuid,
    /// The agent who wrote the note.
    pub agent: UserId,
    /// When the note was added.
    pub at: Millis,
    /// The customer, whose key seals the personal part; the conversation's own key does, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// The text of the note.
    pub personal: Personal<MessageText>,
}

/// The content of [`SupportConversationEvent::SupportDetailsChanged`]. Fields that did not change
/// are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportDetailsChanged {
    /// When the details changed.
    pub at: Millis,
    /// How urgent the conversation is from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// The agent who is responsible from then on.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub assigned_to_user_id: Patch<String>,
    /// The customer, whose key seals the personal part; the conversation's own key does, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// The changed details that may name people.
    pub personal: Personal<PersonalDetails>,
}

/// The personal part of [`SupportDetailsChanged`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PersonalDetails {
    /// The name of the agent who is responsible.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub assigned_to_display_name: Patch<String>,
    /// Labels that agents choose freely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}

/// The content of [`SupportConversationEvent::SupportMessageReceived`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportMessageReceived {
    /// The message's id.
    pub message_id: Uuid,
    /// When the message arrived.
    pub at: Millis,
    /// The status of the conversation after the message.
    pub status: Status,
    /// The customer, whose key seals the personal part.
    pub subject: UserId,
    /// The text of the message.
    pub personal: Personal<MessageText>,
}

domain_event!(SupportConversationEvent);
