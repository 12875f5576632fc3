//! Configuration, from flags and environment. The README's table says the same in prose.

mod internal_project;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use crate::limits::Quotas;
use crate::mail::transport::MailServerError;
use crate::mail::{Carrier, SharedMail};
use crate::secrets::ServerSecret;
use crate::webhooks::Delivery;
use crate::webhooks::courier::Reach;

pub use internal_project::InternalProject;

/// What every role of the server needs.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Postgres, as `postgres://user:password@host:5432/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Connections to Postgres, at most.
    #[arg(long, env = "MUNIMENT_DATABASE_CONNECTIONS", default_value_t = 20)]
    pub database_connections: u32,
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
    /// The master secret, base64url, at least 32 bytes. Signing keys and seals derive from it.
    #[arg(long, env = "MUNIMENT_SERVER_SECRET", hide_env_values = true)]
    pub server_secret: Option<ServerSecret>,
    /// The life of an access token, in seconds.
    #[arg(long, env = "MUNIMENT_ACCESS_TOKEN_SECONDS", default_value_t = 600,
          value_parser = clap::value_parser!(i64).range(1..))]
    pub access_token_seconds: i64,
    /// The proxies in front of the server, whose word about a caller's address counts: `vercel`,
    /// `cloudflare`, `cloud-run`, how many of one's own there are, or their networks, separated by
    /// commas. Without it, `x-forwarded-for` is not believed.
    #[arg(long, env = "MUNIMENT_TRUSTED_PROXY")]
    pub trusted_proxy: Option<TrustedProxy>,
    /// Limits against abuse: `on`, `off`, or those that differ from the defaults, as
    /// `password-guess=5/1h,sign-up-ip=100/1m`.
    #[arg(long, env = "MUNIMENT_RATE_LIMITS", default_value = "on")]
    pub rate_limits: Quotas,
    /// Whether this process follows the log as well as serving the API.
    #[arg(long, env = "MUNIMENT_SUBSCRIBERS", value_enum, default_value_t = Switch::On)]
    pub subscribers: Switch,
    /// Mail.
    #[command(flatten)]
    pub mail: MailSettings,
    /// Webhooks.
    #[command(flatten)]
    pub webhooks: WebhookSettings,
    /// The `internal` project.
    #[command(flatten)]
    pub internal: InternalProject,
}

/// How mail is sent for projects without a mail server of their own.
#[derive(Args, Clone, Debug)]
pub struct MailSettings {
    /// The mail server, as `smtp://user:password@host:587`; TLS is used where the server offers it,
    /// and from the start on port 465 or with `smtps://` [default: in `dev`, the page /dev/mail].
    #[arg(long, env = "MUNIMENT_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// The address that mail comes from.
    #[arg(
        long,
        env = "MUNIMENT_EMAIL_SENDER",
        default_value = "noreply@muniment.localhost"
    )]
    pub email_sender: String,
}

impl MailSettings {
    /// Where mail goes; without a server, to `otherwise`.
    ///
    /// # Errors
    /// When the URL does not name a mail server.
    pub fn shared(&self, otherwise: Carrier) -> Result<SharedMail, MailServerError> {
        // Compose files pass on unset variables as empty ones.
        let url = self.smtp_url.as_deref().filter(|url| !url.is_empty());
        Ok(SharedMail {
            carrier: match url {
                Some(url) => Carrier::Server(url.parse()?),
                None => otherwise,
            },
            sender: self.email_sender.clone(),
        })
    }
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
    /// How webhooks are delivered; as far as `fallback`, if nothing else was said.
    ///
    /// # Errors
    /// When only one half of what it takes to reach Svix is there.
    pub fn delivery(&self, fallback: Reach) -> Result<Delivery, String> {
        // Compose files pass on unset variables as empty ones.
        let set = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        match (set(&self.svix_server_url), set(&self.svix_api_key)) {
            (Some(server_url), Some(api_key)) => Ok(Delivery::Svix {
                server_url,
                api_key,
            }),
            (None, None) => Ok(Delivery::Embedded(match self.webhook_allow_private {
                Some(Switch::On) => Reach::Anywhere,
                Some(Switch::Off) => Reach::Public,
                None => fallback,
            })),
            _ => Err("set both SVIX_SERVER_URL and SVIX_API_KEY, or neither".to_owned()),
        }
    }
}

/// Something that can be switched. `true` and `false` are understood as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    #[value(alias = "true")]
    On,
    /// Off.
    #[value(alias = "false")]
    Off,
}

impl Switch {
    /// Whether it is on.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// Proxies whose word about a caller's address counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// `x-vercel-forwarded-for`
    Vercel,
    /// `cf-connecting-ip`
    Cloudflare,
    /// The second-to-last entry of `x-forwarded-for`, which Google's load balancer writes.
    CloudRun,
    /// So many proxies of one's own, each of which appends to `x-forwarded-for` whom it heard from.
    Hops(NonZeroUsize),
    /// Proxies of one's own in these networks, which append likewise.
    Networks(Vec<IpNet>),
}

impl FromStr for TrustedProxy {
    type Err = String;

    /// Reads a name, a number, or networks (`10.0.0.0/8,fd00::/8`; a single address will do).
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "vercel" => return Ok(Self::Vercel),
            "cloudflare" => return Ok(Self::Cloudflare),
            "cloud-run" => return Ok(Self::CloudRun),
            _ => {}
        }
        if let Ok(hops) = text.parse() {
            return Ok(Self::Hops(hops));
        }
        let networks = text.split(',').map(|network| {
            let network = network.trim();
            let single = || Some(IpNet::from(network.parse::<IpAddr>().ok()?));
            network.parse().ok().or_else(single).ok_or_else(|| {
                format!("{network} is neither vercel, cloudflare or cloud-run, nor a number above 0, nor a network such as 10.0.0.0/8")
            })
        });
        Ok(Self::Networks(networks.collect::<Result<_, String>>()?))
    }
}

impl Settings {
    /// Where to listen, if nothing else was said on `fallback`.
    #[must_use]
    pub fn listen_on(&self, fallback: IpAddr) -> SocketAddr {
        SocketAddr::new(self.bind.unwrap_or(fallback), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_proxies_are_read() {
        let read = |text: &str| text.parse::<TrustedProxy>();
        assert_eq!(read("cloud-run"), Ok(TrustedProxy::CloudRun));
        assert_eq!(
            read("2"),
            Ok(TrustedProxy::Hops(NonZeroUsize::new(2).unwrap()))
        );
        let networks = vec![
            "10.0.0.0/8".parse().unwrap(),
            "192.0.2.1/32".parse().unwrap(),
        ];
        assert_eq!(
            read("10.0.0.0/8, 192.0.2.1"),
            Ok(TrustedProxy::Networks(networks))
        );
        for bad in ["", "0", "nginx", "10.0.0.0/33", "10.0.0.0/8,", "-1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
