//! How recordings are shown.

use muniment_projections::session_replays::listing::{Chunk, Replay};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

/// A recording.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionReplay {
    /// In how many chunks it arrived so far.
    chunk_count: i64,
    /// How many events are in them.
    event_count: i64,
    id: Uuid,
    /// Its last event, by the browser's clock, in milliseconds since the Unix epoch.
    last_event_at_millis: i64,
    project_user: RecordedUser,
    /// Its first event, by the browser's clock, in milliseconds since the Unix epoch.
    started_at_millis: i64,
}

/// Whose recording it is.
#[derive(Serialize, ToSchema)]
struct RecordedUser {
    #[schema(required)]
    display_name: Option<String>,
    id: Uuid,
    #[schema(required)]
    primary_email: Option<String>,
}

/// Some of the project's recordings.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionReplayPage {
    items: Vec<SessionReplay>,
    pagination: SessionReplayPagination,
}

/// Some of the chunks of a recording.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionReplayChunkPage {
    items: Vec<SessionReplayChunk>,
    pagination: SessionReplayPagination,
}

/// Where the next page begins.
#[derive(Serialize, ToSchema)]
struct SessionReplayPagination {
    /// The `cursor` of the next page. Null on the last.
    #[schema(required)]
    next_cursor: Option<Uuid>,
}

/// A chunk without its events.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionReplayChunk {
    id: Uuid,
    /// The id that the browser gave the upload.
    batch_id: String,
    /// The tab, by the browser's id of it.
    session_replay_segment_id: String,
    /// What the browser takes for a session. Only where chunks are listed without events.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    browser_session_id: Option<String>,
    event_count: i32,
    /// How large the chunk is as it is kept, in bytes.
    byte_length: i32,
    /// By the browser's clock, in milliseconds since the Unix epoch.
    first_event_at_millis: i64,
    /// By the browser's clock, in milliseconds since the Unix epoch.
    last_event_at_millis: i64,
    /// When the chunk arrived, in milliseconds since the Unix epoch.
    created_at_millis: i64,
}

/// Events of a recording.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayEvents {
    /// As the browser sent them.
    #[schema(value_type = Vec<Value>)]
    pub(super) events: Box<RawValue>,
}

/// The events of a chunk.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionReplayChunkEvents {
    pub(super) chunk_id: Uuid,
    /// As the browser sent them.
    #[schema(value_type = Vec<Value>)]
    pub(super) events: Box<RawValue>,
}

/// A recording with events.
#[derive(Serialize, ToSchema)]
pub(super) struct WholeSessionReplay {
    /// All chunks, in the order of their first events.
    pub(super) chunks: Vec<SessionReplayChunk>,
    /// The events of the chunks that were asked for.
    pub(super) chunk_events: Vec<SessionReplayChunkEvents>,
}

impl From<Replay> for SessionReplay {
    fn from(replay: Replay) -> Self {
        Self {
            chunk_count: replay.chunk_count,
            event_count: replay.event_count,
            id: replay.id,
            last_event_at_millis: replay.last_event_at,
            project_user: RecordedUser {
                display_name: replay.display_name,
                id: replay.user_id,
                primary_email: replay.primary_email,
            },
            started_at_millis: replay.started_at,
        }
    }
}

impl SessionReplayPage {
    pub(super) fn of(replays: Vec<Replay>, next_cursor: Option<Uuid>) -> Self {
        Self {
            items: replays.into_iter().map(SessionReplay::from).collect(),
            pagination: SessionReplayPagination { next_cursor },
        }
    }
}

impl SessionReplayChunkPage {
    pub(super) fn of(chunks: &[Chunk], next_cursor: Option<Uuid>) -> Self {
        Self {
            items: chunks.iter().map(SessionReplayChunk::in_listing).collect(),
            pagination: SessionReplayPagination { next_cursor },
        }
    }
}

impl SessionReplayChunk {
    pub(super) fn in_recording(chunk: &Chunk) -> Self {
        Self {
            id: chunk.id,
            batch_id: chunk.batch_id.clone(),
            session_replay_segment_id: chunk.segment_id.clone(),
            browser_session_id: None,
            event_count: chunk.event_count,
            byte_length: chunk.byte_length,
            first_event_at_millis: chunk.first_event_at,
            last_event_at_millis: chunk.last_event_at,
            created_at_millis: chunk.created_at,
        }
    }

    pub(super) fn in_listing(chunk: &Chunk) -> Self {
        Self {
            browser_session_id: Some(chunk.browser_session_id.clone()),
            ..Self::in_recording(chunk)
        }
    }
}
