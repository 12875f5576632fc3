//! Where analytics are kept.

use clap::Args;
use muniment_projections::analytics::{Endpoint, Engine};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::security::secrets::ServerSecret;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
