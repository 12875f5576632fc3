//! The events on the stream of a conversation with the assistant.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{IntoStaticStr, VariantNames};
use uuid::Uuid;

use crate::event::domain_event;
use crate::{Millis, Personal, ProjectId, UserId};

/// An event on a conversation's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum AiConversationEvent {
    /// The conversation began.
    AiConversationStarted(Box<AiConversationStarted>),
    /// The conversation was given a title.
    AiConversationRenamed(AiConversationRenamed),
    /// Other messages replaced all there were.
    AiMessagesReplaced(AiMessagesReplaced),
    /// The conversation was deleted by its owner, or with its owner or project.
    AiConversationDeleted {},
}

/// The content of [`AiConversationEvent::AiConversationStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AiConversationStarted {
    /// The project that the conversation is about: a label, not the project of the owner's account.
    pub project_id: ProjectId,
    /// The dashboard user who owns the conversation.
    pub user_id: UserId,
    /// When the conversation began.
    pub at: Millis,
    /// The owner, whose key seals the personal part.
    pub subject: UserId,
    /// The title and all messages so far.
    pub personal: Personal<AiTranscript>,
}

/// The personal part of [`AiConversationStarted`]: title and messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AiTranscript {
    /// The conversation's title.
    pub title: String,
    /// All messages, in order.
    pub messages: Vec<AiMessage>,
}

/// One message of a conversation with the assistant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AiMessage {
    /// The message's id, chosen by the dashboard.
    pub id: Uuid,
    /// Whether the user or the assistant said it.
    pub role: AiRole,
    /// The message itself, in any form that the dashboard likes.
    pub content: Value,
}

/// The speaker of a message in a conversation with the assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AiRole {
    /// The dashboard user who owns the conversation.
    User,
    /// The assistant, a language model.
    Assistant,
}

impl AiRole {
    /// The roles' names on the wire.
    pub const NAMES: [&'static str; 2] = ["user", "assistant"];
}

/// The content of [`AiConversationEvent::AiConversationRenamed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AiConversationRenamed {
    /// When the title was given.
    pub at: Millis,
    /// The owner, whose key seals the personal part.
    pub subject: UserId,
    /// The title that the conversation has from then on.
    pub personal: Personal<AiTitle>,
}

/// The personal part of [`AiConversationRenamed`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AiTitle {
    /// The conversation's title.
    pub title: String,
}

/// The content of [`AiConversationEvent::AiMessagesReplaced`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AiMessagesReplaced {
    /// When the messages were replaced.
    pub at: Millis,
    /// The owner, whose key seals the personal part.
    pub subject: UserId,
    /// All messages from then on.
    pub personal: Personal<AiMessages>,
}

/// The personal part of [`AiMessagesReplaced`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AiMessages {
    /// All messages, in order.
    pub messages: Vec<AiMessage>,
}

domain_event!(AiConversationEvent);
