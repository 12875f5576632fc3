//! Checking that the read tables say what the log says.

use serde_json::Value;
use sqlx::{Connection, PgConnection, QueryBuilder, Row};

use crate::maintenance::shadow_schema::{Progress, Schema, Shadow, enter, fold_visible};
use crate::read_models::ddl::run;
use crate::read_models::registry::{TableVisitor, visit_tables};
use crate::read_models::table::TableRow;
use muniment_event_store::{EventLog, LedgerError, Unreadable};

const FRESH: Schema = Schema("muniment_verify");
/// Differences reported per table.
const REPORTED: i64 = 1_000;

/// A row that is not what the log says.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The read table.
    pub table: &'static str,
    /// The live row; absent if it is missing.
    pub live: Option<Value>,
    /// What the log says; absent if there should be no row.
    pub expected: Option<Value>,
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Rows that are not what the log says.
    pub differences: Vec<Difference>,
    /// Events that could not be read, so that nothing was expected of them.
    pub unreadable: Vec<Unreadable>,
}

/// Projects the log afresh and compares. Live traffic goes on meanwhile: the comparison sees one
/// snapshot of both the log and the tables.
///
/// # Errors
/// `Refused` when another verification is running; otherwise what the database fails with.
pub async fn verify(
    log: &EventLog,
    progress: impl FnMut(Progress),
) -> Result<Verification, LedgerError> {
    let mut shadow = Shadow::create(log, FRESH).await?;
    shadow.catch_up(log, progress).await?;
    let cursor = shadow.cursor;
    let mut unreadable = std::mem::take(&mut shadow.unreadable);
    let mut transaction = shadow.connection.begin().await?;
    run(
        &mut transaction,
        &["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"],
    )
    .await?;
    enter(&mut transaction, FRESH).await?;
    unreadable.extend(fold_visible(&mut transaction, log, cursor).await?);
    let differences = compare_all(&mut transaction).await?;
    transaction.commit().await?;
    shadow.remove().await?;
    Ok(Verification {
        differences,
        unreadable,
    })
}

/// Compares one read table after the other.
struct Comparison<'c> {
    connection: &'c mut PgConnection,
    differences: Vec<Difference>,
}

impl TableVisitor for Comparison<'_> {
    async fn visit<R: TableRow>(&mut self) -> Result<(), LedgerError> {
        let found = compare::<R>(self.connection).await?;
        self.differences.extend(found);
        Ok(())
    }
}

async fn compare_all(connection: &mut PgConnection) -> Result<Vec<Difference>, LedgerError> {
    let mut comparison = Comparison {
        connection,
        differences: Vec::new(),
    };
    visit_tables(&mut comparison).await?;
    Ok(comparison.differences)
}

async fn compare<R: TableRow>(
    connection: &mut PgConnection,
) -> Result<Vec<Difference>, LedgerError> {
    let table = R::TABLE.name;
    let mut sql =
        QueryBuilder::new("SELECT to_jsonb(live) AS live, to_jsonb(fresh) AS fresh FROM public.");
    sql.push(table)
        .push(" live FULL JOIN ")
        .push(FRESH.0)
        .push(".")
        .push(table);
    sql.push(" fresh USING (");
    let mut key = sql.separated(", ");
    for column in R::TABLE.key {
        key.push(column);
    }
    sql.push(") WHERE to_jsonb(live) IS DISTINCT FROM to_jsonb(fresh) LIMIT ")
        .push_bind(REPORTED);
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Difference {
                table,
                live: row.try_get("live")?,
                expected: row.try_get("fresh")?,
            })
        })
        .collect()
}
