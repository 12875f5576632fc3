//! Holding streams: what a unit of work looked at must be so when the unit takes effect.
//!
//! A transaction begins by taking a lock per stream: shared for one that a unit looked at, exclusive
//! for one that it appends to. So of two units, one that looks and one that appends, either waits
//! until the other has committed; then the sequences are compared. The locks are Postgres' advisory
//! ones: they cost no write, work between nodes and end with the transaction. All are taken at once
//! and in one order, before the transaction holds anything else, so nobody waits in a circle.
//!
//! Streams share a lock if the hashes of their names do. That costs a wait, never a missed check.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::commit::prepared_unit::PreparedUnit;
use crate::error::LedgerError;

/// Taken by every transaction before the locks of streams: shared; exclusive by one that would need
/// so many of those that Postgres' table of locks might not hold them. Readers of the log tell by it
/// which appends are running: the view `log_appenders` repeats the number.
const ALL_STREAMS: i64 = 0x6d75_6e69_6d65_6e74;
/// How many locks of streams a transaction takes at most. Postgres has room for some 6,400 in all by
/// default (`max_locks_per_transaction` times `max_connections`).
const MOST_LOCKS: usize = 512;

/// Whether a stream is looked at or appended to.
type IsWritten = bool;

/// Locks the streams of `units` and says, for each of them, whether what it looked at is still so.
pub(crate) async fn hold(
    connection: &mut PgConnection,
    units: &[&PreparedUnit],
) -> Result<Vec<bool>, LedgerError> {
    let (keys, written): (Vec<i64>, Vec<IsWritten>) = locks(units).into_iter().unzip();
    let mut places = HashMap::new();
    let (mut types, mut ids) = (Vec::new(), Vec::new());
    for look in units.iter().flat_map(|unit| &unit.looked_at) {
        places
            .entry((look.aggregate_type, look.id.as_str()))
            .or_insert_with(|| {
                types.push(look.aggregate_type.to_owned());
                ids.push(look.id.clone());
                ids.len() - 1
            });
    }
    let ends = sqlx::query_scalar!(
        r#"SELECT hold_streams($1, $2, $3, $4) AS "ends!: Vec<i64>""#,
        &keys,
        &written,
        &types,
        &ids,
    )
    .fetch_one(connection)
    .await?;
    let is_so = |unit: &&PreparedUnit| {
        unit.looked_at.iter().all(|look| {
            let place = places.get(&(look.aggregate_type, look.id.as_str()));
            place.and_then(|&place| ends.get(place)) == Some(&look.sequence)
        })
    };
    Ok(units.iter().map(is_so).collect())
}

/// The locks to take, in the order in which everybody takes them.
fn locks(units: &[&PreparedUnit]) -> Vec<(i64, IsWritten)> {
    let mut streams = BTreeMap::new();
    for unit in units {
        for look in &unit.looked_at {
            streams
                .entry(key(look.aggregate_type, &look.id))
                .or_insert(false);
        }
        for event in &unit.events {
            if !unit.newborn.contains(&event.aggregate_id) {
                streams.insert(key(&event.aggregate_type, &event.aggregate_id), true);
            }
        }
    }
    if streams.len() > MOST_LOCKS {
        return vec![(ALL_STREAMS, true)];
    }
    let mut all = vec![(ALL_STREAMS, false)];
    all.extend(streams);
    all
}

/// The same on every node and in every version.
fn key(aggregate_type: &str, id: &str) -> i64 {
    let digest = Sha256::new()
        .chain_update(aggregate_type)
        .chain_update([0])
        .chain_update(id)
        .finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_everywhere_and_tell_types_apart() {
        assert_eq!(key("user", "a"), key("user", "a"));
        assert_ne!(key("user", "a"), key("team", "a"));
        assert_ne!(key("user", "a"), key("usera", ""));
    }
}
