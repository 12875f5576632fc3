//! The recordings, and chunks of them, that requests name.

use muniment_domain::ProjectId;
use muniment_projections::session_replays::listing::{self, Chunk, Filter, Replay};
use uuid::Uuid;

use crate::app::App;
use crate::error::codes::ItemNotFound;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::declare::request;
use crate::http::request::found::NamesThing;
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::text;

request! {
    /// A recording that is named.
    pub(super) struct NamedSessionReplay {
        path {
            /// The recording's id.
            session_replay_id: String = required(text());
        }
    }

    /// A recording whose chunks to list.
    pub(super) struct ListSessionReplayChunks {
        path {
            /// The recording's id.
            session_replay_id: String = required(text());
        }
        query {
            /// How many there should be at most: 100 if nothing is said, and never more than 500.
            limit: Option<String> = optional(text());
            /// Where the page begins: the `next_cursor` of the one before.
            cursor: Option<String> = optional(text());
        }
    }

    /// A recording whose events are wanted.
    pub(super) struct ListSessionReplayEvents {
        path {
            /// The recording's id.
            session_replay_id: String = required(text());
        }
        query {
            /// How many chunks to leave out before those whose events are shown. None if it is no number.
            offset: Option<String> = optional(text());
            /// Of how many chunks at most the events are shown. Of all if it is no number.
            limit: Option<String> = optional(text());
        }
    }

    /// A chunk that is named.
    pub(super) struct NamedChunk {
        path {
            /// The recording's id.
            session_replay_id: String = required(text());
            /// The chunk's id.
            chunk_id: String = required(text());
        }
    }
}

impl NamesThing for NamedSessionReplay {
    type Thing = Replay;
    type Missing = ItemNotFound;

    async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<Replay> {
        let id = &self.session_replay_id;
        let filter = Filter {
            ids: Some(Uuid::try_parse(id).into_iter().collect()),
            ..Filter::default()
        };
        let found = listing::replays(app.pool(), project, &filter, None, 1).await?;
        let replay = found.and_then(|slice| slice.items.into_iter().next());
        replay.ok_or_else(|| KnownError::recording_not_found(id).into())
    }
}

impl NamesThing for ListSessionReplayChunks {
    type Thing = Uuid;
    type Missing = ItemNotFound;

    async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<Uuid> {
        find(app, project, &self.session_replay_id).await
    }
}

impl NamesThing for ListSessionReplayEvents {
    type Thing = Uuid;
    type Missing = ItemNotFound;

    async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<Uuid> {
        find(app, project, &self.session_replay_id).await
    }
}

impl NamesThing for NamedChunk {
    type Thing = (Uuid, Chunk);
    type Missing = ItemNotFound;

    /// That the recording is missing is told as if the chunk were.
    async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<(Uuid, Chunk)> {
        let replay = find(app, project, &self.session_replay_id).await;
        let replay = replay.map_err(|error| match error {
            ApiError::Known(_) => KnownError::recording_not_found(&self.chunk_id).into(),
            error => error,
        })?;
        Ok((replay, find_chunk(app, replay, &self.chunk_id).await?))
    }
}

async fn find(app: &App, project: &ProjectId, id: &str) -> Result<Uuid, ApiError> {
    if let Ok(replay) = Uuid::try_parse(id)
        && listing::exists(app.pool(), project, replay).await?
    {
        return Ok(replay);
    }
    Err(KnownError::recording_not_found(id).into())
}

/// A chunk of a recording.
///
/// # Errors
/// `ITEM_NOT_FOUND`.
pub(super) async fn find_chunk(app: &App, replay: Uuid, id: &str) -> Result<Chunk, ApiError> {
    let found = match Uuid::try_parse(id) {
        Ok(id) => listing::chunk(app.pool(), replay, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| KnownError::recording_not_found(id).into())
}
