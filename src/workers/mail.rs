//! Sending mail. Events decide which emails are due ([`crate::app::emails`]); this follows the queue
//! that they make, renders each email and hands it to a mail server.
//!
//! One process at a time sends, by an advisory lock. That an email was sent is an event, appended
//! after the mail server took it. So a crash can make an email that was in flight go out twice, but
//! no other, and none is lost.

use std::time::Duration;

use futures_util::future::join_all;
use lettre::message::Mailbox;
use muniment_domain::outgoing_email::{
    EmailRequested, Failure, OutgoingEmail, OutgoingEmailCommand, OutgoingEmailError,
};
use muniment_domain::{OutgoingEmailId, ProjectId};
use muniment_event_store::leader_lock::run_as_leader;
use muniment_event_store::{EventContext, EventLog, LedgerError};
use muniment_projections::read_models::outgoing_emails;
use sqlx::PgConnection;

use crate::app::projects::directory::{LoadedProject, ProjectDirectory};
use crate::clients::mail::classify::Rejection;
use crate::clients::mail::templates::{self, Rendered};
use crate::clients::mail::transport::{MailServer, Message};
use crate::clients::mail::{Carrier, SharedMail};
use crate::clock::Clock;
use crate::security::secrets::Random;

/// The name of the lock that the sending process holds.
const LOCK: &str = "muniment mail";
/// Emails in flight at once.
const IN_FLIGHT: i64 = 4;
/// Attempts at one email, in all.
const ATTEMPTS: u32 = 5;
/// The first retry comes after about twice this long, each further one after twice as long again.
const RETRY_MILLIS: f64 = 20_000.0;
/// How often the queue is looked at when nothing announces an email: for retries that are due, and
/// for emails of other processes whose announcement was lost.
const POLL: Duration = Duration::from_secs(1);
/// How long to wait after the database failed, or while another process holds the lock.
const PAUSE: Duration = Duration::from_secs(2);

/// Sends the emails that are due.
#[derive(Clone)]
pub struct MailSender {
    /// The event log with the emails, and its database with the queue.
    pub log: EventLog,
    /// Projects with their mail servers.
    pub projects: ProjectDirectory,
    /// The mail server of projects that have none of their own.
    pub mail: SharedMail,
    /// The time.
    pub clock: Clock,
    /// The jitter of retries.
    pub random: Random,
}

impl MailSender {
    /// Sends emails whenever this process is the leader. Never returns; an email that is in flight
    /// when this is dropped is sent again by the next leader.
    pub async fn run(self) {
        let trouble = "mail cannot be sent at the moment; trying again";
        let lead = |connection| self.lead(connection);
        run_as_leader(self.log.pool(), LOCK, PAUSE, trouble, lead).await;
    }

    async fn lead(&self, mut connection: PgConnection) -> Result<(), LedgerError> {
        let mut appends = self.log.appends();
        loop {
            appends.mark_unchanged();
            if self.send_due(&mut connection).await? == 0 {
                // A closed channel or a timeout: either way it is time to look again.
                let _ = tokio::time::timeout(POLL, appends.changed()).await;
            }
        }
    }

    /// Sends what is due, a few emails at a time. Returns how many were tried.
    async fn send_due(&self, connection: &mut PgConnection) -> Result<usize, LedgerError> {
        let due = outgoing_emails::due(connection, self.clock.now(), IN_FLIGHT).await?;
        let sending = due.iter().map(|(project, id)| self.send(project, *id));
        for outcome in join_all(sending).await {
            outcome?;
        }
        Ok(due.len())
    }

    async fn send(&self, project: &ProjectId, id: OutgoingEmailId) -> Result<(), LedgerError> {
        let Some((request, failures)) = self.pending(project, id).await? else {
            return Ok(());
        };
        let command = match self.attempt(&request).await {
            Ok(()) => OutgoingEmailCommand::NoteSent(self.clock.now()),
            Err(rejection) => {
                tracing::warn!(email = %id, kind = rejection.kind, "a letter was not taken");
                OutgoingEmailCommand::NoteFailure(self.failure(&rejection, failures))
            }
        };
        match self.note(project, id, command).await {
            // It was erased in the meantime.
            Err(LedgerError::OutgoingEmail(OutgoingEmailError::NotPending)) => Ok(()),
            outcome => outcome,
        }
    }

    async fn note(
        &self,
        project: &ProjectId,
        id: OutgoingEmailId,
        command: OutgoingEmailCommand,
    ) -> Result<(), LedgerError> {
        let (context, command) = (&self.context(project), &command);
        let noting = self.log.transact(context, |mut unit| async move {
            unit.execute::<OutgoingEmail>(&id, command.clone()).await?;
            Ok::<_, LedgerError>((unit, ()))
        });
        noting.await
    }

    /// Exponential back-off with jitter, around 40, 80, 160 and 320 seconds.
    fn failure(&self, rejection: &Rejection, failures: u32) -> Failure {
        let now = self.clock.now();
        let failures = failures + 1;
        let pause = RETRY_MILLIS * 2f64.powi(i32::try_from(failures).unwrap_or(8));
        let jitter = 0.5 + self.random.fraction();
        #[allow(clippy::cast_possible_truncation, reason = "minutes, in milliseconds")]
        let retry_at = now.plus((pause * jitter) as i64);
        Failure {
            at: now,
            kind: rejection.kind.to_owned(),
            retry_at: (rejection.is_passing && failures < ATTEMPTS).then_some(retry_at),
        }
    }

    /// The request for an email that is still to be sent, and how often that has failed.
    async fn pending(
        &self,
        project: &ProjectId,
        id: OutgoingEmailId,
    ) -> Result<Option<(EmailRequested, u32)>, LedgerError> {
        let context = &self.context(project);
        let reading = self.log.transact(context, |mut unit| async move {
            let email = unit.state::<OutgoingEmail>(&id).await?;
            Ok::<_, LedgerError>((unit, email))
        });
        Ok(match reading.await? {
            OutgoingEmail::Pending { request, failures } => Some((*request, failures)),
            OutgoingEmail::Absent | OutgoingEmail::Done => None,
        })
    }

    fn context(&self, project: &ProjectId) -> EventContext {
        EventContext::system(project.clone(), "mail", self.clock.now())
    }

    async fn attempt(&self, request: &EmailRequested) -> Result<(), Rejection> {
        let letter = request.personal.known().ok_or(Rejection::ERASED)?;
        let project = self.projects.find(&request.project_id).await;
        let project = project
            .map_err(|_| Rejection::UNKNOWN_FOR_NOW)?
            .ok_or(Rejection::ERASED)?;
        let name = &project.profile.display_name;
        let rendered = templates::render(request.template, name, letter).map_err(|error| {
            tracing::error!(%error, "a built-in mail template cannot be rendered");
            Rejection::UNKNOWN
        })?;
        let (carrier, from) = route(&self.mail, &project)?;
        let message = Message {
            from,
            to: letter.to.clone(),
            subject: rendered.subject.clone(),
            html: rendered.html.clone(),
            text: rendered.text.clone(),
        };
        self.deliver(carrier, message, &rendered).await
    }

    async fn deliver(
        &self,
        carrier: Carrier,
        message: Message,
        rendered: &Rendered,
    ) -> Result<(), Rejection> {
        match carrier {
            Carrier::Server(server) => server.send(message).await,
            Carrier::Catcher(catcher) => {
                catcher.keep(message, rendered, self.clock.now());
                Ok(())
            }
            Carrier::Nobody => Err(Rejection::NO_SERVER),
        }
    }
}

/// A project's own mail server, or the shared one, which sends in the project's name.
fn route(shared: &SharedMail, project: &LoadedProject) -> Result<(Carrier, Mailbox), Rejection> {
    let config = &project.config.emails.server;
    let mailbox = |name: &str, address: &str| {
        let address = address.parse().map_err(|_| Rejection::INVALID_ADDRESS)?;
        Ok(Mailbox::new(Some(name.to_owned()), address))
    };
    if config.is_shared {
        let from = mailbox(&project.profile.display_name, &shared.sender)?;
        return Ok((shared.carrier.clone(), from));
    }
    let (Some(host), Some(port), Some(sender)) = (config.host(), config.port(), config.sender())
    else {
        return Err(Rejection::INCOMPLETE);
    };
    let name = config.sender_name.as_deref().unwrap_or_default();
    let server = MailServer {
        host: host.to_owned(),
        port,
        credentials: config
            .username()
            .map(str::to_owned)
            .zip(config.password.clone()),
    };
    Ok((Carrier::Server(server), mailbox(name, &sender)?))
}
