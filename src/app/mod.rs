//! What requests do, where it takes more than one aggregate, a password or a token.

pub mod api_keys;
pub mod auth;
pub mod authorization;
pub mod conversations;
pub mod emails;
pub mod integrations;
pub mod payments;
pub mod permissions;
pub mod projects;
pub mod request_context;
pub mod session_replays;
pub mod teams;
pub mod users;
pub mod webhooks;

use std::sync::Arc;

use muniment_domain::Millis;
use muniment_event_store::Ledgered;
use muniment_event_store::keyed_lock::KeyedLock;
use muniment_event_store::{EventContext, EventLog, LedgerError};
use muniment_projections::analytics::AnalyticsStore;
use muniment_projections::read_models::users::loader::UserLoader;
use muniment_projections::telemetry::{Activity, Recorder};
use uuid::Uuid;

use crate::app::auth::revoked_sessions::RevokedSessions;
use crate::app::webhooks::Webhooks;
use crate::clients::mail::SharedMail;
use crate::clients::stripe::Stripe;
use crate::clock::Clock;
use crate::config::TrustedProxy;
use crate::security::limits::Limits;
use crate::security::passwords::Passwords;
use crate::security::portal_tokens::PortalTokens;
use crate::security::secrets::Random;
use crate::security::tokens::TokenIssuer;

use integrations::Integrations;
use projects::directory::ProjectDirectory;

/// Everything a request may need. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// How much callers learn of why the analytics store refused a query. Some of its texts name tables
/// and columns that the caller may not know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryErrors {
    /// Only what is safe to show.
    Withheld,
    /// The store's own text as well: for development and tests.
    Shown,
}

/// The parts an [`App`] is made of.
pub struct Parts {
    /// The event log and its database.
    pub log: EventLog,
    /// Projects with their settings and keys.
    pub projects: ProjectDirectory,
    /// Users, read several at a time.
    pub users: UserLoader,
    /// Sessions whose access tokens are refused.
    pub revoked_sessions: RevokedSessions,
    /// Last-active times.
    pub activity: Activity,
    /// The analytics store, if there is one.
    pub analytics: Option<AnalyticsStore>,
    /// How much callers learn of why the analytics store refused a query.
    pub query_errors: QueryErrors,
    /// What the page of the reference fills in: values by the names of security schemes.
    pub docs_credentials: Vec<(&'static str, String)>,
    /// What takes events for the analytics store.
    pub recorder: Recorder,
    /// Access tokens.
    pub tokens: TokenIssuer,
    /// Where mail goes that projects send without a server of their own.
    pub mail: SharedMail,
    /// Password hashing.
    pub passwords: Passwords,
    /// The time.
    pub clock: Clock,
    /// Ids and secrets.
    pub random: Random,
    /// Where callers reach the server, without a slash at the end.
    pub public_url: String,
    /// Where the dashboard is, without a slash at the end.
    pub dashboard_url: String,
    /// Hosting platforms.
    pub integrations: Integrations,
    /// How often something may be tried.
    pub limits: Limits,
    /// What delivers webhooks.
    pub webhooks: Webhooks,
    /// What takes payments, if anything does.
    pub stripe: Option<Stripe>,
    /// Tokens with which webhooks are managed by Svix's API.
    pub portal_tokens: PortalTokens,
    /// Turns of requests that change the same customer.
    pub customer_locks: KeyedLock<Uuid>,
    /// The proxies whose word about a caller's address counts.
    pub trusted_proxy: Option<TrustedProxy>,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.0.clock.now()
    }

    /// Carries out one command on one aggregate.
    ///
    /// # Errors
    /// What the aggregate refuses; when the database fails.
    pub async fn execute<A>(
        &self,
        context: &EventContext,
        id: &A::Id,
        command: &A::Command,
    ) -> Result<(), LedgerError>
    where
        A: Ledgered,
        A::Command: Clone,
        A::Error: Into<LedgerError>,
    {
        self.log
            .transact(context, |mut unit| async move {
                unit.execute::<A>(id, command.clone()).await?;
                Ok::<_, LedgerError>((unit, ()))
            })
            .await
    }

    /// The state of one aggregate.
    ///
    /// # Errors
    /// When its stream cannot be read.
    pub async fn state<A>(&self, context: &EventContext, id: &A::Id) -> Result<A, LedgerError>
    where
        A: Ledgered,
        A::Error: Into<LedgerError>,
    {
        self.log
            .transact(context, |mut unit| async move {
                let state = unit.state::<A>(id).await?;
                Ok::<_, LedgerError>((unit, state))
            })
            .await
    }

    /// The database, for reading.
    #[must_use]
    pub fn pool(&self) -> &sqlx::PgPool {
        self.0.log.pool()
    }
}

impl std::ops::Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
