//! The read model of users: projector and queries.

mod listing;
mod projector;
pub(crate) mod rows;

pub mod loader;
use muniment_domain::{ContactChannelId, EmailAddress, ProjectId, UserId};
use sqlx::{FromRow, PgPool, QueryBuilder};
use uuid::Uuid;

use crate::read_models::teams::TeamRow;
use muniment_event_store::LedgerError;

pub use listing::{Listing, Visibility, explain, list};
pub(crate) use projector::{fold, require};
pub use rows::{ContactChannelRow, UserRow};

/// A user as the API shows one.
#[derive(Clone, Debug, FromRow)]
pub struct UserRecord {
    /// The user's own row.
    #[sqlx(flatten)]
    pub user: UserRow,
    /// When the user was last seen; never, for a user who has not been since creation.
    pub last_active_at: Option<i64>,
    /// The selected team, if the user is still in it.
    #[sqlx(json(nullable))]
    pub selected_team: Option<TeamRow>,
}

const SELECT_RECORD: &str = "SELECT u.*, a.last_active_at, to_jsonb(t) AS selected_team
    FROM users u
    LEFT JOIN user_activity a ON a.user_id = u.id
    LEFT JOIN team_memberships m ON m.user_id = u.id AND m.team_id = u.selected_team_id
    LEFT JOIN teams t ON t.id = m.team_id ";

/// The user of that id, if the project has one.
pub async fn by_id(
    pool: &PgPool,
    project: &ProjectId,
    id: UserId,
) -> Result<Option<UserRecord>, LedgerError> {
    let mut sql = QueryBuilder::new(SELECT_RECORD);
    sql.push("WHERE u.id = ").push_bind(id.0);
    sql.push(" AND u.project_id = ").push_bind(project.as_str());
    Ok(sql.build_query_as().fetch_optional(pool).await?)
}

/// The users of those ids whom the project has, in any order.
pub async fn of_project(
    pool: &PgPool,
    project: &ProjectId,
    ids: &[UserId],
) -> Result<Vec<UserRecord>, LedgerError> {
    let mut users = by_ids(pool, ids).await?;
    users.retain(|record| record.user.project_id == project.as_str());
    Ok(users)
}

/// The users of those ids, of whatever project, in any order.
pub(crate) async fn by_ids(pool: &PgPool, ids: &[UserId]) -> Result<Vec<UserRecord>, LedgerError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut sql = QueryBuilder::new(SELECT_RECORD);
    sql.push("WHERE u.id = ANY(").push_bind(ids).push(")");
    Ok(sql.build_query_as().fetch_all(pool).await?)
}

/// The user who signs in with the address.
pub async fn by_auth_email(
    pool: &PgPool,
    project: &ProjectId,
    address: &EmailAddress,
) -> Result<Option<UserRow>, LedgerError> {
    let row = sqlx::query_as!(
        UserRow,
        "SELECT u.* FROM contact_channels c JOIN users u ON u.id = c.user_id
         WHERE c.project_id = $1 AND c.type = 'email' AND c.value = $2 AND c.used_for_auth",
        project.as_str(),
        address.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The email addresses of a user, or of all users of the project, oldest first.
pub async fn channels_of(
    pool: &PgPool,
    project: &ProjectId,
    user: Option<UserId>,
) -> Result<Vec<ContactChannelRow>, LedgerError> {
    let rows = sqlx::query_as!(
        ContactChannelRow,
        "SELECT * FROM contact_channels
         WHERE project_id = $1 AND ($2::uuid IS NULL OR user_id = $2)
         ORDER BY created_at, id",
        project.as_str(),
        user.map(|user| user.0),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The channel of that id, if that user of the project has one.
pub async fn channel(
    pool: &PgPool,
    project: &ProjectId,
    user: UserId,
    id: ContactChannelId,
) -> Result<Option<ContactChannelRow>, LedgerError> {
    let row = sqlx::query_as!(
        ContactChannelRow,
        "SELECT * FROM contact_channels WHERE id = $1 AND project_id = $2 AND user_id = $3",
        id.0,
        project.as_str(),
        user.0,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The channel with which somebody signs in with the address.
pub async fn channel_by_auth_email(
    pool: &PgPool,
    project: &ProjectId,
    address: &EmailAddress,
) -> Result<Option<ContactChannelRow>, LedgerError> {
    let row = sqlx::query_as!(
        ContactChannelRow,
        "SELECT * FROM contact_channels
         WHERE project_id = $1 AND type = 'email' AND value = $2 AND used_for_auth",
        project.as_str(),
        address.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The primary addresses of those of these users who have one, each with its user.
pub async fn primary_emails(
    pool: &PgPool,
    project: &ProjectId,
    users: &[UserId],
) -> Result<Vec<(String, UserId)>, LedgerError> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.0).collect();
    let rows = sqlx::query!(
        r#"SELECT id, primary_email AS "primary_email!" FROM users
           WHERE project_id = $1 AND id = ANY($2) AND primary_email IS NOT NULL ORDER BY id"#,
        project.as_str(),
        &ids,
    )
    .fetch_all(pool)
    .await?;
    let pairs = rows
        .into_iter()
        .map(|row| (row.primary_email, UserId(row.id)));
    Ok(pairs.collect())
}

/// A user without a verified primary address.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct UnverifiedUser {
    pub id: Uuid,
    pub display_name: Option<String>,
    pub primary_email: Option<String>,
}

/// The newest users without a verified primary address who are not anonymous, and how many there
/// are.
pub async fn unverified(
    pool: &PgPool,
    project: &ProjectId,
    limit: i64,
) -> Result<(Vec<UnverifiedUser>, i64), LedgerError> {
    let users = sqlx::query_as!(
        UnverifiedUser,
        "SELECT id, display_name, primary_email FROM users
         WHERE project_id = $1 AND NOT is_anonymous AND NOT primary_email_verified
         ORDER BY signed_up_at DESC, id DESC LIMIT $2",
        project.as_str(),
        limit,
    )
    .fetch_all(pool)
    .await?;
    let total = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM users
           WHERE project_id = $1 AND NOT is_anonymous AND NOT primary_email_verified"#,
        project.as_str(),
    )
    .fetch_one(pool)
    .await?;
    Ok((users, total))
}
