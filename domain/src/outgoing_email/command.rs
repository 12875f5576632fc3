//! What can be asked of an outgoing email.

use super::event::{EmailRequested, Failure};
use crate::Millis;

/// A command to an outgoing email.
#[derive(Clone, Debug)]
pub enum OutgoingEmailCommand {
    /// Have it sent.
    Request(Box<EmailRequested>),
    /// Note that a mail server took it.
    NoteSent(Millis),
    /// Note that a mail server did not take it.
    NoteFailure(Failure),
}
