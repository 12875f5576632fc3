//! The session: what one refresh token stands for, from sign-in to sign-out.

mod command;
mod event;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::SessionCommand;
pub use event::{EndCause, SessionEvent, SessionOrigin, SessionStarted};

/// Why a command to a session was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The session never started, or has ended.
    #[error("the session does not exist or has ended")]
    NotFound,
    /// A session with this id exists already, or existed once.
    #[error("a session with this id exists already")]
    AlreadyExists,
}

/// The state that decisions about a session need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Session {
    /// Nothing has happened on the stream yet. Snapshots keep the name that was stored first.
    #[default]
    #[serde(rename = "Unborn")]
    Absent,
    /// The refresh token works until it expires.
    Open,
    /// The refresh token no longer works.
    Ended,
}

impl Session {
    fn decide(self, command: SessionCommand) -> Result<SessionEvent, SessionError> {
        match (self, command) {
            (Self::Absent, SessionCommand::Start(started)) => {
                Ok(SessionEvent::SessionStarted(started))
            }
            (_, SessionCommand::Start(_)) => Err(SessionError::AlreadyExists),
            (Self::Open, SessionCommand::End(cause)) => Ok(SessionEvent::SessionEnded { cause }),
            (Self::Absent | Self::Ended, SessionCommand::End(_)) => Err(SessionError::NotFound),
        }
    }
}

impl Aggregate for Session {
    const TYPE: &'static str = "session";
    type Command = SessionCommand;
    type Event = SessionEvent;
    type Error = SessionError;
    type Services = ();

    async fn handle(
        &mut self,
        command: SessionCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), SessionError> {
        let event = self.decide(command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: SessionEvent) {
        *self = match event {
            SessionEvent::SessionStarted(_) => Self::Open,
            SessionEvent::SessionEnded { .. } => Self::Ended,
        };
    }
}
