//! The projector of support conversations.

use crate::read_models::registry::{ReadModels, RowsToLoad};
use crate::read_models::support_conversations::rows::{
    AGENT, CHAT, CHAT_ADAPTER, DASHBOARD_ADAPTER, EntryPoint, SupportConversationRow,
    SupportMessageRow, USER, message_type,
};
use muniment_domain::support_conversation::{
    MessageText, Source, Status, SupportConversationEvent, SupportConversationOpened,
    SupportDetailsChanged, SupportReplySent,
};
use muniment_domain::{Millis, Personal, UserId};
use muniment_event_store::LedgerError;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

impl ReadModels {
    /// Lets go of customers before their rows are deleted: conversations outlive them.
    pub(crate) async fn release_support_customers(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(), LedgerError> {
        let conversations = self.support_conversations.iter();
        let without_customer = conversations.filter(|row| row.user_id.is_none());
        let released: Vec<Uuid> = without_customer.map(|row| row.id).collect();
        if released.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE support_conversations SET user_id = NULL WHERE id = ANY($1)",
            &released
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: Uuid, event: &SupportConversationEvent) {
    match event {
        SupportConversationEvent::SupportCustomerForgotten {} => {
            rows.support_conversations.insert(id);
            rows.support_messages.insert(id);
        }
        SupportConversationEvent::SupportReplySent(_)
        | SupportConversationEvent::SupportNoteAdded(_)
        | SupportConversationEvent::SupportStatusChanged { .. }
        | SupportConversationEvent::SupportDetailsChanged(_)
        | SupportConversationEvent::SupportMessageReceived(_) => {
            rows.support_conversations.insert(id);
        }
        SupportConversationEvent::SupportConversationOpened(_) => {}
    }
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: SupportConversationEvent) {
    match event {
        SupportConversationEvent::SupportConversationOpened(opened) => {
            fold_opened(models, id, &opened);
        }
        SupportConversationEvent::SupportReplySent(sent) => fold_reply(models, id, &sent),
        SupportConversationEvent::SupportNoteAdded(added) => {
            let note = Message {
                kind: message_type::INTERNAL_NOTE,
                body: body(&added.personal),
                ..Message::of_agent(added.message_id, added.agent, added.at)
            };
            append(models, id, note);
        }
        SupportConversationEvent::SupportStatusChanged {
            status,
            agent,
            message_id,
            at,
        } => {
            let news = Message {
                kind: message_type::STATUS_CHANGE,
                metadata: Some(json!({"status": status})),
                ..Message::of_agent(message_id, agent, at)
            };
            if let Some(row) = append(models, id, news) {
                status.as_str().clone_into(&mut row.status);
                row.closed_at = (status == Status::Closed).then_some(at.0);
            }
        }
        SupportConversationEvent::SupportDetailsChanged(changed) => {
            if let Some(row) = models.support_conversations.change(&id) {
                fold_details(row, changed);
            }
        }
        SupportConversationEvent::SupportMessageReceived(received) => {
            let message = Message {
                sender_type: USER,
                body: body(&received.personal),
                ..Message::of_agent(received.message_id, received.subject, received.at)
            };
            if let Some(row) = append(models, id, message) {
                received.status.as_str().clone_into(&mut row.status);
                row.last_inbound_at = Some(received.at.0);
            }
        }
        SupportConversationEvent::SupportCustomerForgotten {} => fold_forgotten(models, id),
    }
}

fn fold_opened(models: &mut ReadModels, id: Uuid, opened: &SupportConversationOpened) {
    let text = opened.personal.known();
    let adapter_key = match opened.source {
        Source::Chat => CHAT_ADAPTER,
        Source::Manual | Source::Email | Source::Api => DASHBOARD_ADAPTER,
    };
    let entry_point = EntryPoint {
        id: opened.entry_point_id,
        channel_type: opened.source.as_str().to_owned(),
        adapter_key: adapter_key.to_owned(),
        is_entry_point: true,
        created_at: opened.at.0,
    };
    models.support_conversations.put(SupportConversationRow {
        id,
        project_id: opened.project_id.to_string(),
        user_id: Some(opened.user_id.0),
        topic: text.map(|text| text.topic.clone()).unwrap_or_default(),
        status: Status::Open.as_str().to_owned(),
        priority: opened.priority.as_str().to_owned(),
        source: opened.source.as_str().to_owned(),
        assigned_to_user_id: None,
        assigned_to_display_name: None,
        tags: Vec::new(),
        entry_points: json!([entry_point]),
        created_at: opened.at.0,
        updated_at: opened.at.0,
        closed_at: None,
        first_response_at: None,
        last_inbound_at: None,
        last_outbound_at: Some(opened.at.0),
        last_message_at: opened.at.0,
        last_message_type: message_type::MESSAGE.to_owned(),
        last_message_body: None,
    });
    let message = Message {
        body: text.map(|text| text.body.clone()),
        ..Message::of_agent(opened.message_id, opened.agent, opened.at)
    };
    append(models, id, message);
}

fn fold_reply(models: &mut ReadModels, id: Uuid, sent: &SupportReplySent) {
    let message = Message {
        body: body(&sent.personal),
        ..Message::of_agent(sent.message_id, sent.agent, sent.at)
    };
    let Some(row) = append(models, id, message) else {
        return;
    };
    sent.status.as_str().clone_into(&mut row.status);
    row.last_outbound_at = Some(sent.at.0);
    if sent.is_first_response {
        row.first_response_at = Some(sent.at.0);
    }
    if let Some(id) = sent.entry_point_id {
        let entry_point = EntryPoint {
            id,
            channel_type: CHAT.to_owned(),
            adapter_key: CHAT_ADAPTER.to_owned(),
            is_entry_point: false,
            created_at: sent.at.0,
        };
        let mut entry_points = row.entry_points().unwrap_or_default();
        entry_points.push(entry_point);
        row.entry_points = json!(entry_points);
    }
}

fn fold_details(row: &mut SupportConversationRow, changed: SupportDetailsChanged) {
    row.updated_at = changed.at.0;
    if let Some(priority) = changed.priority {
        priority.as_str().clone_into(&mut row.priority);
    }
    changed
        .assigned_to_user_id
        .apply_to(&mut row.assigned_to_user_id);
    let personal = changed.personal.or_erased();
    personal
        .assigned_to_display_name
        .apply_to(&mut row.assigned_to_display_name);
    if let Some(tags) = personal.tags {
        row.tags = tags;
    }
}

/// What was sealed under the customer's key cannot be read any more: the row says as much as the
/// log will be able to say.
fn fold_forgotten(models: &mut ReadModels, id: Uuid) {
    if let Some(row) = models.support_conversations.change(&id) {
        row.user_id = None;
        row.topic = String::new();
        row.assigned_to_display_name = None;
        row.tags = Vec::new();
        row.last_message_body = None;
    }
    let messages = &mut models.support_messages;
    for message in messages.keys_where(|message| message.conversation_id == id) {
        if let Some(row) = messages.change(&message) {
            row.body = None;
            if row.sender_type == USER {
                row.sender_id = None;
            }
        }
    }
}

/// A message on its way into the tables.
struct Message {
    id: Uuid,
    kind: &'static str,
    sender_type: &'static str,
    sender: UserId,
    body: Option<String>,
    metadata: Option<Value>,
    at: Millis,
}

impl Message {
    fn of_agent(id: Uuid, agent: UserId, at: Millis) -> Self {
        Self {
            id,
            kind: message_type::MESSAGE,
            sender_type: AGENT,
            sender: agent,
            body: None,
            metadata: None,
            at,
        }
    }
}

/// What a message says; nothing, once it was erased.
fn body(personal: &Personal<MessageText>) -> Option<String> {
    personal.known().map(|text| text.body.clone())
}

/// Adds a message, and notes it as the latest one of its conversation.
fn append(
    models: &mut ReadModels,
    conversation: Uuid,
    message: Message,
) -> Option<&mut SupportConversationRow> {
    let row = models.support_conversations.change(&conversation)?;
    row.updated_at = message.at.0;
    row.last_message_at = message.at.0;
    message.kind.clone_into(&mut row.last_message_type);
    row.last_message_body.clone_from(&message.body);
    models.support_messages.put(SupportMessageRow {
        id: message.id,
        conversation_id: conversation,
        project_id: row.project_id.clone(),
        r#type: message.kind.to_owned(),
        sender_type: message.sender_type.to_owned(),
        sender_id: Some(message.sender.0),
        body: message.body,
        metadata: message.metadata,
        created_at: message.at.0,
    });
    Some(row)
}
