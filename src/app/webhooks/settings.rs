//! What an endpoint may be set to, whichever way it is asked for.

use std::collections::BTreeMap;

use axum::http::header::{HeaderName, HeaderValue};
use data_encoding::BASE64;
use muniment_domain::Patch;
use muniment_projections::webhooks::endpoints::Endpoint;
use serde_json::{Value, json};
use url::Url;

use muniment_projections::webhooks::event_types;

/// The longest URL of an endpoint, in UTF-16 code units.
const MAX_URL: usize = 2000;
/// The longest description of an endpoint, likewise.
const MAX_DESCRIPTION: usize = 1000;
/// The longest uid of an endpoint, in characters.
const MAX_UID: usize = 256;
/// The most channels that an endpoint may have.
const MAX_CHANNELS: usize = 10;
/// The most headers that an endpoint may want, and entries of its metadata.
const MAX_ENTRIES: usize = 20;
/// The sizes of a secret that are accepted, in bytes: those of Standard Webhooks.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=75;

/// A change of an endpoint's settings. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    /// Where it is.
    pub url: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether nothing is sent to it.
    pub is_disabled: Option<bool>,
    /// The event types that it wants.
    pub filter_types: Patch<Vec<String>>,
    /// Headers that are sent along.
    pub headers: Option<Value>,
    /// The project's own name for it.
    pub uid: Patch<String>,
    /// Its channels.
    pub channels: Patch<Vec<String>>,
    /// Texts kept with it.
    pub metadata: Option<Value>,
    /// Messages per second, at most.
    pub rate_limit: Patch<i32>,
}

impl EndpointChange {
    /// Changes everything but the headers: what is absent becomes what an endpoint has from the
    /// start.
    #[must_use]
    pub fn of_everything(self) -> Self {
        fn or_clear<T>(patch: Patch<T>) -> Patch<T> {
            if patch.is_keep() { Patch::Clear } else { patch }
        }
        Self {
            url: self.url,
            description: Some(self.description.unwrap_or_default()),
            is_disabled: Some(self.is_disabled.unwrap_or(false)),
            filter_types: or_clear(self.filter_types),
            headers: self.headers,
            uid: or_clear(self.uid),
            channels: or_clear(self.channels),
            metadata: Some(self.metadata.unwrap_or_else(|| json!({}))),
            rate_limit: or_clear(self.rate_limit),
        }
    }

    /// Carries the change out.
    pub fn apply_to(self, endpoint: &mut Endpoint) {
        if let Some(url) = self.url {
            endpoint.url = url;
        }
        if let Some(description) = self.description {
            endpoint.description = description;
        }
        endpoint.is_disabled = self.is_disabled.unwrap_or(endpoint.is_disabled);
        self.filter_types.apply_to(&mut endpoint.filter_types);
        // No types at all would be a way of disabling it.
        endpoint.filter_types.take_if(|types| types.is_empty());
        if let Some(headers) = self.headers {
            endpoint.headers = headers;
        }
        self.uid.apply_to(&mut endpoint.uid);
        self.channels.apply_to(&mut endpoint.channels);
        endpoint.channels.take_if(|channels| channels.is_empty());
        if let Some(metadata) = self.metadata {
            endpoint.metadata = metadata;
        }
        self.rate_limit.apply_to(&mut endpoint.rate_limit);
    }
}

fn text(value: &Value, max: usize) -> Result<String, String> {
    let text = value.as_str().ok_or("must be a string")?;
    if text.encode_utf16().count() > max {
        return Err(format!("must have at most {max} characters"));
    }
    Ok(text.to_owned())
}

/// A web address.
pub fn endpoint_url(value: &Value) -> Result<String, String> {
    let text = text(value, MAX_URL)?;
    let url = Url::parse(&text).ok();
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if url.is_some_and(|url| is_web(&url)) {
        return Ok(text);
    }
    Err("must be an http or https URL".to_owned())
}

/// What an endpoint is for, in words.
pub fn description(value: &Value) -> Result<String, String> {
    text(value, MAX_DESCRIPTION)
}

/// A type of the catalogue.
pub fn event_type(value: &Value) -> Result<String, String> {
    let name = value.as_str().ok_or("must be a string")?;
    if event_types::exists(name) {
        return Ok(name.to_owned());
    }
    let names = event_types::CATALOGUE.map(|(name, _)| name);
    Err(format!("must be one of: {}", names.join(", ")))
}

/// Types of the catalogue.
pub fn filter(value: &Value) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or("must be a list of event types")?;
    items.iter().map(event_type).collect()
}

/// `whsec_` and the base 64 of 24 to 75 bytes.
pub fn signing_secret(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or("must be a string")?;
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    let decoded = BASE64.decode(encoded.as_bytes()).unwrap_or_default();
    if SECRET_BYTES.contains(&decoded.len()) {
        return Ok(format!("whsec_{encoded}"));
    }
    Err("must be whsec_ and the base 64 of 24 to 75 bytes".to_owned())
}

/// A project's own name for something: letters, digits, `-`, `_` and `.`.
pub fn uid(value: &Value) -> Result<String, String> {
    let text = value.as_str().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !text.is_empty() && text.len() <= MAX_UID && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "must have 1 to {MAX_UID} letters, digits, -, _ and . only"
    ))
}

/// Names of channels.
pub fn channels(value: &Value) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or("must be a list of channels")?;
    if items.len() > MAX_CHANNELS {
        return Err(format!("must have at most {MAX_CHANNELS} channels"));
    }
    items.iter().map(uid).collect()
}

/// Texts by name.
pub fn metadata(value: &Value) -> Result<Value, String> {
    Ok(json!(texts(value)?))
}

/// Headers that are sent along.
pub fn custom_headers(value: &Value) -> Result<Value, String> {
    let fields = texts(value)?;
    for (name, value) in &fields {
        let parsed = HeaderName::try_from(name).map_err(|_| format!("{name} is no header"))?;
        if is_reserved(&parsed) {
            return Err(format!("{name} is set by the server"));
        }
        if HeaderValue::from_str(value).is_err() {
            return Err(format!("{name} must be a text that a header can carry"));
        }
    }
    Ok(json!(fields))
}

fn texts(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let object = value.as_object().ok_or("must be an object")?;
    if object.len() > MAX_ENTRIES {
        return Err(format!("must have at most {MAX_ENTRIES} entries"));
    }
    object
        .iter()
        .map(|(name, value)| {
            let text = value.as_str().ok_or(format!("{name} must be a string"))?;
            Ok((name.clone(), text.to_owned()))
        })
        .collect()
}

/// Headers that are ours to set, or the connection's.
fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    let ours = [
        "content-type",
        "content-length",
        "host",
        "connection",
        "transfer-encoding",
        "user-agent",
        "upgrade",
        "te",
        "trailer",
    ];
    ours.contains(&name) || name.starts_with("svix-") || name.starts_with("webhook-")
}
