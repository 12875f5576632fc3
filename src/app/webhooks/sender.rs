//! One attempt at delivering one message to one endpoint.

use muniment_projections::webhooks::endpoints::Endpoint;
use muniment_projections::webhooks::queue::{Attempt, Due};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::clients::delivery_client::{DeliveryClient, SignedMessage};
use crate::clock::Clock;
use crate::security::secrets::Random;

/// Makes attempts at delivering messages.
#[derive(Clone)]
pub struct Sender {
    /// The HTTP client.
    pub client: DeliveryClient,
    /// The time.
    pub clock: Clock,
    /// The ids of attempts.
    pub random: Random,
}

impl Sender {
    /// Tries once to deliver a message.
    pub async fn attempt(&self, endpoint: &Endpoint, secrets: &[String], due: &Due) -> Attempt {
        let at = self.clock.now();
        let mut attempt = Attempt {
            id: format!("atmpt_{}", self.random.base62(27)),
            endpoint_id: endpoint.id.clone(),
            message_id: due.message_id.clone(),
            url: endpoint.url.clone(),
            status: "fail".to_owned(),
            response_status_code: 0,
            response: String::new(),
            duration_millis: 0,
            is_manual: due.is_manual,
            created_at: at.0,
        };
        let Some(content) = &due.content else {
            attempt.response = String::from("what the message told of was erased");
            return attempt;
        };
        let message = SignedMessage {
            message_id: &due.message_id,
            content,
            secrets,
            headers: &headers_of(endpoint),
            at,
        };
        let reply = self.client.send(&endpoint.url, message).await;
        metrics::counter!("muniment_webhook_attempts_total",
            "outcome" => if reply.is_success() { "success" } else { "failure" })
        .increment(1);
        if reply.is_success() {
            attempt.status = String::from("success");
        }
        attempt.response_status_code = i32::from(reply.status);
        attempt.duration_millis = i64::try_from(reply.took.as_millis()).unwrap_or(i64::MAX);
        attempt.response = reply.text;
        attempt
    }
}

fn headers_of(endpoint: &Endpoint) -> HeaderMap {
    let fields = endpoint.headers.as_object().into_iter().flatten();
    let headers = fields.filter_map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value.as_str()?).ok()?))
    });
    headers.collect()
}
