//! Recordings of a project, and chunks of a recording, as administrators look at them.

use muniment_domain::ProjectId;
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use muniment_event_store::LedgerError;

/// A recording, and of whom it is.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct Replay {
    /// Its id.
    pub id: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// The user's name.
    pub display_name: Option<String>,
    /// The user's primary email.
    pub primary_email: Option<String>,
    /// The first event, by the browser's clock, in milliseconds since the Unix epoch.
    pub started_at: i64,
    /// The last one.
    pub last_event_at: i64,
    /// In how many chunks it arrived so far.
    pub chunk_count: i64,
    /// How many events are in them.
    pub event_count: i64,
}

/// Which recordings are wanted. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only of these users.
    pub users: Option<Vec<Uuid>>,
    /// Only of users who are members of one of these teams at present.
    pub teams: Option<Vec<Uuid>>,
    /// The shortest, in milliseconds.
    pub duration_min: Option<f64>,
    /// The longest, in milliseconds.
    pub duration_max: Option<f64>,
    /// Only those whose last event was then or later, in milliseconds since the Unix epoch.
    pub last_event_from: Option<f64>,
    /// Only those whose last event was then or earlier.
    pub last_event_to: Option<f64>,
    /// Only these.
    pub ids: Option<Vec<Uuid>>,
}

/// A page, and whether there is another.
#[derive(Clone, Debug)]
pub struct Slice<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

impl<T> Slice<T> {
    /// Of one more item than was wanted, if there are so many.
    fn of(mut items: Vec<T>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}

/// Recordings of a project, those with the latest event first, beginning after the one of id
/// `cursor`. Nothing if there is no recording of that id.
///
/// # Errors
/// When the database fails.
pub async fn replays(
    pool: &PgPool,
    project: &ProjectId,
    filter: &Filter,
    cursor: Option<Uuid>,
    limit: i64,
) -> Result<Option<Slice<Replay>>, LedgerError> {
    let after = match cursor {
        None => None,
        Some(id) => match last_event(pool, project, id).await? {
            None => return Ok(None),
            Some(at) => Some((at, id)),
        },
    };
    let mut sql = QueryBuilder::new(
        "SELECT r.id, r.user_id, u.display_name, u.primary_email, r.started_at, r.last_event_at,
                chunks.chunk_count, chunks.event_count
         FROM session_replays r
         JOIN users u ON u.id = r.user_id
         CROSS JOIN LATERAL (
             SELECT count(*) AS chunk_count, coalesce(sum(event_count), 0)::bigint AS event_count
             FROM session_replay_chunks WHERE replay_id = r.id) AS chunks
         WHERE r.project_id = ",
    );
    sql.push_bind(project.as_str());
    filter.push(&mut sql);
    if let Some((at, id)) = after {
        sql.push(" AND (r.last_event_at, r.id) < (").push_bind(at);
        sql.push(", ").push_bind(id).push(")");
    }
    sql.push(" ORDER BY r.last_event_at DESC, r.id DESC LIMIT ")
        .push_bind(limit + 1);
    let query = sql.build_query_as().persistent(false);
    Ok(Some(Slice::of(query.fetch_all(pool).await?, limit)))
}

impl Filter {
    fn push<'q>(&'q self, sql: &mut QueryBuilder<'q, Postgres>) {
        if let Some(users) = &self.users {
            sql.push(" AND r.user_id = ANY(").push_bind(users).push(")");
        }
        if let Some(teams) = &self.teams {
            sql.push(" AND EXISTS (SELECT FROM team_memberships m WHERE m.user_id = r.user_id AND m.team_id = ANY(");
            sql.push_bind(teams).push("))");
        }
        if let Some(ids) = &self.ids {
            sql.push(" AND r.id = ANY(").push_bind(ids).push(")");
        }
        for (comparison, bound) in [
            (" AND r.last_event_at - r.started_at >= ", self.duration_min),
            (" AND r.last_event_at - r.started_at <= ", self.duration_max),
            (" AND r.last_event_at >= ", self.last_event_from),
            (" AND r.last_event_at <= ", self.last_event_to),
        ] {
            if let Some(bound) = bound {
                sql.push(comparison).push_bind(bound);
            }
        }
    }
}

/// When the last event of a recording was, if there is that recording.
async fn last_event(
    pool: &PgPool,
    project: &ProjectId,
    id: Uuid,
) -> Result<Option<i64>, LedgerError> {
    let at = sqlx::query_scalar!(
        "SELECT last_event_at FROM session_replays r
         WHERE id = $1 AND project_id = $2 AND EXISTS (SELECT FROM users WHERE id = r.user_id)",
        id,
        project.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(at)
}

/// Whether a project has a recording of that id.
///
/// # Errors
/// When the database fails.
pub async fn exists(pool: &PgPool, project: &ProjectId, id: Uuid) -> Result<bool, LedgerError> {
    Ok(last_event(pool, project, id).await?.is_some())
}

/// A part of a recording, as it was uploaded.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct Chunk {
    /// Its id.
    pub id: Uuid,
    /// The browser's id of the upload.
    pub batch_id: String,
    /// The tab.
    pub segment_id: String,
    /// The browser's own idea of a session.
    pub browser_session_id: String,
    /// Where its events are kept.
    pub object_key: String,
    /// How many.
    pub event_count: i32,
    /// Their size as kept, in bytes.
    pub byte_length: i32,
    /// The first, by the browser's clock, in milliseconds since the Unix epoch.
    pub first_event_at: i64,
    /// The last.
    pub last_event_at: i64,
    /// When it arrived, by our clock.
    pub created_at: i64,
}

/// Chunks of a recording in the order of their first events, beginning after `cursor`.
///
/// # Errors
/// When the database fails.
pub async fn chunks(
    pool: &PgPool,
    replay: Uuid,
    cursor: Option<&Chunk>,
    limit: i64,
) -> Result<Slice<Chunk>, LedgerError> {
    let chunks = sqlx::query_as!(
        Chunk,
        "SELECT id, batch_id, segment_id, browser_session_id, object_key, event_count, byte_length,
                first_event_at, last_event_at, created_at
         FROM session_replay_chunks
         WHERE replay_id = $1
           AND ($2::bigint IS NULL OR (first_event_at, id) > ($2, $3::uuid))
         ORDER BY first_event_at, id LIMIT $4",
        replay,
        cursor.map(|chunk| chunk.first_event_at),
        cursor.map(|chunk| chunk.id),
        limit.saturating_add(1),
    )
    .fetch_all(pool)
    .await?;
    Ok(Slice::of(chunks, limit))
}

/// One chunk of a recording.
///
/// # Errors
/// When the database fails.
pub async fn chunk(pool: &PgPool, replay: Uuid, id: Uuid) -> Result<Option<Chunk>, LedgerError> {
    let chunk = sqlx::query_as!(
        Chunk,
        "SELECT id, batch_id, segment_id, browser_session_id, object_key, event_count, byte_length,
                first_event_at, last_event_at, created_at
         FROM session_replay_chunks WHERE replay_id = $1 AND id = $2",
        replay,
        id,
    )
    .fetch_optional(pool)
    .await?;
    Ok(chunk)
}
