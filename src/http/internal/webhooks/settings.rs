//! What an endpoint may be set to.

use muniment_domain::{Millis, Patch};
use muniment_projections::webhooks::event_types;
use serde_json::{Value, json};

use super::MAX_MILLIS;
use crate::app::webhooks::settings::{self, EndpointChange};
use crate::http::request::declare::fields;
use crate::http::request::presence::{nullable, optional, or_default, required};
use crate::http::request::shape::scalars::{boolean, integer};
use crate::http::request::shape::{Shape, scalar};

fields! {
    /// The fields that creating and changing an endpoint have in common.
    pub(super) struct EndpointFields {
        /// What the endpoint is for.
        description: Option<String> = optional(description());
        /// Whether nothing is sent to the endpoint.
        disabled: Option<bool> = optional(boolean());
        /// The event types that the endpoint wants. Null, and an empty list, for all.
        filter_types: Patch<Vec<String>> = nullable(filter());
        /// Headers that are sent along, at most 20. Those that the server sets itself are refused.
        headers: Option<Value> = optional(headers());
    }

    /// Where an endpoint is, and what it is for.
    pub(crate) struct EndpointPlace {
        /// Where the endpoint is.
        url: String = required(endpoint_url());
        /// What the endpoint is for.
        description: Option<String> = optional(description());
    }

    /// A stretch of time.
    pub(super) struct Stretch {
        /// Its beginning, in milliseconds since the Unix epoch.
        since as "since_millis": Millis = required(time());
        /// Its end, which is not part of it, in milliseconds since the Unix epoch.
        until as "until_millis": Millis = or_default(time(), MAX_MILLIS);
    }
}

impl From<EndpointFields> for EndpointChange {
    fn from(fields: EndpointFields) -> Self {
        Self {
            description: fields.description,
            is_disabled: fields.disabled,
            filter_types: fields.filter_types,
            headers: fields.headers,
            ..Self::default()
        }
    }
}

impl From<EndpointPlace> for EndpointChange {
    fn from(place: EndpointPlace) -> Self {
        Self {
            url: Some(place.url),
            description: place.description,
            ..Self::default()
        }
    }
}

impl From<Stretch> for (Millis, Millis) {
    fn from(stretch: Stretch) -> Self {
        (stretch.since, stretch.until)
    }
}

fn time() -> impl Shape<Value = Millis> {
    integer(0..=MAX_MILLIS).map(Millis)
}

/// A web address.
pub(super) fn endpoint_url() -> impl Shape<Value = String> {
    scalar(
        settings::endpoint_url,
        || json!({"type": "string", "format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?:", "maxLength": 2000}),
    )
}

fn description() -> impl Shape<Value = String> {
    scalar(
        settings::description,
        || json!({"type": "string", "maxLength": 1000}),
    )
}

/// `whsec_` and the base 64 of 24 to 75 bytes.
pub(super) fn signing_secret() -> impl Shape<Value = String> {
    let about = "`whsec_`, which may be left out, and 24 to 75 bytes in base64.";
    scalar(
        settings::signing_secret,
        move || json!({"description": about, "type": "string", "pattern": "^(whsec_)?[A-Za-z0-9+/]{32,100}={0,2}$"}),
    )
}

/// A type of the catalogue.
pub(super) fn event_type() -> impl Shape<Value = String> {
    scalar(settings::event_type, event_type_schema)
}

fn event_type_schema() -> Value {
    let names = event_types::CATALOGUE.map(|(name, _)| name);
    json!({"type": "string", "enum": names})
}

fn filter() -> impl Shape<Value = Vec<String>> {
    scalar(
        settings::filter,
        || json!({"type": "array", "items": event_type_schema()}),
    )
}

fn headers() -> impl Shape<Value = Value> {
    scalar(
        settings::custom_headers,
        || json!({"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 20}),
    )
}
