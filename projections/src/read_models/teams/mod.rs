//! The read model of teams and memberships: projector and queries.

pub mod invitations;
pub mod member_profiles;
use muniment_domain::team::{TeamChange, TeamEvent};
use muniment_domain::{PermissionId, ProjectId, TeamId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool, QueryBuilder};
use uuid::Uuid;

use crate::LedgerError;
use crate::read_models::table::{Table, TableRow};
use crate::read_models::users::{Direction, Page, paged, stored, substring_pattern};
use crate::read_models::{Demand, ReadModels};

/// A row of `teams`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromRow)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct TeamRow {
    pub id: Uuid,
    pub project_id: String,
    pub created_at: i64,
    pub display_name: String,
    pub profile_image_url: Option<String>,
    pub client_metadata: Option<Value>,
    pub client_read_only_metadata: Option<Value>,
    pub server_metadata: Option<Value>,
}

impl TableRow for TeamRow {
    const TABLE: Table = Table {
        name: "teams",
        key: &["id"],
        fields: &[
            "project_id",
            "created_at",
            "display_name",
            "profile_image_url",
            "client_metadata",
            "client_read_only_metadata",
            "server_metadata",
        ],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.id
    }
}

/// A row of `team_memberships`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct MembershipRow {
    pub team_id: Uuid,
    pub user_id: Uuid,
    pub project_id: String,
    pub joined_at: i64,
    pub permission_ids: Vec<String>,
    pub display_name: Option<String>,
    pub profile_image_url: Option<String>,
}

impl TableRow for MembershipRow {
    const TABLE: Table = Table {
        name: "team_memberships",
        key: &["team_id", "user_id"],
        fields: &[
            "project_id",
            "joined_at",
            "permission_ids",
            "display_name",
            "profile_image_url",
        ],
    };
    type Key = (Uuid, Uuid);
    fn key(&self) -> Self::Key {
        (self.team_id, self.user_id)
    }
}

impl MembershipRow {
    fn grant(&mut self, permission: &PermissionId) {
        if !self
            .permission_ids
            .iter()
            .any(|id| id == permission.as_str())
        {
            self.permission_ids.push(permission.to_string());
        }
    }

    fn revoke(&mut self, permission: &PermissionId) {
        self.permission_ids.retain(|id| id != permission.as_str());
    }
}

/// The team of that id, if the project has one.
pub async fn by_id(
    pool: &PgPool,
    project: &ProjectId,
    id: TeamId,
) -> Result<Option<TeamRow>, LedgerError> {
    let row = sqlx::query_as!(
        TeamRow,
        "SELECT * FROM teams WHERE id = $1 AND project_id = $2",
        id.0,
        project.as_str()
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// Whether the user is in the team.
pub async fn is_member(pool: &PgPool, team: TeamId, user: UserId) -> Result<bool, LedgerError> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM team_memberships WHERE team_id = $1 AND user_id = $2) AS "is!""#,
        team.0,
        user.0,
    )
    .fetch_one(pool)
    .await?;
    Ok(found)
}

/// The teams that the user is in, oldest first.
pub async fn of_user(pool: &PgPool, user: UserId) -> Result<Vec<TeamId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT t.id FROM team_memberships m JOIN teams t ON t.id = m.team_id
         WHERE m.user_id = $1 ORDER BY t.created_at, t.id",
        user.0
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(TeamId).collect())
}

/// The users who have the team selected.
pub async fn selected_by(pool: &PgPool, team: TeamId) -> Result<Vec<UserId>, LedgerError> {
    let ids = sqlx::query_scalar!("SELECT id FROM users WHERE selected_team_id = $1", team.0)
        .fetch_all(pool)
        .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

/// A listing of teams.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only teams of this user.
    pub member: Option<UserId>,
    /// Only teams with this in their name, or as their id.
    pub query: Option<String>,
    /// The first team of the page.
    pub cursor: Option<TeamId>,
    /// How many teams at most; all, if absent.
    pub limit: Option<i64>,
    /// In which order.
    pub direction: Direction,
}

/// Lists teams of a project by the time of their creation.
pub async fn list(
    pool: &PgPool,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<TeamRow>, LedgerError> {
    let mut sql = QueryBuilder::new("SELECT t.* FROM teams t WHERE t.project_id = ");
    sql.push_bind(project.as_str());
    if let Some(member) = listing.member {
        sql.push(
            " AND EXISTS (SELECT FROM team_memberships m WHERE m.team_id = t.id AND m.user_id = ",
        );
        sql.push_bind(member.0).push(")");
    }
    if let Some(query) = listing.query.as_deref().filter(|query| !query.is_empty()) {
        sql.push(" AND (t.display_name ILIKE ")
            .push_bind(substring_pattern(query));
        if let Ok(id) = Uuid::try_parse(query) {
            sql.push(" OR t.id = ").push_bind(id);
        }
        sql.push(")");
    }
    if let Some(cursor) = listing.cursor {
        sql.push(" AND (t.created_at, t.id)")
            .push(listing.direction.cursor_comparison());
        sql.push("(SELECT c.created_at, c.id FROM teams c WHERE c.project_id = ");
        sql.push_bind(project.as_str())
            .push(" AND c.id = ")
            .push_bind(cursor.0)
            .push(")");
    }
    let direction = listing.direction.sql();
    sql.push(" ORDER BY t.created_at ")
        .push(direction)
        .push(", t.id ")
        .push(direction);
    if let Some(limit) = listing.limit {
        sql.push(" LIMIT ").push_bind(limit.saturating_add(1));
    }
    let items: Vec<TeamRow> = sql.build_query_as().fetch_all(pool).await?;
    Ok(paged(items, listing.limit, |team| team.id))
}

pub(crate) async fn load(
    models: &mut ReadModels,
    connection: &mut PgConnection,
    demand: &Demand,
) -> Result<(), LedgerError> {
    if !demand.teams.is_empty() {
        let ids: Vec<Uuid> = demand.teams.iter().copied().collect();
        let rows = sqlx::query_as!(TeamRow, "SELECT * FROM teams WHERE id = ANY($1)", &ids)
            .fetch_all(&mut *connection)
            .await?;
        models.teams.load(rows);
    }
    if !demand.memberships.is_empty() {
        let (teams, users): (Vec<Uuid>, Vec<Uuid>) = demand.memberships.iter().copied().unzip();
        let rows = sqlx::query_as!(
            MembershipRow,
            // Each is looked up by the primary key; a join might read the whole table instead.
            "SELECT m.* FROM unnest($1::uuid[], $2::uuid[]) AS wanted (team_id, user_id)
             CROSS JOIN LATERAL (
                 SELECT * FROM team_memberships t
                 WHERE t.team_id = wanted.team_id AND t.user_id = wanted.user_id
                 LIMIT 1
             ) m",
            &teams,
            &users,
        )
        .fetch_all(connection)
        .await?;
        models.memberships.load(rows);
    }
    Ok(())
}

pub(crate) async fn delete(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), LedgerError> {
    sqlx::query!("DELETE FROM team_memberships WHERE team_id = ANY($1)", ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM teams WHERE id = ANY($1)", ids)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn delete_memberships(
    connection: &mut PgConnection,
    keys: &[(Uuid, Uuid)],
) -> Result<(), LedgerError> {
    if keys.is_empty() {
        return Ok(());
    }
    let (teams, users): (Vec<Uuid>, Vec<Uuid>) = keys.iter().copied().unzip();
    sqlx::query!(
        "DELETE FROM team_memberships m USING unnest($1::uuid[], $2::uuid[]) AS gone (team_id, user_id)
         WHERE m.team_id = gone.team_id AND m.user_id = gone.user_id",
        &teams,
        &users,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) fn fold(models: &mut ReadModels, project: &ProjectId, id: Uuid, event: TeamEvent) {
    match event {
        TeamEvent::TeamCreated(created) => {
            let profile = created.personal.or_erased();
            models.teams.put(TeamRow {
                id,
                project_id: created.project_id.to_string(),
                created_at: created.created_at.0,
                display_name: profile.display_name,
                profile_image_url: profile.profile_image_url,
                client_metadata: stored(profile.client_metadata),
                client_read_only_metadata: stored(profile.client_read_only_metadata),
                server_metadata: stored(profile.server_metadata),
            });
        }
        TeamEvent::TeamUpdated(updated) | TeamEvent::PersonalTeamNamed(updated) => {
            if let Some(row) = models.teams.change(&id) {
                fold_change(row, updated.personal.or_erased());
            }
        }
        TeamEvent::MemberAdded(added) => models.memberships.put(MembershipRow {
            team_id: id,
            user_id: added.user_id.0,
            project_id: project.to_string(),
            joined_at: added.joined_at.0,
            permission_ids: added
                .permission_ids
                .iter()
                .map(ToString::to_string)
                .collect(),
            display_name: None,
            profile_image_url: None,
        }),
        TeamEvent::TeamPermissionGranted {
            user_id,
            permission_id,
        } => {
            if let Some(row) = models.memberships.change(&(id, user_id.0)) {
                row.grant(&permission_id);
            }
        }
        TeamEvent::TeamPermissionRevoked {
            user_id,
            permission_id,
            ..
        } => {
            if let Some(row) = models.memberships.change(&(id, user_id.0)) {
                row.revoke(&permission_id);
            }
        }
        TeamEvent::TeamPermissionRenamed {
            user_id,
            permission_id,
            new_permission_id,
        } => {
            if let Some(row) = models.memberships.change(&(id, user_id.0)) {
                row.revoke(&permission_id);
                row.grant(&new_permission_id);
            }
        }
        TeamEvent::MemberProfileChanged(changed) => {
            if let Some(row) = models.memberships.change(&(id, changed.user_id.0)) {
                let change = changed.personal.or_erased();
                row.display_name = change.display_name.or(row.display_name.take());
                change
                    .profile_image_url
                    .apply_to(&mut row.profile_image_url);
            }
        }
        TeamEvent::MemberRemoved { user_id } => models.memberships.remove((id, user_id.0)),
        TeamEvent::TeamDeleted {} => models.clear_team(id),
    }
}

fn fold_change(row: &mut TeamRow, change: TeamChange) {
    if let Some(name) = change.display_name {
        row.display_name = name;
    }
    change
        .profile_image_url
        .apply_to(&mut row.profile_image_url);
    change.client_metadata.apply_to(&mut row.client_metadata);
    change
        .client_read_only_metadata
        .apply_to(&mut row.client_read_only_metadata);
    change.server_metadata.apply_to(&mut row.server_metadata);
}
