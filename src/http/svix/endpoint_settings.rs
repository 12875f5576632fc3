//! What endpoints are set to, in requests.

use muniment_domain::Patch;
use serde_json::{Value, json};

use super::shapes::{channels, custom_headers, description, event_types, metadata, uid};
use crate::app::webhooks::settings::EndpointChange;
use crate::http::request::declare::fields;
use crate::http::request::presence::nullable;
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{boolean, integer};

/// The most messages per second that an endpoint may be limited to.
const MAX_RATE: i64 = 10_000;

fields! {
    /// What an endpoint is set to, but for its URL and its secret. Null stands for what an endpoint has
    /// from the start.
    pub(super) struct EndpointSettings {
        /// What the endpoint is for. Null for nothing in particular.
        description: Patch<String> = nullable(description());
        /// Whether nothing is sent to the endpoint. Null for false.
        disabled: Patch<bool> = nullable(boolean());
        /// Headers that are sent along, by name. Null for none.
        headers: Patch<Value> = nullable(custom_headers());
        /// Texts that are kept with the endpoint, by name. Null for none.
        metadata: Patch<Value> = nullable(metadata());
        /// The project's own name for the endpoint, of 1 to 256 letters, digits, `-`, `_` and `.`. Null
        /// for none.
        uid: Patch<String> = nullable(uid());
        /// Names of channels. Null for none.
        channels: Patch<Vec<String>> = nullable(channels());
        /// Older libraries' name for `eventTypes`, which wins.
        filter_types as "filterTypes": Patch<Vec<String>> = nullable(event_types());
        /// The types of events that the endpoint wants to hear of. Null, or none, for all.
        event_types as "eventTypes": Patch<Vec<String>> = nullable(event_types());
        /// Older libraries' name for `throttleRate`, which wins.
        rate_limit as "rateLimit": Patch<i32> = nullable(rate());
        /// How many messages are sent per second, at most. Null for as many as there are.
        throttle_rate as "throttleRate": Patch<i32> = nullable(rate());
    }
}

fn rate() -> impl Shape<Value = i32> {
    integer(1..=MAX_RATE).refine(|rate| i32::try_from(rate).map_err(|error| error.to_string()))
}

impl EndpointSettings {
    /// A change to these settings, and that URL.
    pub(super) fn with_url(self, url: Option<String>) -> EndpointChange {
        EndpointChange {
            url,
            description: or_first(self.description, String::new()),
            is_disabled: or_first(self.disabled, false),
            filter_types: newest(self.event_types, self.filter_types),
            headers: or_first(self.headers, json!({})),
            uid: self.uid,
            channels: self.channels,
            metadata: or_first(self.metadata, json!({})),
            rate_limit: newest(self.throttle_rate, self.rate_limit),
        }
    }
}

fn or_first<T>(patch: Patch<T>, first: T) -> Option<T> {
    match patch {
        Patch::Keep => None,
        Patch::Clear => Some(first),
        Patch::Set(value) => Some(value),
    }
}

/// The field under its newer name, if it was mentioned; else under the older one.
fn newest<T>(newer: Patch<T>, older: Patch<T>) -> Patch<T> {
    if newer.is_keep() { older } else { newer }
}
