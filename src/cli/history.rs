//! `muniment history`: what happened to an account or a project, and its state at a point in time.

use std::fmt;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use muniment_domain::{Millis, ProjectId, UserId};
use muniment_event_store::{EventLog, LedgerError, Page, RecordedEvent};
use muniment_projections::maintenance::history;
use serde_json::Value;

use super::Failure;
use super::operator::{Database, passed_over};
use crate::timestamp;

/// The flags of `history`.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    database: Database,
    /// The user: an id, or a present email address.
    #[arg(required_unless_present = "project")]
    user: Option<String>,
    /// The project whose own fields, settings and keys to look at instead, by its id.
    #[arg(long, conflicts_with = "user")]
    project: Option<String>,
    /// Show the account or project as it was at this time instead: RFC 3339, or milliseconds since 1970.
    #[arg(long, value_parser = timestamp::parse)]
    as_of: Option<Millis>,
    /// How to print the timeline.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One line per event, for people.
    Table,
    /// One JSON object per line, for programs.
    Json,
}

/// Prints the timeline, or the state.
pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let log = arguments.database.log().await?;
    let subject = match (&arguments.user, &arguments.project) {
        (_, Some(project)) => Subject::Project(ProjectId::from_caller(project)),
        (user, None) => Subject::User(find(&log, user.as_deref().unwrap_or_default()).await?),
    };
    let Page {
        events: timeline,
        unreadable,
        ..
    } = subject.timeline(&log).await?;
    let status = passed_over(&unreadable).unwrap_or(ExitCode::SUCCESS);
    if timeline.is_empty() && unreadable.is_empty() {
        return Err(format!("the log knows nothing of {subject}").into());
    }
    match (arguments.as_of, arguments.format) {
        (Some(at), _) => {
            let state = subject.state_at(&timeline, at);
            let state = state
                .ok_or_else(|| format!("{subject} did not exist at {}", timestamp::format(at)))?;
            println!("{}", serde_json::to_string_pretty(&state)?);
        }
        (None, Format::Json) => {
            for event in &timeline {
                println!("{}", history::as_json(event)?);
            }
        }
        (None, Format::Table) => print_table(&timeline)?,
    }
    Ok(status)
}

/// Whose history is asked for.
enum Subject {
    User(UserId),
    Project(ProjectId),
}

impl Subject {
    async fn timeline(&self, log: &EventLog) -> Result<Page<RecordedEvent>, LedgerError> {
        match self {
            Self::User(user) => history::timeline(log, *user).await,
            Self::Project(project) => history::project_timeline(log, project).await,
        }
    }

    fn state_at(&self, timeline: &[RecordedEvent], at: Millis) -> Option<Value> {
        match self {
            Self::User(user) => history::state_at(timeline, *user, at),
            Self::Project(project) => history::project_state_at(timeline, project, at),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user {user}"),
            Self::Project(project) => write!(f, "project {project}"),
        }
    }
}

async fn find(log: &EventLog, user: &str) -> Result<UserId, Failure> {
    if let Ok(id) = user.parse() {
        return Ok(id);
    }
    match &history::users_with_email(log, user).await?[..] {
        [(_, id)] => Ok(*id),
        [] => Err(format!("no user has the address {user}; name the user by id").into()),
        several => {
            let listed: Vec<String> = several
                .iter()
                .map(|(project, id)| format!("\n  {id} (project {project})"))
                .collect();
            Err(format!(
                "several users have the address {user}; name one by id:{}",
                listed.concat()
            )
            .into())
        }
    }
}

fn print_table(timeline: &[RecordedEvent]) -> Result<(), Failure> {
    println!("{:<24}  {:<24}  {:<42}  CHANGE", "TIME", "EVENT", "BY");
    for event in timeline {
        let unknown = "?".to_owned();
        let actor = event.metadata.get("actor").unwrap_or(&unknown);
        let time = timestamp::format(event.recorded_at);
        let change = summary(&history::as_json(event)?["payload"]);
        println!(
            "{time:<24}  {:<24}  {actor:<42}  {change}",
            event.event_type
        );
    }
    Ok(())
}

/// The fields of an event on one line.
fn summary(payload: &Value) -> String {
    let mut parts = Vec::new();
    for (name, value) in payload.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("type" | "project_id" | "token_hash", _) | (_, Value::Null) => {}
            ("personal", Value::Object(personal)) => {
                let known = personal.iter().filter(|(_, value)| !value.is_null());
                parts.extend(known.map(|(name, value)| format!("{name}={value}")));
            }
            _ => parts.push(format!("{name}={value}")),
        }
    }
    parts.join(" ")
}
