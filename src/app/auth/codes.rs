//! Codes that are sent or shown to somebody. What happens when they come back is in
//! [`super::presented_code`].

use muniment_domain::verification_code::{
    CodeDetails, CodeIssued, Purpose, VerificationCode, VerificationCodeCommand,
};
use muniment_domain::{Millis, SecretHash, UserId, VerificationCodeId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use serde_json::Value;
use url::Url;

use super::code_grounds;
use crate::app::App;
use crate::app::users::require_living;

/// The length of a code, in characters.
pub const LENGTH: usize = 45;
/// How much of a code is typed by hand, as a one-time password. The rest, the nonce, stays with
/// the caller who asked for the code.
pub const OTP_LENGTH: usize = 6;
/// How long a code that was mailed works: seven days.
pub const MAILED_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How long the second factor may take after the first: five minutes.
pub const MFA_MILLIS: i64 = 5 * 60 * 1000;

/// A code that is about to be issued.
#[derive(Clone, Debug)]
pub struct NewCode {
    id: VerificationCodeId,
    text: String,
    purpose: Purpose,
    expires_at: Millis,
    subject: Option<UserId>,
    details: CodeDetails,
}

impl NewCode {
    /// Draws a code that works for `lifetime` milliseconds.
    #[must_use]
    pub fn generate(app: &App, purpose: Purpose, lifetime: i64) -> Self {
        Self {
            id: VerificationCodeId(app.random.uuid()),
            text: app.random.token(),
            purpose,
            expires_at: app.now().plus(lifetime),
            subject: None,
            details: CodeDetails::default(),
        }
    }

    /// A code about an existing user: what it remembers is erased with them.
    #[must_use]
    pub fn about(mut self, user: UserId) -> Self {
        self.subject = Some(user);
        self
    }

    /// A code that goes to this address, in a link that leads there.
    #[must_use]
    pub fn mailed(mut self, email: &str, callback: Option<&str>) -> Self {
        self.details.email = Some(email.to_owned());
        self.details.redirect_url = callback.map(str::to_owned);
        self
    }

    /// A code that remembers something.
    #[must_use]
    pub fn remembering(mut self, data: Value) -> Self {
        self.details.data = data;
        self
    }

    /// The code itself, which only its receiver gets to see.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The code's id.
    #[must_use]
    pub fn id(&self) -> VerificationCodeId {
        self.id
    }

    /// The part to be typed by hand.
    #[must_use]
    pub fn otp(&self) -> String {
        self.text[..OTP_LENGTH].to_ascii_uppercase()
    }

    /// The part that stays with the caller who asked for the code.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.text[OTP_LENGTH..]
    }

    /// The callback URL with the code in it; a `code` that it carried is replaced.
    #[must_use]
    pub fn link(&self) -> Option<String> {
        let mut url = Url::parse(self.details.redirect_url.as_deref()?).ok()?;
        let others: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| name != "code")
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.query_pairs_mut()
            .clear()
            .extend_pairs(others)
            .append_pair("code", &self.text);
        Some(url.into())
    }

    /// Issues it within a unit of work.
    ///
    /// # Errors
    /// `User(NotFound)` when the user that it is about is gone by now.
    pub async fn issue(&self, unit: &mut UnitOfWork) -> Result<(), LedgerError> {
        let mut details = self.details.clone();
        if let Some(user) = self.subject {
            require_living(unit, user).await?;
        }
        code_grounds::note(unit, self.purpose, self.subject, &mut details).await?;
        let issued = CodeIssued {
            project_id: unit.context().project_id.clone(),
            purpose: self.purpose,
            code_hash: SecretHash::of(&self.text),
            tail_hash: tail_hash(&self.text),
            issued_at: unit.context().now,
            expires_at: self.expires_at,
            subject: self.subject,
            personal: details.into(),
        };
        unit.create::<VerificationCode>(&self.id, VerificationCodeCommand::Issue(Box::new(issued)))
            .await
    }
}

/// Issues a code by itself.
///
/// # Errors
/// When the database fails.
pub async fn issue(app: &App, context: &EventContext, code: &NewCode) -> Result<(), LedgerError> {
    app.log
        .transact(context, |mut unit| async move {
            code.issue(&mut unit).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await
}

pub(crate) fn tail_hash(code: &str) -> SecretHash {
    SecretHash::of(code.get(OTP_LENGTH..).unwrap_or_default())
}
