//! Webhooks: telling the outside world what happened.
//!
//! The worker [`message_producer`] follows the log and makes messages of events; from there they
//! take one of two ways. Either this process delivers them itself ([`dispatcher`]): signed with the
//! endpoint's secrets, tried again on Svix's documented schedule, every attempt logged. Or, where a
//! Svix server is configured, they are forwarded to it ([`svix_forwarder`]), and it does the rest.
//!
//! Every message is delivered at least once, under an id made from its event's place in the log: a
//! crash can make a message go out twice, but under the same id. **The order is not kept**, not
//! even per endpoint: messages to one endpoint are sent several at a time, and a message that
//! failed is overtaken by those after it. Receivers that need the order compare what the messages
//! say.
//!
//! [`dispatcher`]: crate::workers::webhooks::dispatcher
//! [`message_producer`]: crate::workers::webhooks::message_producer
//! [`svix_forwarder`]: crate::workers::webhooks::svix_forwarder

pub mod management;
pub mod sender;
pub mod settings;
pub mod test_delivery;

use muniment_domain::Millis;
use muniment_projections::webhooks::endpoints::Endpoint;
use serde_json::{Value, json};

use crate::clients::delivery_client::DeliveryClient;
use crate::clients::svix::SvixServer;
use crate::config::Delivery;
use crate::security::secrets::Random;

/// How long messages to an endpoint are signed with a secret that was replaced: a day.
pub const OVERLAP_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// What delivers webhooks.
#[derive(Clone)]
pub enum Webhooks {
    /// This server.
    Embedded(DeliveryClient),
    /// A Svix server.
    Svix(SvixServer),
}

impl Webhooks {
    /// Gets ready to deliver.
    pub fn new(delivery: &Delivery) -> Result<Self, reqwest::Error> {
        Ok(match delivery {
            Delivery::Embedded(address_policy) => {
                Self::Embedded(DeliveryClient::new(*address_policy)?)
            }
            Delivery::Svix {
                server_url,
                api_key,
            } => Self::Svix(SvixServer::new(server_url, api_key)),
        })
    }
}

/// Generates a signing secret: 24 random bytes.
#[must_use]
pub fn new_secret(random: &Random) -> String {
    format!("whsec_{}", random.base64(24))
}

/// The body of a message: exactly what is signed and sent.
#[must_use]
pub fn body(event_type: &str, data: &Value) -> String {
    json!({"type": event_type, "data": data}).to_string()
}

/// A new endpoint's beginnings.
#[must_use]
pub fn new_endpoint(random: &Random, project: &str, now: Millis) -> Endpoint {
    Endpoint {
        id: format!("ep_{}", random.base62(27)),
        project_id: project.to_owned(),
        url: String::new(),
        description: String::new(),
        is_disabled: false,
        filter_types: None,
        headers: json!({}),
        created_at: now.0,
        updated_at: now.0,
        first_failure_at: None,
        failures: 0,
        failing_since: None,
        uid: None,
        channels: None,
        metadata: json!({}),
        rate_limit: None,
    }
}
