//! Checking that the synced tables say what the log says.
//!
//! The log is folded into shadow read tables, and those are compared with the store, row by row in
//! the order of their keys. The store goes on changing meanwhile, so what differs is looked at
//! again a little later: only a row that differs twice in the same way is reported.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::{PgConnection, QueryBuilder};

use super::rows::{SyncedRow, TableVisitor, each_table};
use super::subscriber::NAME;
use super::tables::{Tables, Version, push_select, refused};
use crate::analytics::AnalyticsStore;
use crate::maintenance::shadow_schema::{Progress, Schema, Shadow};
use crate::maintenance::verify::{Difference, Verification};
use muniment_event_store::{Cursor, EventLog, LedgerError};

const SHADOW: Schema = Schema("muniment_analytics_verify");
/// Differences reported per table.
const REPORTED: usize = 1_000;
/// How long to wait for the store to be as far as the log.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to look whether it is.
const GLANCE: Duration = Duration::from_millis(100);

/// Projects the log afresh and compares the store with it.
///
/// # Errors
/// `Refused` when another verification is running, or when the store lags behind and does not catch
/// up; otherwise what Postgres, the log or the store fails with.
pub async fn verify(
    log: &EventLog,
    store: &AnalyticsStore,
    progress: impl FnMut(Progress),
) -> Result<Verification, LedgerError> {
    let mut shadow = Shadow::create(log, SHADOW).await?;
    shadow.catch_up(log, progress).await?;
    let tables = Tables::live(store.owner());
    let mut found = compare_all(log, &mut shadow, &tables).await?;
    if !found.is_empty() {
        shadow.catch_up(log, |_| ()).await?;
        let again = compare_all(log, &mut shadow, &tables).await?;
        found.retain(|place, before| {
            again
                .get(place)
                .is_some_and(|now| before.live == now.live && before.expected == now.expected)
        });
    }
    let unreadable = std::mem::take(&mut shadow.unreadable);
    shadow.remove().await?;
    Ok(Verification {
        differences: found.into_values().collect(),
        unreadable,
    })
}

/// Differences, by table and place.
type Differences = BTreeMap<(&'static str, Vec<String>), Difference>;

async fn compare_all(
    log: &EventLog,
    shadow: &mut Shadow,
    tables: &Tables,
) -> Result<Differences, LedgerError> {
    wait_until_synchronized(log, shadow.cursor).await?;
    let version = Version::draw(log.pool()).await?;
    let mut comparison = Comparison {
        connection: &mut shadow.connection,
        version,
        tables,
        differences: Differences::new(),
    };
    each_table(&mut comparison).await?;
    Ok(comparison.differences)
}

/// Waits until the subscription has passed `cursor`.
async fn wait_until_synchronized(log: &EventLog, cursor: Cursor) -> Result<(), LedgerError> {
    let deadline = Instant::now() + PATIENCE;
    while !has_passed(log, cursor).await? {
        if Instant::now() > deadline {
            return Err(LedgerError::Refused(
                "the analytics store lags behind the log and does not catch up; is a server with \
                 subscribers running, and the store reachable?"
                    .to_owned(),
            ));
        }
        tokio::time::sleep(GLANCE).await;
    }
    Ok(())
}

async fn has_passed(log: &EventLog, cursor: Cursor) -> Result<bool, LedgerError> {
    let passed = sqlx::query_scalar!(
        r#"SELECT (epoch, transaction, position)
                      >= ($4::integer, $2::bigint::text::xid8, $3::bigint) AS "passed!"
           FROM subscriptions WHERE name = $1"#,
        NAME,
        cursor.transaction,
        cursor.position,
        cursor.epoch,
    )
    .fetch_optional(log.pool())
    .await?;
    Ok(passed.unwrap_or(cursor == Cursor::default()))
}

struct Comparison<'c> {
    connection: &'c mut PgConnection,
    version: Version,
    tables: &'c Tables,
    differences: Differences,
}

impl TableVisitor for Comparison<'_> {
    /// Walks through both tables in the order of their keys.
    async fn visit<R: SyncedRow>(&mut self) -> Result<(), LedgerError> {
        let (in_postgres, in_store) = orders::<R>();
        let mut sql = QueryBuilder::new("SELECT * FROM (");
        push_select::<R>(&mut sql, self.version);
        sql.push(") AS rows ORDER BY ").push(in_postgres);
        let mut expected = sql.build_query_as::<R>().fetch(&mut *self.connection);
        let sql = format!(
            "SELECT ?fields FROM {} FINAL WHERE sync_is_deleted = 0 ORDER BY {in_store}",
            self.tables.name::<R>()
        );
        let mut live = self
            .tables
            .client()
            .query(&sql)
            .fetch::<R>()
            .map_err(refused)?;
        let mut found = Vec::new();
        let (mut left, mut right) = (None, None);
        loop {
            if left.is_none() {
                left = expected.try_next().await?.map(R::logged);
            }
            if right.is_none() {
                right = live.next().await.map_err(refused)?.map(R::logged);
            }
            let order = match (&left, &right) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(expected), Some(live)) => expected.place().cmp(&live.place()),
            };
            let expected = if order.is_le() { left.take() } else { None };
            let live = if order.is_ge() { right.take() } else { None };
            if expected != live && found.len() < REPORTED {
                found.push((live, expected));
            }
        }
        drop((expected, live));
        for (live, expected) in found {
            self.report(live.as_ref(), expected.as_ref())?;
        }
        Ok(())
    }
}

impl Comparison<'_> {
    fn report<R: SyncedRow>(
        &mut self,
        live: Option<&R>,
        expected: Option<&R>,
    ) -> Result<(), LedgerError> {
        let Some(row) = live.or(expected) else {
            return Ok(());
        };
        let table = R::TABLE.name;
        let difference = Difference {
            table,
            live: live.map(serde_json::to_value).transpose()?,
            expected: expected.map(serde_json::to_value).transpose()?,
        };
        self.differences.insert((table, row.place()), difference);
        Ok(())
    }
}

/// The order of places, as Postgres and as the store are asked for it: by the bytes of the text.
fn orders<R: SyncedRow>() -> (String, String) {
    let key = R::TABLE.key;
    let in_postgres = key
        .iter()
        .map(|column| format!("({column})::text COLLATE \"C\""));
    let in_store = key.iter().map(|column| format!("toString({column})"));
    (
        std::iter::once("project_id COLLATE \"C\"".to_owned())
            .chain(in_postgres)
            .collect::<Vec<_>>()
            .join(", "),
        std::iter::once("project_id".to_owned())
            .chain(in_store)
            .collect::<Vec<_>>()
            .join(", "),
    )
}
