//! The conversation of a dashboard user with the assistant, about a project. Only its owner can
//! read and change it.

mod command;
mod event;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::{AiConversationAction, AiConversationCommand};
pub use event::{
    AiConversationEvent, AiConversationRenamed, AiConversationStarted, AiMessage, AiMessages,
    AiMessagesReplaced, AiRole, AiTitle, AiTranscript,
};

use crate::UserId;

/// Why a command to a conversation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AiConversationError {
    /// The conversation never existed or was deleted, or belongs to somebody else: that it exists
    /// must not be found out.
    #[error("the conversation does not exist")]
    NotFound,
    /// A conversation with this id exists already.
    #[error("a conversation with this id exists already")]
    AlreadyExists,
}

/// The state that decisions about a conversation need. It does not include the messages, so that
/// snapshots, which no erasure reaches, do not hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AiConversation {
    /// Nothing has happened on the stream yet. Snapshots keep the name that was stored first.
    #[default]
    #[serde(rename = "Unborn")]
    Absent,
    /// The conversation exists.
    Open {
        /// The dashboard user who owns it.
        owner: UserId,
    },
    /// The conversation was deleted.
    Deleted,
}

impl AiConversation {
    fn decide(
        self,
        command: AiConversationCommand,
    ) -> Result<AiConversationEvent, AiConversationError> {
        let AiConversationCommand { by, at, action } = command;
        match (self, action) {
            (
                Self::Absent,
                AiConversationAction::Start {
                    project_id,
                    title,
                    messages,
                },
            ) => Ok(AiConversationEvent::AiConversationStarted(Box::new(
                AiConversationStarted {
                    project_id,
                    user_id: by,
                    at,
                    subject: by,
                    personal: AiTranscript { title, messages }.into(),
                },
            ))),
            (_, AiConversationAction::Start { .. }) => Err(AiConversationError::AlreadyExists),
            (Self::Open { owner }, _) if owner != by => Err(AiConversationError::NotFound),
            (Self::Absent | Self::Deleted, _) => Err(AiConversationError::NotFound),
            (Self::Open { owner }, AiConversationAction::Rename(title)) => Ok(
                AiConversationEvent::AiConversationRenamed(AiConversationRenamed {
                    at,
                    subject: owner,
                    personal: AiTitle { title }.into(),
                }),
            ),
            (Self::Open { owner }, AiConversationAction::ReplaceMessages(messages)) => Ok(
                AiConversationEvent::AiMessagesReplaced(AiMessagesReplaced {
                    at,
                    subject: owner,
                    personal: AiMessages { messages }.into(),
                }),
            ),
            (Self::Open { .. }, AiConversationAction::Delete) => {
                Ok(AiConversationEvent::AiConversationDeleted {})
            }
        }
    }
}

impl Aggregate for AiConversation {
    const TYPE: &'static str = "ai_conversation";
    type Command = AiConversationCommand;
    type Event = AiConversationEvent;
    type Error = AiConversationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: AiConversationCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), AiConversationError> {
        let event = self.decide(command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: AiConversationEvent) {
        match event {
            AiConversationEvent::AiConversationStarted(started) => {
                *self = Self::Open {
                    owner: started.user_id,
                };
            }
            AiConversationEvent::AiConversationDeleted {} => *self = Self::Deleted,
            AiConversationEvent::AiConversationRenamed(_)
            | AiConversationEvent::AiMessagesReplaced(_) => {}
        }
    }
}
