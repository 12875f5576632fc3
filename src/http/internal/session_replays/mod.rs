//! `/internal/session-replays`: recordings of what users saw, for administrators.

mod named;
mod parameters;
mod views;

use axum::Json;
use futures_util::{StreamExt, TryStreamExt, stream};
use muniment_domain::ProjectId;
use muniment_projections::metrics::traffic::replays_with_clicks;
use muniment_projections::session_replays::listing::{self, Chunk};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use self::named::{
    ListSessionReplayChunks, ListSessionReplayEvents, NamedChunk, NamedSessionReplay, find_chunk,
};
use self::parameters::{ListSessionReplays, given, leading_integer, lenient_limit};
use self::views::{
    ReplayEvents, SessionReplay, SessionReplayChunk, SessionReplayChunkEvents,
    SessionReplayChunkPage, SessionReplayPage, WholeSessionReplay,
};
use crate::app::App;
use crate::app::session_replays::events;
use crate::error::codes::{Errors, ItemNotFound, Text};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::found::Found;

/// How many objects are fetched at once.
const FETCHES: usize = 10;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_session_replays))
        .routes(operations!(get_session_replay))
        .routes(operations!(list_session_replay_chunks))
        .routes(operations!(get_session_replay_chunk_events))
        .routes(operations!(get_session_replay_events))
}

/// Lists recordings, those with the latest event first.
#[utoipa::path(get, path = "/internal/session-replays", tag = "internal",
    responses(Errors<(ItemNotFound, Text<400>)>))]
async fn list_session_replays(
    access: AdminAccess,
    wanted: ListSessionReplays,
) -> ApiResult<Json<SessionReplayPage>> {
    let mut filter = wanted.filter()?;
    if let Some(clicks) = wanted.clicks()? {
        filter.ids = Some(with_clicks(&access.app, access.project_id(), clicks).await?);
    }
    if filter.ids.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Json(SessionReplayPage::of(Vec::new(), None)));
    }
    let limit = lenient_limit(given(&wanted.limit), 50, 200);
    let cursor = given(&wanted.cursor);
    let unknown = || KnownError::recording_not_found(cursor.unwrap_or_default());
    let after = cursor.map(|id| Uuid::try_parse(id).map_err(|_| unknown()));
    let (pool, project) = (access.app.pool(), access.project_id());
    let found = listing::replays(pool, project, &filter, after.transpose()?, limit).await?;
    let slice = found.ok_or_else(unknown)?;
    let next = slice.items.last().filter(|_| slice.more).map(|it| it.id);
    Ok(Json(SessionReplayPage::of(slice.items, next)))
}

/// Clicks are counted in the analytics store. Without one, nobody's were recorded.
async fn with_clicks(app: &App, project: &ProjectId, least: u64) -> Result<Vec<Uuid>, ApiError> {
    let Some(store) = &app.analytics else {
        return Ok(Vec::new());
    };
    let ids = replays_with_clicks(&store.owner(), project, least).await;
    ids.map_err(ApiError::internal)
}

/// Shows a recording.
#[utoipa::path(
    get,
    path = "/internal/session-replays/{session_replay_id}",
    tag = "internal"
)]
async fn get_session_replay(
    _: AdminAccess,
    Found(replay, _): Found<NamedSessionReplay>,
) -> Json<SessionReplay> {
    Json(replay.into())
}

/// Lists the chunks of a recording, in the order of their first events.
#[utoipa::path(
    get,
    path = "/internal/session-replays/{session_replay_id}/chunks",
    tag = "internal"
)]
async fn list_session_replay_chunks(
    access: AdminAccess,
    Found(replay, wanted): Found<ListSessionReplayChunks>,
) -> ApiResult<Json<SessionReplayChunkPage>> {
    let cursor = match given(&wanted.cursor) {
        None => None,
        Some(cursor) => Some(find_chunk(&access.app, replay, cursor).await?),
    };
    let limit = lenient_limit(wanted.limit.as_deref(), 100, 500);
    let slice = listing::chunks(access.app.pool(), replay, cursor.as_ref(), limit).await?;
    let next = slice.items.last().filter(|_| slice.more).map(|it| it.id);
    Ok(Json(SessionReplayChunkPage::of(&slice.items, next)))
}

/// Shows the events of one chunk of a recording.
#[utoipa::path(get, path = "/internal/session-replays/{session_replay_id}/chunks/{chunk_id}/events", tag = "internal",
    responses(Errors<ItemNotFound>))]
async fn get_session_replay_chunk_events(
    access: AdminAccess,
    Found((replay, chunk), _): Found<NamedChunk>,
) -> ApiResult<Json<ReplayEvents>> {
    let events = events(&access.app, replay, &chunk).await?;
    Ok(Json(ReplayEvents { events }))
}

/// Shows all chunks of a recording, and the events of some of them.
#[utoipa::path(get, path = "/internal/session-replays/{session_replay_id}/events", tag = "internal",
    responses(Errors<ItemNotFound>))]
async fn get_session_replay_events(
    access: AdminAccess,
    Found(replay, wanted): Found<ListSessionReplayEvents>,
) -> ApiResult<Json<WholeSessionReplay>> {
    let chunks = listing::chunks(access.app.pool(), replay, None, i64::MAX).await?;
    let chunks = chunks.items;
    let at_least = |parameter: Option<String>, least: i64| {
        let number = leading_integer(&parameter.unwrap_or_default());
        number.filter(|number| *number >= least)
    };
    let offset = at_least(wanted.offset, 0).map_or(0, whole_size);
    let limit = at_least(wanted.limit, 1).map_or(usize::MAX, whole_size);
    let wanted = chunks.iter().skip(offset).take(limit).cloned();
    let fetches: Vec<_> = wanted
        .map(|chunk| chunk_events(&access.app, replay, chunk))
        .collect();
    let chunk_events = stream::iter(fetches).buffered(FETCHES).try_collect();
    Ok(Json(WholeSessionReplay {
        chunks: chunks
            .iter()
            .map(SessionReplayChunk::in_recording)
            .collect(),
        chunk_events: chunk_events.await?,
    }))
}

async fn chunk_events(
    app: &App,
    replay: Uuid,
    chunk: Chunk,
) -> Result<SessionReplayChunkEvents, ApiError> {
    Ok(SessionReplayChunkEvents {
        chunk_id: chunk.id,
        events: events(app, replay, &chunk).await?,
    })
}

fn whole_size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
