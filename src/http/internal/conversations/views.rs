//! Support conversations as agents see them.

use muniment_domain::support_conversation::{Priority, Source, Status};
use muniment_domain::{Millis, SupportConversationId};
use muniment_event_store::LedgerError;
use muniment_projections::read_models::support_conversations::{
    EntryPoint, SupportConversationRecord, SupportConversationRow, SupportMessageRecord,
    message_type,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use uuid::Uuid;

use crate::http::internal::shapes::text_among;
use crate::timestamp;

/// A conversation in a list.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportSummary {
    conversation_id: Uuid,
    /// Null once the customer's account is gone.
    #[schema(required)]
    user_id: Option<Uuid>,
    /// Always null: customers are users.
    #[schema(required)]
    team_id: Option<Uuid>,
    #[schema(required)]
    user_display_name: Option<String>,
    #[schema(required)]
    user_primary_email: Option<String>,
    #[schema(required)]
    user_profile_image_url: Option<String>,
    subject: String,
    #[schema(schema_with = status)]
    status: String,
    #[schema(schema_with = priority)]
    priority: String,
    #[schema(schema_with = source)]
    source: String,
    #[schema(schema_with = message_kind)]
    last_message_type: String,
    /// What the latest message says, or is.
    #[schema(required)]
    preview: Option<String>,
    /// As `last_message_at`.
    #[schema(format = DateTime)]
    last_activity_at: String,
    metadata: SupportMetadata,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    updated_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    last_message_at: String,
    /// When the customer last wrote (RFC 3339).
    #[schema(required, format = DateTime)]
    last_inbound_at: Option<String>,
    /// When an agent last wrote to the customer (RFC 3339).
    #[schema(required, format = DateTime)]
    last_outbound_at: Option<String>,
    /// When it was closed (RFC 3339). Null if it is not.
    #[schema(required, format = DateTime)]
    closed_at: Option<String>,
    /// Always null: nothing is kept there.
    #[schema(required)]
    record_metadata: Option<Value>,
}

/// What is noted about a conversation.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportMetadata {
    #[schema(required)]
    assigned_to_user_id: Option<String>,
    #[schema(required)]
    assigned_to_display_name: Option<String>,
    tags: Vec<String>,
    /// Null: it is due when the customer writes, which no channel brings in yet.
    #[schema(required, format = DateTime)]
    first_response_due_at: Option<String>,
    /// When an agent first wrote to the customer (RFC 3339).
    #[schema(required, format = DateTime)]
    first_response_at: Option<String>,
    /// Always null: nothing is due yet.
    #[schema(required, format = DateTime)]
    next_response_due_at: Option<String>,
    /// When the customer last wrote (RFC 3339).
    #[schema(required, format = DateTime)]
    last_customer_reply_at: Option<String>,
    /// When an agent last wrote to the customer (RFC 3339).
    #[schema(required, format = DateTime)]
    last_agent_reply_at: Option<String>,
}

/// A message.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportMessage {
    id: Uuid,
    conversation_id: Uuid,
    #[schema(required)]
    user_id: Option<Uuid>,
    /// Always null: customers are users.
    #[schema(required)]
    team_id: Option<Uuid>,
    subject: String,
    #[schema(schema_with = status)]
    status: String,
    #[schema(schema_with = priority)]
    priority: String,
    #[schema(schema_with = source)]
    source: String,
    #[schema(schema_with = message_kind)]
    message_type: String,
    /// What was said. Null where nothing was, as in a change of status.
    #[schema(required)]
    body: Option<String>,
    /// Always empty: no channel brings any in.
    attachments: Vec<Value>,
    /// Of a change of status: `{"status": …}`.
    #[schema(required)]
    metadata: Option<Value>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    sender: SupportSender,
}

/// Who sent a message.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportSender {
    #[schema(schema_with = sender_kind)]
    r#type: String,
    #[schema(required)]
    id: Option<Uuid>,
    #[schema(required)]
    display_name: Option<String>,
    #[schema(required)]
    primary_email: Option<String>,
}

/// A way by which messages get into a conversation.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportEntryPoint {
    id: Uuid,
    channel_type: String,
    adapter_key: String,
    #[schema(required)]
    external_channel_id: Option<String>,
    is_entry_point: bool,
    #[schema(required)]
    metadata: Option<Value>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
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

/// A page of conversations.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub(super) struct SupportConversationList {
    /// Those with the latest messages come first.
    conversations: Vec<SupportSummary>,
}

/// The conversation that was opened.
#[derive(Serialize, ToSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportOpened {
    #[schema(value_type = Uuid)]
    pub(super) conversation_id: SupportConversationId,
}

fn status() -> Object {
    text_among("Who is expected to answer next.", &Status::NAMES)
}

fn priority() -> Object {
    text_among("How urgent the conversation is.", &Priority::NAMES)
}

fn source() -> Object {
    text_among(
        "The channel that the conversation comes from.",
        &Source::NAMES,
    )
}

fn message_kind() -> Object {
    const KINDS: [&str; 3] = [
        message_type::MESSAGE,
        message_type::INTERNAL_NOTE,
        message_type::STATUS_CHANGE,
    ];
    text_among("What sort of message it is.", &KINDS)
}

fn sender_kind() -> Object {
    text_among(
        "Who sent it: the customer, or an agent.",
        &["user", "agent"],
    )
}

fn time(millis: i64) -> String {
    timestamp::format_with_millis(Millis(millis))
}

impl SupportSummary {
    /// Shows a conversation.
    #[must_use]
    fn of(record: SupportConversationRecord) -> Self {
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

impl SupportConversationList {
    /// Shows conversations.
    #[must_use]
    pub(super) fn of(records: Vec<SupportConversationRecord>) -> Self {
        let shown = records.into_iter().map(SupportSummary::of);
        Self {
            conversations: shown.collect(),
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
