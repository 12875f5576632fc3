//! Why a user is restricted.

use serde::{Deserialize, Serialize};

/// The reason a user's tokens are restricted. Computed on every read, never stored: a changed
/// setting or a verified email takes effect at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RestrictedReason {
    /// The user has not signed up yet.
    Anonymous,
    /// The project demands a verified primary email and the user has none.
    EmailNotVerified,
    /// An administrator or a sign-up rule restricted the user.
    RestrictedByAdministrator,
}

/// Whether a project lets users in before they have verified their primary email.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmailVerification {
    /// `onboarding.requireEmailVerification` is on.
    Required,
    /// It is off.
    Optional,
}

/// What the reason depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The user has not signed up yet.
    pub is_anonymous: bool,
    /// The user has a primary email, and it is verified.
    pub primary_email_verified: bool,
    /// An administrator's or a rule's flag.
    pub restricted_by_admin: bool,
}

impl RestrictedReason {
    /// The first reason that applies, in the contract's order.
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
