//! The commands to a conversation with the assistant.

use super::event::AiMessage;
use crate::{Millis, ProjectId, UserId};

/// A command to a conversation, with the user who gives it: only the owner's are carried out.
#[derive(Clone, Debug)]
pub struct AiConversationCommand {
    /// The user who gives the command.
    pub by: UserId,
    /// When the command is given.
    pub at: Millis,
    /// The change that the user asks for.
    pub action: AiConversationAction,
}

/// A change that a user asks for in a conversation with the assistant.
#[derive(Clone, Debug)]
pub enum AiConversationAction {
    /// Begin the conversation. Refused if the id is taken.
    Start {
        /// The project that the conversation is about.
        project_id: ProjectId,
        /// The conversation's title.
        title: String,
        /// All messages so far.
        messages: Vec<AiMessage>,
    },
    /// Change the title. The same title is recorded again.
    Rename(String),
    /// Replace all messages by these.
    ReplaceMessages(Vec<AiMessage>),
    /// Delete the conversation.
    Delete,
}
