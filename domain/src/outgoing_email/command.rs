//! The commands to an outgoing email.

use super::event::{EmailRequested, Failure};
use crate::Millis;

/// A command to an outgoing email.
#[derive(Clone, Debug)]
pub enum OutgoingEmailCommand {
    /// Ask for the email to be sent.
    Request(Box<EmailRequested>),
    /// Record that a mail server took the email.
    NoteSent(Millis),
    /// Record that a mail server did not take the email.
    NoteFailure(Failure),
}
