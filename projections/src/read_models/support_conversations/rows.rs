//! The rows of support conversations.

use crate::read_models::table::read_table;
use muniment_event_store::LedgerError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

read_table! {
    /// A row of `support_conversations`.
    #[derive(sqlx::FromRow)]
    pub struct SupportConversationRow in "support_conversations" {
        pub id: Uuid,
        pub project_id: String,
        pub user_id: Option<Uuid>,
        pub topic: String,
        pub status: String,
        pub priority: String,
        pub source: String,
        pub assigned_to_user_id: Option<String>,
        pub assigned_to_display_name: Option<String>,
        pub tags: Vec<String>,
        pub entry_points: Value,
        pub created_at: i64,
        pub updated_at: i64,
        pub closed_at: Option<i64>,
        pub first_response_at: Option<i64>,
        pub last_inbound_at: Option<i64>,
        pub last_outbound_at: Option<i64>,
        pub last_message_at: i64,
        pub last_message_type: String,
        pub last_message_body: Option<String>,
    }
    key (id: Uuid);
    cleared (Project by project_id);
}

read_table! {
    /// A row of `support_messages`.
    #[derive(sqlx::FromRow)]
    pub struct SupportMessageRow in "support_messages" {
        pub id: Uuid,
        pub conversation_id: Uuid,
        pub project_id: String,
        pub r#type: String,
        pub sender_type: String,
        pub sender_id: Option<Uuid>,
        pub body: Option<String>,
        pub metadata: Option<Value>,
        pub created_at: i64,
    }
    key (id: Uuid);
    owner conversation_id;
    cleared (Project by project_id);
}

impl SupportConversationRow {
    /// The ways in, oldest first.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn entry_points(&self) -> Result<Vec<EntryPoint>, LedgerError> {
        Ok(serde_json::from_value(self.entry_points.clone())?)
    }
}

/// A way by which messages get into a conversation, as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPoint {
    /// Its id.
    pub id: Uuid,
    /// The kind of channel.
    pub channel_type: String,
    /// What serves it.
    pub adapter_key: String,
    /// Whether the conversation began there.
    pub is_entry_point: bool,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// The types of messages.
pub mod message_type {
    /// Something said.
    pub const MESSAGE: &str = "message";
    /// A note among agents.
    pub const INTERNAL_NOTE: &str = "internal-note";
    /// The news of another status.
    pub const STATUS_CHANGE: &str = "status-change";
}

/// The channel that replies go by.
pub(crate) const CHAT: &str = "chat";
/// What serves it.
pub(crate) const CHAT_ADAPTER: &str = "support-chat";
/// What serves all other sources.
pub(crate) const DASHBOARD_ADAPTER: &str = "support-dashboard";

/// The senders of messages.
pub(crate) const AGENT: &str = "agent";
pub(crate) const USER: &str = "user";
