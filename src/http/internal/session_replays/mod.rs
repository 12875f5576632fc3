//! `/internal/session-replays`: recordings of what users saw, for administrators.

mod parameters;

use axum::Json;
use axum::response::IntoResponse;
use futures_util::{StreamExt, TryStreamExt, stream};
use muniment_domain::ProjectId;
use muniment_projections::metrics::traffic::replays_with_clicks;
use muniment_projections::session_replays::listing::{self, Chunk, Filter, Replay};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::parameters::{Parameters, leading_integer, lenient_limit, non_empty};
use crate::app::App;
use crate::app::session_replays::events;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::AdminAccess;
use crate::http::request::input::Input;
use crate::http::request::values::text;

/// How many objects are fetched at once.
const FETCHES: usize = 10;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(list_chunks))
        .routes(routes!(read_chunk))
        .routes(routes!(read_all))
}

/// Lists recordings, those with the latest event first.
#[utoipa::path(get, path = "/internal/session-replays", tag = "internal",
    params(("limit" = Option<String>, Query), ("cursor" = Option<String>, Query, description = "The last session replay of the page before"),
        ("user_ids" = Option<String>, Query), ("team_ids" = Option<String>, Query),
        ("duration_ms_min" = Option<String>, Query), ("duration_ms_max" = Option<String>, Query),
        ("last_event_at_from_millis" = Option<String>, Query), ("last_event_at_to_millis" = Option<String>, Query),
        ("click_count_min" = Option<String>, Query)),
    responses((status = 200, description = "`{items, pagination}`"), (status = 400, description = "A filter that cannot be read"),
        (status = 404, description = "ITEM_NOT_FOUND: the cursor")))]
async fn list(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let parameters = Parameters::read(&mut form.query());
    let parameters = form.finish(Some(parameters))?;
    let mut filter = parameters.filter()?;
    if let Some(clicks) = parameters.clicks()? {
        filter.ids = Some(with_clicks(&access.app, access.project_id(), clicks).await?);
    }
    if filter.ids.as_ref().is_some_and(Vec::is_empty) {
        return Ok(page(&[] as &[Value], None));
    }
    let limit = lenient_limit(parameters.limit.as_deref(), 50, 200);
    let cursor = parameters.cursor.as_deref();
    let unknown = || KnownError::recording_not_found(cursor.unwrap_or_default());
    let after = match cursor.map(Uuid::try_parse) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err(unknown().into()),
    };
    let found = listing::replays(
        access.app.pool(),
        access.project_id(),
        &filter,
        after,
        limit,
    )
    .await?;
    let slice = found.ok_or_else(unknown)?;
    let next = slice.items.last().filter(|_| slice.more).map(|it| it.id);
    let items: Vec<Value> = slice.items.iter().map(shown).collect();
    Ok(page(&items, next))
}

/// Clicks are counted in the analytics store. Without one, nobody's were recorded.
async fn with_clicks(app: &App, project: &ProjectId, least: u64) -> Result<Vec<Uuid>, ApiError> {
    let Some(store) = &app.analytics else {
        return Ok(Vec::new());
    };
    let ids = replays_with_clicks(&store.owner(), project, least).await;
    ids.map_err(ApiError::internal)
}

fn page<T: Serialize>(items: &[T], next: Option<Uuid>) -> axum::response::Response {
    Json(json!({"items": items, "pagination": {"next_cursor": next}})).into_response()
}

fn shown(replay: &Replay) -> Value {
    json!({
        "id": replay.id,
        "project_user": {
            "id": replay.user_id,
            "display_name": replay.display_name,
            "primary_email": replay.primary_email,
        },
        "started_at_millis": replay.started_at,
        "last_event_at_millis": replay.last_event_at,
        "chunk_count": replay.chunk_count,
        "event_count": replay.event_count,
    })
}

/// One recording.
#[utoipa::path(get, path = "/internal/session-replays/{session_replay_id}", tag = "internal",
    params(("session_replay_id" = String, Path)),
    responses((status = 200, description = "As in the listing"), (status = 404, description = "ITEM_NOT_FOUND")))]
async fn read(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = form.params().required("session_replay_id", text);
    let id = form.finish(id)?;
    let filter = Filter {
        ids: Some(Uuid::try_parse(&id).into_iter().collect()),
        ..Filter::default()
    };
    let found = listing::replays(access.app.pool(), access.project_id(), &filter, None, 1).await?;
    let replay = found.and_then(|slice| slice.items.into_iter().next());
    let replay = replay.ok_or_else(|| KnownError::recording_not_found(&id))?;
    Ok(Json(shown(&replay)).into_response())
}

/// Lists the chunks of a recording, in the order of their first events.
#[utoipa::path(get, path = "/internal/session-replays/{session_replay_id}/chunks", tag = "internal",
    params(("session_replay_id" = String, Path), ("limit" = Option<String>, Query), ("cursor" = Option<String>, Query, description = "The last chunk of the page before")),
    responses((status = 200, description = "`{items, pagination}`"), (status = 404, description = "ITEM_NOT_FOUND: the recording, or the cursor")))]
async fn list_chunks(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let id = form.params().required("session_replay_id", text);
    let mut query = form.query();
    let limit = query.optional("limit", text);
    let cursor = query.optional("cursor", text);
    query.close();
    let (id, limit, cursor) = form.finish((|| Some((id?, limit?, cursor?)))())?;
    let replay = find(&access.app, access.project_id(), &id).await?;
    let cursor = match non_empty(cursor) {
        None => None,
        Some(cursor) => Some(find_chunk(&access.app, replay, &cursor).await?),
    };
    let limit = lenient_limit(limit.as_deref(), 100, 500);
    let slice = listing::chunks(access.app.pool(), replay, cursor.as_ref(), limit).await?;
    let next = slice.items.last().filter(|_| slice.more).map(|it| it.id);
    let items: Vec<ChunkView> = slice.items.iter().map(ChunkView::in_listing).collect();
    Ok(page(&items, next))
}

/// The events of one chunk.
#[utoipa::path(get, path = "/internal/session-replays/{session_replay_id}/chunks/{chunk_id}/events", tag = "internal",
    params(("session_replay_id" = String, Path), ("chunk_id" = String, Path)),
    responses((status = 200, description = "`{events}`"), (status = 404, description = "ITEM_NOT_FOUND")))]
async fn read_chunk(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut params = form.params();
    let replay = params.required("session_replay_id", text);
    let chunk = params.required("chunk_id", text);
    params.close();
    let (replay, chunk_id) = form.finish((|| Some((replay?, chunk?)))())?;
    let missing = || KnownError::recording_not_found(&chunk_id);
    let replay = find(&access.app, access.project_id(), &replay)
        .await
        .map_err(|error| match error {
            ApiError::Known(_) => missing().into(),
            error => error,
        })?;
    let chunk = find_chunk(&access.app, replay, &chunk_id).await?;
    let events = events(&access.app, replay, &chunk).await?;
    Ok(Json(EventsView { events }).into_response())
}

/// All chunks of a recording, and the events of some of them.
#[utoipa::path(get, path = "/internal/session-replays/{session_replay_id}/events", tag = "internal",
    params(("session_replay_id" = String, Path), ("offset" = Option<String>, Query, description = "Chunks to leave out"), ("limit" = Option<String>, Query, description = "Chunks whose events are wanted")),
    responses((status = 200, description = "`{chunks, chunk_events}`"), (status = 404, description = "ITEM_NOT_FOUND")))]
async fn read_all(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let id = form.params().required("session_replay_id", text);
    let mut query = form.query();
    let offset = query.optional("offset", text);
    let limit = query.optional("limit", text);
    query.close();
    let (id, offset, limit) = form.finish((|| Some((id?, offset?, limit?)))())?;
    let replay = find(&access.app, access.project_id(), &id).await?;
    let chunks = listing::chunks(access.app.pool(), replay, None, i64::MAX)
        .await?
        .items;
    let at_least = |parameter: Option<String>, least: i64| {
        let number = leading_integer(&parameter.unwrap_or_default());
        number.filter(|number| *number >= least)
    };
    let offset = at_least(offset, 0).map_or(0, whole_size);
    let limit = at_least(limit, 1).map_or(usize::MAX, whole_size);
    let wanted = chunks.iter().skip(offset).take(limit).cloned();
    let fetches: Vec<_> = wanted
        .map(|chunk| chunk_events(&access.app, replay, chunk))
        .collect();
    let chunk_events: Vec<ChunkEventsView> = stream::iter(fetches)
        .buffered(FETCHES)
        .try_collect()
        .await?;
    let view = RecordingView {
        chunks: chunks.iter().map(ChunkView::in_recording).collect(),
        chunk_events,
    };
    Ok(Json(view).into_response())
}

async fn chunk_events(app: &App, replay: Uuid, chunk: Chunk) -> Result<ChunkEventsView, ApiError> {
    Ok(ChunkEventsView {
        chunk_id: chunk.id,
        events: events(app, replay, &chunk).await?,
    })
}

fn whole_size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

async fn find(app: &App, project: &ProjectId, id: &str) -> Result<Uuid, ApiError> {
    if let Ok(replay) = Uuid::try_parse(id)
        && listing::exists(app.pool(), project, replay).await?
    {
        return Ok(replay);
    }
    Err(KnownError::recording_not_found(id).into())
}

async fn find_chunk(app: &App, replay: Uuid, id: &str) -> Result<Chunk, ApiError> {
    let found = match Uuid::try_parse(id) {
        Ok(id) => listing::chunk(app.pool(), replay, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| KnownError::recording_not_found(id).into())
}

/// A chunk without its events.
#[derive(Serialize)]
struct ChunkView {
    id: Uuid,
    batch_id: String,
    session_replay_segment_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    browser_session_id: Option<String>,
    event_count: i32,
    byte_length: i32,
    first_event_at_millis: i64,
    last_event_at_millis: i64,
    created_at_millis: i64,
}

impl ChunkView {
    fn in_recording(chunk: &Chunk) -> Self {
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

    fn in_listing(chunk: &Chunk) -> Self {
        Self {
            browser_session_id: Some(chunk.browser_session_id.clone()),
            ..Self::in_recording(chunk)
        }
    }
}

#[derive(Serialize)]
struct EventsView {
    events: Box<RawValue>,
}

#[derive(Serialize)]
struct ChunkEventsView {
    chunk_id: Uuid,
    events: Box<RawValue>,
}

#[derive(Serialize)]
struct RecordingView {
    chunks: Vec<ChunkView>,
    chunk_events: Vec<ChunkEventsView>,
}
