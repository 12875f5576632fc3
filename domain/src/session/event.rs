//! The events on the stream of a session.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::event::domain_event;
use crate::{Millis, ProjectId, SecretHash, UserId};

/// An event on a session's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum SessionEvent {
    /// A refresh token was issued.
    SessionStarted(SessionStarted),
    /// The refresh token no longer works, and the session's access tokens are refused.
    SessionEnded {
        /// What ended the session.
        cause: EndCause,
    },
}

/// How a session was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionOrigin {
    /// The user signed up.
    SignUp,
    /// The user signed in with a password.
    Password,
    /// The user brought back a code that was mailed.
    Code,
    /// The user signed in with a passkey.
    Passkey,
    /// The user gave a second factor after the first.
    SecondFactor,
    /// An anonymous account was created.
    Anonymous,
    /// A server or administrator opened it for the user.
    Server,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// The user signed out.
    SignOut,
    /// Another session of the user, or a server, ended it.
    Revoked,
    /// The password was set, changed or removed.
    PasswordChanged,
    /// The user was deleted.
    UserDeleted,
}

/// The content of [`SessionEvent::SessionStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionStarted {
    /// The project of the user.
    pub project_id: ProjectId,
    /// The user who is signed in.
    pub user_id: UserId,
    /// The hash of the refresh token.
    pub token_hash: SecretHash,
    /// When the session was opened.
    pub created_at: Millis,
    /// When the refresh token stops working; never, if absent.
    pub expires_at: Option<Millis>,
    /// Whether an operator acts as the user.
    pub is_impersonation: bool,
    /// How the session was opened.
    pub opening: SessionOrigin,
}

domain_event!(SessionEvent);
