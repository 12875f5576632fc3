//! Stripe as a client: the calls that payments need, with typed answers.
//!
//! Muniment is a Stripe Connect platform; every project has a connected account of its own. So
//! there are two faces: [`Stripe`] calls in the name of the platform, [`ConnectedStripe`] in that of
//! a project's account.
//!
//! ```no_run
//! # use muniment::clients::stripe::{Stripe, StripeError};
//! # async fn example(stripe: Stripe) -> Result<(), StripeError> {
//! let account = stripe.retrieve_account("acct_1").await?;
//! let customers = stripe.on(&account.id).search_customers("ada").await?;
//! # Ok(()) }
//! ```
//!
//! With the key [`MOCK_KEY`] nothing is charged, and without a base URL of one's own nothing leaves
//! the process: see [`mock`].

mod accounts;
mod customers;
mod error;
mod form;
pub mod mock;
mod objects;
mod payments;
mod subscriptions;
mod transport;
pub mod webhook;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use accounts::Preference;
pub use error::{Refusal, StripeError};
pub use objects::{
    Account, AccountLink, AccountSession, Card, Customer, Expandable, Identified, Invoice,
    InvoicePayment, List, Metadata, PaymentIntent, PaymentMethod, PaymentMethodConfiguration,
    Product, Refund, SetupIntent, Subscription, SubscriptionItem, metadata_of,
};
pub use payments::NewPaymentIntent;
pub use subscriptions::{PaymentBehavior, RecurringPrice, SubscriptionTerms};
pub use transport::StripeSetupError;

use crate::security::secrets::Random;
use mock::Mock;
use transport::{Call, Http};

/// Where Stripe is.
pub const API_BASE: &str = "https://api.stripe.com";
/// The key that stands for no Stripe account at all.
pub const MOCK_KEY: &str = "sk_test_mockstripekey";
/// How long to wait before the first repetition of a call; before each further one, twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How to reach Stripe.
#[derive(Clone)]
pub struct StripeAccess {
    /// The platform's secret key.
    pub secret_key: String,
    /// What signs Stripe's webhooks; without it they are refused.
    pub webhook_secret: Option<String>,
    /// The base of the API; by default Stripe's own, or with [`MOCK_KEY`] the mock.
    pub api_base: Option<String>,
    /// How long to wait before the first repetition of a call.
    pub first_pause: Duration,
}

impl StripeAccess {
    /// Access with that key.
    #[must_use]
    pub fn with_key(secret_key: &str) -> Self {
        Self {
            secret_key: secret_key.to_owned(),
            webhook_secret: None,
            api_base: None,
            first_pause: FIRST_PAUSE,
        }
    }

    /// Whether the key stands for no account.
    #[must_use]
    pub fn is_mock(&self) -> bool {
        self.secret_key == MOCK_KEY
    }
}

impl std::fmt::Debug for StripeAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StripeAccess")
            .field("api_base", &self.api_base)
            .finish_non_exhaustive()
    }
}

/// Who answers calls.
enum Carrier {
    Http(Http),
    Mock(Mock),
}

struct Inner {
    carrier: Carrier,
    is_mock: bool,
    webhook_secret: Option<String>,
}

/// Stripe, in the name of the platform. Cheap to clone.
#[derive(Clone)]
pub struct Stripe {
    inner: Arc<Inner>,
    /// Fields that go over the mock's answers, by the calls' names.
    mock_data: Arc<Map<String, Value>>,
}

impl Stripe {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// When the key is none, or the HTTP client cannot be made.
    pub fn new(access: StripeAccess, random: Random) -> Result<Self, StripeSetupError> {
        let is_mock = access.is_mock();
        let base = access
            .api_base
            .or_else(|| (!is_mock).then(|| API_BASE.to_owned()));
        let carrier = match base {
            Some(base) => Carrier::Http(Http::new(
                &access.secret_key,
                &base,
                access.first_pause,
                random,
            )?),
            None => Carrier::Mock(Mock::new(random)),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                carrier,
                is_mock,
                webhook_secret: access.webhook_secret,
            }),
            mock_data: Arc::default(),
        })
    }

    /// Whether the key stands for no Stripe account: nothing is ever charged then.
    #[must_use]
    pub fn is_mock(&self) -> bool {
        self.inner.is_mock
    }

    /// What signs Stripe's webhooks.
    #[must_use]
    pub fn webhook_secret(&self) -> Option<&str> {
        self.inner.webhook_secret.as_deref()
    }

    /// The same client, whose answers are overlaid with fields of one's own: `{"customers.retrieve":
    /// {"metadata": {…}}}` replaces the metadata of every customer that is retrieved. None outside
    /// mock mode, where answers must be Stripe's.
    #[must_use]
    pub fn with_mock_data(&self, data: Map<String, Value>) -> Option<Self> {
        self.is_mock().then(|| Self {
            inner: Arc::clone(&self.inner),
            mock_data: Arc::new(data),
        })
    }

    /// The client in the name of a connected account.
    #[must_use]
    pub fn on(&self, account: &str) -> ConnectedStripe {
        ConnectedStripe {
            stripe: self.clone(),
            account: account.to_owned(),
        }
    }

    async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, StripeError> {
        let mut answer = match &self.inner.carrier {
            Carrier::Http(http) => http.send(&call).await?,
            Carrier::Mock(mock) => mock.answer(&call),
        };
        if let (Value::Object(answer), Some(Value::Object(over))) =
            (&mut answer, self.mock_data.get(call.name))
        {
            answer.extend(over.clone());
        }
        serde_json::from_value(answer).map_err(|error| StripeError::Unreadable {
            call: call.name,
            reason: error.to_string(),
        })
    }
}

/// Stripe, in the name of a connected account.
#[derive(Clone)]
pub struct ConnectedStripe {
    stripe: Stripe,
    account: String,
}

impl ConnectedStripe {
    /// `acct_…`
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The client in the name of the platform.
    #[must_use]
    pub fn platform(&self) -> &Stripe {
        &self.stripe
    }

    async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, StripeError> {
        let account = Some(self.account.clone());
        self.stripe.call(Call { account, ..call }).await
    }
}

impl Call {
    fn new(name: &'static str, method: Method, path: String, params: Value) -> Self {
        Self {
            name,
            method,
            path,
            params,
            account: None,
            idempotency_key: None,
        }
    }

    fn get(name: &'static str, path: impl Into<String>, params: Value) -> Self {
        Self::new(name, Method::GET, path.into(), params)
    }

    fn post(name: &'static str, path: impl Into<String>, params: Value) -> Self {
        Self::new(name, Method::POST, path.into(), params)
    }

    fn delete(name: &'static str, path: impl Into<String>) -> Self {
        Self::new(name, Method::DELETE, path.into(), Value::Null)
    }

    /// Under that key, Stripe does it once within a day, however often and by whomever it is asked.
    fn once(self, key: Option<&str>) -> Self {
        Self {
            idempotency_key: key.map(str::to_owned),
            ..self
        }
    }
}

/// The path of an object. Ids may come from callers, and must not lead anywhere else.
fn path_of(call: &'static str, collection: &str, id: &str) -> Result<String, StripeError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.bytes().all(plain) {
        return Ok(format!("/v1/{collection}/{id}"));
    }
    let refusal = Refusal {
        status: 404,
        kind: "invalid_request_error".to_owned(),
        code: Some("resource_missing".to_owned()),
        message: "there is no object with such an id".to_owned(),
        param: Some("id".to_owned()),
    };
    Err(StripeError::Refused { call, refusal })
}
