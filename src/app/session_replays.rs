//! Keeping recordings of what users saw, and reading them again.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use muniment_domain::MAIN_BRANCH;
use muniment_event_store::LedgerError;
use muniment_projections::objects::private_objects::{self, PrivateObject};
use muniment_projections::session_replays::listing::Chunk;
use muniment_projections::session_replays::{
    Added, NewChunk, Recorded, Span, add_chunk, extend, key_of_batch,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::App;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// The farthest from 1970 that a browser's clock can be, in milliseconds (ECMA-262 §21.4.1.1).
const FARTHEST_MILLIS: f64 = 8.64e15;

/// A chunk of a recording, as a browser sends it.
#[derive(Clone, Debug)]
pub struct Upload<'u> {
    /// The browser's own idea of a session.
    pub browser_session_id: String,
    /// The tab.
    pub segment_id: String,
    /// By which a repetition is recognised.
    pub batch_id: String,
    /// When the browser began to record, in milliseconds since the Unix epoch.
    pub started_at_ms: i64,
    /// When it sent the chunk.
    pub sent_at_ms: i64,
    /// What it recorded, by `rrweb`.
    pub events: Vec<&'u RawValue>,
}

impl Upload<'_> {
    /// From the first to the last event that says when it was.
    fn span(&self) -> Span {
        let times = || self.events.iter().filter_map(|event| timestamp(event));
        let first = times().reduce(f64::min);
        let last = times().reduce(f64::max);
        let or_sent = |time: Option<f64>| time.map_or(self.sent_at_ms, whole);
        Span {
            first: or_sent(first),
            last: or_sent(last),
        }
    }
}

fn timestamp(event: &RawValue) -> Option<f64> {
    #[derive(Deserialize)]
    struct Event<'e> {
        #[serde(borrow)]
        timestamp: &'e RawValue,
    }
    // A list would be read as an object without names.
    let object = Some(event.get()).filter(|text| text.starts_with('{'))?;
    let event: Event<'_> = serde_json::from_str(object).ok()?;
    serde_json::from_str(event.timestamp.get()).ok()
}

#[allow(clippy::cast_possible_truncation, reason = "clamped to far less")]
fn whole(millis: f64) -> i64 {
    millis.clamp(-FARTHEST_MILLIS, FARTHEST_MILLIS) as i64
}

/// Where a chunk went.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The recording.
    pub replay: Uuid,
    /// The key of its events.
    pub object_key: String,
    /// Whether it was new.
    pub added: Added,
}

/// Keeps a chunk. A repeated one is not kept again, but extends the recording as well.
///
/// # Errors
/// `USER_AUTHENTICATION_REQUIRED` when the user was deleted in the meantime.
pub async fn store(
    app: &App,
    recorded: &Recorded<'_>,
    upload: &Upload<'_>,
) -> Result<Stored, ApiError> {
    let (span, now) = (upload.span(), app.now());
    let replay = extend(app.pool(), recorded, span, app.random.uuid(), now).await?;
    let replay = replay.ok_or_else(KnownError::user_authentication_required)?;
    if let Some(object_key) = key_of_batch(app.pool(), replay, &upload.batch_id).await? {
        return Ok(Stored {
            replay,
            object_key,
            added: Added::Repeated,
        });
    }
    let object_key = format!(
        "session-replays/{}/{MAIN_BRANCH}/{replay}/{}.json.gz",
        recorded.project, upload.batch_id
    );
    let chunk = NewChunk {
        id: app.random.uuid(),
        replay,
        batch_id: upload.batch_id.clone(),
        segment_id: upload.segment_id.clone(),
        browser_session_id: upload.browser_session_id.clone(),
        object_key: object_key.clone(),
        event_count: i32::try_from(upload.events.len()).unwrap_or(i32::MAX),
        span,
        created_at: now,
    };
    let object = pack(replay, upload).await?;
    match add_chunk(app.pool(), &chunk, &object).await {
        Ok(added) => Ok(Stored {
            replay,
            object_key,
            added,
        }),
        // The recording was erased together with its user.
        Err(LedgerError::Conflict) => Err(KnownError::user_authentication_required().into()),
        Err(error) => Err(error.into()),
    }
}

/// A chunk as it is kept.
#[derive(Serialize)]
struct Kept<'k> {
    v: u8,
    session_replay_id: Uuid,
    browser_session_id: &'k str,
    session_replay_segment_id: &'k str,
    batch_id: &'k str,
    started_at_ms: i64,
    sent_at_ms: i64,
    events: &'k [&'k RawValue],
}

async fn pack(replay: Uuid, upload: &Upload<'_>) -> Result<PrivateObject, ApiError> {
    let kept = Kept {
        v: 1,
        session_replay_id: replay,
        browser_session_id: &upload.browser_session_id,
        session_replay_segment_id: &upload.segment_id,
        batch_id: &upload.batch_id,
        started_at_ms: upload.started_at_ms,
        sent_at_ms: upload.sent_at_ms,
        events: &upload.events,
    };
    let json = serde_json::to_vec(&kept).map_err(ApiError::internal)?;
    // Milliseconds of work, in which nobody else should have to wait.
    let packing = tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&json)?;
        encoder.finish()
    });
    let packed = packing.await.map_err(ApiError::internal)?;
    Ok(PrivateObject {
        content_type: "application/json".to_owned(),
        content_encoding: Some("gzip".to_owned()),
        body: packed.map_err(ApiError::internal)?,
    })
}

/// The events of a chunk: a JSON list, as the browser sent it.
///
/// # Errors
/// `ITEM_NOT_FOUND` when they are not there; when what is there is damaged.
pub async fn events(app: &App, replay: Uuid, chunk: &Chunk) -> Result<Box<RawValue>, ApiError> {
    let object = private_objects::get(app.pool(), &chunk.object_key).await?;
    let object = object.ok_or_else(|| KnownError::recording_not_found(&chunk.id.to_string()))?;
    tokio::task::spawn_blocking(move || unpack(replay, &object.body))
        .await
        .map_err(ApiError::internal)?
        .map_err(|problem| {
            ApiError::internal(format!("the events of chunk {} are {problem}", chunk.id))
        })
}

fn unpack(replay: Uuid, body: &[u8]) -> Result<Box<RawValue>, &'static str> {
    #[derive(Deserialize)]
    struct Found {
        session_replay_id: Uuid,
        events: Box<RawValue>,
    }
    let mut json = String::new();
    GzDecoder::new(body)
        .read_to_string(&mut json)
        .map_err(|_| "not readable as gzip")?;
    let found: Found = serde_json::from_str(&json).map_err(|_| "not readable as JSON")?;
    if found.session_replay_id != replay {
        return Err("those of another session replay");
    }
    if !found.events.get().starts_with('[') {
        return Err("not a list");
    }
    Ok(found.events)
}
