//! What values in requests to Svix's API may be, and how times are shown.

use muniment_domain::Millis;
use muniment_projections::webhooks::event_types;
use serde_json::{Value, json};

use crate::app::webhooks::settings;
use crate::http::request::shape::{Shape, scalar};
use crate::timestamp;

/// A time.
pub(super) fn time() -> impl Shape<Value = Millis> {
    let read = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        timestamp::parse(text).map_err(|how| format!("must be a time: {how}"))
    };
    scalar(read, || {
        json!({"anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "string", "pattern": "^[+-]?[0-9]+$", "description": "Milliseconds since the Unix epoch."},
        ]})
    })
}

/// Writes a time.
pub(super) fn shown_time(millis: i64) -> String {
    timestamp::format_with_millis(Millis(millis))
}

/// Where an endpoint is.
pub(super) fn endpoint_url() -> impl Shape<Value = String> {
    scalar(
        settings::endpoint_url,
        || json!({"type": "string", "format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?:", "maxLength": 2000}),
    )
}

/// What an endpoint is for, in words.
pub(super) fn description() -> impl Shape<Value = String> {
    scalar(
        settings::description,
        || json!({"type": "string", "maxLength": 1000}),
    )
}

/// A secret that messages are signed with.
pub(super) fn signing_secret() -> impl Shape<Value = String> {
    scalar(
        settings::signing_secret,
        || json!({"type": "string", "pattern": "^(whsec_)?[A-Za-z0-9+/]+={0,2}$"}),
    )
}

/// Types of events that messages tell of.
pub(super) fn event_types() -> impl Shape<Value = Vec<String>> {
    scalar(settings::filter, || {
        let names = event_types::CATALOGUE.map(|(name, _)| name);
        json!({"type": "array", "items": {"type": "string", "enum": names}})
    })
}

/// A name that the project itself gives to something.
pub(super) fn uid() -> impl Shape<Value = String> {
    scalar(settings::uid, uid_schema)
}

fn uid_schema() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,256}$"})
}

/// Names of channels.
pub(super) fn channels() -> impl Shape<Value = Vec<String>> {
    scalar(
        settings::channels,
        || json!({"type": "array", "maxItems": 10, "items": uid_schema()}),
    )
}

/// Texts by name.
pub(super) fn metadata() -> impl Shape<Value = Value> {
    scalar(settings::metadata, texts_schema)
}

/// Headers that are sent along, by name.
pub(super) fn custom_headers() -> impl Shape<Value = Value> {
    scalar(settings::custom_headers, texts_schema)
}

fn texts_schema() -> Value {
    json!({"type": "object", "maxProperties": 20, "additionalProperties": {"type": "string"}})
}
