//! What can be asked of a verification code.

use super::event::CodeIssued;
use crate::Millis;

/// A command to a verification code.
#[derive(Clone, Debug)]
pub enum VerificationCodeCommand {
    /// Hand it out.
    Issue(Box<CodeIssued>),
    /// Count a guess that was aimed at it, or was near it. Nothing happens once it is locked.
    CountAttempt,
    /// Use it up. This counts as an attempt as well.
    Redeem(Millis),
    /// Forget it, because nobody can use it any more.
    Discard,
}
