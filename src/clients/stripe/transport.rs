//! Carrying a call to Stripe and its answer back: headers, retries, time limits.

use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

use super::error::{Refusal, StripeError};
use super::form;
use crate::security::secrets::Random;

/// The version of the API whose shapes this client reads: subscription items have periods of their
/// own, and invoices a confirmation secret (<https://docs.stripe.com/changelog/basil>).
const VERSION: HeaderValue = HeaderValue::from_static("2025-08-27.basil");
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one attempt may take. All of them together stay below the time a request of ours has.
const TIMEOUT: Duration = Duration::from_secs(12);
/// How often a call is repeated, at most.
const RETRIES: u32 = 3;
/// The longest pause between two attempts, whatever Stripe asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Its name, as `customers.create`: the resource and the method of Stripe's own libraries.
    pub name: &'static str,
    pub method: Method,
    /// The path below the API's base, as `/v1/customers`.
    pub path: String,
    pub params: Value,
    /// The connected account it is made for; the platform itself, if none.
    pub account: Option<String>,
    /// The name under which Stripe does it once, however often it is sent.
    pub idempotency_key: Option<String>,
}

/// Calls over HTTP.
pub(super) struct Http {
    client: Client,
    base: String,
    random: Random,
    first_pause: Duration,
}

/// What an attempt came to.
enum Attempt {
    Answered(Value),
    Failed(StripeError),
    /// It may work the next time, at the earliest after that pause.
    Retry(StripeError, Option<Duration>),
}

impl Http {
    /// # Errors
    /// When the key cannot stand in a header, or the client cannot be made.
    pub(super) fn new(
        key: &str,
        base: &str,
        first_pause: Duration,
        random: Random,
    ) -> Result<Self, StripeSetupError> {
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| StripeSetupError::Key)?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            (HeaderName::from_static("stripe-version"), VERSION),
        ]);
        let client = Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            random,
            first_pause,
        })
    }

    /// Makes the call, again if it makes sense, as Stripe's own libraries do
    /// (<https://docs.stripe.com/error-low-level>). Writes carry an idempotency key, so that one
    /// whose answer was lost is not done twice.
    pub(super) async fn send(&self, call: &Call) -> Result<Value, StripeError> {
        let key = (call.method == Method::POST).then(|| {
            call.idempotency_key
                .clone()
                .unwrap_or_else(|| self.random.uuid().to_string())
        });
        let mut pause = self.first_pause;
        let mut retries = 0;
        loop {
            match self.attempt(call, key.as_deref()).await {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Failed(error) => return Err(error),
                Attempt::Retry(error, _) if retries == RETRIES => return Err(error),
                Attempt::Retry(error, asked) => {
                    retries += 1;
                    tracing::debug!(%error, retries, "a call to Stripe is repeated");
                    tokio::time::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    pause *= 2;
                }
            }
        }
    }

    async fn attempt(&self, call: &Call, key: Option<&str>) -> Attempt {
        let encoded = form::encode(&call.params);
        let mut url = format!("{}{}", self.base, call.path);
        let has_body = call.method == Method::POST;
        if !has_body && !encoded.is_empty() {
            url = format!("{url}?{encoded}");
        }
        let mut request = self.client.request(call.method.clone(), url);
        if has_body {
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encoded);
        }
        if let Some(account) = &call.account {
            request = request.header("stripe-account", account);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        match request.send().await {
            Ok(response) => read(call.name, response).await,
            // The address is the operator's to know, not the caller's.
            Err(error) => Attempt::Retry(unreachable(call.name, error), None),
        }
    }
}

fn unreachable(call: &'static str, error: reqwest::Error) -> StripeError {
    let reason = if error.is_timeout() {
        "there was no answer in time".to_owned()
    } else {
        error.without_url().to_string()
    };
    StripeError::Unreachable { call, reason }
}

async fn read(call: &'static str, response: Response) -> Attempt {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = match response.bytes().await {
        Ok(bytes) => bytes,
        Err(error) => return Attempt::Retry(unreachable(call, error), None),
    };
    if status.is_success() {
        return match serde_json::from_slice(&bytes) {
            Ok(answer) => Attempt::Answered(answer),
            Err(error) => Attempt::Failed(StripeError::Unreadable {
                call,
                reason: error.to_string(),
            }),
        };
    }
    let refusal = Refusal::read(status.as_u16(), &bytes);
    let error = StripeError::Refused { call, refusal };
    if should_retry(status, &headers) {
        Attempt::Retry(error, retry_after(&headers))
    } else {
        Attempt::Failed(error)
    }
}

/// Stripe may say so itself; else after lock conflicts, rate limits and faults of its own.
fn should_retry(status: StatusCode, headers: &HeaderMap) -> bool {
    match headers
        .get("stripe-should-retry")
        .map(HeaderValue::as_bytes)
    {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => {
            status == StatusCode::CONFLICT
                || status == StatusCode::TOO_MANY_REQUESTS
                || status.is_server_error()
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum StripeSetupError {
    /// The key has characters that no key has.
    #[error("STRIPE_SECRET_KEY is not a key: it has characters that cannot stand in a header")]
    Key,
    /// The HTTP client.
    #[error("the HTTP client for Stripe cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}
