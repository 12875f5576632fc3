//! Rebuilding read models from nothing, beside live traffic.
//!
//! The log is folded into a second set of tables in a schema of its own. When that has caught up,
//! appends are held for a moment, the rest is folded, and the tables change places in the same
//! transaction. A crash at any point leaves the old tables in use.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use crate::maintenance::shadow_schema::{
    Definition, Kind, Schema, Shadow, definitions, enter, fold_visible, index_definitions,
};
use crate::read_models::TABLES;
use crate::read_models::ddl::run;
use muniment_event_store::{EventLog, LedgerError, Unreadable};

pub use crate::maintenance::shadow_schema::Progress;

const NEW: Schema = Schema("muniment_replay");
const OLD: Schema = Schema("muniment_replaced");
const LIVE: Schema = Schema("public");

/// How long a swap waits for a lock. Readers of several tables may hold one that the swap wants, and
/// want one that it has: then the swap gives way, before Postgres looks for deadlocks (after a
/// second) and may end the reader instead.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '800ms'";
/// How often a swap is tried before the replay fails.
const SWAPS: u32 = 60;
/// How long live traffic has to itself between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Rebuilds the named read tables, or all. Yields the events that could not be read: the tables do not
/// say what they said.
///
/// # Errors
/// `Refused` for an unknown table, or when another replay is running; otherwise what the database
/// or the log fails with. The live tables are unchanged then.
pub async fn replay(
    log: &EventLog,
    tables: &[String],
    progress: impl FnMut(Progress),
) -> Result<Vec<Unreadable>, LedgerError> {
    let chosen = choose(tables)?;
    let mut shadow = Shadow::create(log, NEW).await?;
    shadow.catch_up(log, progress).await?;
    index(&mut shadow).await?;
    // Indexing takes a while; what was appended meanwhile is better folded before appends are held.
    shadow.catch_up(log, |_| ()).await?;
    let last = swap_in(log, &mut shadow, &chosen).await?;
    enter(&mut shadow.connection, LIVE).await?;
    for table in &chosen {
        run(&mut shadow.connection, &["ANALYZE ", table]).await?;
    }
    let mut unreadable = std::mem::take(&mut shadow.unreadable);
    unreadable.extend(last);
    shadow.remove().await?;
    Ok(unreadable)
}

fn choose(tables: &[String]) -> Result<Vec<&'static str>, LedgerError> {
    if tables.is_empty() {
        return Ok(TABLES.to_vec());
    }
    let known = |name: &String| {
        let unknown = format!(
            "there is no read table `{name}`; choose from: {}",
            TABLES.join(", ")
        );
        TABLES
            .iter()
            .copied()
            .find(|table| table == name)
            .ok_or(LedgerError::Refused(unknown))
    };
    tables.iter().map(known).collect()
}

async fn index(shadow: &mut Shadow) -> Result<(), LedgerError> {
    let connection = &mut shadow.connection;
    enter(connection, LIVE).await?;
    let mut statements = index_definitions(connection).await?;
    let unique = definitions(connection, Kind::UniqueConstraints).await?;
    statements.extend(unique.into_iter().map(|constraint| constraint.statement));
    // What indexes use of extensions may be in the schema `public`, unqualified by the catalogue.
    let path = ["SET search_path = ", shadow.schema.0, ", ", LIVE.0];
    run(connection, &path).await?;
    for statement in statements {
        run(connection, &[&statement]).await?;
    }
    enter(connection, shadow.schema).await
}

/// Swaps when live traffic leaves room for it. Yields what could not be read of the rest.
async fn swap_in(
    log: &EventLog,
    shadow: &mut Shadow,
    chosen: &[&'static str],
) -> Result<Vec<Unreadable>, LedgerError> {
    for _ in 1..SWAPS {
        match swap(log, shadow, chosen).await {
            Err(LedgerError::Conflict) => {}
            done => return done,
        }
        tokio::time::sleep(PAUSE).await;
        // What was appended meanwhile is better folded before appends are held.
        shadow.catch_up(log, |_| ()).await?;
    }
    swap(log, shadow, chosen).await
}

/// Folds the rest and changes the tables' places, in one transaction.
///
/// # Errors
/// `Conflict` when a lock was not to be had; then everything is as before.
async fn swap(
    log: &EventLog,
    shadow: &mut Shadow,
    chosen: &[&'static str],
) -> Result<Vec<Unreadable>, LedgerError> {
    let cursor = shadow.cursor;
    let mut transaction = shadow.connection.begin().await?;
    run(&mut transaction, &[LOCK_TIMEOUT]).await?;
    run(&mut transaction, &["SET LOCAL synchronous_commit = on"]).await?;
    // Waits for running appends, and holds new ones until the commit.
    run(
        &mut transaction,
        &["LOCK TABLE public.events IN SHARE MODE"],
    )
    .await?;
    let unreadable = fold_visible(&mut transaction, log, cursor).await?;
    enter(&mut transaction, LIVE).await?;
    let affected = foreign_keys(&mut transaction, chosen).await?;
    for key in &affected {
        let parts = ["ALTER TABLE ", &key.table, " DROP CONSTRAINT ", &key.name];
        run(&mut transaction, &parts).await?;
    }
    run(&mut transaction, &["CREATE SCHEMA ", OLD.0]).await?;
    for table in chosen {
        let parts = ["ALTER TABLE public.", table, " SET SCHEMA ", OLD.0];
        run(&mut transaction, &parts).await?;
        let parts = ["ALTER TABLE ", NEW.0, ".", table, " SET SCHEMA public"];
        run(&mut transaction, &parts).await?;
    }
    for key in &affected {
        run(&mut transaction, &[&key.statement]).await?;
    }
    run(&mut transaction, &["DROP SCHEMA ", OLD.0, " CASCADE"]).await?;
    transaction.commit().await?;
    Ok(unreadable)
}

/// The foreign keys that start from or point to a table that is replaced.
async fn foreign_keys(
    connection: &mut PgConnection,
    chosen: &[&'static str],
) -> Result<Vec<Definition>, LedgerError> {
    let mut keys = definitions(connection, Kind::ForeignKeys).await?;
    let is_chosen = |table: &str| chosen.contains(&table);
    keys.retain(|key| is_chosen(&key.table) || key.target.as_deref().is_some_and(is_chosen));
    Ok(keys)
}
