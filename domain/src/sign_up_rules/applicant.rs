//! Who signs up, as far as conditions may ask.

use serde::{Deserialize, Serialize};

use crate::user::RiskScores;

/// The way in which somebody signs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Email and password.
    Password,
    /// A code by email.
    Otp,
    /// An account at an OAuth provider.
    Oauth,
    /// A passkey.
    Passkey,
}

impl AuthMethod {
    /// Every method, by its name.
    pub const NAMES: [&'static str; 4] = ["password", "otp", "oauth", "passkey"];

    /// Its name in conditions and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Otp => "otp",
            Self::Oauth => "oauth",
            Self::Passkey => "passkey",
        }
    }
}

/// What conditions know of a sign-up. A text that is not known is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// The normalised email.
    pub email: String,
    /// Two capital letters, ISO 3166-1 alpha-2.
    pub country_code: String,
    /// How.
    pub auth_method: AuthMethod,
    /// The OAuth provider's id in the project's configuration.
    pub oauth_provider: String,
    /// How likely it is abuse.
    pub risk_scores: RiskScores,
}

impl Applicant {
    /// Somebody of whom nothing is known but how they sign up.
    #[must_use]
    pub fn by(auth_method: AuthMethod) -> Self {
        Self {
            email: String::new(),
            country_code: String::new(),
            auth_method,
            oauth_provider: String::new(),
            risk_scores: RiskScores::default(),
        }
    }

    /// What follows the email's last `@`.
    #[must_use]
    pub fn email_domain(&self) -> &str {
        self.email.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}
