//! The support conversation between the agents of a project and one of its users. Agents are
//! dashboard users.

mod command;
mod event;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use command::{AgentText, Details, NewConversation, SupportConversationCommand};
pub use event::{
    MessageText, OpeningText, PersonalDetails, Priority, Source, Status, SupportConversationEvent,
    SupportConversationOpened, SupportDetailsChanged, SupportMessageReceived, SupportNoteAdded,
    SupportReplySent,
};

use crate::UserId;

/// Why a command to a support conversation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SupportConversationError {
    /// The conversation was never opened.
    #[error("the conversation does not exist")]
    NotFound,
    /// A conversation with this id exists already.
    #[error("a conversation with this id exists already")]
    AlreadyExists,
    /// The conversation has the wanted status already.
    #[error("the conversation is {} already", .0.as_str())]
    HasStatus(Status),
    /// The customer's account was deleted, so nobody can write in their name.
    #[error("the customer of the conversation has no account any more")]
    CustomerGone,
}

/// The state that decisions about a conversation need. It does not include what was said, so that
/// snapshots, which no erasure reaches, do not hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SupportConversation {
    /// Nothing has happened on the stream yet. Snapshots keep the name that was stored first.
    #[default]
    #[serde(rename = "Unborn")]
    Absent,
    /// The conversation exists, whatever its status is.
    Open(OpenConversation),
}

/// The state of a conversation that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenConversation {
    /// The customer, as long as they have an account.
    customer: Option<UserId>,
    status: Status,
    /// Whether an entry point lets the customer be reached by chat.
    has_chat: bool,
    /// Whether the customer has ever written.
    customer_wrote: bool,
    /// Whether an agent has answered since the customer wrote.
    was_answered: bool,
}

impl SupportConversation {
    fn decide(
        &self,
        command: SupportConversationCommand,
    ) -> Result<Option<SupportConversationEvent>, SupportConversationError> {
        match (self, command) {
            (Self::Absent, SupportConversationCommand::Open(opening)) => Ok(Some(opened(*opening))),
            (_, SupportConversationCommand::Open(_)) => {
                Err(SupportConversationError::AlreadyExists)
            }
            (Self::Absent, _) => Err(SupportConversationError::NotFound),
            (Self::Open(open), command) => open.decide(command),
        }
    }
}

fn opened(opening: NewConversation) -> SupportConversationEvent {
    let personal = OpeningText {
        topic: opening.topic,
        body: opening.message.body,
    };
    SupportConversationEvent::SupportConversationOpened(Box::new(SupportConversationOpened {
        project_id: opening.project_id,
        user_id: opening.customer,
        priority: opening.priority,
        source: opening.source,
        entry_point_id: opening.entry_point_id,
        message_id: opening.message.message_id,
        agent: opening.message.agent,
        at: opening.message.at,
        subject: opening.customer,
        personal: personal.into(),
    }))
}

impl OpenConversation {
    fn decide(
        &self,
        command: SupportConversationCommand,
    ) -> Result<Option<SupportConversationEvent>, SupportConversationError> {
        match command {
            SupportConversationCommand::Open(_) => Err(SupportConversationError::AlreadyExists),
            SupportConversationCommand::Reply {
                text,
                entry_point_id,
            } => Ok(Some(self.replied(text, entry_point_id))),
            SupportConversationCommand::AddNote(text) => {
                let added = SupportNoteAdded {
                    message_id: text.message_id,
                    agent: text.agent,
                    at: text.at,
                    subject: self.customer,
                    personal: MessageText { body: text.body }.into(),
                };
                Ok(Some(SupportConversationEvent::SupportNoteAdded(added)))
            }
            SupportConversationCommand::ChangeStatus { status, .. } if status == self.status => {
                Err(SupportConversationError::HasStatus(status))
            }
            SupportConversationCommand::ChangeStatus {
                status,
                agent,
                message_id,
                at,
            } => Ok(Some(SupportConversationEvent::SupportStatusChanged {
                status,
                agent,
                message_id,
                at,
            })),
            SupportConversationCommand::ChangeDetails(details) => {
                Ok(Some(self.details_changed(details)))
            }
            SupportConversationCommand::Receive {
                message_id,
                body,
                at,
            } => {
                let received = SupportMessageReceived {
                    message_id,
                    at,
                    status: match self.status {
                        Status::Pending => Status::Open,
                        other => other,
                    },
                    subject: self
                        .customer
                        .ok_or(SupportConversationError::CustomerGone)?,
                    personal: MessageText { body }.into(),
                };
                Ok(Some(SupportConversationEvent::SupportMessageReceived(
                    received,
                )))
            }
            SupportConversationCommand::ForgetCustomer => Ok(self
                .customer
                .map(|_| SupportConversationEvent::SupportCustomerForgotten {})),
        }
    }

    fn replied(&self, text: AgentText, entry_point_id: Uuid) -> SupportConversationEvent {
        SupportConversationEvent::SupportReplySent(SupportReplySent {
            message_id: text.message_id,
            agent: text.agent,
            at: text.at,
            status: match self.status {
                Status::Open => Status::Pending,
                other => other,
            },
            is_first_response: self.customer_wrote && !self.was_answered,
            entry_point_id: (!self.has_chat).then_some(entry_point_id),
            subject: self.customer,
            personal: MessageText { body: text.body }.into(),
        })
    }

    fn details_changed(&self, details: Details) -> SupportConversationEvent {
        let personal = PersonalDetails {
            assigned_to_display_name: details.assigned_to_display_name,
            tags: details.tags,
        };
        SupportConversationEvent::SupportDetailsChanged(SupportDetailsChanged {
            at: details.at,
            priority: details.priority,
            assigned_to_user_id: details.assigned_to_user_id,
            subject: self.customer,
            personal: personal.into(),
        })
    }

    fn apply(&mut self, event: &SupportConversationEvent) {
        match event {
            SupportConversationEvent::SupportReplySent(sent) => {
                self.status = sent.status;
                self.has_chat = true;
                self.was_answered |= sent.is_first_response;
            }
            SupportConversationEvent::SupportStatusChanged { status, .. } => self.status = *status,
            SupportConversationEvent::SupportMessageReceived(received) => {
                self.status = received.status;
                self.customer_wrote = true;
            }
            SupportConversationEvent::SupportCustomerForgotten {} => self.customer = None,
            SupportConversationEvent::SupportConversationOpened(_)
            | SupportConversationEvent::SupportNoteAdded(_)
            | SupportConversationEvent::SupportDetailsChanged(_) => {}
        }
    }
}

impl Aggregate for SupportConversation {
    const TYPE: &'static str = "support_conversation";
    type Command = SupportConversationCommand;
    type Event = SupportConversationEvent;
    type Error = SupportConversationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: SupportConversationCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), SupportConversationError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: SupportConversationEvent) {
        match (&mut *self, event) {
            (_, SupportConversationEvent::SupportConversationOpened(opened)) => {
                *self = Self::Open(OpenConversation {
                    customer: Some(opened.user_id),
                    status: Status::Open,
                    has_chat: opened.source == Source::Chat,
                    customer_wrote: false,
                    was_answered: false,
                });
            }
            (Self::Open(open), event) => open.apply(&event),
            (Self::Absent, _) => {}
        }
    }
}
