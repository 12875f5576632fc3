//! Looking the team up that a request names.

use muniment_domain::TeamId;
use muniment_projections::read_models::teams::{self, TeamRow};

use crate::error::ApiError;
use crate::error::known_error::KnownError;
use crate::http::request::access::ProjectAccess;

/// The team of that id in the caller's project.
///
/// # Errors
/// `TEAM_NOT_FOUND`.
pub(crate) async fn find_team(access: &ProjectAccess, id: TeamId) -> Result<TeamRow, ApiError> {
    let team = teams::by_id(access.app.pool(), access.project_id(), id).await?;
    team.ok_or_else(|| KnownError::team_not_found(id).into())
}
