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
use crate::app::auth::codes::{self, NewCode};
use crate::app::auth::presented_code::present;
use crate::app::request_context::RequestContext;
use crate::app::teams::{NewTeam, personal_team_name};
use crate::app::users::require_living;
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
    let code = &present(app, context, purpose, code).await?;
    let transfer: &Transfer = &serde_json::from_value(code.row().data.clone())
        .map_err(|_| KnownError::verification_code_not_found())?;
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
            code.redeem(&mut unit).await?;
            require_living(&mut unit, user.user_id()).await?;
            new_team.carry_out(&mut unit, Some(user.user_id())).await?;
            let claim = ProjectCommand::Claim {
                client_id: transfer.client_id.clone(),
                owner_team_id: team,
            };
            let claimed = unit.execute::<Project>(&transfer.project_id, claim).await;
            claimed.map_err(|error| match error {
                LedgerError::Project(ProjectError::NotClaimable | ProjectError::NotFound) => {
                    not_waiting(&transfer.project_id)
                }
                error => error.into(),
            })?;
            Ok::<_, ApiError>((unit, transfer.project_id.clone()))
        })
        .await;
    app.projects.forget(&transfer.project_id);
    code.settle(app, context, claimed).await
}

/// The answer about a project that is not waiting to be claimed from the platform.
#[must_use]
pub fn not_waiting(project: &ProjectId) -> ApiError {
    let text = format!(
        "Project {project} was not made by this client, or it was transferred to an owner already."
    );
    ApiError::text(StatusCode::BAD_REQUEST, text)
}
