//! Which URLs a project sends its users back to.

use muniment_domain::project::config::DomainsConfig;
use url::Url;

use crate::error::known_error::KnownError;

/// Refuses callback URLs that a project does not trust.
///
/// # Errors
/// `REDIRECT_URL_NOT_WHITELISTED`.
pub fn require_trusted(url: &str, domains: &DomainsConfig) -> Result<(), KnownError> {
    if is_trusted(url, domains) {
        return Ok(());
    }
    Err(KnownError::redirect_url_not_whitelisted())
}

/// Whether a project trusts a callback URL.
#[must_use]
pub fn is_trusted(url: &str, domains: &DomainsConfig) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    if domains.allow_localhost && url.host_str().is_some_and(is_local) {
        return true;
    }
    let trusted = domains.trusted_domains.values();
    trusted
        .filter_map(|domain| domain.base_url.as_deref())
        .any(|base| matches(&url, base))
}

fn is_local(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse()
            .is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback())
}

fn matches(url: &Url, base: &str) -> bool {
    match Url::parse(base) {
        Ok(base) if !base.as_str().contains('*') => {
            url.scheme() == base.scheme()
                && url.host_str() == base.host_str()
                && url.port_or_known_default() == base.port_or_known_default()
        }
        _ => matches_pattern(url, base),
    }
}

fn matches_pattern(url: &Url, base: &str) -> bool {
    let Some((scheme, rest)) = base.split_once("://") else {
        return false;
    };
    let pattern = rest.split('/').next().unwrap_or_default();
    let Some(host) = url.host_str() else {
        return false;
    };
    if url.scheme() != scheme {
        return false;
    }
    if !pattern.contains(':') {
        // `port()` is none exactly when the URL is on its scheme's default port.
        return url.port().is_none() && glob(pattern.as_bytes(), host.as_bytes());
    }
    let port = url.port_or_known_default().unwrap_or_default();
    glob(pattern.as_bytes(), format!("{host}:{port}").as_bytes())
}

/// `*` stands for any run without dots, `**` for any run; everything else for itself.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        [b'*', rest @ ..] => {
            let run = text
                .iter()
                .position(|byte| *byte == b'.')
                .unwrap_or(text.len());
            (0..=run).any(|at| glob(rest, &text[at..]))
        }
        [first, rest @ ..] => text.first() == Some(first) && glob(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muniment_domain::project::config::TrustedDomain;

    fn trusting(base: &str) -> DomainsConfig {
        let domain = TrustedDomain {
            base_url: Some(base.to_owned()),
            ..TrustedDomain::default()
        };
        DomainsConfig {
            allow_localhost: false,
            trusted_domains: [("a".to_owned(), domain)].into(),
        }
    }

    #[test]
    fn plain_domains_compare_scheme_host_and_port() {
        let domains = trusting("https://app.example.com/ignored?x#y");
        for good in [
            "https://app.example.com",
            "https://app.example.com:443/any?path",
        ] {
            assert!(is_trusted(good, &domains), "{good}");
        }
        for bad in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.io",
            "https://evil.io/app.example.com",
            "https://x@evil.io",
            "not a url",
        ] {
            assert!(!is_trusted(bad, &domains), "{bad}");
        }
    }

    #[test]
    fn one_star_is_one_label_and_two_are_many() {
        let one = trusting("https://*.example.com");
        assert!(is_trusted("https://a.example.com", &one));
        assert!(!is_trusted("https://a.b.example.com", &one));
        assert!(!is_trusted("https://example.com", &one));
        assert!(!is_trusted("https://a.example.com:8443", &one));
        let two = trusting("https://**.example.com");
        assert!(is_trusted("https://a.b.example.com", &two));
        assert!(!is_trusted("https://example.com", &two));
    }

    #[test]
    fn a_pattern_may_span_ports() {
        let domains = trusting("http://localhost:*");
        assert!(is_trusted("http://localhost:3000/x", &domains));
        assert!(is_trusted("http://localhost", &domains));
        assert!(!is_trusted("https://localhost:3000", &domains));
    }

    #[test]
    fn local_hosts_are_trusted_when_switched_on() {
        let domains = DomainsConfig {
            allow_localhost: true,
            ..DomainsConfig::default()
        };
        for good in [
            "http://localhost:1",
            "https://a.b.localhost/x",
            "ftp://127.9.9.9",
        ] {
            assert!(is_trusted(good, &domains), "{good}");
        }
        assert!(!is_trusted("http://localhost.evil.io", &domains));
    }
}
