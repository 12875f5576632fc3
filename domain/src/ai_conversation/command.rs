//! What can be asked of a conversation with the assistant.

use super::event::AiMessage;
use crate::{Millis, ProjectId, UserId};

/// A command to a conversation, by the user who wants it: only the owner's are carried out.
#[derive(Clone, Debug)]
pub struct AiConversationCommand {
    /// Who.
    pub by: UserId,
    /// When.
    pub at: Millis,
    /// What.
    pub action: AiConversationAction,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub enum AiConversationAction {
    /// Begin it.
    Start {
        /// The project that it is about.
        project_id: ProjectId,
        /// Its title.
        title: String,
        /// What was said so far.
        messages: Vec<AiMessage>,
    },
    /// Give it another title, or the same once more.
    Rename(String),
    /// Put other messages in the place of all there are.
    ReplaceMessages(Vec<AiMessage>),
    /// Remove it.
    Delete,
}
