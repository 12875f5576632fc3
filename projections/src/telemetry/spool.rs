//! Where telemetry waits for the analytics store: a table, so that what was taken is not lost.
//!
//! Rows leave in batches. A batch is decided and committed first, then inserted under its id, then
//! its rows are deleted. If the process ends in between, the next one inserts the same rows under the
//! same id, and ClickHouse recognises the repetition: each row arrives once in effect.
//!
//! ```text
//! append   ─▶ telemetry_spool ─▶ next_batch ─▶ (ClickHouse) ─▶ settle
//!                                     ▲              │ refuses what is in it
//!                                     └── halves ◀── split, or set_aside for a single row
//! ```

use muniment_domain::{Millis, ProjectId, SessionId, UserId};
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use super::event::{SIGN_UP_RULE_TRIGGER, TelemetryEvent};
use muniment_event_store::LedgerError;

/// Rows in a batch, at most.
pub const BATCH_ROWS: i64 = 10_000;
/// Bytes of `data` in a batch, at most, unless a single row has more: far below the size at which
/// ClickHouse would cut an insert into several blocks.
const BATCH_BYTES: i64 = 8 * 1024 * 1024;

/// Keeps events. They are on disk when this returns.
///
/// # Errors
/// When the database fails; then none is kept.
pub async fn append(pool: &PgPool, events: &[TelemetryEvent]) -> Result<(), LedgerError> {
    let of = |part: fn(&TelemetryEvent) -> &str| -> Vec<String> {
        events.iter().map(|event| part(event).to_owned()).collect()
    };
    let times: Vec<i64> = events.iter().map(|event| event.at.0).collect();
    let users: Vec<Option<Uuid>> = events.iter().map(|it| it.user.map(|id| id.0)).collect();
    let sessions: Vec<Option<Uuid>> = events.iter().map(|it| it.session.map(|id| id.0)).collect();
    let replays: Vec<Option<Uuid>> = events.iter().map(|event| event.replay).collect();
    let segments: Vec<Option<String>> = events.iter().map(|event| event.segment.clone()).collect();
    let created: Vec<i64> = events.iter().map(|event| event.created_at.0).collect();
    sqlx::query!(
        "INSERT INTO telemetry_spool
             (event_type, event_at, data, project_id, user_id, session_id,
              session_replay_id, session_replay_segment_id, created_at)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::uuid[],
                              $6::uuid[], $7::uuid[], $8::text[], $9::bigint[])",
        &of(|event| &event.event_type),
        &times,
        &of(|event| &event.data),
        &of(|event| event.project_id.as_str()),
        &users as &[Option<Uuid>],
        &sessions as &[Option<Uuid>],
        &replays as &[Option<Uuid>],
        &segments as &[Option<String>],
        &created,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Rows that are inserted together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// By which the analytics store recognises it.
    pub id: Uuid,
    /// What is in it, in the order of the spool.
    pub events: Vec<TelemetryEvent>,
    positions: Vec<i64>,
}

impl Batch {
    /// Whether more waited when it was put together.
    #[must_use]
    pub fn is_full(&self) -> bool {
        i64::try_from(self.events.len()).is_ok_and(|rows| rows >= BATCH_ROWS)
    }
}

/// The batch to be inserted next: the oldest that was decided, or a new one of what waits longest.
///
/// # Errors
/// When the database fails.
pub async fn next_batch(connection: &mut PgConnection) -> Result<Option<Batch>, LedgerError> {
    let decided =
        sqlx::query!("SELECT id, positions FROM telemetry_batches ORDER BY number LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    let (id, positions) = match decided {
        Some(batch) => (batch.id, batch.positions),
        None => match decide(connection).await? {
            Some(batch) => batch,
            None => return Ok(None),
        },
    };
    let rows = sqlx::query!(
        "SELECT event_type, event_at, data, project_id, user_id, session_id, session_replay_id,
                session_replay_segment_id, created_at
         FROM telemetry_spool WHERE position = ANY($1) ORDER BY position",
        &positions,
    )
    .fetch_all(connection)
    .await?;
    let events = rows.into_iter().map(|row| TelemetryEvent {
        event_type: row.event_type,
        at: Millis(row.event_at),
        data: row.data,
        project_id: ProjectId::from_caller(&row.project_id),
        user: row.user_id.map(UserId),
        session: row.session_id.map(SessionId),
        replay: row.session_replay_id,
        segment: row.session_replay_segment_id,
        created_at: Millis(row.created_at),
    });
    Ok(Some(Batch {
        id,
        events: events.collect(),
        positions,
    }))
}

/// Commits what the next batch consists of. Only called when no batch is open, so that every row is
/// free.
async fn decide(connection: &mut PgConnection) -> Result<Option<(Uuid, Vec<i64>)>, LedgerError> {
    let batch = sqlx::query!(
        "INSERT INTO telemetry_batches (id, positions)
         SELECT $1, array_agg(position ORDER BY position)
         FROM (SELECT position,
                      sum(octet_length(data)) OVER oldest AS bytes,
                      row_number() OVER oldest AS row
               FROM (SELECT position, data FROM telemetry_spool ORDER BY position LIMIT $2) AS waiting
               WINDOW oldest AS (ORDER BY position)) AS measured
         WHERE bytes <= $3 OR row = 1
         HAVING count(*) > 0
         RETURNING id, positions",
        Uuid::new_v4(),
        BATCH_ROWS,
        BATCH_BYTES,
    )
    .fetch_optional(connection)
    .await?;
    Ok(batch.map(|batch| (batch.id, batch.positions)))
}

/// Forgets a batch that has arrived.
///
/// # Errors
/// When the database fails; then it is inserted again, and recognised.
pub async fn settle(connection: &mut PgConnection, batch: &Batch) -> Result<(), LedgerError> {
    let mut transaction = connection.begin().await?;
    close(&mut transaction, batch).await?;
    delete_rows(&mut transaction, &batch.positions).await?;
    transaction.commit().await?;
    Ok(())
}

/// Puts two halves in the place of a batch of which nothing has arrived and nothing can.
///
/// # Errors
/// When the database fails.
pub async fn split(connection: &mut PgConnection, batch: &Batch) -> Result<(), LedgerError> {
    let mut transaction = connection.begin().await?;
    close(&mut transaction, batch).await?;
    let (older, newer) = batch.positions.split_at(batch.positions.len() / 2);
    for half in [older, newer] {
        sqlx::query!(
            "INSERT INTO telemetry_batches (id, positions) VALUES ($1, $2)",
            Uuid::new_v4(),
            half,
        )
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Keeps a batch elsewhere that can never arrive, so that it holds nobody up.
///
/// # Errors
/// When the database fails.
pub async fn set_aside(
    connection: &mut PgConnection,
    batch: &Batch,
    refusal: &str,
) -> Result<(), LedgerError> {
    let mut transaction = connection.begin().await?;
    close(&mut transaction, batch).await?;
    sqlx::query!(
        "INSERT INTO telemetry_refused
         SELECT telemetry_spool.*, $2 FROM telemetry_spool WHERE position = ANY($1)",
        &batch.positions,
        refusal,
    )
    .execute(&mut *transaction)
    .await?;
    delete_rows(&mut transaction, &batch.positions).await?;
    transaction.commit().await?;
    Ok(())
}

async fn close(connection: &mut PgConnection, batch: &Batch) -> Result<(), LedgerError> {
    sqlx::query!("DELETE FROM telemetry_batches WHERE id = $1", batch.id)
        .execute(connection)
        .await?;
    Ok(())
}

async fn delete_rows(connection: &mut PgConnection, positions: &[i64]) -> Result<(), LedgerError> {
    sqlx::query!(
        "DELETE FROM telemetry_spool WHERE position = ANY($1)",
        positions
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets what was on its way of an erased person, who had those addresses.
pub(crate) async fn delete_of_user(
    connection: &mut PgConnection,
    project: &str,
    user: UserId,
    emails: &[String],
) -> Result<(), LedgerError> {
    sqlx::query!(
        "DELETE FROM telemetry_spool
         WHERE project_id = $1
           AND (user_id = $2 OR CASE WHEN event_type = $3 THEN data::jsonb ->> 'email' = ANY($4) END)",
        project,
        user.0,
        SIGN_UP_RULE_TRIGGER,
        emails,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM telemetry_refused WHERE project_id = $1 AND user_id = $2",
        project,
        user.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets what a deleted project still had on its way.
pub(crate) async fn delete_of_project(
    connection: &mut PgConnection,
    project: &str,
) -> Result<(), LedgerError> {
    sqlx::query!("DELETE FROM telemetry_spool WHERE project_id = $1", project)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "DELETE FROM telemetry_refused WHERE project_id = $1",
        project
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What is in the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Rows that wait, counted up to 100,000.
    pub waiting: i64,
    /// When the oldest of them reached us, in milliseconds since the Unix epoch.
    pub oldest: Option<i64>,
    /// Rows that were refused.
    pub refused: i64,
}

/// How much waits, and since when.
///
/// # Errors
/// When the database fails.
pub async fn backlog(pool: &PgPool) -> Result<Backlog, LedgerError> {
    let backlog = sqlx::query_as!(
        Backlog,
        r#"SELECT (SELECT count(*) FROM (SELECT 1 FROM telemetry_spool LIMIT 100000) AS counted) AS "waiting!",
                  (SELECT created_at FROM telemetry_spool ORDER BY position LIMIT 1) AS oldest,
                  (SELECT count(*) FROM telemetry_refused) AS "refused!""#
    )
    .fetch_one(pool)
    .await?;
    Ok(backlog)
}
