//! What can be asked of a session.

use super::event::{EndCause, SessionStarted};

/// A command to a session.
#[derive(Clone, Debug)]
pub enum SessionCommand {
    /// Open it.
    Start(SessionStarted),
    /// Close it; closing a closed session is refused, so that of two sign-outs one fails.
    End(EndCause),
}
