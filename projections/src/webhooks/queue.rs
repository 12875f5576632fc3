//! Messages, what is due to which endpoint, and how it went.

use muniment_domain::{Millis, ProjectId};
use sqlx::{FromRow, PgConnection, PgPool, QueryBuilder};

use super::endpoints::Endpoint;
use super::unique_violation;
use muniment_event_store::LedgerError;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// `msg_…`
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// What it tells of.
    pub event_type: String,
    /// What it is about.
    pub subject: String,
    /// The body; absent once its subject is erased.
    pub content: Option<String>,
    /// When what it tells of happened.
    pub created_at: i64,
    /// The name that whoever sent it gave it; absent if it tells of an event of the log.
    pub event_id: Option<String>,
    /// Its channels, likewise.
    pub channels: Option<Vec<String>>,
}

/// A message that is due to an endpoint.
#[derive(Clone, Debug)]
pub struct Due {
    /// Which message.
    pub message_id: String,
    /// Its body; absent if its subject was erased.
    pub content: Option<String>,
    /// Attempts that failed on schedule.
    pub failures: i32,
    /// Whether somebody asked for it.
    pub is_manual: bool,
}

/// An attempt at delivering a message.
#[derive(Clone, Debug, FromRow)]
pub struct Attempt {
    /// `atmpt_…`
    pub id: String,
    /// To which endpoint.
    pub endpoint_id: String,
    /// Of which message.
    pub message_id: String,
    /// Where the endpoint was.
    pub url: String,
    /// `success` or `fail`.
    pub status: String,
    /// 0 if there was no response.
    pub response_status_code: i32,
    /// The beginning of the response, or why there was none.
    pub response: String,
    /// How long it took.
    pub duration_millis: i64,
    /// Whether somebody asked for it.
    pub is_manual: bool,
    /// When it began.
    pub created_at: i64,
}

impl Attempt {
    /// Whether the endpoint took the message.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == "success"
    }
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// It arrived.
    Delivered,
    /// It is tried again then.
    Retried(Millis),
    /// It is given up.
    GivenUp,
}

impl DeliveryOutcome {
    fn status(self) -> &'static str {
        match self {
            Self::Delivered => "success",
            Self::Retried(_) => "pending",
            Self::GivenUp => "fail",
        }
    }

    fn due_at(self) -> Option<i64> {
        match self {
            Self::Retried(at) => Some(at.0),
            Self::Delivered | Self::GivenUp => None,
        }
    }
}

/// Keeps messages; those that are kept already stay as they are.
pub async fn keep(connection: &mut PgConnection, messages: &[Message]) -> Result<(), LedgerError> {
    let column = |field: fn(&Message) -> &String| -> Vec<String> {
        messages
            .iter()
            .map(|message| field(message).clone())
            .collect()
    };
    let contents: Vec<Option<String>> = messages.iter().map(|m| m.content.clone()).collect();
    let times: Vec<i64> = messages.iter().map(|message| message.created_at).collect();
    sqlx::query!(
        "INSERT INTO webhook_messages (id, project_id, event_type, subject, content, created_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
         ON CONFLICT DO NOTHING",
        &column(|message| &message.id),
        &column(|message| &message.project_id),
        &column(|message| &message.event_type),
        &column(|message| &message.subject),
        &contents as &[Option<String>],
        &times,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps a message of somebody's own making.
pub async fn add(connection: &mut PgConnection, message: &Message) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO webhook_messages
             (id, project_id, event_type, subject, content, created_at, event_id, channels)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        message.id,
        message.project_id,
        message.event_type,
        message.subject,
        message.content,
        message.created_at,
        message.event_id,
        message.channels.as_deref(),
    )
    .execute(connection)
    .await
    .map_err(unique_violation)?;
    Ok(())
}

/// Queues what somebody made in a stretch of time, and was never sent to the endpoint.
pub async fn enqueue_missing(
    pool: &PgPool,
    endpoint: &Endpoint,
    (since, until): (Millis, Millis),
    now: Millis,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO webhook_deliveries (endpoint_id, message_id, status, due_at, is_manual)
         SELECT $1, m.id, 'pending', $5, true FROM webhook_messages m
         WHERE m.project_id = $2 AND m.subject = $2 AND m.created_at >= $3 AND m.created_at < $4
           AND ($6::text[] IS NULL OR m.event_type = ANY($6))
         ON CONFLICT DO NOTHING",
        endpoint.id,
        endpoint.project_id,
        since.0,
        until.0,
        now.0,
        endpoint.filter_types.as_deref(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Queues messages for endpoints: (endpoint, message). What is queued already, or was sent, is left
/// alone. Without a time, somebody else sees to the first attempt.
pub async fn enqueue(
    connection: &mut PgConnection,
    pairs: &[(String, String)],
    due_at: Option<Millis>,
) -> Result<(), LedgerError> {
    let (endpoints, messages): (Vec<String>, Vec<String>) = pairs.iter().cloned().unzip();
    sqlx::query!(
        "INSERT INTO webhook_deliveries (endpoint_id, message_id, status, due_at)
         SELECT endpoint_id, message_id, 'pending', $3
         FROM unnest($1::text[], $2::text[]) AS queued (endpoint_id, message_id)
         ON CONFLICT DO NOTHING",
        &endpoints,
        &messages,
        due_at.map(|at| at.0),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What was told of users and teams that were erased is forgotten, as soon as it need not be sent
/// any more. That they were deleted may still be said: it tells no more than the log.
pub async fn forget_erased(connection: &mut PgConnection) -> Result<u64, LedgerError> {
    let done = sqlx::query!(
        "UPDATE webhook_messages m SET content = NULL
         WHERE content IS NOT NULL
           AND event_type IN ('user.created', 'user.updated', 'team.created', 'team.updated')
           AND NOT EXISTS (SELECT FROM subject_keys k
                           WHERE k.subject = m.subject AND k.wrapped_key IS NOT NULL)
           AND NOT EXISTS (SELECT FROM webhook_deliveries d
                           WHERE d.message_id = m.id AND d.due_at IS NOT NULL)"
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets messages that were made before, with their attempts.
pub async fn forget_old(connection: &mut PgConnection, before: Millis) -> Result<u64, LedgerError> {
    let done = sqlx::query!(
        "DELETE FROM webhook_messages m WHERE created_at < $1
           AND NOT EXISTS (SELECT FROM webhook_deliveries d
                           WHERE d.message_id = m.id AND d.due_at IS NOT NULL)",
        before.0
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// The endpoints to which something is due.
pub async fn endpoints_in_demand(
    connection: &mut PgConnection,
    now: Millis,
) -> Result<Vec<String>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM webhook_endpoints e
         WHERE NOT is_disabled AND EXISTS (
             SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND d.due_at <= $1)",
        now.0
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// What is due to an endpoint, the longest due first.
pub async fn due(
    pool: &PgPool,
    endpoint: &str,
    now: Millis,
    limit: i64,
) -> Result<Vec<Due>, LedgerError> {
    let due = sqlx::query_as!(
        Due,
        "SELECT d.message_id, m.content, d.failures, d.is_manual
         FROM webhook_deliveries d JOIN webhook_messages m ON m.id = d.message_id
         WHERE d.endpoint_id = $1 AND d.due_at <= $2
         ORDER BY d.due_at, d.message_id LIMIT $3",
        endpoint,
        now.0,
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(due)
}

/// Notes attempts and what becomes of their deliveries. One that somebody asked for does not count
/// against the schedule.
pub async fn note(
    connection: &mut PgConnection,
    attempts: &[(Attempt, DeliveryOutcome)],
) -> Result<(), LedgerError> {
    let column = |field: fn(&Attempt) -> &String| -> Vec<String> {
        attempts
            .iter()
            .map(|(attempt, _)| field(attempt).clone())
            .collect()
    };
    let number = |field: fn(&Attempt) -> i64| -> Vec<i64> {
        attempts.iter().map(|(attempt, _)| field(attempt)).collect()
    };
    let codes: Vec<i32> = attempts
        .iter()
        .map(|(a, _)| a.response_status_code)
        .collect();
    let manual: Vec<bool> = attempts.iter().map(|(a, _)| a.is_manual).collect();
    let fates: Vec<String> = attempts
        .iter()
        .map(|(_, fate)| fate.status().to_owned())
        .collect();
    let due: Vec<Option<i64>> = attempts.iter().map(|(_, fate)| fate.due_at()).collect();
    let (endpoints, messages) = (column(|a| &a.endpoint_id), column(|a| &a.message_id));
    // An endpoint that was deleted meanwhile has no attempts any more.
    sqlx::query!(
        "INSERT INTO webhook_attempts (id, endpoint_id, message_id, url, status,
             response_status_code, response, duration_millis, is_manual, created_at)
         SELECT a.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
             $6::integer[], $7::text[], $8::bigint[], $9::boolean[], $10::bigint[])
             AS a (id, endpoint_id, message_id, url, status, code, response, duration, manual, at)
         JOIN webhook_deliveries d USING (endpoint_id, message_id)",
        &column(|a| &a.id),
        &endpoints,
        &messages,
        &column(|a| &a.url),
        &column(|a| &a.status),
        &codes,
        &column(|a| &a.response),
        &number(|a| a.duration_millis),
        &manual,
        &number(|a| a.created_at),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE webhook_deliveries d
         SET status = f.status, due_at = f.due_at, is_manual = false,
             failures = d.failures + CASE WHEN f.status <> 'success' AND NOT f.manual THEN 1 ELSE 0 END
         FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::boolean[])
             AS f (endpoint_id, message_id, status, due_at, manual)
         WHERE d.endpoint_id = f.endpoint_id AND d.message_id = f.message_id",
        &endpoints,
        &messages,
        &fates,
        &due as &[Option<i64>],
        &manual,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A message of a project, by its id or event id.
pub async fn message(
    pool: &PgPool,
    project: &ProjectId,
    id: &str,
) -> Result<Option<Message>, LedgerError> {
    let message = sqlx::query_as!(
        Message,
        "SELECT * FROM webhook_messages WHERE project_id = $2 AND (id = $1 OR event_id = $1)
         ORDER BY id = $1 DESC LIMIT 1",
        id,
        project.as_str()
    )
    .fetch_optional(pool)
    .await?;
    Ok(message)
}

/// An attempt with what it was made with.
#[derive(Clone, Debug, FromRow)]
pub struct LoggedAttempt {
    /// The attempt.
    #[sqlx(flatten)]
    pub attempt: Attempt,
    /// The message's event type.
    pub event_type: String,
    /// The message's body, unless its subject was erased.
    pub content: Option<String>,
    /// The message's event id, if it has one.
    pub event_id: Option<String>,
    /// The message's channels, if it has any.
    pub channels: Option<Vec<String>>,
    /// When the message was made.
    pub message_created_at: i64,
}

/// Where a page of attempts begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// With the newest.
    #[default]
    Newest,
    /// With this one.
    From(String),
    /// With the next older than this one.
    After(String),
    /// So that it ends with the next newer than this one.
    Before(String),
}

/// Which attempts a listing shows.
#[derive(Clone, Debug, Default)]
pub struct AttemptListing {
    /// Only those at this endpoint.
    pub endpoint: Option<String>,
    /// Only those of this message.
    pub message: Option<String>,
    /// Only those that ended so: `success` or `fail`.
    pub status: Option<String>,
    /// Only those of messages of these types.
    pub event_types: Option<Vec<String>>,
    /// Only those that began after.
    pub after: Option<Millis>,
    /// Only those that began before.
    pub before: Option<Millis>,
    /// Where the page begins.
    pub place: Place,
    /// How many at most.
    pub limit: i64,
}

/// Attempts of a project, newest first; one more than the limit if there are more in the direction
/// of the page.
pub async fn attempts(
    pool: &PgPool,
    project: &ProjectId,
    listing: &AttemptListing,
) -> Result<Vec<LoggedAttempt>, LedgerError> {
    let mut sql = QueryBuilder::new(
        "SELECT a.*, m.event_type, m.content, m.event_id, m.channels,
                m.created_at AS message_created_at
         FROM webhook_attempts a JOIN webhook_messages m ON m.id = a.message_id
         WHERE m.project_id = ",
    );
    sql.push_bind(project.as_str());
    for (condition, value) in [
        (" AND a.endpoint_id = ", &listing.endpoint),
        (" AND a.message_id = ", &listing.message),
        (" AND a.status = ", &listing.status),
    ] {
        if let Some(value) = value {
            sql.push(condition).push_bind(value);
        }
    }
    if let Some(types) = &listing.event_types {
        sql.push(" AND m.event_type = ANY(")
            .push_bind(types)
            .push(")");
    }
    if let Some(after) = listing.after {
        sql.push(" AND a.created_at > ").push_bind(after.0);
    }
    if let Some(before) = listing.before {
        sql.push(" AND a.created_at < ").push_bind(before.0);
    }
    let comparison = match &listing.place {
        Place::Newest => None,
        Place::From(id) => Some((" <= ", id)),
        Place::After(id) => Some((" < ", id)),
        Place::Before(id) => Some((" > ", id)),
    };
    if let Some((comparison, id)) = comparison {
        sql.push(" AND (a.created_at, a.id)").push(comparison);
        sql.push("(SELECT c.created_at, c.id FROM webhook_attempts c WHERE c.id = ");
        sql.push_bind(id).push(")");
    }
    let is_backward = matches!(listing.place, Place::Before(_));
    sql.push(if is_backward {
        " ORDER BY a.created_at, a.id LIMIT "
    } else {
        " ORDER BY a.created_at DESC, a.id DESC LIMIT "
    });
    sql.push_bind(listing.limit.saturating_add(1));
    let mut found: Vec<LoggedAttempt> = sql.build_query_as().fetch_all(pool).await?;
    if is_backward {
        found.reverse();
    }
    Ok(found)
}

/// Deliveries by how they stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Arrived.
    pub success: i64,
    /// Not tried yet, or to be tried again.
    pub pending: i64,
    /// Given up.
    pub fail: i64,
}

/// How the deliveries to an endpoint stand whose messages were made from `since` until before
/// `until`.
pub async fn stats(
    pool: &PgPool,
    endpoint: &str,
    (since, until): (Millis, Millis),
) -> Result<Stats, LedgerError> {
    let stats = sqlx::query_as!(
        Stats,
        r#"SELECT count(*) FILTER (WHERE status = 'success') AS "success!",
                  count(*) FILTER (WHERE status = 'pending') AS "pending!",
                  count(*) FILTER (WHERE status = 'fail') AS "fail!"
           FROM webhook_deliveries d JOIN webhook_messages m ON m.id = d.message_id
           WHERE d.endpoint_id = $1 AND m.created_at >= $2 AND m.created_at < $3"#,
        endpoint,
        since.0,
        until.0
    )
    .fetch_one(pool)
    .await?;
    Ok(stats)
}

/// Sends a message to an endpoint once more, or for the first time, because somebody asked.
pub async fn resend(
    pool: &PgPool,
    endpoint: &str,
    message: &str,
    now: Millis,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO webhook_deliveries (endpoint_id, message_id, status, due_at, is_manual)
         VALUES ($1, $2, 'pending', $3, true)
         ON CONFLICT (endpoint_id, message_id)
         DO UPDATE SET status = 'pending', due_at = $3, is_manual = true",
        endpoint,
        message,
        now.0
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Sends again what was given up or waits for a retry, of the messages of a stretch of time.
/// Returns how much that is.
pub async fn recover(
    pool: &PgPool,
    endpoint: &str,
    (since, until): (Millis, Millis),
    now: Millis,
) -> Result<u64, LedgerError> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries d SET status = 'pending', due_at = $4, is_manual = true
         FROM webhook_messages m
         WHERE d.endpoint_id = $1 AND m.id = d.message_id AND d.status <> 'success'
           AND (d.failures > 0 OR d.status = 'fail')
           AND m.created_at >= $2 AND m.created_at < $3",
        endpoint,
        since.0,
        until.0,
        now.0
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// A stretch of the past that somebody wants sent to an endpoint.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Which.
    pub id: i64,
    /// The endpoint.
    pub endpoint_id: String,
    /// From when.
    pub since: i64,
    /// Until before when.
    pub until: i64,
    /// The position up to which it is queued.
    pub position: i64,
}

/// Wants a stretch of the past sent to an endpoint.
pub async fn request_replay(
    pool: &PgPool,
    endpoint: &str,
    (since, until): (Millis, Millis),
) -> Result<(), LedgerError> {
    sqlx::query!(
        "INSERT INTO webhook_replays (endpoint_id, since, until) VALUES ($1, $2, $3)",
        endpoint,
        since.0,
        until.0
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The oldest replay that is not done.
pub async fn next_replay(connection: &mut PgConnection) -> Result<Option<Replay>, LedgerError> {
    let replay = sqlx::query_as!(Replay, "SELECT * FROM webhook_replays ORDER BY id LIMIT 1")
        .fetch_optional(connection)
        .await?;
    Ok(replay)
}

/// Notes that a replay is queued up to a position, or done.
pub async fn advance_replay(
    connection: &mut PgConnection,
    id: i64,
    position: Option<i64>,
) -> Result<(), LedgerError> {
    match position {
        Some(position) => {
            sqlx::query!(
                "UPDATE webhook_replays SET position = $2 WHERE id = $1",
                id,
                position
            )
            .execute(connection)
            .await?
        }
        None => {
            sqlx::query!("DELETE FROM webhook_replays WHERE id = $1", id)
                .execute(connection)
                .await?
        }
    };
    Ok(())
}

/// How much is to be sent now, and since when the oldest of it waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backlog {
    /// Deliveries and submissions that are due; counted up to 10,000 each.
    pub due: i64,
    /// When the oldest became due.
    pub oldest: Option<i64>,
}

/// What is to be sent now.
pub async fn backlog(pool: &PgPool, now: Millis) -> Result<Backlog, LedgerError> {
    let backlog = sqlx::query_as!(
        Backlog,
        r#"SELECT count(*) AS "due!", min(due_at) AS oldest FROM (
               (SELECT due_at FROM webhook_deliveries WHERE due_at <= $1 LIMIT 10000)
               UNION ALL (SELECT due_at FROM webhook_submissions WHERE due_at <= $1 LIMIT 10000)
           ) AS waiting"#,
        now.0
    )
    .fetch_one(pool)
    .await?;
    Ok(backlog)
}
