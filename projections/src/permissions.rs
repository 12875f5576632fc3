//! The read model of directly granted permissions.
//!
//! Only direct grants are stored. What a permission contains is part of the project's settings and
//! may change at any time, so a check asks for any of the permissions that grant the wanted one
//! (`muniment_domain::permission::grantors`).

use muniment_domain::{PermissionId, TeamId, UserId};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use crate::LedgerError;
use crate::rows::{Table, TableRow};

/// A row of `project_permissions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct ProjectPermissionRow {
    pub user_id: Uuid,
    pub permission_id: String,
    pub project_id: String,
}

impl TableRow for ProjectPermissionRow {
    const TABLE: Table = Table {
        name: "project_permissions",
        key: &["user_id", "permission_id"],
        fields: &["project_id"],
    };
    type Key = (Uuid, String);
    fn key(&self) -> Self::Key {
        (self.user_id, self.permission_id.clone())
    }
}

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

/// Whether the user holds any of `grantors` in the team.
pub async fn in_team(
    pool: &PgPool,
    team: TeamId,
    user: UserId,
    grantors: impl IntoIterator<Item = PermissionId>,
) -> Result<Holding, LedgerError> {
    let grantors: Vec<String> = grantors.into_iter().map(|id| id.to_string()).collect();
    let held = sqlx::query_scalar!(
        r#"SELECT permission_ids && $3 AS "held!" FROM team_memberships
           WHERE team_id = $1 AND user_id = $2"#,
        team.0,
        user.0,
        &grantors,
    )
    .fetch_optional(pool)
    .await?;
    Ok(match held {
        None => Holding::NotMember,
        Some(false) => Holding::Lacking,
        Some(true) => Holding::Held,
    })
}
