//! Sending mail. What is to be sent is decided by events ([`crate::app::emails`]); this follows
//! the queue that they make, renders each letter and hands it to a mail server.
//!
//! One process at a time sends, by an advisory lock; others stand by. That a letter was sent is an
//! event, appended after the mail server took it. So a crash can make a letter that was in flight
//! go out twice, but no other, and none is lost.

use std::time::Duration;

use futures_util::future::join_all;
use lettre::message::Mailbox;
use muniment_domain::outgoing_email::{
    EmailRequested, Failure, OutgoingEmail, OutgoingEmailCommand, OutgoingEmailError,
};
use muniment_domain::{OutgoingEmailId, ProjectId};
use muniment_projections::read_models::outgoing_emails;
use muniment_projections::{EventContext, LedgerError, sole_holder};
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::clients::mail::classify::Rejection;
use crate::clients::mail::templates::Rendered;
use crate::clients::mail::transport::{MailServer, Message};
use crate::clients::mail::{Carrier, SharedMail};

/// Letters in flight at once.
const IN_FLIGHT: i64 = 4;
/// Attempts at one letter, in all.
const ATTEMPTS: u32 = 5;
/// The first retry comes after about twice this long, each further one after twice as long again.
const RETRY_MILLIS: f64 = 20_000.0;
/// How often the queue is looked at when nothing announces a letter: for retries that are due, and
/// for letters of other processes whose announcement was lost.
const POLL: Duration = Duration::from_secs(1);
/// How long to wait after the database failed, or to stand by for the lock.
const PAUSE: Duration = Duration::from_secs(2);

/// The sending task. Stops when it is dropped; what it had in hand is sent again by the next one.
pub struct Sending(JoinHandle<()>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts to send, or to stand by.
#[must_use]
pub fn start(app: App) -> Sending {
    Sending(tokio::spawn(async move {
        loop {
            if let Err(error) = hold_office(&app).await {
                tracing::warn!(%error, "mail cannot be sent at the moment; trying again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }))
}

/// Sends as long as the lock is held. Returns when another process holds it.
async fn hold_office(app: &App) -> Result<(), LedgerError> {
    let Some(mut connection) = sole_holder(app.pool(), "muniment mail").await? else {
        return Ok(());
    };
    let mut appends = app.log.appends();
    loop {
        appends.mark_unchanged();
        if send_due(app, &mut connection).await? == 0 {
            // A closed channel or a timeout: either way it is time to look again.
            let _ = tokio::time::timeout(POLL, appends.changed()).await;
        }
    }
}

/// Sends what is due, a few letters at a time. Returns how many were tried.
async fn send_due(app: &App, connection: &mut PgConnection) -> Result<usize, LedgerError> {
    let due = outgoing_emails::due(connection, app.now(), IN_FLIGHT).await?;
    let sending = due.iter().map(|(project, id)| send(app, project, *id));
    for outcome in join_all(sending).await {
        outcome?;
    }
    Ok(due.len())
}

async fn send(app: &App, project: &ProjectId, id: OutgoingEmailId) -> Result<(), LedgerError> {
    let Some((request, failures)) = pending(app, project, id).await? else {
        return Ok(());
    };
    let command = match attempt(app, &request).await {
        Ok(()) => OutgoingEmailCommand::NoteSent(app.now()),
        Err(rejection) => {
            tracing::warn!(email = %id, kind = rejection.kind, "a letter was not taken");
            OutgoingEmailCommand::NoteFailure(failure(app, &rejection, failures))
        }
    };
    let context = context(app, project);
    match app.execute::<OutgoingEmail>(&context, &id, &command).await {
        // It was erased in the meantime.
        Err(LedgerError::OutgoingEmail(OutgoingEmailError::NotPending)) => Ok(()),
        outcome => outcome,
    }
}

/// Exponential back-off with jitter, around 40, 80, 160 and 320 seconds.
fn failure(app: &App, rejection: &Rejection, failures: u32) -> Failure {
    let now = app.now();
    let failures = failures + 1;
    let pause = RETRY_MILLIS * 2f64.powi(i32::try_from(failures).unwrap_or(8));
    let jitter = 0.5 + rand::random::<f64>();
    #[allow(clippy::cast_possible_truncation, reason = "minutes, in milliseconds")]
    let retry_at = now.plus((pause * jitter) as i64);
    Failure {
        at: now,
        kind: rejection.kind.to_owned(),
        retry_at: (rejection.is_passing && failures < ATTEMPTS).then_some(retry_at),
    }
}

async fn pending(
    app: &App,
    project: &ProjectId,
    id: OutgoingEmailId,
) -> Result<Option<(EmailRequested, u32)>, LedgerError> {
    let context = context(app, project);
    Ok(match app.state::<OutgoingEmail>(&context, &id).await? {
        OutgoingEmail::Pending { request, failures } => Some((*request, failures)),
        OutgoingEmail::Unborn | OutgoingEmail::Done => None,
    })
}

fn context(app: &App, project: &ProjectId) -> EventContext {
    EventContext::system(project.clone(), "mail", app.now())
}

async fn attempt(app: &App, request: &EmailRequested) -> Result<(), Rejection> {
    let letter = request.personal.known().ok_or(Rejection::ERASED)?;
    let project = app.projects.find(&request.project_id).await;
    let project = project
        .map_err(|_| Rejection::UNKNOWN_FOR_NOW)?
        .ok_or(Rejection::ERASED)?;
    let rendered = crate::clients::mail::templates::render(
        request.template,
        &project.profile.display_name,
        letter,
    )
    .map_err(|error| {
        tracing::error!(%error, "a built-in mail template cannot be rendered");
        Rejection::UNKNOWN
    })?;
    let (carrier, from) = route(&app.mail, &project)?;
    let message = Message {
        from,
        to: letter.to.clone(),
        subject: rendered.subject.clone(),
        html: rendered.html.clone(),
        text: rendered.text.clone(),
    };
    deliver(carrier, message, app, &rendered).await
}

async fn deliver(
    carrier: Carrier,
    message: Message,
    app: &App,
    rendered: &Rendered,
) -> Result<(), Rejection> {
    match carrier {
        Carrier::Server(server) => server.send(message).await,
        Carrier::Catcher(catcher) => {
            catcher.keep(message, rendered, app.now());
            Ok(())
        }
        Carrier::Nobody => Err(Rejection::NO_SERVER),
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
