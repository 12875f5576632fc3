//! The read model of projects and their keys: projector and queries.

pub(crate) mod rows;

use muniment_domain::project::{
    ConfigSource, KeySetIssued, Overrides, PermissionDefined, ProjectEvent, StoredKey,
};
use muniment_domain::{KeySetId, ProjectId, TeamId, UserId};
use serde_json::json;
use sqlx::{PgExecutor, PgPool};

use crate::read_models::permissions;
use crate::read_models::registry::{ReadModels, RowsToLoad};
use crate::read_models::seen_until::SeenUntil;
use crate::read_models::table::Owner;
use muniment_event_store::LedgerError;

pub use rows::{ProjectKeyRow, ProjectRow};

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

/// The projects that a team owns.
pub async fn ids_owned_by_team(
    executor: impl PgExecutor<'_>,
    team: TeamId,
) -> Result<Vec<String>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM projects WHERE owner_team_id = $1 ORDER BY id",
        team.0
    )
    .fetch_all(executor)
    .await?;
    Ok(ids)
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

/// The projects that changed since, some of them perhaps seen already: transactions that were
/// running then are looked at again.
pub async fn changed_since(
    pool: &PgPool,
    seen: SeenUntil,
) -> Result<(Vec<ProjectId>, SeenUntil), LedgerError> {
    let row = sqlx::query!(
        r#"SELECT log_epoch() AS "epoch!",
                  pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "transaction!",
                  ARRAY(SELECT DISTINCT aggregate_id FROM events
                        WHERE aggregate_type = 'project'
                          AND (epoch, transaction) >= ($2, $1::bigint::text::xid8)) AS "ids!""#,
        seen.transaction,
        seen.epoch,
    )
    .fetch_one(pool)
    .await?;
    let ids = row.ids.iter().map(|id| ProjectId::from_caller(id));
    let now = SeenUntil {
        epoch: row.epoch,
        transaction: row.transaction,
    };
    Ok((ids.collect(), now))
}

/// The team of the `internal` project that owns a project, if any does.
pub async fn owner_of(pool: &PgPool, id: &ProjectId) -> Result<Option<TeamId>, LedgerError> {
    let owner = sqlx::query_scalar!(
        "SELECT owner_team_id FROM projects WHERE id = $1",
        id.as_str()
    )
    .fetch_optional(pool)
    .await?;
    Ok(owner.flatten().map(TeamId))
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

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: &str, event: &ProjectEvent) {
    match event {
        ProjectEvent::KeySetDescribed { key_set_id, .. }
        | ProjectEvent::KeySetRevoked { key_set_id, .. } => {
            rows.project_keys.insert(key_set_id.0);
        }
        ProjectEvent::ProjectUpdated(_)
        | ProjectEvent::ConfigOverridden(_)
        | ProjectEvent::ConfigReplaced(_)
        | ProjectEvent::ConfigReset { .. }
        | ProjectEvent::ConfigUnlinked {}
        | ProjectEvent::PermissionDefined(_)
        | ProjectEvent::PermissionRenamed { .. }
        | ProjectEvent::PermissionRemoved { .. }
        | ProjectEvent::KeySetIssued(_)
        | ProjectEvent::StripeAccountConnected { .. }
        | ProjectEvent::ProjectProvisioned { .. }
        | ProjectEvent::ProjectTransferred { .. }
        | ProjectEvent::ProjectDeleted {} => {
            rows.projects.insert(id.to_owned());
        }
        ProjectEvent::ProjectCreated(_) => {}
    }
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
        ProjectEvent::ProjectDeleted {} => models.clear(Owner::Project(id.to_owned())),
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
