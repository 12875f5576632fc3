//! The commands to a command-line login.

use super::event::CliLoginStarted;
use crate::Millis;

/// A command to a command-line login.
#[derive(Clone, Debug)]
pub enum CliLoginCommand {
    /// Begin the login: a program waits for a browser.
    Start(Box<CliLoginStarted>),
    /// Take the program's anonymous session over into the browser, once.
    ClaimAnonymousSession(Millis),
    /// Hand the browser's session to the program.
    Complete {
        /// When the browser answers.
        at: Millis,
        /// The refresh token of the browser's session.
        refresh_token: String,
    },
    /// Record that the program fetched the session.
    Fetch(Millis),
}
