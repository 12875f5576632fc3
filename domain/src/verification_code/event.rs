//! What can happen to a verification code.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{IntoStaticStr, VariantNames};

use crate::event::domain_event;
use crate::{Millis, Personal, ProjectId, SecretHash, UserId};

/// An event on a verification code's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum VerificationCodeEvent {
    /// It was handed out.
    CodeIssued(Box<CodeIssued>),
    /// Somebody tried it, or one that ends like it, and was not let in by it.
    CodeAttempted {},
    /// It was used.
    CodeRedeemed {
        /// When.
        at: Millis,
    },
    /// It is of no use any more. Its key, if it had one of its own, is destroyed afterwards.
    CodeDiscarded {},
}

/// What a code is good for. A code of one purpose does not exist for the others.
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
    /// The name in the log and in the read table.
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

/// See [`VerificationCodeEvent::CodeIssued`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeIssued {
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// What it is good for.
    pub purpose: Purpose,
    /// The hash of the whole code.
    pub code_hash: SecretHash,
    /// The hash of all but its first six characters. Who has the tail and guesses the head, as
    /// with a one-time password, is counted against the code by this.
    pub tail_hash: SecretHash,
    /// When.
    pub issued_at: Millis,
    /// When it stops working.
    pub expires_at: Millis,
    /// Whose data is in the personal part, if that is an existing user; else the code itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// What its user will find again.
    pub personal: Personal<CodeDetails>,
}

/// The personal part of [`CodeIssued`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeDetails {
    /// The address it was sent to.
    pub email: Option<String>,
    /// Where the link that carries it leads.
    pub redirect_url: Option<String>,
    /// What else its purpose needs to remember.
    pub data: Value,
}

domain_event!(VerificationCodeEvent);
