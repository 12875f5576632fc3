//! Making the synced tables anew from the log, beside live traffic.
//!
//! The log is folded into shadow read tables, and those are copied into a fresh set of tables in the
//! store. From there this follows the log just as the subscriber does for the tables in use. When it
//! has caught up, deliveries are held for a moment, and the tables change places. A crash at any
//! point leaves a complete set in use, because either set has at least what the subscription's
//! cursor says.

use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection};

use super::erasure;
use super::rows::{SyncedRow, TableVisitor, each_table};
use super::subscriber::{BATCH_POLICY, LOCK, NAME};
use super::tables::{Tables, Version, select, synchronize};
use crate::analytics::AnalyticsStore;
use crate::analytics::sync::affected_rows::AffectedRows;
use crate::maintenance::shadow_schema::{Progress, Schema, Shadow};
use muniment_event_store::event::Cursor;
use muniment_event_store::{EventLog, LedgerError, Unreadable};

const SHADOW: Schema = Schema("muniment_analytics");
/// What the names of the fresh tables end in.
const FRESH: &str = "_fresh";
/// Rows per insert: many enough for ClickHouse, few enough for memory.
const ROWS: usize = 50_000;

/// What a replay did.
#[derive(Debug)]
pub struct Replayed {
    /// Rows that the tables were given at first.
    pub rows: u64,
    /// Events that could not be read, and are missing from the tables.
    pub unreadable: Vec<Unreadable>,
}

/// Makes the synced tables anew.
///
/// # Errors
/// `Refused` when another process is doing so; otherwise what Postgres, the log or the store fails
/// with. The tables in use are unchanged then.
pub async fn replay(
    log: &EventLog,
    store: &AnalyticsStore,
    progress: impl FnMut(Progress),
) -> Result<Replayed, LedgerError> {
    let mut shadow = Shadow::create(log, SHADOW).await?;
    let erasing = hold_erasure(log).await?;
    let live = Tables::live(store.owner());
    let fresh = Tables::beside(store.owner(), FRESH);
    take(Step::Create, &live, &fresh).await?;
    let version = Version::draw(log.pool()).await?;
    shadow.catch_up(log, progress).await?;
    let mut copying = Copying {
        connection: &mut shadow.connection,
        version,
        fresh: &fresh,
        copied: 0,
    };
    each_table(&mut copying).await?;
    let rows = copying.copied;
    let cursor = follow(log, &fresh, shadow.cursor).await?;
    swap(log, &live, &fresh, cursor).await?;
    take(Step::Drop, &live, &fresh).await?;
    let unreadable = std::mem::take(&mut shadow.unreadable);
    shadow.remove().await?;
    erasing.close().await?;
    Ok(Replayed { rows, unreadable })
}

/// Takes the turn of whoever erases: nobody is erased meanwhile, but from the new tables afterwards.
async fn hold_erasure(log: &EventLog) -> Result<PgConnection, LedgerError> {
    let mut connection = log.pool().acquire().await?.detach();
    sqlx::query!(
        "SELECT pg_advisory_lock(hashtextextended($1, 0))",
        erasure::LOCK
    )
    .execute(&mut connection)
    .await?;
    Ok(connection)
}

/// Copies the shadow's tables into the fresh ones.
struct Copying<'c> {
    connection: &'c mut PgConnection,
    version: Version,
    fresh: &'c Tables,
    /// Rows so far.
    copied: u64,
}

impl TableVisitor for Copying<'_> {
    async fn visit<R: SyncedRow>(&mut self) -> Result<(), LedgerError> {
        let mut sql = select::<R>(self.version);
        let rows = sql.build_query_as::<R>().fetch(&mut *self.connection);
        let mut chunks = rows.try_chunks(ROWS);
        while let Some(chunk) = chunks.try_next().await.map_err(|error| error.1)? {
            self.fresh.insert(&chunk).await?;
            self.copied += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        }
        Ok(())
    }
}

/// Brings the fresh tables up to date with what has happened since `cursor`. Returns how far.
async fn follow(log: &EventLog, fresh: &Tables, mut cursor: Cursor) -> Result<Cursor, LedgerError> {
    let mut connection = log.pool().acquire().await?;
    loop {
        let batch = log.read_bare_after(cursor, BATCH_POLICY.batch).await?;
        let Some(end) = batch.end else {
            return Ok(cursor);
        };
        let affected = AffectedRows::by(&batch.events);
        synchronize(log.pool(), &mut connection, fresh, affected).await?;
        cursor = end;
    }
}

/// Exchanges the tables, with deliveries held. The subscription goes on from where the fresh ones
/// are.
async fn swap(
    log: &EventLog,
    live: &Tables,
    fresh: &Tables,
    cursor: Cursor,
) -> Result<(), LedgerError> {
    let mut connection = log.pool().acquire().await?;
    let mut transaction = connection.begin().await?;
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        LOCK
    )
    .execute(&mut *transaction)
    .await?;
    let cursor = follow(log, fresh, cursor).await?;
    take(Step::Exchange, live, fresh).await?;
    advance(&mut transaction, cursor).await?;
    transaction.commit().await?;
    Ok(())
}

async fn advance(connection: &mut PgConnection, cursor: Cursor) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO subscriptions (name, epoch, transaction, position)
         VALUES ($1, $4, $2::bigint::text::xid8, $3)
         ON CONFLICT (name) DO UPDATE
         SET epoch = EXCLUDED.epoch, transaction = EXCLUDED.transaction, position = EXCLUDED.position, updated_at = now()",
        NAME,
        cursor.transaction,
        cursor.position,
        cursor.epoch,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What is done with each table.
#[derive(Clone, Copy)]
enum Step {
    /// A fresh one is made, after what another replay may have left.
    Create,
    /// The fresh one takes the place of the one in use, and the other way round.
    Exchange,
    /// The one that was in use is dropped.
    Drop,
}

/// A step that is taken with all tables.
struct Taking<'t> {
    step: Step,
    live: &'t Tables,
    fresh: &'t Tables,
}

async fn take(step: Step, live: &Tables, fresh: &Tables) -> Result<(), LedgerError> {
    each_table(&mut Taking { step, live, fresh }).await
}

impl TableVisitor for Taking<'_> {
    async fn visit<R: SyncedRow>(&mut self) -> Result<(), LedgerError> {
        let (used, other) = (self.live.name::<R>(), self.fresh.name::<R>());
        match self.step {
            Step::Create => {
                self.remove(&other).await?;
                self.run(&format!("CREATE TABLE {other} AS {used}")).await
            }
            Step::Exchange => {
                let exchange = format!("EXCHANGE TABLES {used} AND {other}");
                self.run(&exchange).await
            }
            Step::Drop => self.remove(&other).await,
        }
    }
}

impl Taking<'_> {
    /// The embedded engine does not come back from `DROP … SYNC`; this way, too, the data goes now.
    async fn remove(&self, table: &str) -> Result<(), LedgerError> {
        self.run(&format!("TRUNCATE TABLE IF EXISTS {table}"))
            .await?;
        self.run(&format!("DROP TABLE IF EXISTS {table}")).await
    }

    async fn run(&self, sql: &str) -> Result<(), LedgerError> {
        self.live.run(sql, Vec::new()).await
    }
}
