//! The read model of conversations with the assistant: projector and queries.

pub(crate) mod rows;

use muniment_domain::ai_conversation::{AiConversationEvent, AiConversationStarted};
use muniment_domain::{AiConversationId, ProjectId, UserId};
use serde_json::json;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::read_models::registry::{ReadModels, RowsToLoad};
use muniment_event_store::LedgerError;

pub use rows::AiConversationRow;

/// A conversation in a list, without what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Its id.
    pub id: Uuid,
    /// Its title.
    pub title: String,
    /// When it changed last.
    pub updated_at: i64,
}

/// The user's conversations about a project, at most `limit`, those that changed last first.
pub async fn recent(
    pool: &PgPool,
    user: UserId,
    about: &ProjectId,
    limit: i64,
) -> Result<Vec<Heading>, LedgerError> {
    let rows = sqlx::query_as!(
        Heading,
        "SELECT id, title, updated_at FROM ai_conversations
         WHERE user_id = $1 AND project_id = $2 ORDER BY updated_at DESC, id DESC LIMIT $3",
        user.0,
        about.as_str(),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The conversation of that id, if it is the user's.
pub async fn by_id(
    pool: &PgPool,
    user: UserId,
    id: AiConversationId,
) -> Result<Option<AiConversationRow>, LedgerError> {
    let row = sqlx::query_as!(
        AiConversationRow,
        "SELECT * FROM ai_conversations WHERE id = $1 AND user_id = $2",
        id.0,
        user.0,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// All conversations of a user.
pub async fn of_user(
    executor: impl PgExecutor<'_>,
    user: UserId,
) -> Result<Vec<AiConversationId>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM ai_conversations WHERE user_id = $1 ORDER BY id",
        user.0
    )
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(AiConversationId).collect())
}

/// All conversations about a project, each with its owner.
pub async fn about_project(
    executor: impl PgExecutor<'_>,
    project: &ProjectId,
) -> Result<Vec<(AiConversationId, UserId)>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT id, user_id FROM ai_conversations WHERE project_id = $1 ORDER BY id",
        project.as_str()
    )
    .fetch_all(executor)
    .await?;
    let pairs = rows
        .into_iter()
        .map(|row| (AiConversationId(row.id), UserId(row.user_id)));
    Ok(pairs.collect())
}

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: Uuid, event: &AiConversationEvent) {
    match event {
        AiConversationEvent::AiConversationRenamed(_)
        | AiConversationEvent::AiMessagesReplaced(_) => {
            rows.ai_conversations.insert(id);
        }
        AiConversationEvent::AiConversationStarted(_)
        | AiConversationEvent::AiConversationDeleted {} => {}
    }
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: AiConversationEvent) {
    match event {
        AiConversationEvent::AiConversationStarted(started) => {
            models.ai_conversations.put(started_row(id, *started));
        }
        AiConversationEvent::AiConversationRenamed(renamed) => {
            if let Some(row) = models.ai_conversations.change(&id) {
                row.title = renamed.personal.or_erased().title;
                row.updated_at = renamed.at.0;
            }
        }
        AiConversationEvent::AiMessagesReplaced(replaced) => {
            if let Some(row) = models.ai_conversations.change(&id) {
                row.messages = json!(replaced.personal.or_erased().messages);
                row.updated_at = replaced.at.0;
            }
        }
        AiConversationEvent::AiConversationDeleted {} => models.ai_conversations.remove(id),
    }
}

fn started_row(id: Uuid, started: AiConversationStarted) -> AiConversationRow {
    let transcript = started.personal.or_erased();
    AiConversationRow {
        id,
        project_id: started.project_id.to_string(),
        user_id: started.user_id.0,
        title: transcript.title,
        messages: json!(transcript.messages),
        updated_at: started.at.0,
    }
}
