//! The rows of passkeys.

use crate::read_models::table::read_table;
use serde_json::Value;
use uuid::Uuid;

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
