//! The commands to a support conversation.

use uuid::Uuid;

use super::event::{Priority, Source, Status};
use crate::{Millis, Patch, ProjectId, UserId};

/// A command to a support conversation.
#[derive(Clone, Debug)]
pub enum SupportConversationCommand {
    /// Open the conversation with an agent's first message. Refused if the id is taken.
    Open(Box<NewConversation>),
    /// Answer the customer.
    Reply {
        /// The agent's answer.
        text: AgentText,
        /// The id of the entry point that the conversation gets if it has none for the chat.
        entry_point_id: Uuid,
    },
    /// Add a note that the customer does not see.
    AddNote(AgentText),
    /// Change the conversation's status.
    ChangeStatus {
        /// The status to change to.
        status: Status,
        /// The agent who changes the status.
        agent: UserId,
        /// The id of the message that records the change.
        message_id: Uuid,
        /// When the status is changed.
        at: Millis,
    },
    /// Change the assignment, priority or tags.
    ChangeDetails(Details),
    /// Take in a message that the customer wrote.
    Receive {
        /// The message's id.
        message_id: Uuid,
        /// The text of the message.
        body: String,
        /// When the message arrived.
        at: Millis,
    },
    /// Forget the customer, whose account is being deleted, and everything that was said with it.
    ForgetCustomer,
}

/// A conversation to open: the content of [`SupportConversationCommand::Open`].
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// The project that the customer is a user of.
    pub project_id: ProjectId,
    /// The user whom the conversation is with.
    pub customer: UserId,
    /// The subject of the conversation.
    pub topic: String,
    /// How urgent the conversation is.
    pub priority: Priority,
    /// The channel that the conversation comes from.
    pub source: Source,
    /// The id of the entry point that the conversation comes in by.
    pub entry_point_id: Uuid,
    /// The agent's first message.
    pub message: AgentText,
}

/// A message or note that an agent writes.
#[derive(Clone, Debug)]
pub struct AgentText {
    /// The message's id.
    pub message_id: Uuid,
    /// The agent, a dashboard user.
    pub agent: UserId,
    /// The text of the message.
    pub body: String,
    /// When the agent wrote it.
    pub at: Millis,
}

/// A change of assignment, priority or tags. Fields that are kept do not change.
#[derive(Clone, Debug)]
pub struct Details {
    /// When the change happens.
    pub at: Millis,
    /// The agent who is responsible for the conversation.
    pub assigned_to_user_id: Patch<String>,
    /// The name of the agent who is responsible.
    pub assigned_to_display_name: Patch<String>,
    /// How urgent the conversation is.
    pub priority: Option<Priority>,
    /// Labels that agents choose freely.
    pub tags: Option<Vec<String>>,
}
