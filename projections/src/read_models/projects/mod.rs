//! The read model of projects and their keys: projector and queries.

use muniment_domain::project::{
    ConfigSource, KeySetIssued, Overrides, PermissionDefined, ProjectEvent, ProjectProfile,
    StoredKey,
};
use muniment_domain::{KeySetId, Millis, ProjectId, TeamId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::LedgerError;
use crate::read_models::table::{Table, TableRow};
use crate::read_models::{Demand, ReadModels};
use crate::read_models::{customers, permissions, support_conversations};

/// A row of `projects`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct ProjectRow {
    pub id: String,
    pub created_at: i64,
    pub owner_team_id: Option<Uuid>,
    pub profile: Value,
    pub overrides: Value,
    pub config_source: Value,
    pub stripe_account_id: Option<String>,
    pub provisioned_by: Option<String>,
}

impl TableRow for ProjectRow {
    const TABLE: Table = Table {
        name: "projects",
        key: &["id"],
        fields: &[
            "created_at",
            "owner_team_id",
            "profile",
            "overrides",
            "config_source",
            "stripe_account_id",
            "provisioned_by",
        ],
    };
    type Key = String;
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl ProjectRow {
    /// The project's own fields.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn profile(&self) -> Result<ProjectProfile, LedgerError> {
        Ok(serde_json::from_value(self.profile.clone())?)
    }

    /// The override documents of its settings.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn overrides(&self) -> Result<Overrides, LedgerError> {
        Ok(serde_json::from_value(self.overrides.clone())?)
    }

    /// Where the configuration kept as code comes from.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn config_source(&self) -> Result<ConfigSource, LedgerError> {
        Ok(serde_json::from_value(self.config_source.clone())?)
    }
}

/// A row of `project_keys`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct ProjectKeyRow {
    pub id: Uuid,
    pub project_id: String,
    pub description: String,
    pub created_at: i64,
    pub expires_at: i64,
    pub revoked_at: Option<i64>,
    pub publishable_client_key: Option<Value>,
    pub secret_server_key: Option<Value>,
    pub super_secret_admin_key: Option<Value>,
}

impl TableRow for ProjectKeyRow {
    const TABLE: Table = Table {
        name: "project_keys",
        key: &["id"],
        fields: &[
            "project_id",
            "description",
            "created_at",
            "expires_at",
            "revoked_at",
            "publishable_client_key",
            "secret_server_key",
            "super_secret_admin_key",
        ],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.id
    }
}

impl ProjectKeyRow {
    /// Whether the keys of the set work at that time.
    #[must_use]
    pub fn is_valid_at(&self, now: Millis) -> bool {
        self.revoked_at.is_none() && self.expires_at > now.0
    }

    /// Reads a stored key of the set.
    #[must_use]
    pub fn stored(key: Option<&Value>) -> Option<StoredKey> {
        serde_json::from_value(key?.clone()).ok()
    }
}

/// The project of that id.
pub async fn by_id(pool: &PgPool, id: &ProjectId) -> Result<Option<ProjectRow>, LedgerError> {
    let row = sqlx::query_as!(
        ProjectRow,
        "SELECT * FROM projects WHERE id = $1",
        id.as_str()
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The projects owned by teams of the user, oldest first.
pub async fn owned_by(pool: &PgPool, user: UserId) -> Result<Vec<ProjectRow>, LedgerError> {
    let rows = sqlx::query_as!(
        ProjectRow,
        "SELECT p.* FROM projects p JOIN team_memberships m ON m.team_id = p.owner_team_id
         WHERE m.user_id = $1 ORDER BY p.created_at, p.id",
        user.0
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Whether the user is in the team that owns the project.
pub async fn is_owner(pool: &PgPool, team: TeamId, user: UserId) -> Result<bool, LedgerError> {
    crate::read_models::teams::is_member(pool, team, user).await
}

/// Where a follower of changes stands: every transaction before it has been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenUntil(i64);

/// The projects that changed since, some of them perhaps seen already: transactions that were
/// running then are looked at again.
pub async fn changed_since(
    pool: &PgPool,
    seen: SeenUntil,
) -> Result<(Vec<ProjectId>, SeenUntil), LedgerError> {
    let row = sqlx::query!(
        r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "xmin!",
                  ARRAY(SELECT DISTINCT aggregate_id FROM events
                        WHERE aggregate_type = 'project'
                          AND transaction >= $1::bigint::text::xid8) AS "ids!""#,
        seen.0,
    )
    .fetch_one(pool)
    .await?;
    let ids = row.ids.iter().map(|id| ProjectId::from_caller(id));
    Ok((ids.collect(), SeenUntil(row.xmin)))
}

/// Where the log stands now.
pub async fn seen_now(pool: &PgPool) -> Result<SeenUntil, LedgerError> {
    let xmin = sqlx::query_scalar!(
        r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "xmin!""#
    )
    .fetch_one(pool)
    .await?;
    Ok(SeenUntil(xmin))
}

/// The key sets of a project, newest first.
pub async fn keys(pool: &PgPool, id: &ProjectId) -> Result<Vec<ProjectKeyRow>, LedgerError> {
    let rows = sqlx::query_as!(
        ProjectKeyRow,
        "SELECT * FROM project_keys WHERE project_id = $1 ORDER BY created_at DESC, id",
        id.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// One key set of a project.
pub async fn key_set(
    pool: &PgPool,
    id: &ProjectId,
    key_set: KeySetId,
) -> Result<Option<ProjectKeyRow>, LedgerError> {
    let row = sqlx::query_as!(
        ProjectKeyRow,
        "SELECT * FROM project_keys WHERE project_id = $1 AND id = $2",
        id.as_str(),
        key_set.0
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

pub(crate) async fn load(
    models: &mut ReadModels,
    connection: &mut PgConnection,
    demand: &Demand,
) -> Result<(), LedgerError> {
    if !demand.projects.is_empty() {
        let ids: Vec<String> = demand.projects.iter().cloned().collect();
        let rows = sqlx::query_as!(
            ProjectRow,
            "SELECT * FROM projects WHERE id = ANY($1)",
            &ids
        )
        .fetch_all(&mut *connection)
        .await?;
        models.projects.load(rows);
    }
    if !demand.project_keys.is_empty() {
        let ids: Vec<Uuid> = demand.project_keys.iter().copied().collect();
        let rows = sqlx::query_as!(
            ProjectKeyRow,
            "SELECT * FROM project_keys WHERE id = ANY($1)",
            &ids
        )
        .fetch_all(connection)
        .await?;
        models.project_keys.load(rows);
    }
    Ok(())
}

/// Everything of a project goes with it.
pub(crate) async fn delete(
    connection: &mut PgConnection,
    ids: &[String],
) -> Result<(), LedgerError> {
    customers::delete_of_projects(connection, ids).await?;
    support_conversations::delete_of_projects(connection, ids).await?;
    sqlx::query!("DELETE FROM project_keys WHERE project_id = ANY($1)", ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM sessions WHERE project_id = ANY($1)", ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM passkeys WHERE project_id = ANY($1)", ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "DELETE FROM verification_codes WHERE project_id = ANY($1)",
        ids
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM cli_logins WHERE project_id = ANY($1)", ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "DELETE FROM outgoing_emails WHERE project_id = ANY($1)",
        ids
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM project_permissions WHERE project_id = ANY($1)",
        ids
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM permission_closure WHERE project_id = ANY($1)",
        ids
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM api_keys WHERE project_id = ANY($1)", ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "DELETE FROM notification_preferences WHERE project_id = ANY($1)",
        ids
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM contact_channels WHERE project_id = ANY($1)",
        ids
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM team_memberships WHERE project_id = ANY($1)",
        ids
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM teams WHERE project_id = ANY($1)", ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM users WHERE project_id = ANY($1)", ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM projects WHERE id = ANY($1)", ids)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) fn fold(models: &mut ReadModels, id: &str, event: ProjectEvent) {
    match event {
        ProjectEvent::ProjectCreated(created) => {
            models.projects.put(ProjectRow {
                id: id.to_owned(),
                created_at: created.created_at.0,
                owner_team_id: created.owner_team_id.map(|team| team.0),
                profile: json!(created.profile),
                overrides: json!(Overrides::default()),
                config_source: json!(ConfigSource::default()),
                stripe_account_id: None,
                provisioned_by: None,
            });
            let defined = Overrides::default().definitions();
            permissions::fold_definitions(models, id, None, &defined);
        }
        ProjectEvent::ProjectUpdated(updated) => {
            let Some(row) = models.projects.change(&id.to_owned()) else {
                return;
            };
            let mut profile = row.profile().unwrap_or_default();
            updated.apply_to(&mut profile);
            row.profile = json!(profile);
        }
        ProjectEvent::ConfigOverridden(overridden) => {
            let changes = overridden.personal.or_erased().0;
            fold_overrides(models, id, |overrides| {
                overrides.merge(overridden.level, changes);
            });
        }
        ProjectEvent::ConfigReplaced(replaced) => {
            let document = replaced.personal.or_erased().0;
            fold_overrides(models, id, |overrides| {
                overrides.replace(replaced.level, document);
            });
            if let Some(source) = replaced.source {
                fold_source(models, id, &source);
            }
        }
        ProjectEvent::ConfigReset { level, keys } => fold_overrides(models, id, |overrides| {
            for key in keys {
                overrides.reset(level, &key);
            }
        }),
        ProjectEvent::ConfigUnlinked {} => fold_source(models, id, &ConfigSource::Unlinked),
        ProjectEvent::PermissionDefined(PermissionDefined { definitions, .. })
        | ProjectEvent::PermissionRenamed { definitions, .. }
        | ProjectEvent::PermissionRemoved { definitions, .. } => {
            fold_overrides(models, id, |overrides| overrides.redefine(definitions));
        }
        ProjectEvent::StripeAccountConnected { stripe_account_id } => {
            if let Some(row) = models.projects.change(&id.to_owned()) {
                row.stripe_account_id = Some(stripe_account_id);
            }
        }
        ProjectEvent::ProjectProvisioned { client_id } => {
            if let Some(row) = models.projects.change(&id.to_owned()) {
                row.provisioned_by = Some(client_id);
            }
        }
        ProjectEvent::ProjectTransferred { owner_team_id } => {
            if let Some(row) = models.projects.change(&id.to_owned()) {
                row.owner_team_id = Some(owner_team_id.0);
                row.provisioned_by = None;
            }
        }
        ProjectEvent::KeySetIssued(issued) => models.project_keys.put(key_row(id, issued)),
        ProjectEvent::KeySetDescribed {
            key_set_id,
            description,
        } => {
            if let Some(row) = models.project_keys.change(&key_set_id.0) {
                row.description = description;
            }
        }
        ProjectEvent::KeySetRevoked {
            key_set_id,
            revoked_at,
        } => {
            if let Some(row) = models.project_keys.change(&key_set_id.0) {
                row.revoked_at = Some(revoked_at.0);
            }
        }
        ProjectEvent::ProjectDeleted {} => models.clear_project(id),
    }
}

/// Changes the settings, and what follows from them.
fn fold_overrides(models: &mut ReadModels, id: &str, change: impl FnOnce(&mut Overrides)) {
    let Some(row) = models.projects.change(&id.to_owned()) else {
        return;
    };
    let mut overrides = row.overrides().unwrap_or_default();
    let before = overrides.definitions();
    change(&mut overrides);
    row.overrides = json!(overrides);
    let after = overrides.definitions();
    if before != after {
        permissions::fold_definitions(models, id, Some(&before), &after);
    }
}

fn fold_source(models: &mut ReadModels, id: &str, source: &ConfigSource) {
    if let Some(row) = models.projects.change(&id.to_owned()) {
        row.config_source = json!(source);
    }
}

fn key_row(project_id: &str, issued: KeySetIssued) -> ProjectKeyRow {
    let stored = |key: Option<StoredKey>| key.map(|key| json!(key));
    ProjectKeyRow {
        id: issued.key_set_id.0,
        project_id: project_id.to_owned(),
        description: issued.description,
        created_at: issued.created_at.0,
        expires_at: issued.expires_at.0,
        revoked_at: None,
        publishable_client_key: stored(issued.publishable_client_key),
        secret_server_key: stored(issued.secret_server_key),
        super_secret_admin_key: stored(issued.super_secret_admin_key),
    }
}
