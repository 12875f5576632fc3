//! The read models of permissions: direct grants, and what each permission amounts to.
//!
//! Direct grants are stored with their holders: of the project's permissions here, of a team's
//! with the membership. What a permission contains follows from the project's settings and may
//! change at any time; `permission_closure` keeps every pair (permission, contained permission),
//! each permission containing itself. So whether somebody holds a permission is one lookup,
//! however deep the definitions are nested, and a grant whose definition vanished counts for
//! nothing.

pub(crate) mod rows;

use std::collections::BTreeSet;

use muniment_domain::permission::{Definitions, Scope, closure, scope_of};
use muniment_domain::{PermissionId, ProjectId, TeamId, UserId};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::read_models::registry::ReadModels;
use muniment_event_store::LedgerError;

pub use rows::{ClosureRow, ProjectPermissionRow};

/// Whether a member of a team holds a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// The user is not in the team.
    NotMember,
    /// The user is in the team, without the permission.
    Lacking,
    /// The user holds it, directly or through another one.
    Held,
}

/// Whether the user holds the permission in the team.
pub async fn in_team(
    pool: &PgPool,
    team: TeamId,
    user: UserId,
    permission: &PermissionId,
) -> Result<Holding, LedgerError> {
    let held = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM permission_closure c
               WHERE c.project_id = m.project_id AND c.permission_id = ANY(m.permission_ids)
                 AND c.contained_id = $3 AND c.scope = 'team'
           ) AS "held!"
           FROM team_memberships m WHERE m.team_id = $1 AND m.user_id = $2"#,
        team.0,
        user.0,
        permission.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(match held {
        None => Holding::NotMember,
        Some(false) => Holding::Lacking,
        Some(true) => Holding::Held,
    })
}

/// Which grants a listing shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// What was granted.
    #[default]
    Direct,
    /// Also what that contains.
    Effective,
}

impl Depth {
    fn is_effective(self) -> bool {
        self == Self::Effective
    }
}

/// A listing of grants.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only in this team. Means nothing for the project's permissions.
    pub team: Option<TeamId>,
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only of this permission.
    pub permission: Option<PermissionId>,
    /// How deep to look.
    pub depth: Depth,
}

/// A permission that a member holds in a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamGrant {
    /// In which team.
    pub team_id: Uuid,
    /// Who.
    pub user_id: Uuid,
    /// Which permission.
    pub permission_id: String,
}

/// A permission that a user holds in the whole project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectGrant {
    /// Who.
    pub user_id: Uuid,
    /// Which permission.
    pub permission_id: String,
}

/// The grants in a project's teams, by team, user and permission.
pub async fn list_in_teams(
    pool: &PgPool,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Vec<TeamGrant>, LedgerError> {
    let rows = sqlx::query_as!(
        TeamGrant,
        r#"SELECT m.team_id, m.user_id, c.contained_id AS "permission_id!"
           FROM team_memberships m JOIN permission_closure c
             ON c.project_id = m.project_id AND c.permission_id = ANY(m.permission_ids)
           WHERE m.project_id = $1 AND c.project_id = $1 AND c.scope = 'team'
             AND ($2::uuid IS NULL OR m.team_id = $2)
             AND ($3::uuid IS NULL OR m.user_id = $3)
             AND ($4::text IS NULL OR c.contained_id = $4)
             AND ($5 OR c.contained_id = c.permission_id)
           GROUP BY m.team_id, m.user_id, c.contained_id
           ORDER BY m.team_id, m.user_id, upper(c.contained_id) COLLATE "C""#,
        project.as_str(),
        listing.team.map(|team| team.0),
        listing.user.map(|user| user.0),
        listing.permission.as_ref().map(PermissionId::as_str),
        listing.depth.is_effective(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The grants in the whole project, by user and permission.
pub async fn list_in_project(
    pool: &PgPool,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Vec<ProjectGrant>, LedgerError> {
    let rows = sqlx::query_as!(
        ProjectGrant,
        r#"SELECT p.user_id, c.contained_id AS "permission_id!"
           FROM project_permissions p JOIN permission_closure c USING (project_id, permission_id)
           WHERE p.project_id = $1 AND c.scope = 'project'
             AND ($2::uuid IS NULL OR p.user_id = $2)
             AND ($3::text IS NULL OR c.contained_id = $3)
             AND ($4 OR c.contained_id = c.permission_id)
           GROUP BY p.user_id, c.contained_id
           ORDER BY p.user_id, upper(c.contained_id) COLLATE "C""#,
        project.as_str(),
        listing.user.map(|user| user.0),
        listing.permission.as_ref().map(PermissionId::as_str),
        listing.depth.is_effective(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The teams in which somebody was granted the permission directly.
pub async fn teams_granting(
    executor: impl PgExecutor<'_>,
    project: &ProjectId,
    permission: &PermissionId,
) -> Result<Vec<TeamId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT DISTINCT team_id FROM team_memberships
         WHERE project_id = $1 AND $2 = ANY(permission_ids) ORDER BY team_id",
        project.as_str(),
        permission.as_str(),
    )
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(TeamId).collect())
}

/// The users who were granted the permission directly.
pub async fn users_granted(
    executor: impl PgExecutor<'_>,
    project: &ProjectId,
    permission: &PermissionId,
) -> Result<Vec<UserId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT user_id FROM project_permissions
         WHERE project_id = $1 AND permission_id = $2 ORDER BY user_id",
        project.as_str(),
        permission.as_str(),
    )
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

pub(crate) fn fold_granted(models: &mut ReadModels, user: Uuid, permission: &PermissionId) {
    let Some(row) = models.users.get(&user) else {
        return;
    };
    let project_id = row.project_id.clone();
    models.permissions.put(ProjectPermissionRow {
        user_id: user,
        permission_id: permission.to_string(),
        project_id,
    });
}

/// Writes what changed between two states of a project's definitions; `None` before it had any.
pub(crate) fn fold_definitions(
    models: &mut ReadModels,
    project_id: &str,
    before: Option<&Definitions>,
    after: &Definitions,
) {
    let before = before.map_or_else(BTreeSet::new, pairs);
    let after = pairs(after);
    for gone in before.difference(&after) {
        let (permission, contained, _) = gone;
        // The same pair in another scope is an update, not a removal.
        let stays = |scope| after.contains(&(permission.clone(), contained.clone(), scope));
        if !stays(Scope::Team) && !stays(Scope::Project) {
            models.closure.remove((
                project_id.to_owned(),
                permission.to_string(),
                contained.to_string(),
            ));
        }
    }
    for (permission, contained, scope) in after.difference(&before) {
        models.closure.put(ClosureRow {
            project_id: project_id.to_owned(),
            permission_id: permission.to_string(),
            contained_id: contained.to_string(),
            scope: scope.as_str().to_owned(),
        });
    }
}

/// Every pair of a permission and one that it contains, with their scope.
fn pairs(definitions: &Definitions) -> BTreeSet<(PermissionId, PermissionId, Scope)> {
    let mut pairs = BTreeSet::new();
    for (permission, contained) in closure(definitions) {
        if let Some(scope) = scope_of(definitions, &permission) {
            let contained = contained.into_iter();
            pairs.extend(contained.map(|inner| (permission.clone(), inner, scope)));
        }
    }
    pairs
}
