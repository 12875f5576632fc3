//! How members appear in their teams. The rows are those of memberships and users.

use muniment_domain::{ProjectId, TeamId, UserId};
use sqlx::{FromRow, PgPool, QueryBuilder};
use uuid::Uuid;

use crate::read_models::users::UserRecord;
use muniment_event_store::LedgerError;

/// A member of a team, as the API shows one.
#[derive(Clone, Debug, FromRow)]
pub struct MemberProfile {
    /// The team.
    pub member_team_id: Uuid,
    /// The name shown in the team, if it is not the user's own.
    pub member_display_name: Option<String>,
    /// The picture shown in the team, if it is not the user's own.
    pub member_profile_image_url: Option<String>,
    /// The user.
    #[sqlx(flatten)]
    pub record: UserRecord,
}

impl MemberProfile {
    /// The name shown in the team.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        let own = self.member_display_name.as_deref();
        own.or(self.record.user.display_name.as_deref())
    }

    /// The picture shown in the team.
    #[must_use]
    pub fn profile_image_url(&self) -> Option<&str> {
        let own = self.member_profile_image_url.as_deref();
        own.or(self.record.user.profile_image_url.as_deref())
    }
}

const SELECT: &str = "SELECT p.team_id AS member_team_id, p.display_name AS member_display_name,
        p.profile_image_url AS member_profile_image_url,
        u.*, a.last_active_at, to_jsonb(t) AS selected_team
    FROM team_memberships p
    JOIN users u ON u.id = p.user_id
    LEFT JOIN user_activity a ON a.user_id = u.id
    LEFT JOIN team_memberships m ON m.user_id = u.id AND m.team_id = u.selected_team_id
    LEFT JOIN teams t ON t.id = m.team_id ";

/// The members of a project's teams, of one team or one user only if that is given, by the time
/// at which they joined.
pub async fn list(
    pool: &PgPool,
    project: &ProjectId,
    team: Option<TeamId>,
    user: Option<UserId>,
) -> Result<Vec<MemberProfile>, LedgerError> {
    let mut sql = QueryBuilder::new(SELECT);
    sql.push("WHERE p.project_id = ")
        .push_bind(project.as_str());
    if let Some(team) = team {
        sql.push(" AND p.team_id = ").push_bind(team.0);
    }
    if let Some(user) = user {
        sql.push(" AND p.user_id = ").push_bind(user.0);
    }
    sql.push(" ORDER BY p.joined_at, p.team_id, p.user_id");
    Ok(sql.build_query_as().fetch_all(pool).await?)
}
