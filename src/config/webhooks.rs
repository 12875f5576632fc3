//! How webhooks are delivered.

use clap::Args;

use super::switch::Switch;
use crate::clients::address_policy::AddressPolicy;

/// What delivers webhooks.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// This server, to the addresses that the policy allows.
    Embedded(AddressPolicy),
    /// A Svix server.
    Svix {
        /// Its URL.
        server_url: String,
        /// The key to it.
        api_key: String,
    },
}

/// How webhooks are delivered.
#[derive(Args, Clone, Debug)]
pub struct WebhookSettings {
    /// A Svix server that delivers webhooks [default: this server delivers them itself].
    #[arg(long, env = "SVIX_SERVER_URL")]
    pub svix_server_url: Option<String>,
    /// The key to the Svix server.
    #[arg(long, env = "SVIX_API_KEY", hide_env_values = true)]
    pub svix_api_key: Option<String>,
    /// Whether webhooks may go to private and loopback addresses [default: on in `dev`, off in
    /// `serve`].
    #[arg(long, env = "MUNIMENT_WEBHOOK_ALLOW_PRIVATE", value_enum)]
    pub webhook_allow_private: Option<Switch>,
}

impl WebhookSettings {
    /// How webhooks are delivered; under the address policy `fallback` unless the settings say otherwise.
    ///
    /// # Errors
    /// When only one half of what it takes to reach Svix is there.
    pub fn delivery(&self, fallback: AddressPolicy) -> Result<Delivery, String> {
        // Compose files pass on unset variables as empty ones.
        let set = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        match (set(&self.svix_server_url), set(&self.svix_api_key)) {
            (Some(server_url), Some(api_key)) => Ok(Delivery::Svix {
                server_url,
                api_key,
            }),
            (None, None) => Ok(Delivery::Embedded(match self.webhook_allow_private {
                Some(Switch::On) => AddressPolicy::Anywhere,
                Some(Switch::Off) => AddressPolicy::Public,
                None => fallback,
            })),
            _ => Err("set both SVIX_SERVER_URL and SVIX_API_KEY, or neither".to_owned()),
        }
    }
}
