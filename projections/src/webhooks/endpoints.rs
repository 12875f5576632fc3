//! Where a project's messages go.

use muniment_domain::{Millis, ProjectId};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::unique_violation;
use muniment_event_store::{LedgerError, Sealer};

/// An endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `ep_…`
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// Where it is.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Whether nothing is sent to it.
    pub is_disabled: bool,
    /// The event types that it wants; all, if absent.
    pub filter_types: Option<Vec<String>>,
    /// Headers that are sent along, as an object of texts.
    pub headers: Value,
    /// When it was made.
    pub created_at: i64,
    /// When its settings were last changed.
    pub updated_at: i64,
    /// The first failure of a row, see [`Failing`].
    pub first_failure_at: Option<i64>,
    /// Failures since then.
    pub failures: i32,
    /// Since when it counts as failing.
    pub failing_since: Option<i64>,
    /// The project's own name for it.
    pub uid: Option<String>,
    /// Its channels. Messages of ours have none, so they decide nothing.
    pub channels: Option<Vec<String>>,
    /// Texts kept with it, as an object.
    pub metadata: Value,
    /// Messages per second, at most.
    pub rate_limit: Option<i32>,
}

/// How an endpoint has been failing since its last success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failing {
    /// The first failure of those that are counted.
    pub first_failure_at: Option<Millis>,
    /// How many there were since.
    pub failures: i32,
    /// Since when it counts as failing for good.
    pub since: Option<Millis>,
}

impl Endpoint {
    /// Whether it wants messages of that type.
    #[must_use]
    pub fn wants(&self, event_type: &str) -> bool {
        let filter = self.filter_types.as_ref();
        !self.is_disabled && filter.is_none_or(|types| types.iter().any(|t| t == event_type))
    }

    /// How it has been failing.
    #[must_use]
    pub fn failing(&self) -> Failing {
        Failing {
            first_failure_at: self.first_failure_at.map(Millis),
            failures: self.failures,
            since: self.failing_since.map(Millis),
        }
    }
}

/// The endpoints of a project, oldest first.
pub async fn of_project(pool: &PgPool, project: &ProjectId) -> Result<Vec<Endpoint>, LedgerError> {
    let endpoints = sqlx::query_as!(
        Endpoint,
        "SELECT * FROM webhook_endpoints WHERE project_id = $1 ORDER BY created_at, id",
        project.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(endpoints)
}

/// The endpoints of several projects that are not disabled.
pub async fn enabled(
    connection: &mut PgConnection,
    projects: &[String],
) -> Result<Vec<Endpoint>, LedgerError> {
    let endpoints = sqlx::query_as!(
        Endpoint,
        "SELECT * FROM webhook_endpoints WHERE project_id = ANY($1) AND NOT is_disabled",
        projects
    )
    .fetch_all(connection)
    .await?;
    Ok(endpoints)
}

/// The endpoint of that id.
pub async fn by_id(pool: &PgPool, id: &str) -> Result<Option<Endpoint>, LedgerError> {
    let endpoint = sqlx::query_as!(
        Endpoint,
        "SELECT * FROM webhook_endpoints WHERE id = $1",
        id
    )
    .fetch_optional(pool)
    .await?;
    Ok(endpoint)
}

/// The endpoint of that id or uid, if the project has it.
pub async fn by_name(
    pool: &PgPool,
    project: &ProjectId,
    name: &str,
) -> Result<Option<Endpoint>, LedgerError> {
    let endpoint = sqlx::query_as!(
        Endpoint,
        "SELECT * FROM webhook_endpoints WHERE project_id = $1 AND (id = $2 OR uid = $2)
         ORDER BY id = $2 DESC LIMIT 1",
        project.as_str(),
        name
    )
    .fetch_optional(pool)
    .await?;
    Ok(endpoint)
}

/// Keeps a new endpoint with its secret.
pub async fn insert(
    pool: &PgPool,
    sealer: &Sealer,
    endpoint: &Endpoint,
    secret: &str,
) -> Result<(), LedgerError> {
    let mut transaction = pool.begin().await?;
    sqlx::query!(
        "INSERT INTO webhook_endpoints
             (id, project_id, url, description, is_disabled, filter_types, headers, created_at,
              updated_at, uid, channels, metadata, rate_limit)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        endpoint.id,
        endpoint.project_id,
        endpoint.url,
        endpoint.description,
        endpoint.is_disabled,
        endpoint.filter_types.as_deref(),
        endpoint.headers,
        endpoint.created_at,
        endpoint.updated_at,
        endpoint.uid,
        endpoint.channels.as_deref(),
        endpoint.metadata,
        endpoint.rate_limit,
    )
    .execute(&mut *transaction)
    .await
    .map_err(unique_violation)?;
    add_secret(&mut transaction, sealer, endpoint, secret).await?;
    transaction.commit().await?;
    Ok(())
}

/// Changes settings; the row is held meanwhile, so of two changes at once none is lost. An endpoint that
/// is enabled again starts with a clean record. Returns the endpoint as it is then; none if it is gone.
///
/// # Errors
/// What `change` refuses; when the database fails, or a name is taken.
pub async fn update<E: From<LedgerError>>(
    pool: &PgPool,
    id: &str,
    change: impl FnOnce(&mut Endpoint) -> Result<(), E> + Send,
) -> Result<Option<Endpoint>, E> {
    let mut transaction = pool.begin().await.map_err(LedgerError::from)?;
    let Some(mut endpoint) = hold(&mut transaction, id).await? else {
        return Ok(None);
    };
    change(&mut endpoint)?;
    write(&mut transaction, &endpoint).await?;
    let changed = hold(&mut transaction, id).await?;
    transaction.commit().await.map_err(LedgerError::from)?;
    Ok(changed)
}

async fn hold(connection: &mut PgConnection, id: &str) -> Result<Option<Endpoint>, LedgerError> {
    let endpoint = sqlx::query_as!(
        Endpoint,
        "SELECT * FROM webhook_endpoints WHERE id = $1 FOR UPDATE",
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(endpoint)
}

async fn write(connection: &mut PgConnection, endpoint: &Endpoint) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE webhook_endpoints
         SET url = $2, description = $3, is_disabled = $4, filter_types = $5, headers = $6,
             updated_at = $7, uid = $8, channels = $9, metadata = $10, rate_limit = $11,
             first_failure_at = CASE WHEN is_disabled THEN NULL ELSE first_failure_at END,
             failures = CASE WHEN is_disabled THEN 0 ELSE failures END,
             failing_since = CASE WHEN is_disabled THEN NULL ELSE failing_since END
         WHERE id = $1",
        endpoint.id,
        endpoint.url,
        endpoint.description,
        endpoint.is_disabled,
        endpoint.filter_types.as_deref(),
        endpoint.headers,
        endpoint.updated_at,
        endpoint.uid,
        endpoint.channels.as_deref(),
        endpoint.metadata,
        endpoint.rate_limit,
    )
    .execute(&mut *connection)
    .await
    .map_err(unique_violation)?;
    if endpoint.is_disabled {
        stop_retries(connection, &endpoint.id).await?;
    }
    Ok(())
}

/// Gives up what was still to be tried.
async fn stop_retries(connection: &mut PgConnection, id: &str) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE webhook_deliveries SET status = 'fail', due_at = NULL
         WHERE endpoint_id = $1 AND due_at IS NOT NULL",
        id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes how an endpoint has been failing.
pub async fn note_failing(
    connection: &mut PgConnection,
    id: &str,
    failing: Failing,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE webhook_endpoints SET first_failure_at = $2, failures = $3, failing_since = $4
         WHERE id = $1",
        id,
        failing.first_failure_at.map(|at| at.0),
        failing.failures,
        failing.since.map(|at| at.0),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Disables an endpoint that has been failing for too long.
pub async fn disable(
    connection: &mut PgConnection,
    id: &str,
    now: Millis,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE webhook_endpoints SET is_disabled = true, updated_at = $2 WHERE id = $1",
        id,
        now.0
    )
    .execute(&mut *connection)
    .await?;
    stop_retries(connection, id).await
}

/// Forgets an endpoint, and everything that was sent to it.
pub async fn delete(pool: &PgPool, id: &str) -> Result<(), LedgerError> {
    sqlx::query!("DELETE FROM webhook_endpoints WHERE id = $1", id)
        .execute(pool)
        .await?;
    Ok(())
}

/// Forgets everything about a project's webhooks.
pub async fn delete_of_project(
    connection: &mut PgConnection,
    project: &str,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "DELETE FROM webhook_endpoints WHERE project_id = $1",
        project
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM webhook_messages WHERE project_id = $1",
        project
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The place that a secret is sealed for.
fn binding(endpoint: &str) -> String {
    format!("webhook secret:{endpoint}")
}

async fn add_secret(
    connection: &mut PgConnection,
    sealer: &Sealer,
    endpoint: &Endpoint,
    secret: &str,
) -> Result<(), LedgerError> {
    let key = sealer
        .key_for_writing(connection, &endpoint.project_id)
        .await?;
    let kept = key.seal(secret.as_bytes(), &binding(&endpoint.id))?;
    sqlx::query!(
        "INSERT INTO webhook_secrets (endpoint_id, sealed) VALUES ($1, $2)",
        endpoint.id,
        kept
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives an endpoint a new secret. Messages are signed with the old ones as well until `overlap`.
pub async fn rotate_secret(
    pool: &PgPool,
    sealer: &Sealer,
    endpoint: &Endpoint,
    secret: &str,
    overlap: Millis,
) -> Result<(), LedgerError> {
    let mut transaction = pool.begin().await?;
    sqlx::query!(
        "UPDATE webhook_secrets SET expires_at = $2 WHERE endpoint_id = $1 AND expires_at IS NULL",
        endpoint.id,
        overlap.0
    )
    .execute(&mut *transaction)
    .await?;
    add_secret(&mut transaction, sealer, endpoint, secret).await?;
    transaction.commit().await?;
    Ok(())
}

/// The secrets that messages to the endpoint are signed with at that time, newest first.
pub async fn secrets(
    pool: &PgPool,
    sealer: &Sealer,
    endpoint: &Endpoint,
    now: Millis,
) -> Result<Vec<String>, LedgerError> {
    let kept = sqlx::query_scalar!(
        "SELECT sealed FROM webhook_secrets
         WHERE endpoint_id = $1 AND (expires_at IS NULL OR expires_at > $2)
         ORDER BY ordinal DESC",
        endpoint.id,
        now.0
    )
    .fetch_all(pool)
    .await?;
    let subjects = [endpoint.project_id.clone()].into();
    let keys = sealer.existing_keys(subjects).await?;
    let key = keys
        .get(&endpoint.project_id)
        .ok_or(LedgerError::Unsealing)?;
    let opened = kept.iter().map(|secret| {
        let plain = key.open(secret, &binding(&endpoint.id))?;
        String::from_utf8(plain).map_err(|_| LedgerError::Unsealing)
    });
    opened.collect()
}
