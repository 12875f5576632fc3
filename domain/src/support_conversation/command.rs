//! What can be asked of a support conversation.

use uuid::Uuid;

use super::event::{Priority, Source, Status};
use crate::{Millis, Patch, ProjectId, UserId};

/// A command to a support conversation.
#[derive(Clone, Debug)]
pub enum SupportConversationCommand {
    /// Open it, with an agent's first message.
    Open(Box<NewConversation>),
    /// Answer the customer.
    Reply {
        /// The answer.
        text: AgentText,
        /// The id of the entry point that the conversation gets if it has none for the chat.
        entry_point_id: Uuid,
    },
    /// Write something down that the customer does not see.
    AddNote(AgentText),
    /// Give it another status.
    ChangeStatus {
        /// Which.
        status: Status,
        /// Who.
        agent: UserId,
        /// The id of the message that tells of it.
        message_id: Uuid,
        /// When.
        at: Millis,
    },
    /// Change what is noted about it.
    ChangeDetails(Details),
    /// Take in what the customer wrote.
    Receive {
        /// The message's id.
        message_id: Uuid,
        /// What it says.
        body: String,
        /// When.
        at: Millis,
    },
    /// The customer's account is being deleted. What was said goes with it.
    ForgetCustomer,
}

/// How a conversation is opened.
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// The project whose customer it is with.
    pub project_id: ProjectId,
    /// The customer.
    pub customer: UserId,
    /// What it is about.
    pub topic: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it comes from.
    pub source: Source,
    /// The id of the entry point that it comes in by.
    pub entry_point_id: Uuid,
    /// The first message.
    pub message: AgentText,
}

/// What an agent writes.
#[derive(Clone, Debug)]
pub struct AgentText {
    /// The message's id.
    pub message_id: Uuid,
    /// The agent: a dashboard user.
    pub agent: UserId,
    /// What it says.
    pub body: String,
    /// When.
    pub at: Millis,
}

/// What is noted about a conversation. Fields that are kept do not change.
#[derive(Clone, Debug)]
pub struct Details {
    /// When.
    pub at: Millis,
    /// Who looks after it.
    pub assigned_to_user_id: Patch<String>,
    /// Their name.
    pub assigned_to_display_name: Patch<String>,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// Free labels.
    pub tags: Option<Vec<String>>,
}
