//! The commands to a verification code.

use super::event::CodeIssued;
use crate::Millis;

/// A command to a verification code.
#[derive(Clone, Debug)]
pub enum VerificationCodeCommand {
    /// Hand the code out. Refused if the id is taken.
    Issue(Box<CodeIssued>),
    /// Count a guess that was aimed at the code, or came near it. Nothing happens once it is
    /// locked.
    CountAttempt,
    /// Use the code up. This counts as an attempt as well.
    Redeem(Millis),
    /// Forget the code, because nobody can use it any more.
    Discard,
}
