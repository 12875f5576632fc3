//! Messages on their way to a Svix server, which sees to their delivery.

use muniment_domain::Millis;
use sqlx::PgConnection;

use super::queue::Message;
use muniment_event_store::LedgerError;

/// A message that is to be submitted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The message's id, under which Svix takes it once.
    pub message_id: String,
    /// Whose it is.
    pub project_id: String,
    /// What it tells of.
    pub event_type: String,
    /// The body.
    pub content: String,
    /// How often it was refused.
    pub failures: i32,
}

/// Keeps messages until Svix has them.
pub async fn keep(
    connection: &mut PgConnection,
    messages: &[Message],
    now: Millis,
) -> Result<(), LedgerError> {
    let column = |field: fn(&Message) -> &String| -> Vec<String> {
        messages
            .iter()
            .map(|message| field(message).clone())
            .collect()
    };
    let contents: Vec<String> = messages
        .iter()
        .map(|message| message.content.clone().unwrap_or_default())
        .collect();
    sqlx::query!(
        "INSERT INTO webhook_submissions (message_id, project_id, event_type, content, due_at)
         SELECT id, project_id, event_type, content, $5
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
             AS kept (id, project_id, event_type, content)
         ON CONFLICT DO NOTHING",
        &column(|message| &message.id),
        &column(|message| &message.project_id),
        &column(|message| &message.event_type),
        &contents,
        now.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The messages that are to be submitted now.
pub async fn due(
    connection: &mut PgConnection,
    now: Millis,
    limit: i64,
) -> Result<Vec<Submission>, LedgerError> {
    let due = sqlx::query_as!(
        Submission,
        "SELECT message_id, project_id, event_type, content, failures FROM webhook_submissions
         WHERE due_at <= $1 ORDER BY due_at, message_id LIMIT $2",
        now.0,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(due)
}

/// Svix has it, or will never take it.
pub async fn settle(connection: &mut PgConnection, message: &str) -> Result<(), LedgerError> {
    sqlx::query!(
        "DELETE FROM webhook_submissions WHERE message_id = $1",
        message
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Svix did not take it; it is tried again then.
pub async fn postpone(
    connection: &mut PgConnection,
    message: &str,
    due_at: Millis,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE webhook_submissions SET failures = failures + 1, due_at = $2 WHERE message_id = $1",
        message,
        due_at.0
    )
    .execute(connection)
    .await?;
    Ok(())
}
