//! Request bodies.
//!
//! JSON is taken as JavaScript writes it: half of a surrogate pair, which is left when a text is cut
//! between the two, counts as U+FFFD.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read;

use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use flate2::read::GzDecoder;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// The largest body accepted, in bytes.
pub(crate) const LIMIT: usize = 1024 * 1024;
/// How much more is read of a body that is too large, so that the caller gets to see the answer.
const DRAIN_LIMIT: usize = 16 * LIMIT;

/// A body, read by its content type.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Body {
    /// There is none, or it has no content type.
    #[default]
    Absent,
    /// `application/json`
    Json(Value),
    /// `application/x-www-form-urlencoded`; of repeated keys, the last.
    Form(Map<String, Value>),
    /// `text/plain`
    Text(String),
    /// `application/octet-stream`
    Bytes(Bytes),
    /// What browsers observed: `application/json`, or that compressed with gzip as
    /// `application/octet-stream`.
    Observations(Observations),
    /// A recording that is larger than any other body may be. What is in it was not looked at.
    OversizedRecording,
}

/// An object whose `events` are left as the text they came as: they are passed on, never looked into,
/// and may be nested deeper than any other body.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observations {
    /// The other fields.
    pub fields: Map<String, Value>,
    /// The events, as JSON.
    pub events: Option<String>,
    /// The size of the whole body, in bytes.
    pub size: usize,
}

/// What becomes of a body of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All of it is read.
    Everything,
    /// All but the events in it, which may come compressed.
    Events,
    /// All but the events in it. Whether it is too large is the endpoint's own matter.
    Recording,
}

impl Reading {
    /// How the bodies are read that are sent to a path.
    #[must_use]
    pub(crate) fn at(path: &str) -> Self {
        if path.ends_with("/analytics/events/batch") {
            Self::Events
        } else if path.ends_with("/session-replays/batch") {
            Self::Recording
        } else {
            Self::Everything
        }
    }
}

/// A body as it was sent, for signatures. Empty if it was not read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(pub Bytes);

impl<S: Send + Sync> FromRequestParts<S> for Sent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.remove().unwrap_or_default())
    }
}

/// Reads the body of a request. That of a GET is never read.
///
/// # Errors
/// `BODY_PARSING_ERROR`.
pub(crate) async fn read(
    method: &Method,
    headers: &HeaderMap,
    body: HttpBody,
    reading: Reading,
) -> Result<(Body, Sent), ApiError> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    let media_type = media_type.filter(|media_type| !media_type.is_empty());
    let (Some(media_type), true) = (media_type, *method != Method::GET) else {
        return Ok((Body::Absent, Sent::default()));
    };
    let bytes = read_bytes(headers, body).await?;
    let media_type = media_type.to_ascii_lowercase();
    let sent = Sent(bytes.clone());
    let body = match (reading, media_type.as_str()) {
        (Reading::Recording, "application/json") if bytes.len() > LIMIT => {
            Ok(Body::OversizedRecording)
        }
        _ if bytes.len() > LIMIT => Err(too_large()),
        (Reading::Events | Reading::Recording, "application/json") => observations(&mend(bytes)),
        (Reading::Events, "application/octet-stream") => packed_observations(&bytes),
        _ => parse(&media_type, bytes),
    }?;
    Ok((body, sent))
}

async fn read_bytes(headers: &HeaderMap, body: HttpBody) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let announced = announced
        .and_then(|value| value.parse::<usize>().ok())
        .unwrap_or(0);
    if announced > DRAIN_LIMIT {
        return Err(too_large());
    }
    // Reading on to the end lets a caller that is still sending see the answer.
    to_bytes(body, DRAIN_LIMIT).await.map_err(|_| too_large())
}

fn too_large() -> ApiError {
    KnownError::body_parsing_error("it is larger than 1 MiB.").into()
}

fn parse(media_type: &str, bytes: Bytes) -> Result<Body, ApiError> {
    match media_type {
        "application/json" => serde_json::from_slice(&mend(bytes))
            .map(Body::Json)
            .map_err(|error| invalid_json(&error)),
        "application/x-www-form-urlencoded" => {
            let pairs = url::form_urlencoded::parse(&bytes).into_owned();
            Ok(Body::Form(
                pairs
                    .map(|(name, value)| (name, Value::String(value)))
                    .collect(),
            ))
        }
        "text/plain" => String::from_utf8(bytes.into())
            .map(Body::Text)
            .map_err(|_| parsing_error("it is not valid UTF-8.")),
        "application/octet-stream" => Ok(Body::Bytes(bytes)),
        other => Err(parsing_error(&format!(
            "content type {other} is not accepted; send application/json."
        ))),
    }
}

fn observations(text: &[u8]) -> Result<Body, ApiError> {
    let members = match serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(text) {
        Ok(members) => members,
        Err(error) if error.is_data() => {
            // It is no object. Whether it is JSON at all has not been seen yet.
            serde_json::from_slice::<IgnoredAny>(text).map_err(|error| invalid_json(&error))?;
            return Ok(Body::Json(Value::Null));
        }
        Err(error) => return Err(invalid_json(&error)),
    };
    let mut read = Observations {
        size: text.len(),
        ..Observations::default()
    };
    for (name, member) in members {
        if name == "events" {
            read.events = Some(Box::<str>::from(member).into_string());
        } else {
            let value = serde_json::from_str(member.get()).map_err(|error| invalid_json(&error))?;
            read.fields.insert(name, value);
        }
    }
    Ok(Body::Observations(read))
}

/// Releases of the SDK since 2.8 send observations compressed, as bytes without a name.
fn packed_observations(bytes: &[u8]) -> Result<Body, ApiError> {
    let mut json = Vec::new();
    let most = u64::try_from(LIMIT).unwrap_or(u64::MAX);
    let unpacked = GzDecoder::new(bytes).take(most + 1).read_to_end(&mut json);
    match unpacked {
        Ok(size) if size > LIMIT => Err(too_large()),
        Ok(_) => observations(&mend(json.into())),
        Err(_) => Err(parsing_error("it is not JSON compressed with gzip.")),
    }
}

/// Puts U+FFFD in the place of every lone surrogate. Both are escapes of six bytes.
fn mend(json: Bytes) -> Bytes {
    let mut lone = Vec::new();
    let mut at = 0;
    while let Some(ahead) = json[at..].iter().position(|byte| *byte == b'\\') {
        at += ahead;
        let is_pair = || matches!(surrogate(&json[at + 6..]), Some(Surrogate::Low));
        at += match surrogate(&json[at..]) {
            None => 2,
            Some(Surrogate::High) if is_pair() => 12,
            Some(_) => {
                lone.push(at);
                6
            }
        };
        at = at.min(json.len());
    }
    if lone.is_empty() {
        return json;
    }
    let mut mended = Vec::from(json);
    for at in lone {
        mended[at..at + 6].copy_from_slice(br"\ufffd");
    }
    mended.into()
}

/// Half of a pair of UTF-16 code units.
enum Surrogate {
    High,
    Low,
}

/// The surrogate whose escape the text begins with.
fn surrogate(text: &[u8]) -> Option<Surrogate> {
    let [
        b'\\',
        b'u',
        first @ (b'd' | b'D'),
        second,
        third,
        fourth,
        ..,
    ] = text
    else {
        return None;
    };
    let is_hex = [first, third, fourth]
        .iter()
        .all(|digit| digit.is_ascii_hexdigit());
    match second.to_ascii_lowercase() {
        b'8' | b'9' | b'a' | b'b' if is_hex => Some(Surrogate::High),
        b'c'..=b'f' if is_hex => Some(Surrogate::Low),
        _ => None,
    }
}

fn invalid_json(error: &serde_json::Error) -> ApiError {
    parsing_error(&format!("it is not valid JSON ({error})."))
}

fn parsing_error(why: &str) -> ApiError {
    KnownError::body_parsing_error(why).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn read_as(content_type: &str, body: &str) -> Result<Body, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        let body = HttpBody::from(body.to_owned());
        let (body, _) = read(&Method::POST, &headers, body, Reading::Everything).await?;
        Ok(body)
    }

    async fn observed(body: &str) -> Result<Body, ApiError> {
        let headers =
            HeaderMap::from_iter([(header::CONTENT_TYPE, "application/json".parse().unwrap())]);
        let body = HttpBody::from(body.to_owned());
        let (body, _) = read(&Method::POST, &headers, body, Reading::Recording).await?;
        Ok(body)
    }

    fn code(result: Result<Body, ApiError>) -> &'static str {
        match result {
            Err(ApiError::Known(error)) => error.code,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn parameters_of_the_media_type_are_ignored() {
        let body = read_as("application/json; charset=utf-8", r#"{"a": 1}"#)
            .await
            .unwrap();
        assert_eq!(body, Body::Json(json!({"a": 1})));
    }

    #[tokio::test]
    async fn of_repeated_form_keys_the_last_counts() {
        let body = read_as("application/x-www-form-urlencoded", "a=1&a=2&b=%20")
            .await
            .unwrap();
        let expected = json!({"a": "2", "b": " "}).as_object().unwrap().clone();
        assert_eq!(body, Body::Form(expected));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error() {
        let deep = "[".repeat(10_000);
        for (kind, body) in [
            ("application/json", ""),
            ("application/json", "{"),
            ("application/json", deep.as_str()),
            ("multipart/form-data; boundary=x", "--x--"),
        ] {
            assert_eq!(code(read_as(kind, body).await), "BODY_PARSING_ERROR");
        }
    }

    #[tokio::test]
    async fn a_body_above_the_limit_is_refused() {
        let body = format!("\"{}\"", "x".repeat(LIMIT));
        assert_eq!(
            code(read_as("application/json", &body).await),
            "BODY_PARSING_ERROR"
        );
    }

    #[tokio::test]
    async fn without_a_content_type_there_is_no_body() {
        let headers = HeaderMap::new();
        let body = HttpBody::from("{");
        let read = read(&Method::POST, &headers, body, Reading::Everything).await;
        let (body, sent) = read.unwrap();
        assert_eq!((body, sent.0.as_ref()), (Body::Absent, &b""[..]));
    }

    #[tokio::test]
    async fn lone_surrogates_are_replaced_and_pairs_are_kept() {
        for (sent, read) in [
            (r#""\ud83c""#, "\u{fffd}"),
            (r#""\uD83C\uDF89""#, "🎉"),
            (r#""\udf89\ud83c""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83c\ud83c\udf89 \ud83cx""#, "\u{fffd}🎉 \u{fffd}x"),
            (r#""\\ud83c""#, r"\ud83c"),
            (r#""\\\ud83c""#, "\\\u{fffd}"),
            (r#""\ud7ff\ue000""#, "\u{d7ff}\u{e000}"),
        ] {
            let body = read_as("application/json", sent).await.unwrap();
            assert_eq!(body, Body::Json(json!(read)), "{sent}");
        }
        for broken in [
            r#""\ud83"#,
            r#""\ud8"#,
            r#""\"#,
            r#""\ud83c\u"#,
            r#""\ud8zz""#,
        ] {
            assert_eq!(
                code(read_as("application/json", broken).await),
                "BODY_PARSING_ERROR",
                "{broken}"
            );
        }
    }

    #[tokio::test]
    async fn events_stay_text_however_deep_they_are() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let sent = format!(r#"{{"batch_id": 1, "events": {deep}}}"#);
        let expected = Observations {
            fields: json!({"batch_id": 1}).as_object().unwrap().clone(),
            events: Some(deep),
            size: sent.len(),
        };
        assert_eq!(observed(&sent).await.unwrap(), Body::Observations(expected));
        assert_eq!(observed("[1]").await.unwrap(), Body::Json(Value::Null));
        for broken in ["", "[1", "{\"events\": [}", "{\"events\": []} x"] {
            assert_eq!(code(observed(broken).await), "BODY_PARSING_ERROR");
        }
        let large = format!(r#"{{"events": ["{}"]}}"#, "x".repeat(LIMIT));
        assert_eq!(observed(&large).await.unwrap(), Body::OversizedRecording);
    }
}
