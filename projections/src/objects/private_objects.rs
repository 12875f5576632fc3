//! Files that nobody but the server reads, kept under keys as in an object store. They are in
//! Postgres, so that an installation needs no second store and a backup has everything.

use muniment_domain::Millis;
use sqlx::{PgConnection, PgPool};

use muniment_event_store::LedgerError;

/// A file, and how its bytes are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateObject {
    /// The media type of what is in it.
    pub content_type: String,
    /// How that is encoded, if it is: an HTTP content coding such as `gzip`.
    pub content_encoding: Option<String>,
    /// The bytes.
    pub body: Vec<u8>,
}

/// Keeps an object, in the place of any other under the key.
///
/// # Errors
/// When the database fails.
pub async fn put(
    connection: &mut PgConnection,
    key: &str,
    object: &PrivateObject,
    now: Millis,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO private_objects (key, content_type, content_encoding, body, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (key) DO UPDATE
         SET content_type = EXCLUDED.content_type, content_encoding = EXCLUDED.content_encoding,
             body = EXCLUDED.body, created_at = EXCLUDED.created_at",
        key,
        object.content_type,
        object.content_encoding,
        object.body,
        now.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The object under a key, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn get(pool: &PgPool, key: &str) -> Result<Option<PrivateObject>, LedgerError> {
    let object = sqlx::query_as!(
        PrivateObject,
        "SELECT content_type, content_encoding, body FROM private_objects WHERE key = $1",
        key,
    )
    .fetch_optional(pool)
    .await?;
    Ok(object)
}
