//! Request bodies (contract 01 §1.6).

use std::convert::Infallible;

use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::known_error::KnownError;

/// The largest body accepted, in bytes.
pub const LIMIT: usize = 1024 * 1024;
/// How much more is read of a body that is too large, so that the caller gets to see the answer.
const DRAIN_LIMIT: usize = 16 * LIMIT;

/// A body, read by its content type.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Body {
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
}

/// A body as it was sent, for signatures. Empty if it was not read.
#[derive(Clone, Debug, Default)]
pub struct Sent(pub Bytes);

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
pub async fn read(
    method: &Method,
    headers: &HeaderMap,
    body: HttpBody,
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
    let body = parse(&media_type.to_ascii_lowercase(), bytes.clone())?;
    Ok((body, Sent(bytes)))
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
    let bytes = to_bytes(body, DRAIN_LIMIT).await.map_err(|_| too_large())?;
    if bytes.len() > LIMIT {
        Err(too_large())
    } else {
        Ok(bytes)
    }
}

fn too_large() -> ApiError {
    KnownError::body_parsing_error("it is larger than 1 MiB.").into()
}

fn parse(media_type: &str, bytes: Bytes) -> Result<Body, ApiError> {
    match media_type {
        "application/json" => serde_json::from_slice(&bytes)
            .map(Body::Json)
            .map_err(|error| parsing_error(&format!("it is not valid JSON ({error})."))),
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
        let (body, _) = read(&Method::POST, &headers, body).await?;
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
        let body = HttpBody::from("{");
        let (body, sent) = read(&Method::POST, &HeaderMap::new(), body).await.unwrap();
        assert_eq!((body, sent.0.as_ref()), (Body::Absent, &b""[..]));
    }
}
