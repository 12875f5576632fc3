//! Where the end user is, as far as the proxies in front of us say so, and which
//! address a caller has.
//!
//! These are two questions. What is *shown* of the end user may come from anybody, and says so; the
//! [`client_address`] that limits go by comes from the connection, or from a proxy that the operator
//! trusts, and from nobody else.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

use crate::app::auth::geo::{GeoLocation, Region};
use crate::config::TrustedProxy;

/// The end user's address and where it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EndUser {
    /// The address, in its canonical text form.
    pub ip: Option<String>,
    /// The address, and where that is.
    pub geo: Option<GeoLocation>,
}

/// Reads the end user's address and where it is from a request. Only browsers have end users: what other
/// programs send is their own host's address.
#[must_use]
pub(crate) fn locate(
    headers: &HeaderMap,
    trusted: Option<&TrustedProxy>,
    peer: Option<IpAddr>,
) -> EndUser {
    if !is_browser(headers) {
        return EndUser::default();
    }
    let by_trusted = trusted.and_then(|proxy| reported_by(headers, proxy, peer));
    let is_trusted = by_trusted.is_some();
    let Some(ip) = by_trusted.or_else(|| untrusted(headers, trusted)) else {
        return EndUser::default();
    };
    // With a trusted proxy configured, a request that went around it brings a location of its own making.
    let region = if trusted.is_none() || is_trusted {
        region(headers, trusted)
    } else {
        Region::default()
    };
    EndUser {
        ip: Some(ip.to_string()),
        geo: Some(GeoLocation {
            ip,
            is_trusted,
            region,
        }),
    }
}

fn is_browser(headers: &HeaderMap) -> bool {
    let agent = text(headers, "user-agent").unwrap_or_default();
    ["Mozilla", "Chrome", "Safari"]
        .iter()
        .any(|name| agent.contains(name))
}

/// The address that a request came from to the outermost trusted proxy; without one, or around it,
/// of the peer on the connection.
#[must_use]
pub(crate) fn client_address(
    headers: &HeaderMap,
    trusted: Option<&TrustedProxy>,
    peer: Option<IpAddr>,
) -> Option<IpAddr> {
    trusted
        .and_then(|proxy| reported_by(headers, proxy, peer))
        .or(peer)
        .map(|address| address.to_canonical())
}

fn reported_by(headers: &HeaderMap, proxy: &TrustedProxy, peer: Option<IpAddr>) -> Option<IpAddr> {
    match proxy {
        TrustedProxy::Vercel => first_address(headers, "x-vercel-forwarded-for"),
        TrustedProxy::Cloudflare => first_address(headers, "cf-connecting-ip"),
        TrustedProxy::CloudRun => {
            let chain = text(headers, "x-forwarded-for")?;
            chain.rsplit(',').nth(1)?.trim().parse().ok()
        }
        // The last proxy appended whom it heard from, and is itself the peer.
        TrustedProxy::Hops(hops) => forwarded_for(headers).nth_back(hops.get() - 1)?,
        TrustedProxy::Networks(networks) => beyond(networks, forwarded_for(headers), peer?),
    }
}

/// Goes back from the peer through the entries as long as trusted proxies vouch for them.
fn beyond(
    networks: &[IpNet],
    forwarded_for: impl DoubleEndedIterator<Item = Option<IpAddr>>,
    peer: IpAddr,
) -> Option<IpAddr> {
    let is_ours = |address: IpAddr| {
        let address = address.to_canonical();
        networks.iter().any(|network| network.contains(&address))
    };
    if !is_ours(peer) {
        return None;
    }
    let mut farthest = None;
    for address in forwarded_for.rev() {
        farthest = Some(address?);
        if !is_ours(address?) {
            break;
        }
    }
    farthest
}

/// The entries of all `x-forwarded-for` headers; none for what is no address.
fn forwarded_for(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = Option<IpAddr>> {
    let lines = headers.get_all("x-forwarded-for").into_iter();
    lines
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .map(|entry| entry.trim().parse().ok())
}

fn untrusted(headers: &HeaderMap, trusted: Option<&TrustedProxy>) -> Option<IpAddr> {
    let others = [TrustedProxy::Vercel, TrustedProxy::Cloudflare];
    first_address(headers, "x-real-ip")
        .or_else(|| first_address(headers, "x-forwarded-for"))
        .or_else(|| {
            let mut unconfigured = others.iter().filter(|proxy| Some(*proxy) != trusted);
            unconfigured.find_map(|proxy| reported_by(headers, proxy, None))
        })
}

/// Where the proxy says that the end user is. Only its own headers count, if it is known which they
/// are: it passes on the others as they came.
fn region(headers: &HeaderMap, trusted: Option<&TrustedProxy>) -> Region {
    let by_cloudflare = || Region {
        country_code: country(headers, "cf-ipcountry"),
        ..Region::default()
    };
    let by_vercel = || Region {
        country_code: country(headers, "x-vercel-ip-country"),
        region_code: owned(headers, "x-vercel-ip-country-region"),
        city_name: owned(headers, "x-vercel-ip-city"),
        latitude: degrees(headers, "x-vercel-ip-latitude"),
        longitude: degrees(headers, "x-vercel-ip-longitude"),
        tz_identifier: owned(headers, "x-vercel-ip-timezone"),
    };
    match trusted {
        Some(TrustedProxy::Vercel) => by_vercel(),
        Some(TrustedProxy::Cloudflare) => by_cloudflare(),
        Some(TrustedProxy::CloudRun) => Region::default(),
        Some(TrustedProxy::Hops(_) | TrustedProxy::Networks(_)) | None => {
            let region = by_vercel();
            let country_code = region.country_code.or(by_cloudflare().country_code);
            Region {
                country_code,
                ..region
            }
        }
    }
}

fn country(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(text(headers, name)?.to_ascii_uppercase())
}

fn owned(headers: &HeaderMap, name: &str) -> Option<String> {
    text(headers, name).map(str::to_owned)
}

fn degrees(headers: &HeaderMap, name: &str) -> Option<f64> {
    let degrees: f64 = text(headers, name)?.parse().ok()?;
    degrees.is_finite().then_some(degrees)
}

fn first_address(headers: &HeaderMap, name: &str) -> Option<IpAddr> {
    text(headers, name)?.split(',').next()?.trim().parse().ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get(name)?
        .to_str()
        .ok()
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", "Mozilla/5.0".parse().unwrap());
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn programs_have_no_end_user() {
        let mut curl = headers(&[("x-real-ip", "203.0.113.7")]);
        curl.insert("user-agent", "curl/8".parse().unwrap());
        assert_eq!(locate(&curl, None, None), EndUser::default());
    }

    #[test]
    fn the_trusted_proxy_wins_over_what_the_caller_claims() {
        let request = headers(&[
            ("x-real-ip", "198.51.100.1"),
            ("cf-connecting-ip", "203.0.113.7"),
            ("cf-ipcountry", "NL"),
        ]);
        let found = locate(&request, Some(&TrustedProxy::Cloudflare), None);
        assert_eq!(found.ip.as_deref(), Some("203.0.113.7"));
        let geo = found.geo.unwrap();
        assert!(geo.is_trusted);
        assert_eq!(geo.region.country_code.as_deref(), Some("NL"));
        assert_eq!(
            locate(&request, None, None).ip.as_deref(),
            Some("198.51.100.1")
        );
    }

    #[test]
    fn around_the_trusted_proxy_no_place_is_believed() {
        let request = headers(&[("x-real-ip", "198.51.100.1"), ("x-vercel-ip-country", "NL")]);
        let found = locate(&request, Some(&TrustedProxy::Cloudflare), None);
        let geo = GeoLocation {
            ip: "198.51.100.1".parse().unwrap(),
            is_trusted: false,
            region: Region::default(),
        };
        assert_eq!(found.geo, Some(geo));
    }

    #[test]
    fn a_trusted_proxy_is_asked_by_its_own_headers() {
        let request = headers(&[
            ("cf-connecting-ip", "203.0.113.7"),
            ("x-vercel-ip-country", "NL"),
            ("x-vercel-ip-city", "Amsterdam"),
        ]);
        let region =
            |proxy: Option<&TrustedProxy>| locate(&request, proxy, None).geo.unwrap().region;
        assert_eq!(region(Some(&TrustedProxy::Cloudflare)), Region::default());
        assert_eq!(region(None).city_name.as_deref(), Some("Amsterdam"));
    }

    #[test]
    fn cloud_run_appends_two_entries() {
        let request = headers(&[("x-forwarded-for", "10.0.0.1, 203.0.113.7, 169.254.1.1")]);
        let found = locate(&request, Some(&TrustedProxy::CloudRun), None);
        assert_eq!(found.ip.as_deref(), Some("203.0.113.7"));
    }

    #[test]
    fn an_invalid_address_is_none() {
        assert_eq!(
            locate(&headers(&[("x-real-ip", "not an ip")]), None, None),
            EndUser::default()
        );
    }

    fn address(forwarded_for: &str, trusted: Option<&str>, peer: &'static str) -> Option<String> {
        let request = headers(&[("x-forwarded-for", forwarded_for), ("x-real-ip", "6.6.6.6")]);
        let trusted = trusted.map(|text| text.parse().unwrap());
        let found = client_address(&request, trusted.as_ref(), Some(peer.parse().unwrap()));
        found.map(|address| address.to_string())
    }

    #[test]
    fn without_a_trusted_proxy_the_connection_alone_counts() {
        let found = address("203.0.113.7", None, "198.51.100.1");
        assert_eq!(found.as_deref(), Some("198.51.100.1"));
        let found = address("203.0.113.7", None, "::ffff:198.51.100.1");
        assert_eq!(found.as_deref(), Some("198.51.100.1"));
    }

    #[test]
    fn so_many_hops_back_is_believed_and_no_further() {
        let cases = [
            ("6.6.6.6, 203.0.113.7", "1", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7, 10.0.0.2", "2", "203.0.113.7"),
            // Around the outer proxy.
            ("203.0.113.7", "2", "10.0.0.1"),
            ("nonsense", "1", "10.0.0.1"),
        ];
        for (forwarded, hops, expected) in cases {
            let found = address(forwarded, Some(hops), "10.0.0.1");
            assert_eq!(found.as_deref(), Some(expected), "{forwarded}");
        }
    }

    #[test]
    fn only_proxies_in_trusted_networks_are_believed() {
        let cases = [
            ("6.6.6.6, 203.0.113.7, 10.0.0.2", "10.0.0.1", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7", "10.0.0.1", "203.0.113.7"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.1", "10.0.0.3"),
            ("203.0.113.7", "198.51.100.1", "198.51.100.1"),
            ("203.0.113.7, nonsense", "10.0.0.1", "10.0.0.1"),
        ];
        for (forwarded, peer, expected) in cases {
            let found = address(forwarded, Some("10.0.0.0/8"), peer);
            assert_eq!(found.as_deref(), Some(expected), "{forwarded}");
        }
    }
}
