//! The reasons for which a user is restricted.

use serde::{Deserialize, Serialize};

/// The reason a user's tokens are restricted. Computed on every read, never stored: a changed
/// setting or a verified email takes effect at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RestrictedReason {
    /// The user has not signed up yet.
    Anonymous,
    /// The project requires a verified primary email, and the user has none.
    EmailNotVerified,
    /// An administrator or a sign-up rule restricted the user.
    RestrictedByAdministrator,
}

/// Whether a project lets users in before they have verified their primary email.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmailVerification {
    /// `onboarding.requireEmailVerification` is on.
    Required,
    /// `onboarding.requireEmailVerification` is off.
    Optional,
}

/// The facts that the reason depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Whether the user has not signed up yet.
    pub is_anonymous: bool,
    /// Whether the user has a primary email that is verified.
    pub primary_email_verified: bool,
    /// Whether an administrator or a sign-up rule restricted the user.
    pub restricted_by_admin: bool,
}

impl RestrictedReason {
    /// The first reason that applies: anonymity, then the email, then an administrator.
    #[must_use]
    pub fn of(standing: Standing, verification: EmailVerification) -> Option<Self> {
        if standing.is_anonymous {
            Some(Self::Anonymous)
        } else if verification == EmailVerification::Required && !standing.primary_email_verified {
            Some(Self::EmailNotVerified)
        } else if standing.restricted_by_admin {
            Some(Self::RestrictedByAdministrator)
        } else {
            None
        }
    }
}
