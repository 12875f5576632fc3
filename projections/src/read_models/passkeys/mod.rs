//! The read model of passkeys: one per user. Filled by the projector of users.

pub(crate) mod rows;

use muniment_domain::user::Passkey;
use muniment_domain::{ProjectId, UserId};
use sqlx::PgPool;
use uuid::Uuid;

use crate::read_models::registry::ReadModels;
use muniment_event_store::LedgerError;

pub use rows::PasskeyRow;

/// The user and the credential that an authenticator names.
pub async fn by_credential(
    pool: &PgPool,
    project: &ProjectId,
    credential_id: &str,
) -> Result<Option<(UserId, Passkey)>, LedgerError> {
    let row = sqlx::query!(
        "SELECT user_id, credential FROM passkeys WHERE project_id = $1 AND credential_id = $2",
        project.as_str(),
        credential_id,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| {
        let passkey = Passkey {
            credential_id: credential_id.to_owned(),
            credential: row.credential,
        };
        (UserId(row.user_id), passkey)
    }))
}

pub(crate) fn put(models: &mut ReadModels, user: Uuid, passkey: Passkey) {
    let Some(row) = models.users.get(&user) else {
        return;
    };
    models.passkeys.put(PasskeyRow {
        user_id: user,
        project_id: row.project_id.clone(),
        credential_id: passkey.credential_id,
        credential: passkey.credential,
    });
}
