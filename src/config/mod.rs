//! Configuration, from flags and environment. The README's table says the same in prose.

mod internal_project;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use muniment_projections::analytics::{Endpoint, Engine};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::app::integrations::clients::Clients;
use crate::app::webhooks::Delivery;
use crate::clients::address_policy::AddressPolicy;
use crate::clients::mail::transport::MailServerError;
use crate::clients::mail::{Carrier, SharedMail};
use crate::clients::stripe::StripeAccess;
use crate::security::limits::Quotas;
use crate::security::secrets::ServerSecret;

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
    /// Where the dashboard is: the base of links that lead people there [default: the public URL].
    #[arg(long, env = "MUNIMENT_DASHBOARD_URL")]
    pub dashboard_url: Option<String>,
    /// The same, under the name that existing installations use.
    #[arg(long, env = "NEXT_PUBLIC_STACK_DASHBOARD_URL", hide = true)]
    pub stack_dashboard_url: Option<String>,
    /// Hosting platforms that may make projects: a JSON list of `{client_id, client_secret,
    /// redirect_uris, id_token_signed_response_alg}` [default: none].
    #[arg(long, env = "STACK_INTEGRATION_CLIENTS_CONFIG", hide_env_values = true)]
    pub integration_clients: Option<String>,
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

/// Where analytics are kept.
#[derive(Args, Clone, Debug)]
pub struct AnalyticsSettings {
    /// A ClickHouse server, as `http://user:password@host:8123`; the user must be allowed to manage
    /// users [default: in `dev`, the embedded engine; in `serve`, no analytics].
    #[arg(long, env = "CLICKHOUSE_URL", hide_env_values = true)]
    pub clickhouse_url: Option<String>,
}

impl AnalyticsSettings {
    /// The ClickHouse server, if one is named. The password of the user that tenants' queries run
    /// as derives from `secret`, so that all nodes know it.
    ///
    /// # Errors
    /// When the URL does not name a server.
    pub fn server(&self, secret: &ServerSecret) -> Result<Option<Endpoint>, String> {
        // Compose files pass on unset variables as empty ones.
        let Some(text) = self.clickhouse_url.as_deref().filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        let unusable = || "CLICKHOUSE_URL must look like http://user:password@host:8123".to_owned();
        let url: Url = text.parse().map_err(|_| unusable())?;
        if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(unusable());
        }
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let user = Some(decoded(url.username())).filter(|user| !user.is_empty());
        Ok(Some(Endpoint {
            engine: Engine::Server,
            // A path names a database; ours have names of their own.
            url: url.origin().ascii_serialization(),
            owner: user.unwrap_or_else(|| "default".to_owned()),
            owner_password: decoded(url.password().unwrap_or_default()),
            tenant_password: secret.derive_password("muniment analytics tenants v1"),
        }))
    }
}

/// How payments are taken.
#[derive(Args, Clone, Debug)]
pub struct PaymentSettings {
    /// The secret key of the Stripe platform that projects' accounts belong to. With
    /// `sk_test_mockstripekey`, payments are pretended [default: in `dev`, that one; in `serve`, no
    /// payments].
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true)]
    pub stripe_secret_key: Option<String>,
    /// What Stripe signs its webhooks with; without it they are refused.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true)]
    pub stripe_webhook_secret: Option<String>,
    /// The base of Stripe's API [default: <https://api.stripe.com>].
    #[arg(long, env = "STRIPE_API_BASE")]
    pub stripe_api_base: Option<String>,
    /// The key's older name.
    #[arg(
        long = "stack-stripe-secret-key",
        env = "STACK_STRIPE_SECRET_KEY",
        hide_env_values = true,
        hide = true
    )]
    pub old_secret_key: Option<String>,
    /// The webhook secret's older name.
    #[arg(
        long = "stack-stripe-webhook-secret",
        env = "STACK_STRIPE_WEBHOOK_SECRET",
        hide_env_values = true,
        hide = true
    )]
    pub old_webhook_secret: Option<String>,
}

impl PaymentSettings {
    /// How to reach Stripe; without a key, `otherwise`.
    #[must_use]
    pub fn access(&self, otherwise: Option<StripeAccess>) -> Option<StripeAccess> {
        // Compose files pass on unset variables as empty ones.
        let set = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let key = set(&self.stripe_secret_key).or_else(|| set(&self.old_secret_key));
        let access = key.map(|key| StripeAccess::with_key(&key)).or(otherwise)?;
        let secret = set(&self.stripe_webhook_secret).or_else(|| set(&self.old_webhook_secret));
        Some(StripeAccess {
            webhook_secret: secret.or(access.webhook_secret),
            api_base: set(&self.stripe_api_base).or(access.api_base),
            ..access
        })
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

    /// Where the dashboard is.
    #[must_use]
    pub fn dashboard(&self) -> &str {
        let named = [&self.dashboard_url, &self.stack_dashboard_url];
        // Compose files pass on unset variables as empty ones.
        let mut named = named.into_iter().flatten().filter(|url| !url.is_empty());
        named.next().unwrap_or(&self.public_url)
    }

    /// The hosting platforms.
    ///
    /// # Errors
    /// When the list makes no sense. The message does not repeat it: secrets are in it.
    pub fn platforms(&self) -> Result<Clients, String> {
        let list = self.integration_clients.as_deref().unwrap_or_default();
        list.parse()
            .map_err(|error| format!("STACK_INTEGRATION_CLIENTS_CONFIG: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::stripe::MOCK_KEY;

    #[test]
    fn stripe_is_reached_as_it_is_said() {
        let unset = PaymentSettings {
            stripe_secret_key: None,
            stripe_webhook_secret: None,
            stripe_api_base: None,
            old_secret_key: None,
            old_webhook_secret: None,
        };
        let text = |text: &str| Some(text.to_owned());
        let pretended = || Some(StripeAccess::with_key(MOCK_KEY));
        assert!(unset.access(None).is_none());
        assert!(unset.access(pretended()).unwrap().is_mock());
        let empty = PaymentSettings {
            stripe_secret_key: text(""),
            stripe_api_base: text(""),
            ..unset.clone()
        };
        let access = empty.access(pretended()).unwrap();
        assert!(access.is_mock() && access.api_base.is_none());
        let old = PaymentSettings {
            old_secret_key: text("sk_old"),
            old_webhook_secret: text("whsec_old"),
            ..empty
        };
        let access = old.access(pretended()).unwrap();
        assert_eq!(access.secret_key, "sk_old");
        assert_eq!(access.webhook_secret, text("whsec_old"));
        let new = PaymentSettings {
            stripe_secret_key: text("sk_new"),
            stripe_api_base: text("http://x"),
            ..old
        };
        let access = new.access(None).unwrap();
        assert_eq!(access.secret_key, "sk_new");
        assert_eq!(access.api_base, text("http://x"));
    }

    #[test]
    fn a_clickhouse_server_is_named_by_its_url() {
        let secret: ServerSecret = "A".repeat(43).parse().unwrap();
        let server = |url: &str| {
            let clickhouse_url = Some(url.to_owned());
            AnalyticsSettings { clickhouse_url }.server(&secret)
        };
        let endpoint = server("https://us%40er:p%3Aw@db.example.com:8443/muniment?x=1");
        let endpoint = endpoint.unwrap().unwrap();
        assert_eq!(endpoint.url, "https://db.example.com:8443");
        assert_eq!(endpoint.owner, "us@er");
        assert_eq!(endpoint.owner_password, "p:w");
        assert_eq!(endpoint.tenant_password.len(), 64);
        let endpoint = server("http://localhost:8123").unwrap().unwrap();
        assert_eq!(
            (endpoint.owner.as_str(), endpoint.owner_password.as_str()),
            ("default", "")
        );
        assert!(server("").unwrap().is_none());
        for unusable in ["localhost:8123", "tcp://localhost:9000", "http://"] {
            assert!(server(unusable).is_err(), "{unusable}");
        }
    }

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
