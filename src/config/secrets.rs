//! The master secret, and the tokens that are signed with keys derived from it.

use clap::Args;

use crate::security::secrets::ServerSecret;

/// The master secret and the access tokens.
#[derive(Args, Clone, Debug)]
pub struct SecretSettings {
    /// The master secret, base64url, at least 32 bytes. Signing keys and seals derive from it.
    #[arg(long, env = "MUNIMENT_SERVER_SECRET", hide_env_values = true)]
    pub server_secret: Option<ServerSecret>,
    /// The life of an access token, in seconds.
    #[arg(long, env = "MUNIMENT_ACCESS_TOKEN_SECONDS", default_value_t = 600,
          value_parser = clap::value_parser!(i64).range(1..))]
    pub access_token_seconds: i64,
}
