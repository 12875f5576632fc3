//! Moves telemetry from the spool into the analytics store. One process at a time does; others stand
//! by. While the store is away, everything waits.

use std::time::{Duration, Instant};

use clickhouse::{Client, Row};
use muniment_domain::Millis;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;

use super::event::TelemetryEvent;
use super::recorder::Recorder;
use super::spool::{self, Batch};
use crate::{LedgerError, sole_holder};

/// The lock that the draining process holds.
const LOCK: &str = "muniment telemetry";
/// The shortest time between two inserts that are not full: ClickHouse likes few large ones.
const BETWEEN_INSERTS: Duration = Duration::from_millis(300);
/// How often the spool is looked at for rows of other processes.
const POLL: Duration = Duration::from_millis(500);
/// How long to wait after a failure, or to stand by for the lock.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest that sending a part of an insert, and finishing it, may take.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// The only branch that exists.
const MAIN_BRANCH: &str = "main";
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
    Store(clickhouse::error::Error),
}

/// The draining task. Stops when it is dropped; a batch in flight is sent again by the next one.
pub struct Draining(JoinHandle<()>);

impl Drop for Draining {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts to move what the recorder keeps into the table `events` that `store` reaches, or to stand
/// by.
#[must_use]
pub fn drain(pool: PgPool, recorder: Recorder, store: Client) -> Draining {
    Draining(tokio::spawn(async move {
        loop {
            if let Err(error) = hold_office(&pool, &recorder, &store).await {
                tracing::warn!(%error, "telemetry waits; trying again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }))
}

/// Drains as long as the lock is held. Returns when another process holds it.
async fn hold_office(pool: &PgPool, recorder: &Recorder, store: &Client) -> Result<(), DrainError> {
    let Some(mut connection) = sole_holder(pool, LOCK).await? else {
        return Ok(());
    };
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
        Err(error) => match refusal(&error) {
            None => return Err(DrainError::Store(error)),
            Some(_) if batch.events.len() > 1 => {
                spool::split(connection, &batch).await?;
                return Ok(Step::MoreWaits);
            }
            Some(refusal) => {
                tracing::error!(%error, "the analytics store refused a row; it is kept in telemetry_refused");
                spool::set_aside(connection, &batch, refusal).await?;
            }
        },
    }
    Ok(if batch.is_full() {
        Step::MoreWaits
    } else {
        Step::Moved
    })
}

/// Inserts a batch as one block under its id.
async fn insert(store: &Client, batch: &Batch) -> Result<(), clickhouse::error::Error> {
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
    insert.end().await
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

/// The codes with which ClickHouse says that it cannot read a value, before it has stored any:
/// `CANNOT_PARSE_TEXT`, `CANNOT_PARSE_QUOTED_STRING`, `CANNOT_PARSE_INPUT_ASSERTION_FAILED`,
/// `CANNOT_PARSE_NUMBER`, `INCORRECT_DATA`, `TOO_DEEP_RECURSION`, `VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE`.
const UNREADABLE: [u32; 7] = [6, 26, 27, 72, 117, 306, 321];

/// What the store says of a batch that it will never take because of what is in it.
fn refusal(error: &clickhouse::error::Error) -> Option<&str> {
    let clickhouse::error::Error::BadResponse(text) = error else {
        return None;
    };
    let code = text.split_once("Code: ")?.1;
    let digits = code.split(|c: char| !c.is_ascii_digit()).next()?;
    let code: u32 = digits.parse().ok()?;
    UNREADABLE.contains(&code).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clickhouse::error::Error;

    #[test]
    fn only_what_cannot_be_read_is_refused_for_good() {
        let answer = |text: &str| Error::BadResponse(text.to_owned());
        let unreadable =
            answer("Code: 117. DB::Exception: Cannot parse JSON object. (INCORRECT_DATA)");
        assert!(refusal(&unreadable).is_some());
        for passing in [
            answer("Code: 241. DB::Exception: Memory limit exceeded."),
            answer("Code: 252. DB::Exception: Too many parts."),
            answer("502 Bad Gateway"),
            Error::TimedOut,
        ] {
            assert!(refusal(&passing).is_none(), "{passing}");
        }
    }

    #[test]
    fn times_beyond_the_stores_are_its_first_and_last() {
        assert_eq!(storable(Millis(i64::MAX)), 10_413_791_999_999);
        assert_eq!(storable(Millis(i64::MIN)), -2_208_988_800_000);
        assert_eq!(storable(Millis(0)), 0);
    }
}
