//! The HTTP client that delivers one signed message to one endpoint.
//!
//! Endpoints are chosen by the projects' administrators, who are not those who run the server. So
//! addresses of the server's own network are refused, at every attempt, and the connection
//! goes to the address that was checked; redirects are not followed; time and size are limited.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use muniment_domain::Millis;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use svix::webhooks::{Webhook, WebhookError};
use tokio::sync::Notify;
use url::{Host, Url};

use super::address_policy::AddressPolicy;

/// How long an endpoint may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How much of an answer is read, in bytes.
const MAX_RESPONSE: usize = 2048;

/// Delivers messages over HTTP, to the addresses that its policy allows.
#[derive(Clone)]
pub struct DeliveryClient {
    client: Client,
    address_policy: AddressPolicy,
    work: Arc<Notify>,
}

/// A message and what it takes to sign and send it.
#[derive(Clone, Copy, Debug)]
pub struct SignedMessage<'m> {
    /// The message's id.
    pub message_id: &'m str,
    /// The body.
    pub content: &'m str,
    /// The endpoint's secrets.
    pub secrets: &'m [String],
    /// Headers that the endpoint wants.
    pub headers: &'m HeaderMap,
    /// When it is sent.
    pub at: Millis,
}

/// The answer to one delivery.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status; 0 if there was none.
    pub status: u16,
    /// The beginning of the answer, or why there was none.
    pub text: String,
    /// How long it took.
    pub took: Duration,
}

impl Reply {
    /// Whether the endpoint took the message.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl DeliveryClient {
    /// A client that connects to the addresses which `address_policy` allows.
    pub fn new(address_policy: AddressPolicy) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .dns_resolver(Arc::new(CheckedNames(address_policy)))
            // A proxy would look names up itself.
            .no_proxy()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("Muniment-Webhooks/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            address_policy,
            work: Arc::default(),
        })
    }

    /// Wakes the dispatcher: there may be work.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Waits until [`Self::wake`] is called.
    pub async fn woken(&self) {
        self.work.notified().await;
    }

    /// Signs a message and posts it to a URL.
    pub async fn send(&self, url: &str, message: SignedMessage<'_>) -> Reply {
        let begun = Instant::now();
        let (status, text) = match self.exchange(url, message).await {
            Ok((status, text)) => (status, text),
            Err(reason) => (0, reason),
        };
        Reply {
            status,
            // Postgres cannot store a NUL.
            text: text.replace('\0', "\u{fffd}"),
            took: begun.elapsed(),
        }
    }

    async fn exchange(
        &self,
        url: &str,
        message: SignedMessage<'_>,
    ) -> Result<(u16, String), String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        self.check_literal(&url)?;
        let signed = signed_headers(message).map_err(|error| error.to_string())?;
        let request = self
            .client
            .post(url)
            .headers(message.headers.clone())
            .headers(signed)
            .body(message.content.to_owned());
        let response = request.send().await.map_err(|error| causes(&error))?;
        let status = response.status().as_u16();
        Ok((status, beginning(response).await))
    }

    /// Addresses in a URL are not looked up, so they are checked here.
    fn check_literal(&self, url: &Url) -> Result<(), String> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err("the URL names no host".to_owned()),
        };
        if self.address_policy.allows(address) {
            Ok(())
        } else {
            Err(REFUSED.to_owned())
        }
    }
}

const REFUSED: &str = "the address is private or reserved; webhooks go to public addresses only";

/// The headers of Svix and, for receivers that know only those, of Standard Webhooks.
fn signed_headers(message: SignedMessage<'_>) -> Result<HeaderMap, Box<dyn std::error::Error>> {
    let timestamp = message.at.seconds();
    let signatures = message.secrets.iter().map(|secret| {
        Webhook::new(secret)?.sign(message.message_id, timestamp, message.content.as_bytes())
    });
    let signatures: Vec<String> = signatures.collect::<Result<_, WebhookError>>()?;
    let values = [
        ("id", message.message_id.to_owned()),
        ("timestamp", timestamp.to_string()),
        ("signature", signatures.join(" ")),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in values {
        let value = HeaderValue::try_from(value)?;
        for brand in ["svix", "webhook"] {
            let name = HeaderName::try_from(format!("{brand}-{name}"))?;
            headers.insert(name, value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}

/// The first bytes of the answer; the rest is not even read.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_RESPONSE {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            // An answer that breaks off has a status all the same.
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(MAX_RESPONSE);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What went wrong, without the URL, which its owner knows.
fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} seconds", TIMEOUT.as_secs());
    }
    let mut text = "the endpoint cannot be reached".to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Looks names up and keeps only addresses that may be reached.
struct CheckedNames(AddressPolicy);

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let address_policy = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted: Vec<SocketAddr> = found
                .filter(|address| address_policy.allows(address.ip()))
                .collect();
            if admitted.is_empty() {
                return Err(io::Error::other(REFUSED).into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}
