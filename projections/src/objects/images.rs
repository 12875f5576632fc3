//! Uploaded images. They are too large for the log, which holds their URLs.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use muniment_event_store::LedgerError;

/// An image as it is served.
#[derive(Clone, Debug)]
pub struct Image {
    /// The extension of its file name, which names its format.
    pub extension: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Keeps an image.
pub async fn insert(
    pool: &PgPool,
    id: Uuid,
    folder: &str,
    image: &Image,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO images (id, folder, extension, bytes) VALUES ($1, $2, $3, $4)",
        id,
        folder,
        image.extension,
        image.bytes,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The image of that id.
pub async fn by_id(pool: &PgPool, folder: &str, id: Uuid) -> Result<Option<Image>, LedgerError> {
    let image = sqlx::query_as!(
        Image,
        "SELECT extension, bytes FROM images WHERE id = $1 AND folder = $2",
        id,
        folder
    )
    .fetch_optional(pool)
    .await?;
    Ok(image)
}

/// Deletes the images behind those URLs that are ours.
pub(crate) async fn delete_by_url(
    connection: &mut PgConnection,
    urls: &[String],
) -> Result<(), LedgerError> {
    let ids: Vec<Uuid> = urls.iter().filter_map(|url| id_in(url)).collect();
    sqlx::query!("DELETE FROM images WHERE id = ANY($1)", &ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// The id in a URL that ends in `/{id}.{extension}`.
fn id_in(url: &str) -> Option<Uuid> {
    let (name, _) = url.rsplit_once('/')?.1.rsplit_once('.')?;
    Uuid::try_parse(name).ok()
}
