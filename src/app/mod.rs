//! What requests do, where it takes more than one aggregate, a password or a token.

pub mod accounts;
pub mod api_keys;
pub mod permissions;
pub mod projects;
pub mod redirects;
pub mod seed;
pub mod sessions;
pub mod sign_in;
pub mod teams;

use std::sync::Arc;

use muniment_domain::Millis;
use muniment_projections::telemetry::Activity;
use muniment_projections::unit_of_work::Ledgered;
use muniment_projections::{EventContext, EventLog, LedgerError};

use crate::clock::Clock;
use crate::passwords::Passwords;
use crate::secrets::Random;
use crate::settings::TrustedProxy;
use crate::tokens::TokenIssuer;

use projects::ProjectDirectory;

/// Everything a request may need. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts an [`App`] is made of.
pub struct Parts {
    /// The event log and its database.
    pub log: EventLog,
    /// Projects with their settings and keys.
    pub projects: ProjectDirectory,
    /// Last-active times.
    pub activity: Activity,
    /// Access tokens.
    pub tokens: TokenIssuer,
    /// Password hashing.
    pub passwords: Passwords,
    /// The time.
    pub clock: Clock,
    /// Ids and secrets.
    pub random: Random,
    /// Where callers reach the server, without a slash at the end.
    pub public_url: String,
    /// The proxy whose forwarded-for header counts.
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
