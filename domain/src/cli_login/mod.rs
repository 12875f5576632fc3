//! The command-line login: a program without a browser waits until somebody signs in elsewhere, and
//! is handed that session.
//!
//! The program polls with one code, the browser answers with another. A program that has an
//! anonymous session of its own can have it taken over by the browser first.

mod command;
mod event;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::CliLoginCommand;
pub use event::{CliLoginEvent, CliLoginStarted, HandedToken};

use crate::Millis;

/// Why a command to a login was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CliLoginError {
    /// The login never began, is too old, or a session was handed over already.
    #[error("the login code is unknown, has expired or was used already")]
    NotPending,
    /// The program has no anonymous session, or it was claimed already.
    #[error("there is no anonymous session to claim, or it was claimed already")]
    NothingToClaim,
    /// No session was handed over yet, or it was fetched already.
    #[error("no session was handed over yet, or it was fetched already")]
    NothingToFetch,
    /// A login with this id exists already.
    #[error("a login with this id exists already")]
    AlreadyExists,
}

/// The state that decisions about a login need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CliLogin {
    /// Nothing has happened on the stream yet. Snapshots keep the name that was stored first.
    #[default]
    #[serde(rename = "Unborn")]
    Absent,
    /// The program waits for a browser to answer.
    Pending {
        /// When both codes stop working.
        expires_at: Millis,
        /// The program's own anonymous session, until it is claimed.
        anonymous: HandedToken,
    },
    /// A browser handed its session over.
    Completed {
        /// When the polling code stops working.
        expires_at: Millis,
        /// The session that waits to be fetched.
        handed: HandedToken,
    },
    /// The program has fetched the session.
    Fetched {
        /// When the polling code would have stopped working.
        expires_at: Millis,
    },
}

impl CliLogin {
    /// Whether the browser can still answer at that time.
    #[must_use]
    pub fn is_pending(&self, now: Millis) -> bool {
        matches!(self, Self::Pending { expires_at, .. } if *expires_at > now)
    }

    /// When the codes stop working. `None` if the login never began.
    #[must_use]
    pub fn expires_at(&self) -> Option<Millis> {
        match self {
            Self::Absent => None,
            Self::Pending { expires_at, .. }
            | Self::Completed { expires_at, .. }
            | Self::Fetched { expires_at } => Some(*expires_at),
        }
    }

    /// The refresh token of the program's anonymous session, if it is still to be claimed.
    #[must_use]
    pub fn anonymous_token(&self) -> Option<&str> {
        match self {
            Self::Pending { anonymous, .. } => anonymous.refresh_token.as_deref(),
            Self::Absent | Self::Completed { .. } | Self::Fetched { .. } => None,
        }
    }

    fn decide(&self, command: CliLoginCommand) -> Result<CliLoginEvent, CliLoginError> {
        match (self, command) {
            (Self::Absent, CliLoginCommand::Start(started)) => {
                Ok(CliLoginEvent::CliLoginStarted(started))
            }
            (_, CliLoginCommand::Start(_)) => Err(CliLoginError::AlreadyExists),
            (_, CliLoginCommand::ClaimAnonymousSession(now)) => {
                if !self.is_pending(now) {
                    return Err(CliLoginError::NotPending);
                }
                self.anonymous_token()
                    .ok_or(CliLoginError::NothingToClaim)?;
                Ok(CliLoginEvent::AnonymousSessionClaimed {})
            }
            (_, CliLoginCommand::Complete { at, refresh_token }) => {
                if !self.is_pending(at) {
                    return Err(CliLoginError::NotPending);
                }
                let handed = HandedToken {
                    refresh_token: Some(refresh_token),
                };
                Ok(CliLoginEvent::CliLoginCompleted {
                    personal: handed.into(),
                })
            }
            (Self::Completed { expires_at, .. }, CliLoginCommand::Fetch(now))
                if *expires_at >= now =>
            {
                Ok(CliLoginEvent::CliLoginFetched {})
            }
            (_, CliLoginCommand::Fetch(_)) => Err(CliLoginError::NothingToFetch),
        }
    }
}

impl Aggregate for CliLogin {
    const TYPE: &'static str = "cli_login";
    type Command = CliLoginCommand;
    type Event = CliLoginEvent;
    type Error = CliLoginError;
    type Services = ();

    async fn handle(
        &mut self,
        command: CliLoginCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), CliLoginError> {
        let event = self.decide(command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: CliLoginEvent) {
        let expires_at = self.expires_at().unwrap_or_default();
        match event {
            CliLoginEvent::CliLoginStarted(started) => {
                *self = Self::Pending {
                    expires_at: started.expires_at,
                    anonymous: started.personal.or_erased(),
                };
            }
            CliLoginEvent::AnonymousSessionClaimed {} => {
                *self = Self::Pending {
                    expires_at,
                    anonymous: HandedToken::default(),
                };
            }
            CliLoginEvent::CliLoginCompleted { personal } => {
                *self = Self::Completed {
                    expires_at,
                    handed: personal.or_erased(),
                };
            }
            CliLoginEvent::CliLoginFetched {} => *self = Self::Fetched { expires_at },
        }
    }
}
