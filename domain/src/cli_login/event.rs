//! The events on the stream of a command-line login.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::event::domain_event;
use crate::{Millis, Personal, ProjectId, SecretHash};

/// An event on a command-line login's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum CliLoginEvent {
    /// A program waits for a browser.
    CliLoginStarted(Box<CliLoginStarted>),
    /// The browser took over the program's anonymous session.
    AnonymousSessionClaimed {},
    /// The browser handed its session over.
    CliLoginCompleted {
        /// The refresh token of the browser's session.
        personal: Personal<HandedToken>,
    },
    /// The program fetched the session. The stream's key is destroyed afterwards.
    CliLoginFetched {},
}

/// The content of [`CliLoginEvent::CliLoginStarted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CliLoginStarted {
    /// The project to sign in to.
    pub project_id: ProjectId,
    /// The hash of the code that the program asks with.
    pub polling_hash: SecretHash,
    /// The hash of the code that the browser answers with.
    pub login_hash: SecretHash,
    /// When the program began to wait.
    pub started_at: Millis,
    /// When both codes stop working.
    pub expires_at: Millis,
    /// The refresh token of the program's own anonymous session, if it has one.
    pub personal: Personal<HandedToken>,
}

/// A refresh token that passes through a login. Sealed, because it is handed on as it is.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedToken {
    /// The refresh token, or none if there is no session to hand over.
    pub refresh_token: Option<String>,
}

impl std::fmt::Debug for HandedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandedToken(..)")
    }
}

domain_event!(CliLoginEvent);
