//! Moves telemetry from the spool into the analytics store. One process at a time does. While the
//! store is away, everything waits.

use std::time::{Duration, Instant};

use clickhouse::{Client, Row};
use muniment_domain::{MAIN_BRANCH, Millis};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::event::TelemetryEvent;
use super::recorder::Recorder;
use super::spool::{self, Batch};
use crate::analytics::AnalyticsError;
use muniment_event_store::LedgerError;
use muniment_event_store::leader_lock::run_as_leader;

/// The lock that the draining process holds.
const LOCK: &str = "muniment telemetry";
/// The shortest time between two inserts that are not full: ClickHouse likes few large ones.
const BETWEEN_INSERTS: Duration = Duration::from_millis(300);
/// How often the spool is looked at for rows of other processes.
const POLL: Duration = Duration::from_millis(500);
/// How long to wait after a failure, or while another process holds the lock.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest that sending a part of an insert, and finishing it, may take.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// What a `DateTime64(3)` of ClickHouse can hold, in milliseconds since the Unix epoch: from 1900 to
/// 2299.
const STORABLE: std::ops::RangeInclusive<i64> = -2_208_988_800_000..=10_413_791_999_999;

/// Why a batch did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// Postgres.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The analytics store, which is away or out of order: the batch is tried again as it is.
    #[error("the analytics store did not take telemetry: {0}")]
    Store(AnalyticsError),
}

/// Moves what the recorder keeps into the table `events` that `store` reaches, whenever this process
/// is the leader. Never returns; a batch in flight when this is dropped is sent again by the next
/// leader.
pub async fn drain(pool: PgPool, recorder: Recorder, store: Client) {
    let trouble = "telemetry waits; trying again";
    let lead = |connection| lead(connection, &recorder, &store);
    run_as_leader(&pool, LOCK, PAUSE, trouble, lead).await;
}

async fn lead(
    mut connection: PgConnection,
    recorder: &Recorder,
    store: &Client,
) -> Result<(), DrainError> {
    loop {
        let started = Instant::now();
        match step(&mut connection, store).await? {
            Step::Idle => {
                // Either way it is time to look again.
                let _ = tokio::time::timeout(POLL, recorder.spooled()).await;
            }
            Step::Moved => {
                tokio::time::sleep(BETWEEN_INSERTS.saturating_sub(started.elapsed())).await;
            }
            Step::MoreWaits => {}
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing waited.
    Idle,
    /// What waited has been dealt with.
    Moved,
    /// There was more than one batch takes.
    MoreWaits,
}

/// Deals with one batch.
///
/// # Errors
/// When Postgres or the store fails; then the batch is still there, and the same.
pub async fn step(connection: &mut PgConnection, store: &Client) -> Result<Step, DrainError> {
    let Some(batch) = spool::next_batch(connection).await? else {
        return Ok(Step::Idle);
    };
    match insert(store, &batch).await {
        Ok(()) => spool::settle(connection, &batch).await?,
        Err(error) if !error.is_about_a_value() => return Err(DrainError::Store(error)),
        Err(_) if batch.events.len() > 1 => {
            spool::split(connection, &batch).await?;
            return Ok(Step::MoreWaits);
        }
        Err(error) => {
            tracing::error!(%error, "the analytics store refused a row; it is kept in telemetry_refused");
            spool::set_aside(connection, &batch, &error.to_string()).await?;
        }
    }
    Ok(if batch.is_full() {
        Step::MoreWaits
    } else {
        Step::Moved
    })
}

/// Inserts a batch as one block under its id.
async fn insert(store: &Client, batch: &Batch) -> Result<(), AnalyticsError> {
    let insert = store.insert::<EventRow<'_>>("events").await?;
    let mut insert = insert
        .with_timeouts(Some(TIMEOUTS.0), Some(TIMEOUTS.1))
        .with_setting("insert_deduplication_token", batch.id.to_string())
        .with_setting("insert_deduplicate", "1")
        // Deduplication needs the insert to have happened when it is answered.
        .with_setting("async_insert", "0")
        .with_setting("input_format_binary_read_json_as_string", "1")
        // Browsers send any time and any key; neither may hold the others up.
        .with_setting("max_partitions_per_insert_block", "0")
        .with_setting("type_json_skip_duplicated_paths", "1");
    for event in &batch.events {
        insert.write(&EventRow::of(event)).await?;
    }
    Ok(insert.end().await?)
}

/// A row of `events`.
#[derive(Debug, Row, Serialize)]
struct EventRow<'e> {
    event_type: &'e str,
    event_at: i64,
    data: &'e str,
    project_id: &'e str,
    branch_id: &'e str,
    user_id: Option<String>,
    team_id: Option<String>,
    refresh_token_id: Option<String>,
    session_replay_id: Option<String>,
    session_replay_segment_id: Option<&'e str>,
    created_at: i64,
}

impl<'e> EventRow<'e> {
    fn of(event: &'e TelemetryEvent) -> Self {
        Self {
            event_type: &event.event_type,
            event_at: storable(event.at),
            data: &event.data,
            project_id: event.project_id.as_str(),
            branch_id: MAIN_BRANCH,
            user_id: event.user.map(|id| id.0.to_string()),
            team_id: None,
            refresh_token_id: event.session.map(|id| id.0.to_string()),
            session_replay_id: event.replay.map(|id| id.to_string()),
            session_replay_segment_id: event.segment.as_deref(),
            created_at: storable(event.created_at),
        }
    }
}

fn storable(at: Millis) -> i64 {
    at.0.clamp(*STORABLE.start(), *STORABLE.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_the_stores_are_its_first_and_last() {
        assert_eq!(storable(Millis(i64::MAX)), 10_413_791_999_999);
        assert_eq!(storable(Millis(i64::MIN)), -2_208_988_800_000);
        assert_eq!(storable(Millis(0)), 0);
    }
}
