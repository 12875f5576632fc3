//! The read models of support conversations and their messages: projector and queries.

mod projector;
pub(crate) mod rows;

use muniment_domain::{ProjectId, SupportConversationId, UserId};
use sqlx::{FromRow, PgExecutor, PgPool, Postgres, QueryBuilder};

use crate::read_models::paging::substring_pattern;
use muniment_event_store::LedgerError;

pub(crate) use projector::{fold, require};
pub use rows::message_type;
pub use rows::{EntryPoint, SupportConversationRow, SupportMessageRow};

const SELECT_RECORD: &str = "SELECT c.*, u.display_name AS user_display_name,
        u.primary_email AS user_primary_email, u.profile_image_url AS user_profile_image_url
    FROM support_conversations c LEFT JOIN users u ON u.id = c.user_id ";

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
    executor: impl PgExecutor<'_>,
    customer: UserId,
) -> Result<Vec<SupportConversationId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM support_conversations WHERE user_id = $1 ORDER BY id",
        customer.0
    )
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(SupportConversationId).collect())
}
