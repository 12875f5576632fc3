//! The read model of teams and memberships: projector and queries.

pub(crate) mod rows;

pub mod invitations;
pub mod member_profiles;
use muniment_domain::team::{TeamChange, TeamEvent};
use muniment_domain::{ProjectId, TeamId, UserId};
use sqlx::{PgExecutor, PgPool, QueryBuilder};
use uuid::Uuid;

use crate::read_models::paging::{Direction, Page, paged, substring_pattern};
use crate::read_models::registry::{ReadModels, RowsToLoad};
use crate::read_models::table::{Owner, stored};
use muniment_event_store::LedgerError;

pub use rows::{MembershipRow, TeamRow};

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
pub async fn of_user(
    executor: impl PgExecutor<'_>,
    user: UserId,
) -> Result<Vec<TeamId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT t.id FROM team_memberships m JOIN teams t ON t.id = m.team_id
         WHERE m.user_id = $1 ORDER BY t.created_at, t.id",
        user.0
    )
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(TeamId).collect())
}

/// The users who have the team selected.
pub async fn selected_by(
    executor: impl PgExecutor<'_>,
    team: TeamId,
) -> Result<Vec<UserId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM users WHERE selected_team_id = $1 ORDER BY id",
        team.0
    )
    .fetch_all(executor)
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

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: Uuid, event: &TeamEvent) {
    match event {
        TeamEvent::TeamUpdated(_) | TeamEvent::PersonalTeamNamed(_) => {
            rows.teams.insert(id);
        }
        TeamEvent::TeamPermissionGranted { user_id, .. }
        | TeamEvent::TeamPermissionRevoked { user_id, .. }
        | TeamEvent::TeamPermissionRenamed { user_id, .. } => {
            rows.memberships.insert((id, user_id.0));
        }
        TeamEvent::MemberProfileChanged(changed) => {
            rows.memberships.insert((id, changed.user_id.0));
        }
        TeamEvent::TeamCreated(_)
        | TeamEvent::MemberAdded(_)
        | TeamEvent::MemberRemoved { .. }
        | TeamEvent::TeamDeleted {} => {}
    }
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
        TeamEvent::TeamDeleted {} => models.clear(Owner::Team(id)),
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
