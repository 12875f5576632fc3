//! The events on the stream of a verification code.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{IntoStaticStr, VariantNames};

use crate::event::domain_event;
use crate::{Millis, Personal, ProjectId, SecretHash, UserId};

/// An event on a verification code's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum VerificationCodeEvent {
    /// The code was handed out.
    CodeIssued(Box<CodeIssued>),
    /// Somebody tried this code, or one with the same tail, and was not let in by it.
    CodeAttempted {},
    /// The code was used, which it can be once.
    CodeRedeemed {
        /// When the code was used.
        at: Millis,
    },
    /// The code is of no use any more. Its key, if it had one of its own, is destroyed afterwards.
    CodeDiscarded {},
}

/// The purpose of a code. A code of one purpose does not exist for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Signing in, or up, with an email address.
    SignIn,
    /// Choosing a new password.
    PasswordReset,
    /// Proving that an address reaches its owner.
    ContactChannelVerification,
    /// Joining a team.
    TeamInvitation,
    /// Giving the second factor after the first.
    MfaAttempt,
    /// Registering a passkey: the challenge that the authenticator signs.
    PasskeyRegistration,
    /// Signing in with a passkey: the challenge that the authenticator signs.
    PasskeyAuthentication,
    /// Buying a product.
    PurchaseUrl,
    /// Claiming a project that a hosting platform made.
    ProjectTransfer,
    /// Letting a hosting platform into a project: from the dashboard back to the identity provider.
    IntegrationConfirmation,
    /// Letting a hosting platform into a project: from the identity provider to the platform.
    IntegrationLogin,
}

impl Purpose {
    /// The purpose's name in the log and in the read table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::PasswordReset => "password_reset",
            Self::ContactChannelVerification => "contact_channel_verification",
            Self::TeamInvitation => "team_invitation",
            Self::MfaAttempt => "mfa_attempt",
            Self::PasskeyRegistration => "passkey_registration",
            Self::PasskeyAuthentication => "passkey_authentication",
            Self::PurchaseUrl => "purchase_url",
            Self::ProjectTransfer => "project_transfer",
            Self::IntegrationConfirmation => "integration_confirmation",
            Self::IntegrationLogin => "integration_login",
        }
    }
}

/// The content of [`VerificationCodeEvent::CodeIssued`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeIssued {
    /// The project that the code belongs to.
    pub project_id: ProjectId,
    /// The one purpose that the code can be used for.
    pub purpose: Purpose,
    /// The hash of the whole code.
    pub code_hash: SecretHash,
    /// The hash of all but the code's first six characters. Somebody who has the tail and guesses
    /// the head, as with a one-time password, is counted against the code by this.
    pub tail_hash: SecretHash,
    /// When the code was handed out.
    pub issued_at: Millis,
    /// When the code stops working.
    pub expires_at: Millis,
    /// The existing user whose data is in the personal part. Without one, the code has a key of its
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// The details that the code's user gets back when using it.
    pub personal: Personal<CodeDetails>,
}

/// The personal part of [`CodeIssued`]: the details that the code's user gets back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeDetails {
    /// The address that the code was sent to.
    pub email: Option<String>,
    /// The address of the page that the link with the code opens.
    pub redirect_url: Option<String>,
    /// Anything else that the purpose needs to remember.
    pub data: Value,
}

domain_event!(VerificationCodeEvent);
