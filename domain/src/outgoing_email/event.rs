//! The events on the stream of an outgoing email.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::event::domain_event;
use crate::{Millis, Personal, ProjectId, UserId};

/// An event on an outgoing email's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum OutgoingEmailEvent {
    /// Somebody asked for the email to be sent.
    EmailRequested(Box<EmailRequested>),
    /// A mail server took the email.
    EmailSent {
        /// When the mail server took it.
        at: Millis,
    },
    /// A mail server did not take the email, or none could be asked.
    EmailFailed(Failure),
}

/// The built-in texts of emails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// A link that proves that an address reaches its owner.
    EmailVerification,
    /// A link to choose a new password with.
    PasswordReset,
    /// A link, and a short code, to sign in with.
    MagicLink,
    /// A link to join a team with.
    TeamInvitation,
    /// A link to a project's sign-in page.
    SignInInvitation,
    /// The news that an API key was found where others can read it, and does not work any more.
    ApiKeyLeaked,
    /// A receipt for a payment.
    PaymentReceipt,
    /// The news that a payment failed.
    PaymentFailed,
}

impl Template {
    /// The template's name in the log and in the read table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmailVerification => "email_verification",
            Self::PasswordReset => "password_reset",
            Self::MagicLink => "magic_link",
            Self::TeamInvitation => "team_invitation",
            Self::SignInInvitation => "sign_in_invitation",
            Self::ApiKeyLeaked => "api_key_leaked",
            Self::PaymentReceipt => "payment_receipt",
            Self::PaymentFailed => "payment_failed",
        }
    }
}

/// The content of [`OutgoingEmailEvent::EmailRequested`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmailRequested {
    /// The project that the email is sent in the name of.
    pub project_id: ProjectId,
    /// Which of the built-in texts the email has.
    pub template: Template,
    /// When the email was asked for.
    pub requested_at: Millis,
    /// The user whom the email is for, and whose key seals the personal part. Without one, the
    /// email has a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// Whom it goes to, and what is inserted into the text.
    pub personal: Personal<EmailContent>,
}

/// The personal part of [`EmailRequested`]: recipients and inserted texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailContent {
    /// The addresses that the email goes to.
    pub to: Vec<String>,
    /// The texts that the template inserts, by name.
    pub variables: BTreeMap<String, String>,
}

/// The content of [`OutgoingEmailEvent::EmailFailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When sending failed.
    pub at: Millis,
    /// The kind of failure, for example `TIMEOUT`.
    pub kind: String,
    /// When sending is tried again; never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Millis>,
}

domain_event!(OutgoingEmailEvent);
