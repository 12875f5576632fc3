//! Statements over names: `CREATE`, `DROP`, `SET` and the like, which take no parameters.

use muniment_event_store::LedgerError;
use sqlx::{PgConnection, QueryBuilder};

/// Runs a statement put together from names of ours and definitions of the catalogue.
pub(crate) async fn run(connection: &mut PgConnection, parts: &[&str]) -> Result<(), LedgerError> {
    let mut sql = QueryBuilder::<sqlx::Postgres>::new("");
    for part in parts {
        sql.push(part);
    }
    sql.build().persistent(false).execute(connection).await?;
    Ok(())
}
