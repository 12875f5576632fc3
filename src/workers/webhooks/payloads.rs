//! What messages say: events in the shapes of the API.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use muniment_event_store::LedgerError;
use muniment_projections::read_models::projects::ProjectRow;
use muniment_projections::webhooks::queue::Message;
use muniment_projections::webhooks::{Change, Occasion, WebhookData, WebhookEvent};
use serde_json::{Value, json};

use crate::app::projects::directory::LoadedProject;
use crate::app::webhooks::body;
use crate::views::{ProjectPermission, ServerTeam, ServerUser, TeamPermission};

/// The messages that tell of events.
pub(super) fn messages(webhook_events: Vec<WebhookEvent>) -> Result<Vec<Message>, LedgerError> {
    let mut settings = Settings::default();
    let messages = webhook_events.into_iter();
    messages
        .map(|happening| message(happening, &mut settings))
        .collect()
}

fn message(happening: WebhookEvent, settings: &mut Settings) -> Result<Message, LedgerError> {
    let (event_type, data) = said(happening.what, settings)?;
    Ok(Message {
        id: happening.message_id,
        project_id: happening.project_id.to_string(),
        event_type: event_type.to_owned(),
        subject: happening.subject,
        content: Some(body(event_type, &data)),
        created_at: happening.at.0,
        event_id: None,
        channels: None,
    })
}

/// Projects with their settings read, which takes milliseconds where there are many of them: once
/// for all events that share a row. The rows are kept, so that no other one gets their address.
#[derive(Default)]
struct Settings(HashMap<*const ProjectRow, (Arc<ProjectRow>, LoadedProject)>);

impl Settings {
    fn of(&mut self, row: &Arc<ProjectRow>) -> Result<&LoadedProject, LedgerError> {
        let (_, project) = match self.0.entry(Arc::as_ptr(row)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let project = LoadedProject::read(row, Vec::new())?;
                place.insert((Arc::clone(row), project))
            }
        };
        Ok(project)
    }
}

fn said(what: WebhookData, settings: &mut Settings) -> Result<(&'static str, Value), LedgerError> {
    Ok(match what {
        WebhookData::User {
            occasion,
            record,
            project,
        } => {
            let project = settings.of(&project)?;
            let user = ServerUser::as_of(&record, project, record.last_active_at);
            let event_type = match occasion {
                Occasion::Created => "user.created",
                Occasion::Updated => "user.updated",
            };
            (event_type, json!(user))
        }
        WebhookData::UserDeleted { user, teams } => {
            let teams: Vec<Value> = teams.iter().map(|team| json!({"id": team})).collect();
            ("user.deleted", json!({"id": user, "teams": teams}))
        }
        WebhookData::Team { occasion, team } => {
            let event_type = match occasion {
                Occasion::Created => "team.created",
                Occasion::Updated => "team.updated",
            };
            (event_type, json!(ServerTeam::from(*team)))
        }
        WebhookData::TeamDeleted(team) => ("team.deleted", json!({"id": team})),
        WebhookData::Membership(change, team, user) => {
            let event_type = match change {
                Change::Created => "team_membership.created",
                Change::Deleted => "team_membership.deleted",
            };
            (event_type, json!({"team_id": team, "user_id": user}))
        }
        WebhookData::TeamPermission(change, team, user, permission) => {
            let event_type = match change {
                Change::Created => "team_permission.created",
                Change::Deleted => "team_permission.deleted",
            };
            (
                event_type,
                json!(TeamPermission::new(team, user, &permission)),
            )
        }
        WebhookData::ProjectPermission(change, user, permission) => {
            let event_type = match change {
                Change::Created => "project_permission.created",
                Change::Deleted => "project_permission.deleted",
            };
            (event_type, json!(ProjectPermission::new(user, &permission)))
        }
    })
}
