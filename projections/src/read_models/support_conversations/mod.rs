//! The read models of support conversations and their messages: projector and queries.

use muniment_domain::support_conversation::{
    MessageText, Source, Status, SupportConversationEvent, SupportConversationOpened,
    SupportDetailsChanged, SupportReplySent,
};
use muniment_domain::{Millis, Personal, ProjectId, SupportConversationId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{FromRow, PgConnection, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::read_models::registry::{ReadModels, RowsToLoad};
use crate::read_models::table::read_table;
use crate::read_models::users::substring_pattern;
use muniment_event_store::LedgerError;

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

/// The channel that replies go by.
const CHAT: &str = "chat";
/// What serves it.
const CHAT_ADAPTER: &str = "support-chat";
/// What serves all other sources.
const DASHBOARD_ADAPTER: &str = "support-dashboard";

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

/// The types of messages.
pub mod message_type {
    /// Something said.
    pub const MESSAGE: &str = "message";
    /// A note among agents.
    pub const INTERNAL_NOTE: &str = "internal-note";
    /// The news of another status.
    pub const STATUS_CHANGE: &str = "status-change";
}

/// Who sends messages.
const AGENT: &str = "agent";
const USER: &str = "user";

/// A conversation, and its customer as they are now.
#[derive(Clone, Debug, FromRow)]
pub struct SupportConversationRecord {
    /// The conversation.
    #[sqlx(flatten)]
    pub conversation: SupportConversationRow,
    /// The customer's name.
    pub user_display_name: Option<String>,
    /// The customer's primary address.
    pub user_primary_email: Option<String>,
    /// The customer's picture.
    pub user_profile_image_url: Option<String>,
}

/// A message, and its sender as they are now.
#[derive(Clone, Debug, FromRow)]
pub struct SupportMessageRecord {
    /// The message.
    #[sqlx(flatten)]
    pub message: SupportMessageRow,
    /// The sender's name.
    pub sender_display_name: Option<String>,
    /// The sender's primary address.
    pub sender_primary_email: Option<String>,
}

const SELECT_RECORD: &str = "SELECT c.*, u.display_name AS user_display_name,
        u.primary_email AS user_primary_email, u.profile_image_url AS user_profile_image_url
    FROM support_conversations c LEFT JOIN users u ON u.id = c.user_id ";

/// A listing of conversations.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Only those with this in their topic, latest message, or their customer's name or address.
    pub query: Option<String>,
    /// Only those of this status.
    pub status: Option<&'static str>,
    /// Only those with this customer.
    pub customer: Option<UserId>,
    /// How many at most.
    pub limit: i64,
    /// How many are left out before.
    pub offset: i64,
}

/// Conversations of a project, those with the latest messages first.
pub async fn list(
    pool: &PgPool,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Vec<SupportConversationRecord>, LedgerError> {
    let mut sql = listing_query("", project, listing);
    Ok(sql.build_query_as().fetch_all(pool).await?)
}

/// How Postgres goes about a listing, in text.
pub async fn explain(
    pool: &PgPool,
    project: &ProjectId,
    listing: &Listing,
) -> Result<String, LedgerError> {
    let mut sql = listing_query("EXPLAIN ", project, listing);
    let lines: Vec<String> = sql.build_query_scalar().fetch_all(pool).await?;
    Ok(lines.join("\n"))
}

fn listing_query<'q>(
    prefix: &str,
    project: &ProjectId,
    listing: &Listing,
) -> QueryBuilder<'q, Postgres> {
    let mut sql = QueryBuilder::new(prefix);
    sql.push(SELECT_RECORD)
        .push("WHERE c.project_id = ")
        .push_bind(project.to_string());
    if let Some(status) = listing.status {
        sql.push(" AND c.status = ").push_bind(status);
    }
    if let Some(customer) = listing.customer {
        sql.push(" AND c.user_id = ").push_bind(customer.0);
    }
    if let Some(query) = &listing.query {
        let pattern = substring_pattern(query);
        sql.push(" AND (c.topic ILIKE ").push_bind(pattern.clone());
        for column in ["c.last_message_body", "u.display_name", "u.primary_email"] {
            sql.push(" OR ")
                .push(column)
                .push(" ILIKE ")
                .push_bind(pattern.clone());
        }
        sql.push(")");
    }
    sql.push(" ORDER BY c.last_message_at DESC, c.id DESC LIMIT ")
        .push_bind(listing.limit);
    sql.push(" OFFSET ").push_bind(listing.offset);
    sql
}

/// The conversation of that id, if it is the project's.
pub async fn by_id(
    pool: &PgPool,
    project: &ProjectId,
    id: SupportConversationId,
) -> Result<Option<SupportConversationRecord>, LedgerError> {
    let mut sql = QueryBuilder::new(SELECT_RECORD);
    sql.push("WHERE c.id = ").push_bind(id.0);
    sql.push(" AND c.project_id = ").push_bind(project.as_str());
    Ok(sql.build_query_as().fetch_optional(pool).await?)
}

/// The messages of a conversation, oldest first.
pub async fn messages(
    pool: &PgPool,
    id: SupportConversationId,
) -> Result<Vec<SupportMessageRecord>, LedgerError> {
    let mut sql = QueryBuilder::new(
        "SELECT m.*, s.display_name AS sender_display_name, s.primary_email AS sender_primary_email
         FROM support_messages m LEFT JOIN users s ON s.id = m.sender_id WHERE m.conversation_id = ",
    );
    sql.push_bind(id.0).push(" ORDER BY m.created_at, m.id");
    Ok(sql.build_query_as().fetch_all(pool).await?)
}

/// The conversations with a customer.
pub async fn of_customer(
    pool: &PgPool,
    customer: UserId,
) -> Result<Vec<SupportConversationId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM support_conversations WHERE user_id = $1",
        customer.0
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(SupportConversationId).collect())
}

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
