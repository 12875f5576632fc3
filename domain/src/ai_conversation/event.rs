//! What can happen to a conversation with the assistant.

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
    /// It began.
    AiConversationStarted(Box<AiConversationStarted>),
    /// It was given a title.
    AiConversationRenamed(AiConversationRenamed),
    /// Other messages took the place of all there were.
    AiMessagesReplaced(AiMessagesReplaced),
    /// It was removed, by its owner, or with its owner or project.
    AiConversationDeleted {},
}

/// See [`AiConversationEvent::AiConversationStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AiConversationStarted {
    /// The project that it is about: a label, not the project of the owner's account.
    pub project_id: ProjectId,
    /// The dashboard user whose it is.
    pub user_id: UserId,
    /// When.
    pub at: Millis,
    /// Whose key seals the personal part: the owner's.
    pub subject: UserId,
    /// What it says.
    pub personal: Personal<AiTranscript>,
}

/// The personal part of [`AiConversationStarted`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AiTranscript {
    /// The title.
    pub title: String,
    /// What was said, in order.
    pub messages: Vec<AiMessage>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AiMessage {
    /// Its id.
    pub id: Uuid,
    /// Who said it.
    pub role: AiRole,
    /// What was said, in whatever form the dashboard likes.
    pub content: Value,
}

/// Who speaks in a conversation with the assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AiRole {
    /// The dashboard user.
    User,
    /// The assistant.
    Assistant,
}

impl AiRole {
    /// The names on the wire.
    pub const NAMES: [&'static str; 2] = ["user", "assistant"];
}

/// See [`AiConversationEvent::AiConversationRenamed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AiConversationRenamed {
    /// When.
    pub at: Millis,
    /// Whose key seals the personal part: the owner's.
    pub subject: UserId,
    /// The title.
    pub personal: Personal<AiTitle>,
}

/// The personal part of [`AiConversationRenamed`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AiTitle {
    /// The title.
    pub title: String,
}

/// See [`AiConversationEvent::AiMessagesReplaced`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AiMessagesReplaced {
    /// When.
    pub at: Millis,
    /// Whose key seals the personal part: the owner's.
    pub subject: UserId,
    /// What is said now.
    pub personal: Personal<AiMessages>,
}

/// The personal part of [`AiMessagesReplaced`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AiMessages {
    /// All messages, in order.
    pub messages: Vec<AiMessage>,
}

domain_event!(AiConversationEvent);
