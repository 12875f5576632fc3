//! Emails that are owed to somebody. Asking for one is part of the unit of work that makes it
//! necessary, so that neither happens without the other; [`crate::workers::mail`] sends it.

use std::collections::BTreeMap;

use muniment_domain::outgoing_email::{
    EmailContent, EmailRequested, OutgoingEmail, OutgoingEmailCommand, Template,
};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{OutgoingEmailId, UserId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::teams::TeamRow;

use super::App;
use crate::app::auth::codes::{MAILED_MILLIS, NewCode};

/// An email that is about to be asked for.
#[derive(Clone, Debug)]
pub struct NewEmail {
    id: OutgoingEmailId,
    template: Template,
    subject: Option<UserId>,
    letter: EmailContent,
}

impl NewEmail {
    /// An email to one address.
    #[must_use]
    pub fn generate(app: &App, template: Template, to: &str) -> Self {
        Self::numbered(OutgoingEmailId(app.random.uuid()), template, to)
    }

    /// An email of that id, which may have been asked for before; see [`Self::request_once`].
    #[must_use]
    pub fn numbered(id: OutgoingEmailId, template: Template, to: &str) -> Self {
        Self {
            id,
            template,
            subject: None,
            letter: EmailContent {
                to: vec![to.to_owned()],
                variables: BTreeMap::new(),
            },
        }
    }

    /// An email to an existing user: it is erased with them.
    #[must_use]
    pub fn about(mut self, user: Option<UserId>) -> Self {
        self.subject = user;
        self
    }

    /// An email in which the template finds this.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.letter
            .variables
            .insert(name.to_owned(), value.to_owned());
        self
    }

    /// The news that a key leaked and was revoked, to somebody who may manage it.
    #[must_use]
    pub fn api_key_leaked(app: &App, description: &str, owner: UserId, to: &str) -> Self {
        Self::generate(app, Template::ApiKeyLeaked, to)
            .about(Some(owner))
            .with("description", description)
    }

    /// Asks for it within a unit of work.
    ///
    /// # Errors
    /// Never for a id that was just generated.
    pub async fn request(&self, unit: &mut UnitOfWork) -> Result<(), LedgerError> {
        let request = self.command(unit);
        unit.create::<OutgoingEmail>(&self.id, request).await
    }

    /// Asks for it within a unit of work, unless that was done before under the same id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn request_once(&self, unit: &mut UnitOfWork) -> Result<(), LedgerError> {
        if unit.state::<OutgoingEmail>(&self.id).await? != OutgoingEmail::Absent {
            return Ok(());
        }
        let request = self.command(unit);
        unit.execute::<OutgoingEmail>(&self.id, request).await
    }

    fn command(&self, unit: &UnitOfWork) -> OutgoingEmailCommand {
        OutgoingEmailCommand::Request(Box::new(EmailRequested {
            project_id: unit.context().project_id.clone(),
            template: self.template,
            requested_at: unit.context().now,
            subject: self.subject,
            personal: self.letter.clone().into(),
        }))
    }
}

/// A code and the email that carries it.
#[derive(Clone, Debug)]
pub struct CodeEmail {
    code: NewCode,
    email: NewEmail,
}

impl CodeEmail {
    /// A link that proves that the address reaches its owner.
    #[must_use]
    pub fn email_verification(app: &App, user: UserId, email: &str, callback: &str) -> Self {
        let code = NewCode::generate(app, Purpose::ContactChannelVerification, MAILED_MILLIS)
            .about(user)
            .mailed(email, Some(callback))
            .remembering(serde_json::json!({"user_id": user}));
        let message = NewEmail::generate(app, Template::EmailVerification, email).about(Some(user));
        Self::linking(code, message, "emailVerificationLink")
    }

    /// A link to choose a new password with.
    #[must_use]
    pub fn password_reset(app: &App, user: UserId, email: &str, callback: &str) -> Self {
        let code = NewCode::generate(app, Purpose::PasswordReset, MAILED_MILLIS)
            .about(user)
            .mailed(email, Some(callback))
            .remembering(serde_json::json!({"user_id": user}));
        let message = NewEmail::generate(app, Template::PasswordReset, email).about(Some(user));
        Self::linking(code, message, "passwordResetLink")
    }

    /// A link, and a short code, to sign in or up with. `user` has the address, if anybody does.
    /// It remembers where it was asked for: rules judge by that place, not by where it is used.
    #[must_use]
    pub fn magic_link(
        app: &App,
        user: Option<UserId>,
        [email, callback]: [&str; 2],
        country_code: Option<&str>,
    ) -> Self {
        let code = NewCode::generate(app, Purpose::SignIn, MAILED_MILLIS)
            .mailed(email, Some(callback))
            .remembering(serde_json::json!({"country_code": country_code}));
        let code = match user {
            Some(user) => code.about(user),
            None => code,
        };
        let message = NewEmail::generate(app, Template::MagicLink, email)
            .about(user)
            .with("otp", &code.otp());
        Self::linking(code, message, "magicLink")
    }

    /// A link to join a team with. The address is remembered as it was written.
    #[must_use]
    pub fn team_invitation(app: &App, team: &TeamRow, [email, callback]: [&str; 2]) -> Self {
        let code = NewCode::generate(app, Purpose::TeamInvitation, MAILED_MILLIS)
            .mailed(email, Some(callback))
            .remembering(serde_json::json!({"team_id": team.id}));
        let message = NewEmail::generate(app, Template::TeamInvitation, email.trim())
            .with("teamDisplayName", &team.display_name);
        Self::linking(code, message, "teamInvitationLink")
    }

    /// A code whose link the email inserts under that name.
    #[must_use]
    pub fn linking(code: NewCode, email: NewEmail, name: &str) -> Self {
        let link = code.link().unwrap_or_default();
        Self {
            email: email.with(name, &link),
            code,
        }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &NewCode {
        &self.code
    }

    /// Issues the one and asks for the other, within a unit of work.
    ///
    /// # Errors
    /// Never for ids that was just generated.
    pub async fn enqueue(&self, unit: &mut UnitOfWork) -> Result<(), LedgerError> {
        self.code.issue(unit).await?;
        self.email.request(unit).await
    }
}

/// Issues a code and asks for its email, in a unit of work of their own.
///
/// # Errors
/// When the database fails.
pub async fn enqueue(
    app: &App,
    context: &EventContext,
    email: &CodeEmail,
) -> Result<(), LedgerError> {
    app.log
        .transact(context, |mut unit| async move {
            email.enqueue(&mut unit).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await
}
