//! Configuration, from flags and environment: one struct per concern, in a file of its own.
//!
//! A setting is in three places: its field here, the place that uses it, and its row in
//! `docs/configuration.md`, which a test compares with the flags.

mod analytics;
mod database;
mod integrations;
mod internal_project;
mod limits;
mod mail;
mod network;
mod payments;
mod secrets;
mod switch;
mod trusted_proxy;
mod webhooks;
mod workers;

use clap::builder::Resettable;
use clap::{Args, Command, FromArgMatches};

pub use analytics::AnalyticsSettings;
pub use database::DatabaseSettings;
pub use integrations::IntegrationSettings;
pub use internal_project::InternalProject;
pub use limits::LimitSettings;
pub use mail::MailSettings;
pub use network::NetworkSettings;
pub use payments::PaymentSettings;
pub use secrets::SecretSettings;
pub use switch::Switch;
pub use trusted_proxy::TrustedProxy;
pub use webhooks::{Delivery, WebhookSettings};
pub use workers::WorkerSettings;

/// The settings of a server.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// Addresses.
    #[command(flatten)]
    pub network: NetworkSettings,
    /// Hosting platforms.
    #[command(flatten)]
    pub integrations: IntegrationSettings,
    /// The master secret and access tokens.
    #[command(flatten)]
    pub secrets: SecretSettings,
    /// Limits against abuse.
    #[command(flatten)]
    pub limits: LimitSettings,
    /// The work beside requests.
    #[command(flatten)]
    pub workers: WorkerSettings,
    /// Mail.
    #[command(flatten)]
    pub mail: MailSettings,
    /// Webhooks.
    #[command(flatten)]
    pub webhooks: WebhookSettings,
    /// Analytics.
    #[command(flatten)]
    pub analytics: AnalyticsSettings,
    /// Payments.
    #[command(flatten)]
    pub payments: PaymentSettings,
    /// The `internal` project.
    #[command(flatten)]
    pub internal: InternalProject,
}

impl Settings {
    /// The defaults, whatever the environment says: for servers that are put together in code, as
    /// in tests.
    ///
    /// # Errors
    /// When a setting has no default, which would be a bug.
    pub fn defaults() -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("muniment").no_binary_name(true));
        let command = command.mut_args(|argument| argument.env(Resettable::Reset));
        let matches = command.try_get_matches_from(std::iter::empty::<&str>())?;
        Self::from_arg_matches(&matches)
    }
}
