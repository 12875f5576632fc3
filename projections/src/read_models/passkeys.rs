//! The read model of passkeys: one per user. Filled by the projector of users.

use muniment_domain::user::Passkey;
use muniment_domain::{ProjectId, UserId};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::read_models::registry::ReadModels;
use crate::read_models::table::read_table;
use muniment_event_store::LedgerError;

read_table! {
    /// A row of `passkeys`.
    #[derive(sqlx::FromRow)]
    pub struct PasskeyRow in "passkeys" {
        pub user_id: Uuid,
        pub project_id: String,
        pub credential_id: String,
        pub credential: Value,
    }
    key (user_id: Uuid);
    cleared (User by user_id, Project by project_id);
}

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
