//! Hosting platforms that may make projects.

use clap::Args;

/// The hosting platforms that the operator registers.
#[derive(Args, Clone, Debug)]
pub struct IntegrationSettings {
    /// Hosting platforms that may make projects: a JSON list of `{client_id, client_secret,
    /// redirect_uris, id_token_signed_response_alg}` [default: none].
    #[arg(long, env = "STACK_INTEGRATION_CLIENTS_CONFIG", hide_env_values = true)]
    pub integration_clients: Option<String>,
}
