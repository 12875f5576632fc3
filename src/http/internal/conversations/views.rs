//! Support conversations as agents see them.

use muniment_domain::{Millis, SupportConversationId};
use muniment_event_store::LedgerError;
use muniment_projections::read_models::support_conversations::{
    EntryPoint, SupportConversationRecord, SupportConversationRow, SupportMessageRecord,
    message_type,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::timestamp;

/// A conversation in a list.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportSummary {
    conversation_id: Uuid,
    /// Null once the customer's account is gone.
    user_id: Option<Uuid>,
    team_id: Option<Uuid>,
    user_display_name: Option<String>,
    user_primary_email: Option<String>,
    user_profile_image_url: Option<String>,
    subject: String,
    /// `open`, `pending` or `closed`.
    status: String,
    /// `low`, `normal`, `high` or `urgent`.
    priority: String,
    /// `manual`, `chat`, `email` or `api`.
    source: String,
    /// `message`, `internal-note` or `status-change`.
    last_message_type: String,
    /// What the latest message says, or is.
    preview: Option<String>,
    last_activity_at: String,
    metadata: SupportMetadata,
    created_at: String,
    updated_at: String,
    last_message_at: String,
    last_inbound_at: Option<String>,
    last_outbound_at: Option<String>,
    closed_at: Option<String>,
    record_metadata: Option<Value>,
}

/// What is noted about a conversation.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportMetadata {
    assigned_to_user_id: Option<String>,
    assigned_to_display_name: Option<String>,
    tags: Vec<String>,
    /// Null: it is due when the customer writes, which no channel brings in yet.
    first_response_due_at: Option<String>,
    first_response_at: Option<String>,
    next_response_due_at: Option<String>,
    last_customer_reply_at: Option<String>,
    last_agent_reply_at: Option<String>,
}

/// A message.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportMessage {
    id: Uuid,
    conversation_id: Uuid,
    user_id: Option<Uuid>,
    team_id: Option<Uuid>,
    subject: String,
    status: String,
    priority: String,
    source: String,
    message_type: String,
    body: Option<String>,
    attachments: Vec<Value>,
    metadata: Option<Value>,
    created_at: String,
    sender: SupportSender,
}

/// Who sent a message.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportSender {
    /// `user` or `agent`.
    r#type: String,
    id: Option<Uuid>,
    display_name: Option<String>,
    primary_email: Option<String>,
}

/// A way by which messages get into a conversation.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportEntryPoint {
    id: Uuid,
    channel_type: String,
    adapter_key: String,
    external_channel_id: Option<String>,
    is_entry_point: bool,
    metadata: Option<Value>,
    created_at: String,
    updated_at: String,
}

/// A conversation with everything that was said.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportDetail {
    conversation: SupportSummary,
    /// Oldest first.
    messages: Vec<SupportMessage>,
    /// Oldest first.
    entry_points: Vec<SupportEntryPoint>,
}

/// The conversation that was opened.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportOpened {
    #[schema(value_type = Uuid)]
    pub(super) conversation_id: SupportConversationId,
}

fn time(millis: i64) -> String {
    timestamp::format_with_millis(Millis(millis))
}

impl SupportSummary {
    /// Shows a conversation.
    #[must_use]
    pub(super) fn of(record: SupportConversationRecord) -> Self {
        let row = record.conversation;
        Self {
            conversation_id: row.id,
            user_id: row.user_id,
            team_id: None,
            user_display_name: record.user_display_name,
            user_primary_email: record.user_primary_email,
            user_profile_image_url: record.user_profile_image_url,
            preview: preview(&row),
            last_activity_at: time(row.last_message_at),
            created_at: time(row.created_at),
            updated_at: time(row.updated_at),
            last_message_at: time(row.last_message_at),
            last_inbound_at: row.last_inbound_at.map(time),
            last_outbound_at: row.last_outbound_at.map(time),
            closed_at: row.closed_at.map(time),
            record_metadata: None,
            metadata: SupportMetadata {
                assigned_to_user_id: row.assigned_to_user_id,
                assigned_to_display_name: row.assigned_to_display_name,
                tags: row.tags,
                first_response_due_at: None,
                first_response_at: row.first_response_at.map(time),
                next_response_due_at: None,
                last_customer_reply_at: row.last_inbound_at.map(time),
                last_agent_reply_at: row.last_outbound_at.map(time),
            },
            subject: row.topic,
            status: row.status,
            priority: row.priority,
            source: row.source,
            last_message_type: row.last_message_type,
        }
    }
}

/// What the latest message says; what it is, if it says nothing.
fn preview(row: &SupportConversationRow) -> Option<String> {
    let body = row.last_message_body.as_deref().map(str::trim);
    if let Some(body) = body.filter(|body| !body.is_empty()) {
        return Some(body.to_owned());
    }
    let phrase = match (row.last_message_type.as_str(), row.status.as_str()) {
        (message_type::INTERNAL_NOTE, _) => "Internal note",
        (message_type::STATUS_CHANGE, "closed") => "Conversation closed",
        (message_type::STATUS_CHANGE, "pending") => "Waiting for the customer",
        (message_type::STATUS_CHANGE, _) => "Conversation reopened",
        _ => return None,
    };
    Some(phrase.to_owned())
}

impl SupportMessage {
    fn of(record: SupportMessageRecord, conversation: &SupportConversationRow) -> Self {
        let message = record.message;
        Self {
            id: message.id,
            conversation_id: message.conversation_id,
            user_id: conversation.user_id,
            team_id: None,
            subject: conversation.topic.clone(),
            status: conversation.status.clone(),
            priority: conversation.priority.clone(),
            source: conversation.source.clone(),
            message_type: message.r#type,
            body: message.body,
            attachments: Vec::new(),
            metadata: message.metadata,
            created_at: time(message.created_at),
            sender: SupportSender {
                r#type: message.sender_type,
                id: message.sender_id,
                display_name: record.sender_display_name,
                primary_email: record.sender_primary_email,
            },
        }
    }
}

impl From<EntryPoint> for SupportEntryPoint {
    fn from(entry_point: EntryPoint) -> Self {
        Self {
            id: entry_point.id,
            channel_type: entry_point.channel_type,
            adapter_key: entry_point.adapter_key,
            external_channel_id: None,
            is_entry_point: entry_point.is_entry_point,
            metadata: None,
            created_at: time(entry_point.created_at),
            updated_at: time(entry_point.created_at),
        }
    }
}

impl SupportDetail {
    /// Shows a conversation with its messages.
    ///
    /// # Errors
    /// When the row is damaged.
    pub(super) fn of(
        record: SupportConversationRecord,
        messages: Vec<SupportMessageRecord>,
    ) -> Result<Self, LedgerError> {
        let row = &record.conversation;
        let messages = messages
            .into_iter()
            .map(|message| SupportMessage::of(message, row));
        let messages = messages.collect();
        let entry_points = row.entry_points()?.into_iter().map(Into::into).collect();
        Ok(Self {
            messages,
            entry_points,
            conversation: SupportSummary::of(record),
        })
    }
}
