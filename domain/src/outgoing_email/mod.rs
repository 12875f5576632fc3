//! The outgoing email: a message, from the request to send it until a mail server has it or it is
//! given up.

mod command;
mod event;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::OutgoingEmailCommand;
pub use event::{EmailContent, EmailRequested, Failure, OutgoingEmailEvent, Template};

/// Why a command to an outgoing email was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingEmailError {
    /// The email was never asked for, or nothing remains to be done about it.
    #[error("the email is not waiting to be sent")]
    NotPending,
    /// An email with this id exists already.
    #[error("an email with this id exists already")]
    AlreadyExists,
}

/// The state that decisions about an email need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum OutgoingEmail {
    /// Nothing has happened on the stream yet. Snapshots keep the name that was stored first.
    #[default]
    #[serde(rename = "Unborn")]
    Absent,
    /// The email waits to be sent, for the first time or again.
    Pending {
        /// The request that is to be fulfilled.
        request: Box<EmailRequested>,
        /// The number of failures so far.
        failures: u32,
    },
    /// The email was sent, or given up.
    Done,
}

impl OutgoingEmail {
    fn decide(
        &self,
        command: OutgoingEmailCommand,
    ) -> Result<OutgoingEmailEvent, OutgoingEmailError> {
        match (self, command) {
            (Self::Absent, OutgoingEmailCommand::Request(request)) => {
                Ok(OutgoingEmailEvent::EmailRequested(request))
            }
            (_, OutgoingEmailCommand::Request(_)) => Err(OutgoingEmailError::AlreadyExists),
            (Self::Pending { .. }, OutgoingEmailCommand::NoteSent(at)) => {
                Ok(OutgoingEmailEvent::EmailSent { at })
            }
            (Self::Pending { .. }, OutgoingEmailCommand::NoteFailure(failure)) => {
                Ok(OutgoingEmailEvent::EmailFailed(failure))
            }
            (Self::Absent | Self::Done, _) => Err(OutgoingEmailError::NotPending),
        }
    }
}

impl Aggregate for OutgoingEmail {
    const TYPE: &'static str = "outgoing_email";
    type Command = OutgoingEmailCommand;
    type Event = OutgoingEmailEvent;
    type Error = OutgoingEmailError;
    type Services = ();

    async fn handle(
        &mut self,
        command: OutgoingEmailCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), OutgoingEmailError> {
        let event = self.decide(command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: OutgoingEmailEvent) {
        match (&mut *self, event) {
            (_, OutgoingEmailEvent::EmailRequested(request)) => {
                *self = Self::Pending {
                    request,
                    failures: 0,
                };
            }
            (Self::Pending { failures, .. }, OutgoingEmailEvent::EmailFailed(failure))
                if failure.retry_at.is_some() =>
            {
                *failures += 1;
            }
            (_, OutgoingEmailEvent::EmailSent { .. } | OutgoingEmailEvent::EmailFailed(_)) => {
                *self = Self::Done;
            }
        }
    }
}
