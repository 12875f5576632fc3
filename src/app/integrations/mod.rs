//! Integrations: hosting platforms that make projects for their customers and let themselves into
//! projects.
//!
//! - [`clients`]: the platforms, as the operator registered them.
//! - [`provisioning`]: projects that a platform makes, without an owner.
//! - [`transfer`]: somebody claims such a project.
//! - [`login`]: somebody lets a platform into a project they own, by OpenID Connect.

pub mod clients;
pub mod login;
pub mod provisioning;
pub mod transfer;

use std::fmt;

use muniment_domain::{KeySetId, Millis};
use muniment_event_store::sealing::DataKey;

use crate::security::secrets::{KeyPrefix, ServerSecret};
use clients::Clients;

/// How long the keys work that platforms get: a hundred years.
const KEY_MILLIS: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// The families of integration endpoints. They differ in a few paths only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integration {
    /// For any platform.
    Custom,
    /// For Neon.
    Neon,
}

impl Integration {
    /// The family of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Custom, Self::Neon]
            .into_iter()
            .find(|known| known.as_str() == name)
    }

    /// The name in paths.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Neon => "neon",
        }
    }
}

impl fmt::Display for Integration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the integrations need of the server's configuration.
pub struct Integrations {
    /// The platforms.
    pub clients: Clients,
    secret: ServerSecret,
    /// Seals logins that are under way.
    interactions: DataKey,
}

impl Integrations {
    /// The integrations of those platforms.
    #[must_use]
    pub fn new(clients: Clients, secret: &ServerSecret) -> Self {
        Self {
            clients,
            interactions: DataKey::derive(secret.as_bytes(), "integration interactions"),
            secret: secret.clone(),
        }
    }

    /// The admin key of a set that was made for a platform. It follows from the set, so that no
    /// node has to keep it until the platform fetches it.
    fn admin_key(&self, set: KeySetId) -> String {
        let purpose = format!("integration key set {set}");
        self.secret
            .derive_key(KeyPrefix::SuperSecretAdmin, &purpose)
    }
}

/// When a key expires that a platform gets now.
fn key_expiry(now: Millis) -> Millis {
    now.plus(KEY_MILLIS)
}
