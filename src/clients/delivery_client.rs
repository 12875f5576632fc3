//! Carrying one message to one endpoint.
//!
//! Endpoints are chosen by the projects' administrators, who are not those who run the server. So
//! addresses of the server's own network are refused, for every attempt anew, and the connection
//! goes to the address that was checked; redirects are not followed; time and size are limited.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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

/// How long an endpoint may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How much of an answer is read, in bytes.
const MAX_RESPONSE: usize = 2048;

/// Which addresses may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of the public internet.
    Public,
    /// Also private and loopback ones, for development.
    Anywhere,
}

impl Reach {
    fn admits(self, address: IpAddr) -> bool {
        self == Self::Anywhere || is_public(address)
    }
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation();
    // This network, shared addresses of carriers (RFC 6598), protocol assignments, the old relays
    // of 6to4, benchmarking (RFC 2544), and what is reserved.
    let is_reserved = a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !is_special && !is_reserved
}

/// Only global unicast addresses, and of those none that lead to an IPv4 address by another name.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let is_global = a & 0xe000 == 0x2000;
    // Protocol assignments with Teredo (2001::/23), documentation, 6to4, more documentation.
    let is_reserved = (a == 0x2001 && b < 0x0200)
        || (a, b) == (0x2001, 0x0db8)
        || a == 0x2002
        || (a == 0x3fff && b < 0x1000);
    is_global && !is_reserved
}

/// Carries messages.
#[derive(Clone)]
pub struct Courier {
    client: Client,
    reach: Reach,
    work: Arc<Notify>,
}

/// A message as it is carried.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'m> {
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

/// What came of it.
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

impl Courier {
    /// A courier who goes that far.
    ///
    /// # Errors
    /// When the HTTP client cannot be made, which would be a bug.
    pub fn new(reach: Reach) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .dns_resolver(Arc::new(CheckedNames(reach)))
            // A proxy would look names up itself.
            .no_proxy()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("Muniment-Webhooks/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            reach,
            work: Arc::default(),
        })
    }

    /// There may be work.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Returns when there may be work.
    pub async fn woken(&self) {
        self.work.notified().await;
    }

    /// Carries a message to a URL.
    pub async fn carry(&self, url: &str, parcel: Parcel<'_>) -> Reply {
        let begun = Instant::now();
        let (status, text) = match self.exchange(url, parcel).await {
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

    async fn exchange(&self, url: &str, parcel: Parcel<'_>) -> Result<(u16, String), String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        self.check_literal(&url)?;
        let signed = signed_headers(parcel).map_err(|error| error.to_string())?;
        let request = self
            .client
            .post(url)
            .headers(parcel.headers.clone())
            .headers(signed)
            .body(parcel.content.to_owned());
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
        if self.reach.admits(address) {
            Ok(())
        } else {
            Err(REFUSED.to_owned())
        }
    }
}

const REFUSED: &str = "the address is private or reserved; webhooks go to public addresses only";

/// The headers of Svix and, for receivers that know only those, of Standard Webhooks.
fn signed_headers(parcel: Parcel<'_>) -> Result<HeaderMap, Box<dyn std::error::Error>> {
    let timestamp = parcel.at.seconds();
    let signatures = parcel.secrets.iter().map(|secret| {
        Webhook::new(secret)?.sign(parcel.message_id, timestamp, parcel.content.as_bytes())
    });
    let signatures: Vec<String> = signatures.collect::<Result<_, WebhookError>>()?;
    let values = [
        ("id", parcel.message_id.to_owned()),
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
struct CheckedNames(Reach);

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted: Vec<SocketAddr> =
                found.filter(|address| reach.admits(address.ip())).collect();
            if admitted.is_empty() {
                return Err(io::Error::other(REFUSED).into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        let public = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        let others = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ];
        for address in others {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }
}
