//! The verification code: a secret that was sent or shown to one person, who can bring it back
//! once, in time, and without too many guesses.

mod command;
mod event;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::VerificationCodeCommand;
pub use event::{CodeDetails, CodeIssued, Purpose, VerificationCodeEvent};

use crate::Millis;

/// The number of guesses, right or wrong, after which a code is locked.
pub const MAX_ATTEMPTS: u32 = 20;

/// Why a command to a verification code was refused, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerificationCodeError {
    /// The code was never handed out, or is forgotten.
    #[error("the code does not exist")]
    NotFound,
    /// A code with this id exists already.
    #[error("a code with this id exists already")]
    AlreadyExists,
    /// The code came too late.
    #[error("the code has expired")]
    Expired,
    /// The code was used before.
    #[error("the code was used already")]
    AlreadyUsed,
    /// There were too many guesses at the code.
    #[error("there were too many attempts at this code")]
    TooManyAttempts,
}

/// The state that decisions about a code need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerificationCode {
    /// Nothing has happened on the stream yet. Snapshots keep the name that was stored first.
    #[default]
    #[serde(rename = "Unborn")]
    Absent,
    /// The code can be redeemed, unless it is too late or the code is locked.
    Open {
        /// When the code stops working.
        expires_at: Millis,
        /// The number of guesses so far.
        attempts: u32,
    },
    /// The code was used.
    Redeemed {
        /// When the code would have stopped working.
        expires_at: Millis,
    },
    /// The code is forgotten.
    Discarded,
}

impl VerificationCode {
    /// Whether the code could be redeemed at that time.
    ///
    /// # Errors
    /// `NotFound`, `Expired`, `AlreadyUsed` and `TooManyAttempts`, checked in this order.
    pub fn check(self, now: Millis) -> Result<(), VerificationCodeError> {
        match self {
            Self::Absent | Self::Discarded => Err(VerificationCodeError::NotFound),
            Self::Open { expires_at, .. } | Self::Redeemed { expires_at } if expires_at <= now => {
                Err(VerificationCodeError::Expired)
            }
            Self::Redeemed { .. } => Err(VerificationCodeError::AlreadyUsed),
            Self::Open { attempts, .. } if attempts >= MAX_ATTEMPTS => {
                Err(VerificationCodeError::TooManyAttempts)
            }
            Self::Open { .. } => Ok(()),
        }
    }

    fn decide(
        self,
        command: VerificationCodeCommand,
    ) -> Result<Option<VerificationCodeEvent>, VerificationCodeError> {
        match (self, command) {
            (Self::Absent, VerificationCodeCommand::Issue(issued)) => {
                Ok(Some(VerificationCodeEvent::CodeIssued(issued)))
            }
            (_, VerificationCodeCommand::Issue(_)) => Err(VerificationCodeError::AlreadyExists),
            (Self::Open { attempts, .. }, VerificationCodeCommand::CountAttempt)
                if attempts < MAX_ATTEMPTS =>
            {
                Ok(Some(VerificationCodeEvent::CodeAttempted {}))
            }
            (_, VerificationCodeCommand::CountAttempt)
            | (Self::Absent | Self::Discarded, VerificationCodeCommand::Discard) => Ok(None),
            (state, VerificationCodeCommand::Redeem(at)) => {
                state.check(at)?;
                Ok(Some(VerificationCodeEvent::CodeRedeemed { at }))
            }
            (_, VerificationCodeCommand::Discard) => {
                Ok(Some(VerificationCodeEvent::CodeDiscarded {}))
            }
        }
    }
}

impl Aggregate for VerificationCode {
    const TYPE: &'static str = "verification_code";
    type Command = VerificationCodeCommand;
    type Event = VerificationCodeEvent;
    type Error = VerificationCodeError;
    type Services = ();

    async fn handle(
        &mut self,
        command: VerificationCodeCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), VerificationCodeError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: VerificationCodeEvent) {
        match (&mut *self, event) {
            (_, VerificationCodeEvent::CodeIssued(issued)) => {
                *self = Self::Open {
                    expires_at: issued.expires_at,
                    attempts: 0,
                };
            }
            (Self::Open { attempts, .. }, VerificationCodeEvent::CodeAttempted {}) => {
                *attempts += 1;
            }
            (Self::Open { expires_at, .. }, VerificationCodeEvent::CodeRedeemed { .. }) => {
                *self = Self::Redeemed {
                    expires_at: *expires_at,
                };
            }
            (_, VerificationCodeEvent::CodeDiscarded {}) => *self = Self::Discarded,
            (
                _,
                VerificationCodeEvent::CodeAttempted {}
                | VerificationCodeEvent::CodeRedeemed { .. },
            ) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: VerificationCode = VerificationCode::Open {
        expires_at: Millis(100),
        attempts: 0,
    };

    fn after(mut state: VerificationCode, event: VerificationCodeEvent) -> VerificationCode {
        state.apply(event);
        state
    }

    #[test]
    fn a_code_works_once() {
        let redeemed = VerificationCodeEvent::CodeRedeemed { at: Millis(99) };
        assert_eq!(
            OPEN.decide(VerificationCodeCommand::Redeem(Millis(99))),
            Ok(Some(redeemed.clone()))
        );
        assert_eq!(
            after(OPEN, redeemed).check(Millis(99)),
            Err(VerificationCodeError::AlreadyUsed)
        );
    }

    #[test]
    fn lateness_is_noticed_before_use_and_use_before_guesses() {
        let redeemed = VerificationCode::Redeemed {
            expires_at: Millis(100),
        };
        assert_eq!(
            redeemed.check(Millis(100)),
            Err(VerificationCodeError::Expired)
        );
        assert_eq!(OPEN.check(Millis(100)), Err(VerificationCodeError::Expired));
    }

    #[test]
    fn the_twenty_first_attempt_is_refused_and_not_recorded() {
        let mut state = OPEN;
        for _ in 0..MAX_ATTEMPTS {
            assert_eq!(state.check(Millis(0)), Ok(()));
            state = after(state, VerificationCodeEvent::CodeAttempted {});
        }
        assert_eq!(
            state.check(Millis(0)),
            Err(VerificationCodeError::TooManyAttempts)
        );
        assert_eq!(
            state.decide(VerificationCodeCommand::CountAttempt),
            Ok(None)
        );
    }
}
