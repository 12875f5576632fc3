//! The applicant: what conditions can ask about a sign-up.

use serde::{Deserialize, Serialize};

use crate::user::RiskScores;

/// The way in which somebody signs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Somebody signs up with an email address and a password.
    Password,
    /// Somebody signs up with a code by email.
    Otp,
    /// Somebody signs up with an account at an OAuth provider.
    Oauth,
    /// Somebody signs up with a passkey.
    Passkey,
}

impl AuthMethod {
    /// The name of every method.
    pub const NAMES: [&'static str; 4] = ["password", "otp", "oauth", "passkey"];

    /// The method's name in conditions and on the wire.
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

/// The facts about a sign-up that conditions can ask for. A text that is not known is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// The email address, normalised.
    pub email: String,
    /// The country: two capital letters, ISO 3166-1 alpha-2.
    pub country_code: String,
    /// The way in which the applicant signs up.
    pub auth_method: AuthMethod,
    /// The OAuth provider's id in the project's configuration.
    pub oauth_provider: String,
    /// How likely the sign-up is to be abuse.
    pub risk_scores: RiskScores,
}

impl Applicant {
    /// An applicant of whom nothing is known but how they sign up.
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

    /// The part of the email address after its last `@`.
    #[must_use]
    pub fn email_domain(&self) -> &str {
        self.email.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}
