//! The commands to a session.

use super::event::{EndCause, SessionStarted};

/// A command to a session.
#[derive(Clone, Debug)]
pub enum SessionCommand {
    /// Open the session. Refused if the id is taken.
    Start(SessionStarted),
    /// End the session. Ending it twice is refused, so that of two sign-outs one fails.
    End(EndCause),
}
