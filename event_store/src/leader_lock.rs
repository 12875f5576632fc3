//! Work that one process at a time does, by a Postgres advisory lock.

use sqlx::{Connection, PgConnection, PgPool};

use crate::LedgerError;

/// Takes the lock of that name. Returns the connection that holds it, as long as it lives; `None`
/// if another process does. The lock belongs to the connection, so that is not one of the pool's
/// any more.
pub async fn try_lead(pool: &PgPool, name: &str) -> Result<Option<PgConnection>, LedgerError> {
    let mut connection = pool.acquire().await?.detach();
    let is_ours = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS "locked!""#,
        name
    )
    .fetch_one(&mut connection)
    .await?;
    if is_ours {
        return Ok(Some(connection));
    }
    connection.close().await?;
    Ok(None)
}
