//! The read model of passkeys: one per user. Filled by the projector of users.

use muniment_domain::user::Passkey;
use muniment_domain::{ProjectId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::LedgerError;
use crate::read_models::ReadModels;
use crate::read_models::table::{Table, TableRow};

/// A row of `passkeys`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromRow)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct PasskeyRow {
    pub user_id: Uuid,
    pub project_id: String,
    pub credential_id: String,
    pub credential: Value,
}

impl TableRow for PasskeyRow {
    const TABLE: Table = Table {
        name: "passkeys",
        key: &["user_id"],
        fields: &["project_id", "credential_id", "credential"],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.user_id
    }
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

pub(crate) async fn delete(
    connection: &mut PgConnection,
    users: &[Uuid],
) -> Result<(), LedgerError> {
    if users.is_empty() {
        return Ok(());
    }
    sqlx::query!("DELETE FROM passkeys WHERE user_id = ANY($1)", users)
        .execute(connection)
        .await?;
    Ok(())
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
