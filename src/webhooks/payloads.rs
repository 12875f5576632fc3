//! What messages say: happenings in the shapes of the API.

use muniment_projections::LedgerError;
use muniment_projections::webhooks::queue::Message;
use muniment_projections::webhooks::{Happened, Happening, Occasion, Tie};
use serde_json::{Value, json};

use super::body;
use crate::app::projects::LoadedProject;
use crate::http::views::{ProjectPermission, ServerTeam, ServerUser, TeamPermission};

/// The message that tells of a happening.
pub fn message(happening: Happening) -> Result<Message, LedgerError> {
    let (event_type, data) = said(happening.what)?;
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

fn said(what: Happened) -> Result<(&'static str, Value), LedgerError> {
    Ok(match what {
        Happened::User {
            occasion,
            record,
            project,
        } => {
            let project = LoadedProject::read(&project, Vec::new())?;
            let user = ServerUser::as_of(&record, &project, record.last_active_at);
            let event_type = match occasion {
                Occasion::Created => "user.created",
                Occasion::Updated => "user.updated",
            };
            (event_type, json!(user))
        }
        Happened::UserDeleted { user, teams } => {
            let teams: Vec<Value> = teams.iter().map(|team| json!({"id": team})).collect();
            ("user.deleted", json!({"id": user, "teams": teams}))
        }
        Happened::Team { occasion, team } => {
            let event_type = match occasion {
                Occasion::Created => "team.created",
                Occasion::Updated => "team.updated",
            };
            (event_type, json!(ServerTeam::from(*team)))
        }
        Happened::TeamDeleted(team) => ("team.deleted", json!({"id": team})),
        Happened::Membership(tie, team, user) => {
            let event_type = match tie {
                Tie::Created => "team_membership.created",
                Tie::Deleted => "team_membership.deleted",
            };
            (event_type, json!({"team_id": team, "user_id": user}))
        }
        Happened::TeamPermission(tie, team, user, permission) => {
            let event_type = match tie {
                Tie::Created => "team_permission.created",
                Tie::Deleted => "team_permission.deleted",
            };
            (
                event_type,
                json!(TeamPermission::new(team, user, &permission)),
            )
        }
        Happened::ProjectPermission(tie, user, permission) => {
            let event_type = match tie {
                Tie::Created => "project_permission.created",
                Tie::Deleted => "project_permission.deleted",
            };
            (event_type, json!(ProjectPermission::new(user, &permission)))
        }
    })
}
