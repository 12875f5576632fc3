//! Claiming a project that a platform made: the platform asks for a link, and the user who follows it
//! and signs in to the dashboard becomes the owner.

use axum::http::StatusCode;
use muniment_domain::project::{Project, ProjectCommand, ProjectError};
use muniment_domain::team::TeamProfile;
use muniment_domain::verification_code::Purpose;
use muniment_domain::{ProjectId, TeamId};
use muniment_event_store::{EventContext, LedgerError};
use muniment_projections::read_models::users::UserRow;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Integration;
use super::clients::Client;
use crate::app::App;
use crate::app::auth::codes::{self, Handling, NewCode};
use crate::app::request_context::RequestContext;
use crate::app::teams::{NewTeam, personal_team_name};
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// How long a link works: an hour.
const CODE_MILLIS: i64 = 60 * 60 * 1000;

/// What a transfer code remembers.
#[derive(Serialize, Deserialize)]
struct Transfer {
    client_id: String,
    project_id: ProjectId,
}

/// Makes a link that hands the project to the user who follows it. Several may be open; the first that
/// is followed counts. `context` is that of the `internal` project.
///
/// # Errors
/// When the database fails.
pub async fn initiate(
    app: &App,
    context: &EventContext,
    integration: Integration,
    client: &Client,
    project: &ProjectId,
) -> Result<String, LedgerError> {
    let transfer = Transfer {
        client_id: client.id.clone(),
        project_id: project.clone(),
    };
    let code =
        NewCode::generate(app, Purpose::ProjectTransfer, CODE_MILLIS).remembering(json!(transfer));
    codes::issue(app, context, &code).await?;
    Ok(format!(
        "{}/integrations/{integration}/projects/transfer/confirm?code={}",
        app.dashboard_url,
        code.text()
    ))
}

/// Makes the signed-in user of the `internal` project the owner, by a team of their own.
///
/// # Errors
/// What is wrong with the code; then, with the code used up all the same, text 400 for a project
/// that was claimed by another code.
pub async fn confirm(
    request: RequestContext<'_>,
    code: &str,
    user: &UserRow,
) -> Result<ProjectId, ApiError> {
    let RequestContext { app, context, .. } = request;
    let purpose = Purpose::ProjectTransfer;
    let row = codes::take(app, context, purpose, code, Handling::Redeem).await?;
    let transfer: &Transfer =
        &serde_json::from_value(row.data).map_err(|_| KnownError::verification_code_not_found())?;
    let profile = TeamProfile {
        display_name: personal_team_name(
            user.display_name.as_deref(),
            user.primary_email.as_deref(),
        ),
        ..TeamProfile::default()
    };
    let team = TeamId(app.random.uuid());
    let new_team = &NewTeam::new(app, request.project, team, profile);
    let claimed = app
        .log
        .transact(context, |mut unit| async move {
            new_team.carry_out(&mut unit, Some(user.user_id())).await?;
            let claim = ProjectCommand::Claim {
                client_id: transfer.client_id.clone(),
                owner_team_id: team,
            };
            unit.execute::<Project>(&transfer.project_id, claim).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await;
    app.projects.forget(&transfer.project_id);
    match claimed {
        Ok(()) => Ok(transfer.project_id.clone()),
        Err(LedgerError::Project(ProjectError::NotClaimable | ProjectError::NotFound)) => {
            Err(not_waiting(&transfer.project_id))
        }
        Err(error) => Err(error.into()),
    }
}

/// The answer about a project that is not waiting to be claimed from the platform.
#[must_use]
pub fn not_waiting(project: &ProjectId) -> ApiError {
    let text = format!(
        "Project {project} was not made by this client, or it was transferred to an owner already."
    );
    ApiError::text(StatusCode::BAD_REQUEST, text)
}
