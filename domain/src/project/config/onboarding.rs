//! What the project demands of users before they may use the application.

use super::ProjectConfig;
use crate::restriction::EmailVerification;

impl ProjectConfig {
    /// Whether users need a verified primary email.
    #[must_use]
    pub fn email_verification(&self) -> EmailVerification {
        if self.onboarding.require_email_verification {
            EmailVerification::Required
        } else {
            EmailVerification::Optional
        }
    }
}
