//! Where the API listens, where callers reach it, and who stands between.

use std::net::{IpAddr, SocketAddr};

use clap::Args;

use super::trusted_proxy::TrustedProxy;

/// Addresses of the server, and of those around it.
#[derive(Args, Clone, Debug)]
pub struct NetworkSettings {
    /// The port the API listens on.
    #[arg(long, env = "MUNIMENT_PORT", default_value_t = 8102)]
    pub port: u16,
    /// The address the API listens on [default: 127.0.0.1 in `dev`, 0.0.0.0 in `serve`].
    #[arg(long, env = "MUNIMENT_BIND")]
    pub bind: Option<IpAddr>,
    /// Where callers reach the API: the base of issuers, callbacks and links.
    #[arg(
        long,
        env = "MUNIMENT_PUBLIC_URL",
        default_value = "http://localhost:8102"
    )]
    pub public_url: String,
    /// Where the dashboard is: the base of links that lead people there [default: the public URL].
    #[arg(long, env = "MUNIMENT_DASHBOARD_URL")]
    pub dashboard_url: Option<String>,
    /// The same, under the name that existing installations use.
    #[arg(long, env = "NEXT_PUBLIC_STACK_DASHBOARD_URL", hide = true)]
    pub stack_dashboard_url: Option<String>,
    /// The proxies in front of the server, whose word about a caller's address counts: `vercel`,
    /// `cloudflare`, `cloud-run`, how many of one's own there are, or their networks, separated by
    /// commas. Without it, `x-forwarded-for` is not believed.
    #[arg(long, env = "MUNIMENT_TRUSTED_PROXY")]
    pub trusted_proxy: Option<TrustedProxy>,
}

impl NetworkSettings {
    /// The address to listen on: that of `fallback` unless the settings say otherwise.
    #[must_use]
    pub fn listen_on(&self, fallback: IpAddr) -> SocketAddr {
        SocketAddr::new(self.bind.unwrap_or(fallback), self.port)
    }

    /// The URL of the dashboard.
    #[must_use]
    pub fn dashboard(&self) -> &str {
        let named = [&self.dashboard_url, &self.stack_dashboard_url];
        // Compose files pass on unset variables as empty ones.
        let mut named = named.into_iter().flatten().filter(|url| !url.is_empty());
        named.next().unwrap_or(&self.public_url)
    }
}
