//! The rows of conversations with the assistant.

use crate::read_models::table::read_table;
use serde_json::Value;
use uuid::Uuid;

read_table! {
    /// A row of `ai_conversations`.
    #[derive(sqlx::FromRow)]
    pub struct AiConversationRow in "ai_conversations" {
        pub id: Uuid,
        pub project_id: String,
        pub user_id: Uuid,
        pub title: String,
        pub messages: Value,
        pub updated_at: i64,
    }
    key (id: Uuid);
    cleared ();
}
