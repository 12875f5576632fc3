//! Streams that units of work look at: whether what was seen of them still holds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cqrs_es::Aggregate;
use sqlx::PgPool;

use crate::commit::commit_outcome::CommitOutcome;
use crate::error::LedgerError;

/// A stream, and where it ended when it was looked at: 0 if there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LookedAt {
    pub(crate) aggregate_type: &'static str,
    pub(crate) id: String,
    pub(crate) sequence: i64,
}

impl LookedAt {
    pub(crate) fn new<A: Aggregate>(id: &str, sequence: usize) -> Self {
        Self {
            aggregate_type: A::TYPE,
            id: id.to_owned(),
            sequence: i64::try_from(sequence).unwrap_or(i64::MAX),
        }
    }
}

/// Everything that a unit of work has looked at. Shared, so that it outlives a unit that was refused.
#[derive(Clone, Default)]
pub(crate) struct Looks(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    streams: Vec<LookedAt>,
    used_memory: bool,
    /// Of the units that made what was seen, as far as they had not committed by then.
    pending: Vec<CommitOutcome>,
}

impl Looks {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, stream: LookedAt) {
        self.seen().streams.push(stream);
    }

    /// Notes that some state was remembered rather than read; and of which unit it is, if that was
    /// still to commit.
    pub(crate) fn note_memory(&self, outcome: Option<&CommitOutcome>) {
        let mut seen = self.seen();
        seen.used_memory = true;
        seen.pending.extend(outcome.cloned());
    }

    /// Waits until what was seen has committed, or failed to.
    pub(crate) async fn wait(&self) {
        let pending = self.seen().pending.clone();
        for outcome in pending {
            outcome.wait().await;
        }
    }

    /// Whether some state was remembered.
    pub(crate) fn used_memory(&self) -> bool {
        self.seen().used_memory
    }

    /// Whether everything that was seen is so at one and the same moment, which is now. A refusal may
    /// rest on that; one look at the log is a moment by itself.
    pub(crate) async fn hold_now(&self, pool: &PgPool) -> Result<bool, LedgerError> {
        let (mut types, mut ids, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
        {
            let seen = self.seen();
            if !seen.used_memory && seen.streams.len() < 2 {
                return Ok(true);
            }
            for stream in &seen.streams {
                types.push(stream.aggregate_type.to_owned());
                ids.push(stream.id.clone());
                sequences.push(stream.sequence);
            }
        }
        let hold = sqlx::query_scalar!(
            r#"SELECT NOT EXISTS (
                   SELECT FROM unnest($1::text[], $2::text[], $3::bigint[]) AS seen (type, id, sequence)
                   WHERE sequence <> coalesce(
                       (SELECT max(e.sequence) FROM events e
                        WHERE e.aggregate_type = seen.type AND e.aggregate_id = seen.id), 0)
               ) AS "hold!""#,
            &types,
            &ids,
            &sequences,
        )
        .fetch_one(pool)
        .await?;
        Ok(hold)
    }
}
